"""Every option there is, in groups, each with its reason.

A configuration is loaded once by a command and passed on; nothing imports it
as a global.  Names are Nova's where Nova has the option.  The sample file and
`docs/configuration.md` are generated from here (`nova-manage config sample`).
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from pathlib import Path

from oslo_config import cfg, types

DEFAULT_FILE = "/etc/nova-lite/nova.conf"
DEFAULT_STATE = "/var/lib/nova-lite"

GENERAL = [
    cfg.HostAddressOpt(
        "my_ip",
        default="127.0.0.1",
        help="Address of this host that other hosts of the cloud reach it by.",
    ),
    cfg.StrOpt(
        "host",
        default=socket.gethostname(),
        sample_default="the host's name",
        help="Name of this host; the same for every worker on it, and never reused for another.",
    ),
    cfg.StrOpt(
        "state_path",
        default=DEFAULT_STATE,
        help="Where everything is kept that must outlive a restart: keys, images, disks of guests.",
    ),
    cfg.StrOpt(
        "transport_url",
        default="kombu+memory://",
        secret=True,
        help="The AMQP broker: rabbit://user:password@host:5672/vhost past one machine. "
        "kombu+memory:// is a broker inside the process, for nova-all only.",
    ),
    cfg.StrOpt(
        "availability_zone",
        default="nova",
        help="The availability zone this compute host belongs to.",
    ),
    cfg.IntOpt(
        "report_interval",
        default=5,
        min=1,
        help="Seconds between two status messages of a worker.",
    ),
    cfg.IntOpt(
        "service_down_time",
        default=20,
        min=2,
        help="Seconds without a status message after which a worker counts as down.",
    ),
    cfg.BoolOpt("debug", default=False, help="Log at DEBUG instead of INFO."),
    cfg.StrOpt("log_file", help="Write the log here instead of to standard error."),
]

DATABASE = [
    cfg.StrOpt(
        "connection",
        secret=True,
        sample_default="sqlite:////var/lib/nova-lite/nova.sqlite",
        help="SQLAlchemy URL of the database: sqlite, mysql+pymysql or postgresql+psycopg. "
        "Needed by API, scheduler and nova-manage; workers must not have it.",
    ),
    cfg.IntOpt(
        "max_pool_size", default=10, min=1, help="Connections one process keeps to the database."
    ),
]

API = [
    cfg.HostAddressOpt(
        "listen",
        default="127.0.0.1",
        help="Address the API binds to. Loopback unless told otherwise.",
    ),
    cfg.PortOpt("port", default=8774, help="One port for all APIs, told apart by path prefix."),
    cfg.StrOpt(
        "public_endpoint",
        help="URL under which clients reach the API, for catalog and links; "
        "by default what the request itself used.",
    ),
    cfg.StrOpt(
        "auth_strategy",
        default="identity",
        choices=[
            ("identity", "our own identity API"),
            (
                "keystone",
                "the Keystone of [keystone_authtoken], with the options of its middleware",
            ),
        ],
        help="Who is asked who asks.",
    ),
    cfg.StrOpt(
        "paste_config",
        default="api-paste.ini",
        help="Wiring of the API; a relative path is looked up beside the configuration file, "
        "then in the installation.",
    ),
    cfg.IntOpt("workers", default=1, min=1, help="Worker processes of nova-api."),
    cfg.IntOpt("threads", default=16, min=1, help="Requests one process serves at a time."),
    cfg.IntOpt("max_limit", default=1000, min=1, help="Longest page of a list."),
    cfg.StrOpt(
        "policy_file",
        default="policy.yaml",
        help="Operator's overrides of policy rules, looked up like paste_config. "
        "Only the default may be missing.",
    ),
]

METADATA = [
    cfg.HostAddressOpt(
        "listen",
        default="127.0.0.1",
        help="Address the metadata service binds to. Guests on other hosts need one that "
        "their network host can reach.",
    ),
    cfg.PortOpt("port", default=8775, help="Port of the metadata service."),
    cfg.IntOpt("threads", default=4, min=1, help="Guests served at a time."),
]

IDENTITY = [
    cfg.IntOpt("token_expiration", default=3600, min=60, help="Seconds a token is good for."),
    cfg.IntOpt(
        "cache_seconds",
        default=5,
        min=0,
        help="How long a checked token is believed: the time a revocation takes to be everywhere.",
    ),
    cfg.IntOpt(
        "password_hash_memory_kib",
        default=19456,
        min=8,
        help="Memory cost of argon2id, per password check. The default is OWASP's minimum.",
    ),
    cfg.IntOpt("password_hash_rounds", default=2, min=1, help="Time cost of argon2id, in passes."),
    cfg.StrOpt(
        "region",
        default="RegionOne",
        help="Name of the region that our own APIs are in: as a new catalog has them, "
        "and as unified limits are looked up.",
    ),
    cfg.IntOpt(
        "max_project_tree_depth",
        default=5,
        min=1,
        help="How many projects may be within each other.",
    ),
]

IMAGE = [
    cfg.StrOpt(
        "filesystem_store_datadir",
        sample_default="<state_path>/images",
        help="Where the bytes of images are kept, while [image] stores names no stores.",
    ),
    cfg.PortOpt(
        "port",
        help="Second port of nova-api, on [api] listen. Its first takes no uploads of unknown "
        "length (chunked, as tempest sends them), because its server cannot tell a whole one from "
        "one that broke off; this one does. The image endpoint in the catalog is to lead here. "
        "nova-all takes them on its only port.",
    ),
    cfg.DictOpt(
        "stores",
        default={},
        help="Image stores, as NAME:DIRECTORY, separated by commas; the first is the default "
        "one. A relative directory is one under state_path.",
    ),
    cfg.StrOpt(
        "staging_dir",
        sample_default="<state_path>/staging",
        help="Where bytes wait that are uploaded to be imported later, and which the API "
        "processes of a site share as they share the stores.",
    ),
    cfg.IntOpt(
        "image_size_cap",
        default=1 << 40,
        min=1,
        help="Largest image, in bytes, as uploaded.",
    ),
    cfg.BoolOpt(
        "require_image_format_match",
        default=True,
        help="Whether an upload is refused when its bytes are not what the image is declared to "
        "be, or not safe to use. Hosts look themselves at what they make disks of, and refuse it.",
    ),
    cfg.ListOpt(
        "enabled_import_methods",
        default=["glance-direct", "web-download", "copy-image", "glance-download"],
        help="How images may be imported.",
    ),
    cfg.IntOpt("import_threads", default=2, min=1, help="Imports one API process does at a time."),
    cfg.ListOpt(
        "import_allowed_schemes",
        default=["http", "https"],
        help="Schemes of URLs that images may be downloaded from: http, https.",
    ),
    cfg.ListOpt(
        "import_allowed_ports",
        item_type=types.Integer(1, 65535),
        default=[80, 443],
        help="Ports of such URLs.",
    ),
    cfg.ListOpt(
        "import_allowed_networks",
        default=[],
        help="Networks (CIDR) that such URLs may lead to although they are not public: whoever "
        "may import an image can then reach what is there.",
    ),
    cfg.IntOpt(
        "import_timeout", default=3600, min=1, help="Seconds that downloading one image may take."
    ),
    cfg.ListOpt(
        "import_extra_properties",
        default=["hw_", "trait:", "os_distro", "os_secure_boot", "os_type"],
        help="Properties that an image takes along when it is imported from another image, "
        "by the beginning of their names.",
    ),
]

SCHEDULER = [
    cfg.StrOpt(
        "driver",
        default="filter",
        help="Placement policy: filter, least_load, chance, round_robin, or any name in the "
        "entry-point group nova_lite.schedulers.",
    ),
    cfg.ListOpt(
        "enabled_filters",
        default=[
            "ComputeFilter",
            "AvailabilityZoneFilter",
            "RetryFilter",
            "RamFilter",
            "CoreFilter",
            "DiskFilter",
            "SameHostFilter",
            "DifferentHostFilter",
            "ServerGroupAffinityFilter",
            "ServerGroupAntiAffinityFilter",
            "ComputeCapabilitiesFilter",
            "ImagePropertiesFilter",
            "AggregateInstanceExtraSpecsFilter",
        ],
        help="Filters of the filter scheduler, cheapest first.",
    ),
    cfg.FloatOpt(
        "ram_weight_multiplier",
        default=1.0,
        help="Positive spreads by free memory; negative packs.",
    ),
    cfg.FloatOpt("cpu_weight_multiplier", default=1.0, help="The same for free cores."),
    cfg.FloatOpt("disk_weight_multiplier", default=1.0, help="The same for free disk."),
    cfg.FloatOpt(
        "soft_affinity_weight_multiplier",
        default=1.0,
        help="How much a group of soft affinity counts against free memory, cores and disk.",
    ),
    cfg.FloatOpt(
        "soft_anti_affinity_weight_multiplier",
        default=1.0,
        help="The same for a group of soft anti-affinity.",
    ),
    cfg.IntOpt(
        "max_instances_per_host",
        default=50,
        min=1,
        help="What NumInstancesFilter lets on one host.",
    ),
    cfg.ListOpt("isolated_hosts", default=[], help="Hosts of IsolatedHostsFilter."),
    cfg.ListOpt(
        "isolated_images",
        default=[],
        help="Ids of images that run on these hosts and nowhere else.",
    ),
    cfg.BoolOpt(
        "restrict_isolated_hosts_to_isolated_images",
        default=True,
        help="Whether nothing but these images runs on these hosts.",
    ),
    cfg.StrOpt(
        "aggregate_image_properties_isolation_namespace",
        default="",
        help="Image properties that AggregateImagePropertiesIsolation heeds begin so; "
        "empty: it heeds all.",
    ),
    cfg.StrOpt(
        "aggregate_image_properties_isolation_separator",
        default=".",
        help="What comes between that and the rest of the name.",
    ),
    cfg.FloatOpt("ram_allocation_ratio", default=1.0, min=0.0, help="Memory given out per MB."),
    cfg.FloatOpt("cpu_allocation_ratio", default=4.0, min=0.0, help="Cores given out per core."),
    cfg.FloatOpt("disk_allocation_ratio", default=1.0, min=0.0, help="Disk given out per GB."),
    cfg.IntOpt("max_attempts", default=3, min=1, help="Hosts tried before a server goes to ERROR."),
    cfg.IntOpt(
        "workers", default=2, min=1, help="Threads of a scheduler process that run operations."
    ),
]

COMPUTE = [
    cfg.StrOpt(
        "driver",
        default="libvirt",
        choices=("libvirt", "fake"),
        help="What runs the guests: libvirt, or a hypervisor that exists only in memory.",
    ),
    cfg.IntOpt(
        "fake_hosts",
        default=1,
        min=1,
        help="With driver=fake: how many hosts this process plays (HOST, or HOST-1 to HOST-N).",
    ),
    cfg.IntOpt(
        "workers", default=8, min=1, help="Commands one compute host carries out at a time."
    ),
    cfg.IntOpt(
        "reserved_host_memory_mb", default=512, min=0, help="Memory the host keeps for itself."
    ),
    cfg.IntOpt("reserved_host_disk_gb", default=0, min=0, help="Disk the host keeps for itself."),
    cfg.IntOpt(
        "shutdown_timeout",
        default=60,
        min=0,
        help="Seconds a guest has to shut itself down before its plug is pulled.",
    ),
    cfg.BoolOpt(
        "allow_resize_to_same_host",
        default=True,
        help="Whether a resized server may stay on the host it is on.",
    ),
    cfg.IntOpt(
        "shelved_offload_time",
        default=0,
        min=-1,
        help="Seconds that a shelved server keeps its place on a host; -1: until it is offloaded.",
    ),
    cfg.IntOpt(
        "reclaim_instance_interval",
        default=0,
        min=0,
        help="Seconds that a deleted server can be restored; 0: it is deleted at once.",
    ),
    cfg.IntOpt(
        "resize_confirm_window",
        default=0,
        min=0,
        help="Seconds after which a resize is confirmed by itself; 0: never.",
    ),
]

LIBVIRT = [
    cfg.StrOpt("connection_uri", default="qemu:///system", help="Which libvirt to talk to."),
    cfg.StrOpt(
        "virt_type",
        default="auto",
        choices=("auto", "kvm", "qemu"),
        help="auto starts a small accelerated guest to see whether KVM works, and falls back "
        "to QEMU's own emulation.",
    ),
    cfg.StrOpt(
        "probe_kernel",
        help="Linux kernel that the probe of KVM boots; by default one from /boot.",
    ),
]

VNC = [
    cfg.StrOpt(
        "novncproxy_base_url",
        default="http://127.0.0.1:6080/vnc_lite.html",
        help="Where users reach the VNC proxy, whose page shows the screen of a server.",
    ),
]

CONSOLEAUTH = [
    cfg.IntOpt(
        "token_ttl",
        default=600,
        min=0,
        help="Seconds within which the address of a console is good to be opened.",
    ),
]

NETWORK = [
    cfg.StrOpt(
        "driver",
        default="linux",
        choices=("linux", "fake"),
        help="What provides the networks: this host's kernel, or nothing at all.",
    ),
    cfg.StrOpt(
        "flat_network_bridge", default="br100", help="Bridge of the first Flat or FlatDHCP network."
    ),
    cfg.StrOpt(
        "flat_interface",
        help="Physical interface that joins this bridge, when guests live on several hosts.",
    ),
    cfg.StrOpt("dhcp_domain", default="novalocal", help="Domain of the guests' names."),
    cfg.IntOpt("dhcp_lease_time", default=86400, min=120, help="Seconds a lease is good for."),
    cfg.ListOpt("dns_servers", default=[], help="DNS forwarders; by default the host's own."),
    cfg.StrOpt(
        "metadata_host",
        help="Where the metadata service is reached from the network host; "
        "by default [metadata] listen and port.",
    ),
]

QUOTA = [
    cfg.IntOpt("instances", default=10, min=-1, help="Servers per project; -1 is unlimited."),
    cfg.IntOpt("cores", default=20, min=-1, help="VCPUs per project."),
    cfg.IntOpt("ram", default=51200, min=-1, help="Memory per project, in MB."),
    cfg.IntOpt("key_pairs", default=100, min=-1, help="Key pairs per user."),
    cfg.IntOpt("metadata_items", default=128, min=-1, help="Metadata keys per server."),
    cfg.IntOpt("injected_files", default=5, min=-1, help="Files of personality per server."),
    cfg.IntOpt(
        "injected_file_content_bytes", default=10240, min=-1, help="Bytes in one such file."
    ),
    cfg.IntOpt(
        "injected_file_path_bytes", default=255, min=-1, help="Bytes in the path of such a file."
    ),
    cfg.IntOpt("server_groups", default=10, min=-1, help="Server groups per project."),
    cfg.IntOpt("server_group_members", default=10, min=-1, help="Servers per server group."),
    cfg.IntOpt("networks", default=100, min=-1, help="Networks per project."),
    cfg.IntOpt("subnets", default=100, min=-1, help="Subnets per project."),
    cfg.IntOpt("ports", default=500, min=-1, help="Ports per project."),
    cfg.IntOpt("security_groups", default=10, min=-1, help="Security groups per project."),
    cfg.IntOpt(
        "security_group_rules", default=100, min=-1, help="Rules of all its security groups."
    ),
]

GROUPS: dict[str, Sequence[cfg.Opt]] = {
    "DEFAULT": GENERAL,
    "database": DATABASE,
    "api": API,
    "metadata": METADATA,
    "identity": IDENTITY,
    "image": IMAGE,
    "scheduler": SCHEDULER,
    "compute": COMPUTE,
    "libvirt": LIBVIRT,
    "vnc": VNC,
    "consoleauth": CONSOLEAUTH,
    "network": NETWORK,
    "quota": QUOTA,
}

#: What may differ between two processes that share a configuration file.
ON_COMMAND_LINE = {"host", "debug", "log_file"}


def load(arguments: Sequence[str] = (), files: Iterable[str] | None = None) -> cfg.ConfigOpts:
    """Read the configuration: defaults, then files, then the command line.

    `--config-file` in `arguments` names other files than `files`, which are by
    default /etc/nova-lite/nova.conf if there is one.
    Raises oslo_config.cfg.Error for unknown arguments and values out of range.
    """
    config = cfg.ConfigOpts()
    config.register_cli_opts([option for option in GENERAL if option.name in ON_COMMAND_LINE])
    for group, options in GROUPS.items():
        config.register_opts(options, group=None if group == "DEFAULT" else group)
    if files is None:
        files = [DEFAULT_FILE] if Path(DEFAULT_FILE).exists() else []
    config(list(arguments), project="nova-lite", default_config_files=list(files))
    _read_all(config)
    return config


def _read_all(config: cfg.ConfigOpts) -> None:
    """oslo.config checks a value when it is read: now, and not in the middle of the night."""
    for group, options in GROUPS.items():
        section = config if group == "DEFAULT" else config[group]
        for option in options:
            try:
                section[option.name]
            except (cfg.NoSuchOptError, cfg.NoSuchGroupError, cfg.TemplateSubstitutionError):
                # The rest of the value may be a password, so nothing of it is said.
                raise cfg.Error(f"[{group}] {option.name}: write a dollar sign as $$") from None
            except ValueError as error:
                raise cfg.Error(f"[{group}] {option.name}: {error}") from None


def state(config: cfg.ConfigOpts, *parts: str) -> Path:
    """A path under `state_path`."""
    return Path(config.state_path, *parts)


def database_url(config: cfg.ConfigOpts) -> str:
    """`[database] connection`, or SQLite in the state directory."""
    return config.database.connection or f"sqlite:///{state(config, 'nova.sqlite')}"


def beside(config: cfg.ConfigOpts, name: str) -> Path | None:
    """A file named in an option: absolute, beside the configuration file, or as installed."""
    places = [Path(file).resolve().parent for file in config.config_file or []]
    places.append(Path(__file__).resolve().parent.parent)
    return next((place / name for place in places if (place / name).exists()), None)

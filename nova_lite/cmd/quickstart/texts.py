"""The files that quickstart writes for others to read: pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

REGION = "RegionOne"
CLOUD = "nova-lite"  # its name in clouds.yaml
#: What may be set for another cloud and would lead somewhere else.
STRANGE = (
    *("OS_CLOUD", "OS_AUTH_TYPE", "OS_TOKEN", "OS_SYSTEM_SCOPE", "OS_PROJECT_ID"),
    *("OS_DOMAIN_ID", "OS_DOMAIN_NAME", "OS_USER_DOMAIN_ID", "OS_PROJECT_DOMAIN_ID"),
)


@dataclass(frozen=True)
class Choices:
    """What is decided at the first run and then stays, as nova.conf says it."""

    state: Path
    host: str
    port: int
    metadata_port: int
    fake_hosts: int = 0  # 0: real ones
    bridge: str = ""
    libvirt: str = ""  # URI
    probe_kernel: str = ""


def nova_conf(choices: Choices) -> str:
    sections: dict[str, Mapping[str, object]] = {
        "DEFAULT": {"host": choices.host, "state_path": choices.state},
        "api": {"port": choices.port},
        "metadata": {"port": choices.metadata_port},
        "image": {"stores": "file:images, reserve:images-reserve"},
    }
    if choices.fake_hosts:
        sections |= {
            "compute": {"driver": "fake", "fake_hosts": choices.fake_hosts},
            "network": {"driver": "fake"},
            # Fake servers cost nothing, and who tests an API makes many.
            "quota": {"instances": 1000, "cores": 2000, "ram": 4_096_000},
        }
    else:
        # There is no other host to go to: one that is slow for a while is not to be given up.
        sections["DEFAULT"] = {**sections["DEFAULT"], "service_down_time": 60}
        sections |= {
            "libvirt": {
                "connection_uri": choices.libvirt,
                "probe_kernel": choices.probe_kernel,
            },
            "network": {"flat_network_bridge": choices.bridge},
        }
    lines = ["# Written by bin/quickstart, once; from then on it is yours to change."]
    for name, options in sections.items():
        lines += ["", f"[{name}]", *(f"{key} = {value}" for key, value in options.items())]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Login:
    url: str
    password: str
    user: str = "admin"
    project: str = "admin"

    def words(self) -> dict[str, str]:
        return {
            "auth_url": f"{self.url}/identity/v3",
            "username": self.user,
            "password": self.password,
            "project_name": self.project,
            "user_domain_name": "Default",
            "project_domain_name": "Default",
        }


def openrc(login: Login) -> str:
    words = login.words() | {"region_name": REGION, "identity_api_version": "3"}
    exports = (f"export OS_{name.upper()}={shlex.quote(value)}" for name, value in words.items())
    return "\n".join([f"unset {' '.join(STRANGE)}", *exports]) + "\n"


def clouds_yaml(login: Login) -> str:
    # A YAML string may be written as JSON has it.
    auth = "".join(f"      {k}: {json.dumps(v)}\n" for k, v in login.words().items())
    return (
        f"clouds:\n  {CLOUD}:\n    auth:\n{auth}"
        f"    region_name: {REGION}\n    identity_api_version: 3\n"
    )


def ssh_config(key: Path) -> str:
    """How to get into guests.  Their addresses pass to others, with host keys of their own; what
    is sent to them does not leave this host.
    """
    return (
        "Host *\n    User root\n"
        f'    IdentityFile "{key}"\n    IdentitiesOnly yes\n'
        "    StrictHostKeyChecking no\n    UserKnownHostsFile /dev/null\n    LogLevel ERROR\n"
    )

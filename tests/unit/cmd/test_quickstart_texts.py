"""The files that bin/quickstart writes for others to read."""

from __future__ import annotations

import subprocess
from pathlib import Path

from openstack.config import OpenStackConfig

from nova_lite import config as options
from nova_lite.cmd.quickstart.texts import (
    Choices,
    Login,
    clouds_yaml,
    nova_conf,
    openrc,
    ssh_config,
)

NASTY = 'it\'s $HOME "and" \\ `id` #!\N{SNOWMAN}'


def test_the_configuration_of_a_real_cloud_is_what_was_chosen(tmp_path: Path) -> None:
    file = tmp_path / "nova.conf"
    uri = "qemu+unix:///system?socket=/s/libvirt/run/libvirt-sock"
    choices = Choices(
        *(tmp_path, "node1", 9000, 9001), bridge="br101", libvirt=uri, probe_kernel="/s/vmlinuz"
    )
    file.write_text(nova_conf(choices))
    config = options.load(["--config-file", str(file)])
    assert (config.host, config.state_path) == ("node1", str(tmp_path))
    assert config.service_down_time == 60
    assert (config.api.port, config.metadata.port) == (9000, 9001)
    assert (config.api.listen, config.metadata.listen) == ("127.0.0.1", "127.0.0.1")
    assert (config.compute.driver, config.network.driver) == ("libvirt", "linux")
    assert (config.libvirt.connection_uri, config.libvirt.probe_kernel) == (uri, "/s/vmlinuz")
    assert config.libvirt.virt_type == "auto"
    assert config.network.flat_network_bridge == "br101"
    assert config.transport_url == "kombu+memory://"
    assert options.database_url(config) == f"sqlite:///{tmp_path}/nova.sqlite"


def test_the_configuration_of_a_fake_cloud_touches_nothing_real(tmp_path: Path) -> None:
    file = tmp_path / "nova.conf"
    file.write_text(nova_conf(Choices(tmp_path, "node1", 9000, 9001, fake_hosts=3)))
    config = options.load(["--config-file", str(file)])
    assert (config.compute.driver, config.network.driver) == ("fake", "fake")
    assert config.compute.fake_hosts == 3
    assert config.quota.instances > 100


def test_openrc_gives_any_shell_the_password_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "openrc"
    file.write_text(openrc(Login("http://127.0.0.1:9000", NASTY)))
    script = f'. {file}; printf "%s|" "$OS_PASSWORD" "$OS_AUTH_URL" "${{OS_CLOUD-}}"'
    for shell in ("dash", "bash"):
        said = subprocess.run(
            [shell, "-euc", script],
            env={"PATH": "/usr/bin:/bin", "OS_CLOUD": "another"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert said == f"{NASTY}|http://127.0.0.1:9000/identity/v3||"


def test_clouds_yaml_says_the_same_to_the_sdk(tmp_path: Path) -> None:
    file = tmp_path / "clouds.yaml"
    file.write_text(clouds_yaml(Login("http://127.0.0.1:9000", NASTY)))
    config = OpenStackConfig(config_files=[str(file)], load_envvars=False)
    cloud = config.cloud_config["clouds"]["nova-lite"]
    assert cloud["auth"] == {
        "auth_url": "http://127.0.0.1:9000/identity/v3",
        "username": "admin",
        "password": NASTY,
        "project_name": "admin",
        "user_domain_name": "Default",
        "project_domain_name": "Default",
    }
    assert cloud["region_name"] == "RegionOne"


def test_ssh_goes_to_any_guest_as_root_with_the_key(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text(ssh_config(Path("/state/id")))
    understood = subprocess.run(
        ["ssh", "-G", "-F", file, "10.100.0.2"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for line in ("user root", "identityfile /state/id", "userknownhostsfile /dev/null"):
        assert line in understood

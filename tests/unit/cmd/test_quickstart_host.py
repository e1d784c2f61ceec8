"""What of the host is free."""

from __future__ import annotations

import socket
from ipaddress import IPv4Network

import pytest

from nova_lite.cmd.quickstart import host
from nova_lite.cmd.quickstart.terminal import Refusal


def networks(*texts: str) -> list[IPv4Network]:
    return [IPv4Network(text) for text in texts]


@pytest.mark.parametrize(
    ("taken", "chosen"),
    [
        ([], "10.100.0.0/24"),
        (["0.0.0.0/0", "192.168.1.0/24"], "10.100.0.0/24"),
        (["10.100.0.0/24"], "10.100.1.0/24"),
        (["10.100.0.0/23", "10.100.2.7/32"], "10.100.3.0/24"),
        (["10.100.0.0/16"], "10.101.0.0/24"),
        (["10.96.0.0/13"], None),
        (["10.0.0.0/8"], None),
    ],
)
def test_guests_get_the_first_range_that_leads_nowhere_yet(
    taken: list[str], chosen: str | None
) -> None:
    if chosen is None:
        with pytest.raises(Refusal, match="--no-server"):
            host.choose_subnet(networks(*taken))
    else:
        assert host.choose_subnet(networks(*taken)) == IPv4Network(chosen)


def test_the_bridge_gets_the_first_free_name() -> None:
    assert host.choose_bridge({"lo"}) == "br100"
    assert host.choose_bridge({"lo", "br100", "br101"}) == "br102"
    with pytest.raises(Refusal, match="br199"):
        host.choose_bridge(host.BRIDGES)


def test_this_host_is_seen_as_it_is() -> None:
    assert "lo" in host.interfaces()
    assert any(IPv4Network("127.0.0.1/32").subnet_of(network) for network in host.reachable())


def test_a_port_that_is_taken_is_refused_and_a_free_one_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(Refusal, match=f"port {port} is in use -> use another --port"):
            host.require_free(port, "--port")
    host.require_free(port, "--port")


def test_a_port_for_root_is_said_to_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(Refusal, match="port 80 is for root only"):
        host.require_free(80, "--port")

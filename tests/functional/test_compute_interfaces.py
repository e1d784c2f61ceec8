"""The ports, addresses, groups and consoles of a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from nova_lite.domain.errors import HypervisorError
from tests.functional.compute_site import Site, by, refused

Json = dict[str, Any]


def a_network(site: Site, cidr: str, **values: Any) -> str:
    made = site.cloud.networks.post("/v2.0/networks", {"network": {"name": "more", **values}})
    id: str = made["network"]["id"]
    subnet = {"network_id": id, "cidr": cidr, "ip_version": 4}
    site.cloud.networks.post("/v2.0/subnets", {"subnet": subnet})
    return id


def a_port(site: Site, network: str) -> Json:
    port = {"port": {"network_id": network, "name": "mine"}}
    return dict(site.cloud.networks.post("/v2.0/ports", port)["port"])


def attach(site: Site, id: str, version: str = "2.1", **wanted: Any) -> Json:
    body = {"interfaceAttachment": wanted}
    made = site.compute.call(
        "POST", f"/servers/{id}/os-interface", body, status=200, version=version
    )
    site.cloud.settle()
    return dict(made.json["interfaceAttachment"])


def attached(site: Site, id: str) -> list[Json]:
    return list(site.compute.get(f"/servers/{id}/os-interface")["interfaceAttachments"])


def macs(site: Site) -> tuple[str, ...]:
    """Of the only guest there is."""
    (found,) = (g for host in site.cloud.hosts.values() for g in host.machine.listing())
    return found.macs


# --- ports ----------------------------------------------------------------------------------


def test_a_port_is_plugged_in_by_network_by_address_and_by_itself(site: Site) -> None:
    id = site.running()
    (first,) = attached(site, id)
    assert first["port_state"] == "ACTIVE" and first["net_id"] == site.network_id
    anywhere = attach(site, id)
    other = a_network(site, "10.1.0.0/24")
    named = attach(site, id, net_id=other)
    chosen = attach(site, id, net_id=other, fixed_ips=[{"ip_address": "10.1.0.77"}])
    port = a_port(site, other)
    plugged = attach(site, id, port_id=port["id"])
    assert chosen["fixed_ips"][0]["ip_address"] == "10.1.0.77"
    assert plugged["port_id"] == port["id"] and plugged["mac_addr"] == port["mac_address"]
    interfaces = attached(site, id)
    ids = [i["port_id"] for i in (first, anywhere, named, chosen, plugged)]
    assert [i["port_id"] for i in interfaces] == ids
    assert macs(site) == tuple(i["mac_addr"] for i in interfaces)
    assert site.server(id)["status"] == "ACTIVE" and len(site.server(id)["addresses"]["more"]) == 3

    shown = site.compute.get(f"/servers/{id}/os-interface/{port['id']}")["interfaceAttachment"]
    assert shown == interfaces[-1]
    for gone in (anywhere, plugged):
        site.compute.call("DELETE", f"/servers/{id}/os-interface/{gone['port_id']}", status=202)
        site.cloud.settle()
    assert [i["port_id"] for i in attached(site, id)] == [ids[0], ids[2], ids[3]]
    assert len(macs(site)) == 3
    # What somebody made by hand is free again, and the rest is gone.
    kept = site.cloud.networks.get(f"/v2.0/ports/{port['id']}")["port"]
    assert (kept["device_id"], kept["device_owner"]) == ("", "")
    site.cloud.networks.call("GET", f"/v2.0/ports/{anywhere['port_id']}", status=404)
    assert not site.cloud.leftovers()


def test_a_port_goes_from_one_server_to_the_next(site: Site) -> None:
    port = a_port(site, site.network_id)["id"]
    first, second = site.running(), site.running()
    attach(site, first, port_id=port)
    assert "in use" in site.refused(
        409, "POST", f"/servers/{second}/os-interface", {"interfaceAttachment": {"port_id": port}}
    )
    site.compute.call("DELETE", f"/servers/{first}/os-interface/{port}", status=202)
    site.cloud.settle()
    attach(site, second, port_id=port)
    assert port in [i["port_id"] for i in attached(site, second)]
    site.refused(404, "GET", f"/servers/{first}/os-interface/{port}")


def test_an_interface_that_cannot_be_is_refused_at_once(site: Site) -> None:
    id, nothing = site.running(), "8f6e2f8a-0c39-4d4e-9d1f-6ee2f8a3a1aa"
    port = a_port(site, site.network_id)["id"]
    path = f"/servers/{id}/os-interface"
    ip = [{"ip_address": "10.0.0.9"}]
    for status, wanted in (
        (400, {"port_id": port, "net_id": site.network_id}),
        (400, {"port_id": port, "fixed_ips": ip}),
        (400, {"fixed_ips": ip}),
        (400, {"net_id": site.network_id, "fixed_ips": [{"ip_address": "x"}]}),
        (400, {"net_id": site.network_id, "fixed_ips": [{"ip_address": "192.0.2.1"}]}),
        (400, {"net_id": "x"}),
        (400, {"tag": "x"}),
        (404, {"net_id": nothing}),
        (404, {"port_id": nothing}),
        (409, {"net_id": site.network_id, "fixed_ips": [{"ip_address": "10.0.0.2"}]}),
    ):
        site.refused(status, "POST", path, {"interfaceAttachment": wanted})
    for method, rest in (("GET", f"/{nothing}"), ("DELETE", f"/{nothing}"), ("GET", "/x")):
        site.refused(404, method, path + rest)
    site.refused(404, "GET", f"/servers/{nothing}/os-interface")
    a_network(site, "10.1.0.0/24", shared=True)
    said = site.refused(400, "POST", path, {"interfaceAttachment": {}})
    assert said.startswith("Multiple possible networks found, use a Network ID")
    site.act(id, "suspend")
    site.cloud.settle()
    body = {"interfaceAttachment": {"port_id": port}}
    site.refused(409, "POST", path, body)
    site.refused(409, "DELETE", f"{path}/{attached(site, id)[0]['port_id']}")
    assert site.cloud.networks.get(f"/v2.0/ports/{port}")["port"]["device_id"] == ""


def test_a_network_that_is_full_and_a_project_that_has_enough_get_no_more(tmp_path: Path) -> None:
    site = Site(tmp_path, **{"quota.ports": 3})
    small = a_network(site, "10.1.0.0/30")
    id = site.running()
    attach(site, id, net_id=small)
    path = f"/servers/{id}/os-interface"
    wanted = {"interfaceAttachment": {"net_id": small}}
    assert "No more IP addresses" in site.refused(400, "POST", path, wanted)
    attach(site, id, net_id=site.network_id)
    more = {"interfaceAttachment": {"net_id": site.network_id}}
    assert "ports" in site.refused(403, "POST", path, more)
    assert "No more" in refused(site, 400, id, "addFixedIp", {"networkId": small})
    site.cloud.close()


def test_a_port_that_the_hypervisor_refuses_is_gone_again(site: Site) -> None:
    id = site.running()
    host = site.server(id)["OS-EXT-SRV-ATTR:host"]
    site.cloud.hosts[host].machine.broken["plug"] = HypervisorError("no slot")
    attach(site, id)
    assert len(attached(site, id)) == 1 and site.server(id)["status"] == "ACTIVE"
    assert not site.cloud.leftovers()


def test_a_tag_is_what_a_guest_knows_an_interface_by(site: Site) -> None:
    id = site.running()
    assert attach(site, id, "2.70", tag="backup")["tag"] == "backup"
    shown = site.compute.get(f"/servers/{id}/os-interface", version="2.70")
    assert [i["tag"] for i in shown["interfaceAttachments"]] == [None, "backup"]
    assert "tag" not in attach(site, id, "2.49", tag="other")


# --- addresses ------------------------------------------------------------------------------


def test_a_port_gets_more_addresses_and_loses_them(site: Site) -> None:
    id = site.running()
    site.act(id, "addFixedIp", {"networkId": site.network_id})
    addresses = [a["addr"] for a in site.server(id)["addresses"]["net"]]
    assert len(addresses) == 2 and len(attached(site, id)) == 1
    site.act(id, "removeFixedIp", {"address": addresses[1]})
    assert [a["addr"] for a in site.server(id)["addresses"]["net"]] == addresses[:1]
    other = a_network(site, "10.1.0.0/24")
    refused(site, 400, id, "addFixedIp", {"networkId": other})
    refused(site, 400, id, "addFixedIp", {"networkId": "x"})
    refused(site, 400, id, "removeFixedIp", {"address": "10.0.0.200"})
    refused(site, 400, id, "removeFixedIp", {"address": "x"})


def test_gateways_are_told_once_more_of_a_servers_addresses(site: Site) -> None:
    alice = site.person("alice")
    id = site.running(alice)
    before = site.cloud.network.networks()
    site.act(id, "injectNetworkInfo")
    site.cloud.pass_time(30)
    after = site.cloud.network.networks()
    assert {n: g + 1 for n, g in before.items()} == after
    refused(site, 403, id, "injectNetworkInfo", **by(alice))
    refused(site, 410, id, "resetNetwork")


# --- consoles -------------------------------------------------------------------------------


def token_of(url: str) -> str:
    """A proxy's page finds it so."""
    path = parse_qs(urlsplit(url).query)["path"][0]
    return parse_qs(urlsplit(path).query)["token"][0]


def test_the_address_of_a_console_leads_to_the_guest_for_a_while(tmp_path: Path) -> None:
    page = "https://screens.example/vnc.html"
    options: Json = {"vnc.novncproxy_base_url": page, "consoleauth.token_ttl": 300}
    site = Site(tmp_path, **options)
    alice = site.person("alice")
    id = site.running(alice)
    wanted = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
    path = f"/servers/{id}/remote-consoles"
    made = site.compute.call("POST", path, wanted, status=200, version="2.6", **by(alice)).json
    console = made["remote_console"]
    assert (console["protocol"], console["type"]) == ("vnc", "novnc")
    assert console["url"].startswith(page + "?")
    token = token_of(console["url"])
    tokens = f"/os-console-auth-tokens/{token}"
    shown = site.compute.get(tokens, version="2.31")["console"]
    assert shown == {
        "instance_uuid": id,
        "host": "127.0.0.1",
        "port": 5900,
        "internal_access_path": None,
    }
    site.refused(403, "GET", tokens, version="2.31", **by(alice))
    site.refused(404, "GET", tokens + "x", version="2.31")
    site.refused(404, "GET", tokens, version="2.30")
    site.cloud.clock.pass_seconds(301)
    site.refused(404, "GET", tokens, version="2.31")
    site.cloud.close()


def test_the_action_of_old_does_the_same(site: Site) -> None:
    id = site.running()
    answer = site.act(id, "os-getVNCConsole", {"type": "novnc"}, status=200)
    console = answer.json["console"]
    assert console["type"] == "novnc" and token_of(console["url"])
    for action, kind in (
        ("os-getVNCConsole", "xvpvnc"),
        ("os-getSPICEConsole", "spice-html5"),
        ("os-getRDPConsole", "rdp-html5"),
        ("os-getSerialConsole", "serial"),
    ):
        refused(site, 400, id, action, {"type": kind})


def test_a_console_that_is_not_there_is_not_shown(site: Site) -> None:
    id, unborn = site.running(), site.create()
    path = f"/servers/{id}/remote-consoles"

    def wanted(protocol: str, kind: str) -> Json:
        return {"remote_console": {"protocol": protocol, "type": kind}}

    for version, body in (
        ("2.6", wanted("spice", "spice-html5")),
        ("2.6", wanted("vnc", "spice-html5")),
        ("2.6", wanted("vnc", "novnc2")),
        ("2.6", wanted("mks", "webmks")),
        ("2.8", wanted("mks", "webmks")),
        ("2.6", {"remote_console": {"type": "novnc"}}),
    ):
        site.refused(400, "POST", path, body, version=version)
    site.refused(404, "POST", path, wanted("vnc", "novnc"), version="2.5")
    site.refused(
        409, "POST", f"/servers/{unborn}/remote-consoles", wanted("vnc", "novnc"), version="2.6"
    )
    site.act(id, "os-stop")
    site.cloud.settle()
    site.refused(409, "POST", path, wanted("vnc", "novnc"), version="2.6")

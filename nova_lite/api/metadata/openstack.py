"""The OpenStack tree of the metadata service: a few JSON documents."""

from __future__ import annotations

import base64
from collections.abc import Callable
from ipaddress import IPv4Network
from typing import Any

import orjson

from nova_lite.services.metadata import Guest, GuestAddress, GuestNic

Json = dict[str, Any]

VERSIONS = (
    "2012-08-10",
    "2013-04-04",
    "2013-10-17",
    "2015-10-15",
    "2016-06-30",
    "2016-10-06",
    "2017-02-22",
    "2018-08-27",
)


def versions() -> str:
    return "\n".join((*VERSIONS, "latest"))


def find(guest: Guest, version: str, name: str) -> str | bytes | None:
    """A document of a version; its list with no name; None: there is none such."""
    if version == "content":
        return content(guest, name)
    if version != "latest" and version not in VERSIONS:
        return None
    at = len(VERSIONS) - 1 if version == "latest" else VERSIONS.index(version)
    here = {
        file: render
        for file, since, render in DOCUMENTS
        if VERSIONS.index(since) <= at and (file != "user_data" or guest.user_data is not None)
    }
    if not name:
        return "\n".join(here)
    return here[name](guest, at) if name in here else None


def content(guest: Guest, name: str) -> bytes | None:
    """A file of the personality, by its number."""
    numbered = {f"{i:04}": file for i, file in enumerate(guest.files)}
    return base64.b64decode(numbered[name]["contents"]) if name in numbered else None


def meta_data(guest: Guest, at: int) -> bytes:
    has = {"public_keys": guest.public_key, "files": guest.files}
    return orjson.dumps(
        {
            key: value(guest)
            for key, since, value in META_DATA
            if VERSIONS.index(since) <= at and has.get(key, True)
        }
    )


META_DATA: tuple[tuple[str, str, Callable[[Guest], Any]], ...] = (
    ("uuid", "2012-08-10", lambda guest: str(guest.id)),
    ("name", "2012-08-10", lambda guest: guest.name),
    ("hostname", "2012-08-10", lambda guest: guest.hostname),
    ("launch_index", "2012-08-10", lambda guest: guest.launch_index),
    ("availability_zone", "2012-08-10", lambda guest: guest.zone),
    ("meta", "2012-08-10", lambda guest: guest.properties),
    ("public_keys", "2012-08-10", lambda guest: {guest.key_name: guest.public_key}),
    (
        "keys",
        "2012-08-10",
        lambda guest: (
            [{"name": guest.key_name, "type": _type(guest.public_key), "data": guest.public_key}]
            if guest.public_key
            else []
        ),
    ),
    ("random_seed", "2013-04-04", lambda guest: base64.b64encode(guest.random_seed).decode()),
    ("project_id", "2015-10-15", lambda guest: guest.project_id),
    (
        "files",
        "2012-08-10",
        lambda guest: [
            {"content_path": f"/content/{i:04}", "path": file["path"]}
            for i, file in enumerate(guest.files)
        ],
    ),
    (
        "devices",
        "2016-06-30",
        lambda guest: [
            {"type": "nic", "bus": "none", "address": "none", "mac": nic.mac, "tags": [nic.tag]}
            for nic in guest.nics
            if nic.tag
        ],
    ),
)


def network_data(guest: Guest, _at: int) -> bytes:
    networks: list[Json] = []
    services: list[Json] = []
    for nic in guest.nics:
        for address in nic.addresses:
            dns = [{"type": "dns", "address": server} for server in _dns_servers(address)]
            networks.append(_network(f"network{len(networks)}", nic, address, dns))
            services.extend(one for one in dns if one not in services)
    return orjson.dumps(
        {"links": [_link(nic) for nic in guest.nics], "networks": networks, "services": services}
    )


def _link_id(nic: GuestNic) -> str:
    return f"tap{nic.port_id.hex[:11]}"


def _link(nic: GuestNic) -> Json:
    return {
        "id": _link_id(nic),
        "vif_id": str(nic.port_id),
        "type": "bridge",
        "mtu": nic.mtu,
        "ethernet_mac_address": nic.mac,
    }


def _network(id: str, nic: GuestNic, at: GuestAddress, dns: list[Json]) -> Json:
    common = {"id": id, "link": _link_id(nic), "network_id": str(nic.network_id)}
    if at.dhcp:
        return {**common, "type": "ipv4_dhcp"}
    gateway = {"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": at.gateway_ip}
    return {
        **common,
        "type": "ipv4",
        "ip_address": at.address,
        "netmask": str(IPv4Network(at.cidr).netmask),
        "routes": [gateway] if at.gateway_ip else [],
        "services": dns,
    }


def _dns_servers(at: GuestAddress) -> list[str]:
    """With DHCP the gateway answers, and asks the subnet's servers in turn."""
    if at.dhcp and at.gateway_ip:
        return [at.gateway_ip]
    return list(at.dns_nameservers)


def _user_data(guest: Guest, _at: int) -> bytes:
    return guest.user_data or b""


def _nothing(_guest: Guest, _at: int) -> bytes:
    """What a vendor would add."""
    return b"{}"


DOCUMENTS: tuple[tuple[str, str, Callable[[Guest, int], bytes]], ...] = (
    ("meta_data.json", "2012-08-10", meta_data),
    ("user_data", "2012-08-10", _user_data),
    ("vendor_data.json", "2013-10-17", _nothing),
    ("network_data.json", "2015-10-15", network_data),
    ("vendor_data2.json", "2016-10-06", _nothing),
)


def _type(public_key: str) -> str:
    """Of a key pair, as the compute API calls it."""
    return "x509" if public_key.startswith("-----BEGIN CERTIFICATE") else "ssh"

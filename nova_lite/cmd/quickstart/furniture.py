"""What a new cloud is furnished with: a key pair, a network, images, a first server.

Each `ensure` looks first, by name; half done things of an earlier run are
finished or made anew.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, Protocol

from nova_lite.cmd.quickstart.terminal import Refusal

KEY, NETWORK, SUBNET, SERVER = "quickstart", "private", "private-subnet", "first"
IMAGE, OTHER_IMAGE = "test-guest", "test-guest-alt"
FLAVOR = "m1.nano"
RULES: tuple[dict[str, Any], ...] = (  # of the default group, which lets nobody in by itself
    {"protocol": "icmp"},
    {"protocol": "tcp", "port_range_min": 22, "port_range_max": 22},
)
ACTIVE = 300.0  # seconds for a server to become so
SSH = 300.0  # seconds for it to let us in: emulated on a busy machine it boots slowly
POLL = 0.2


class Api(Protocol):
    """The cloud, as its administrator meets it."""

    def get(self, path: str) -> Any: ...

    def post(self, path: str, body: Any) -> Any: ...

    def delete(self, path: str) -> None: ...

    def upload(self, path: str, file: Path) -> None: ...


def ensure_key(client: Api, public_key: str) -> None:
    path = "/compute/v2.1/os-keypairs"
    there = {pair["keypair"]["name"]: pair["keypair"] for pair in client.get(path)["keypairs"]}
    if KEY in there and there[KEY]["public_key"].split()[:2] != public_key.split()[:2]:
        client.delete(f"{path}/{KEY}")  # of a private key that is lost
        del there[KEY]
    if KEY not in there:
        client.post(path, {"keypair": {"name": KEY, "public_key": public_key}})


def ensure_network(client: Api, choose: Callable[[], IPv4Network]) -> tuple[str, str]:
    """Its id, and where it is."""
    network = _only(client.get(f"/network/v2.0/networks?name={NETWORK}")["networks"])
    if network is None:
        body = {"network": {"name": NETWORK, "shared": True}}
        network = client.post("/network/v2.0/networks", body)["network"]
    subnet = _only(client.get(f"/network/v2.0/subnets?network_id={network['id']}")["subnets"])
    if subnet is None:
        wanted = {
            "name": SUBNET,
            "network_id": network["id"],
            "ip_version": 4,
            "cidr": str(choose()),
        }
        subnet = client.post("/network/v2.0/subnets", {"subnet": wanted})["subnet"]
    return network["id"], subnet["cidr"]


def ensure_rules(client: Api, network: str) -> None:
    """Servers of the network's project can be pinged and logged in to, by anybody."""
    project = client.get(f"/network/v2.0/networks/{network}")["network"]["project_id"]
    path = f"/network/v2.0/security-groups?name=default&project_id={project}"
    (group,) = client.get(path)["security_groups"]
    for rule in RULES:
        wanted = {"direction": "ingress", "ethertype": "IPv4", "remote_group_id": None, **rule}
        there = group["security_group_rules"]
        if not any(wanted.items() <= known.items() for known in there):
            rule = {"security_group_id": group["id"], **wanted}
            client.post("/network/v2.0/security-group-rules", {"security_group_rule": rule})


def ensure_image(client: Api, name: str, file: Path, disk_format: str) -> str:
    """The id of the image with that name, which is whole."""
    for image in client.get(f"/image/v2/images?name={name}")["images"]:
        if image["status"] == "active":
            return str(image["id"])
        client.delete(f"/image/v2/images/{image['id']}")
    wanted = {
        "name": name,
        "disk_format": disk_format,
        "container_format": "bare",
        "visibility": "public",
    }
    id = client.post("/image/v2/images", wanted)["id"]
    client.upload(f"/image/v2/images/{id}/file", file)
    return str(id)


@dataclass(frozen=True)
class Server:
    id: str
    address: str
    began: float | None  # when it was asked for, by the monotonic clock; None: it was there


def ensure_server(client: Api, image: str, network: str) -> Server:
    """The first server, once it runs."""
    path = "/compute/v2.1/servers"
    there = _only(client.get(f"{path}/detail?name=^{SERVER}$")["servers"])
    if there and there["status"] == "ERROR":
        client.delete(f"{path}/{there['id']}")
        _wait(lambda: not client.get(f"{path}?name=^{SERVER}$")["servers"], "deleted")
        there = None
    if there and there["status"] == "SHUTOFF":
        client.post(f"{path}/{there['id']}/action", {"os-start": None})
    began = None
    if there is None:
        began = time.monotonic()
        wanted = {
            "name": SERVER,
            "imageRef": image,
            "flavorRef": _flavor(client),
            "key_name": KEY,
            "networks": [{"uuid": network}],
        }
        there = client.post(path, {"server": wanted})["server"]
    server = _active(client, there["id"])
    address = next(a["addr"] for found in server["addresses"].values() for a in found)
    return Server(server["id"], address, began)


def _flavor(client: Api) -> str:
    flavors = client.get("/compute/v2.1/flavors")["flavors"]
    found = _only([flavor["id"] for flavor in flavors if flavor["name"] == FLAVOR])
    if found is None:
        raise Refusal(f"there is no flavor {FLAVOR}", "create it, or run with --no-server")
    return str(found)


def _active(client: Api, id: str) -> Any:
    found: dict[str, Any] = {}

    def is_active() -> bool:
        found.update(client.get(f"/compute/v2.1/servers/{id}")["server"])
        if found["status"] == "ERROR":
            why = found.get("fault", {}).get("message", "without a reason")
            raise Refusal(f"the server failed: {why}", "see the log; the next run makes it anew")
        return bool(found["status"] == "ACTIVE")

    _wait(is_active, "ACTIVE")
    return found


def wait_for_ssh(server: Server, ssh: Sequence[str | Path], console: Callable[[], str]) -> None:
    """Until the server lets us in."""

    def lets_us_in() -> bool:
        command = [*ssh, "-o", "ConnectTimeout=3", "-o", "BatchMode=yes", server.address, "true"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True)
        return done.returncode == 0

    try:
        _wait(lets_us_in, "open to ssh", SSH)
    except Refusal as refusal:
        raise Refusal(f"{refusal}; the last it said:\n{console()}") from None


def console_log(client: Api, server: Server) -> str:
    asked = {"os-getConsoleOutput": {"length": 15}}
    return str(client.post(f"/compute/v2.1/servers/{server.id}/action", asked)["output"])


def _wait(condition: Callable[[], bool], what: str, seconds: float = ACTIVE) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Refusal(f"after {seconds:.0f} s the server is not {what}")
        time.sleep(POLL)


def _only(found: Sequence[Any]) -> Any:
    return found[0] if found else None

"""How long a real guest takes: from POST to ACTIVE, and to the first word of its ssh server.

    . STATE/openrc; python -m benchmarks.guests [--servers N]

against a cloud that bin/quickstart has started, from a host that reaches its guests.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import time
from typing import Any

import requests


class Cloud:
    """Just enough of a client, so that what is measured is the cloud."""

    def __init__(self) -> None:
        env, domain = os.environ, {"name": "Default"}
        password = {"name": env["OS_USERNAME"], "domain": domain, "password": env["OS_PASSWORD"]}
        body = {
            "auth": {
                "identity": {"methods": ["password"], "password": {"user": password}},
                "scope": {"project": {"name": env["OS_PROJECT_NAME"], "domain": domain}},
            }
        }
        answer = requests.post(f"{env['OS_AUTH_URL']}/auth/tokens", json=body, timeout=30)
        answer.raise_for_status()
        self.session = requests.Session()
        self.session.headers.update(
            {
                "X-Auth-Token": answer.headers["X-Subject-Token"],
                "X-OpenStack-Nova-API-Version": "2.37",
            }
        )
        self.urls = {
            entry["type"]: entry["endpoints"][0]["url"]
            for entry in answer.json()["token"]["catalog"]
        }

    def call(self, method: str, kind: str, path: str, body: Any = None) -> Any:
        answer = self.session.request(method, self.urls[kind] + path, json=body, timeout=60)
        if answer.status_code == 404:
            return None
        answer.raise_for_status()
        return answer.json() if answer.content else None


def said_ssh(address: str) -> bool:
    try:
        with socket.create_connection((address, 22), timeout=1) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def boot(cloud: Cloud, name: str, body: dict[str, Any]) -> tuple[float, float]:
    began = time.perf_counter()
    created = cloud.call("POST", "compute", "/servers", {"server": {"name": name, **body}})
    path = f"/servers/{created['server']['id']}"
    while (server := cloud.call("GET", "compute", path)["server"])["status"] != "ACTIVE":
        assert server["status"] != "ERROR", server["fault"]
        time.sleep(0.01)
    active = time.perf_counter() - began
    address = next(iter(server["addresses"].values()))[0]["addr"]
    while not said_ssh(address):
        time.sleep(0.05)
    ssh = time.perf_counter() - began
    cloud.call("DELETE", "compute", path)
    while cloud.call("GET", "compute", path):
        time.sleep(0.05)
    return active, ssh


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", type=int, default=20)
    arguments = parser.parse_args()
    cloud = Cloud()
    flavors = cloud.call("GET", "compute", "/flavors")["flavors"]
    body = {
        "imageRef": cloud.call("GET", "image", "/v2/images?name=test-guest")["images"][0]["id"],
        "flavorRef": next(f["id"] for f in flavors if f["name"] == "m1.nano"),
        "networks": [{"uuid": cloud.call("GET", "network", "/v2.0/networks")["networks"][0]["id"]}],
    }
    times = [boot(cloud, f"bench-{i}", body) for i in range(arguments.servers)]
    for what, values in (("ACTIVE", [a for a, _ in times]), ("ssh", [s for _, s in times])):
        print(
            f"POST to {what}: median {statistics.median(values):.2f} s, "
            f"least {min(values):.2f} s, most {max(values):.2f} s, of {len(values)}"
        )


if __name__ == "__main__":
    main()

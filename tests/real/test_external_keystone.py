"""A cloud whose users are in a real Keystone: auth_strategy = keystone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.deployment import ALL_IN_ONE, Deployment
from tests.keystone import REGION, RealKeystone
from tests.processes import wait_until

pytestmark = pytest.mark.real

SERVERS = "/compute/v2.1/servers"


class Guest(Deployment):
    """A deployment that asks another who asks."""

    keystone: RealKeystone

    @property
    def environment(self) -> dict[str, str]:
        return {
            **super().environment,
            "OS_AUTH_URL": self.keystone.url,
            "OS_PASSWORD": self.keystone.password,
            "OS_REGION_NAME": REGION,
        }

    def token(self) -> str:
        return self.keystone.log_in("admin", self.keystone.password, "admin")

    def status(self, token: str, method: str = "GET", path: str = SERVERS, **more: Any) -> int:
        headers = {"X-Auth-Token": token, **more.pop("headers", {})}
        answer = requests.request(method, self.url + path, headers=headers, timeout=30, **more)
        return answer.status_code


@pytest.fixture
def cloud(tmp_path: Path, keystone: RealKeystone) -> Iterator[Guest]:
    secret = keystone.user("nova", "service", "service")
    cloud = Guest(
        tmp_path / "cloud",
        database=f"sqlite:///{tmp_path}/cloud/nova.sqlite",
        transport="kombu+memory://",
        daemons=ALL_IN_ONE,
        options={
            "api": {"auth_strategy": "keystone"},
            "keystone_authtoken": {
                "auth_type": "password",
                "auth_url": keystone.url,
                "www_authenticate_uri": keystone.url,
                "username": "nova",
                "password": secret,
                "project_name": "service",
                "user_domain_id": "default",
                "project_domain_id": "default",
            },
        },
    )
    cloud.keystone = keystone
    for type, path in (("compute", "/compute/v2.1"), ("image", "/image"), ("network", "/network")):
        keystone.register(type, cloud.url + path)
    cloud.start("all")
    wait_until(
        lambda: _answers(cloud) and cloud._up("nova-compute") > 0,
        seconds=60,
        what=f"the cloud is up; see {cloud.directory}",
    )
    yield cloud
    cloud.close()


def _answers(cloud: Guest) -> bool:
    try:
        return requests.get(f"{cloud.url}/compute", timeout=2).ok
    except requests.RequestException:
        return False


def test_the_users_of_a_real_keystone_are_those_of_the_cloud(cloud: Guest) -> None:
    keystone = cloud.keystone
    # Someone we have never heard of uses the cloud with the client he knows.
    created = cloud.openstack(
        *("server", "create", "one", "--image", "blank", "--flavor", "tiny", "--nic", "none"),
        *("-f", "value", "-c", "id"),
    ).strip()
    cloud.wait_for([created], "ACTIVE")
    assert "one" in cloud.openstack("server", "list", "-f", "value")
    [project] = keystone.call("GET", "/projects?name=admin")["projects"]
    assert cloud.server(created)["tenant_id"] == project["id"]

    # Roles are those he has there.
    reader = keystone.log_in("rita", keystone.user("rita", "reader", "library"), "library")
    assert cloud.status(reader) == 200
    body = {"server": {"name": "no", "imageRef": cloud.image(), "flavorRef": "tiny"}}
    assert cloud.status(reader, "POST", json=body) == 403
    # Projects are apart.
    assert cloud.status(reader, path=f"{SERVERS}/{created}") == 404

    # Nobody is let in without a token of it, whatever he says of himself.
    forged = {"X-Roles": "admin", "X-User-Id": "x", "X-Identity-Status": "Confirmed"}
    for token in ("", "nonsense"):
        assert cloud.status(token, headers=forged) == 401
    refused = requests.get(cloud.url + SERVERS, headers={"X-Auth-Token": "nonsense"}, timeout=30)
    assert refused.headers["WWW-Authenticate"] == f'Keystone uri="{keystone.url}"'
    # Ours would not know anybody.
    assert cloud.status(reader, path="/identity/v3") == 404
    assert cloud.status("", path="/compute/v2.1/") == 200  # versions are for everybody

    # A token that is taken back there dies here.
    began = time.monotonic()
    keystone.call("DELETE", "/auth/tokens", **{"X-Subject-Token": reader})
    wait_until(lambda: cloud.status(reader) == 401, seconds=7, what="the token is dead")
    assert time.monotonic() - began < 7

    # Access rules hold for the service and the path they name.
    credential = _with_rule(keystone, "compute", "/v2.1/servers")
    assert cloud.status(credential) == 200
    sly = {"X-Service-Token": "nonsense"}
    for path in (f"{SERVERS}/detail", "/compute/v2.1/flavors", "/image/v2/images"):
        assert cloud.status(credential, path=path) == 401
        assert cloud.status(credential, path=path, headers=sly) == 401

    # Whom it knows it remembers for a moment; of the others it can say nothing.
    unknown = keystone.log_in("admin", keystone.password, "admin")
    keystone.kill()
    assert cloud.status(unknown) == 503
    assert keystone.password not in cloud.log_of("all") and unknown not in cloud.log_of("all")


def _with_rule(keystone: RealKeystone, service: str, path: str) -> str:
    """A token that is good for GET of that."""
    password = keystone.user("robot", "member", "robots")
    token = keystone.log_in("robot", password, "robots")
    [user] = keystone.call("GET", "/users?name=robot")["users"]
    rule = {"service": service, "path": path, "method": "GET"}
    made = keystone.call(
        "POST",
        f"/users/{user['id']}/application_credentials",
        {"application_credential": {"name": "robot", "access_rules": [rule]}},
        **{"X-Auth-Token": token},
    )["application_credential"]
    shown = {"id": made["id"], "secret": made["secret"]}
    return keystone.log_in_by(
        {"methods": ["application_credential"], "application_credential": shown}
    )

"""A cloud with a project that owns one of everything, and everybody who may ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import webob

from nova_lite.testing.cloud import PASSWORD, Cloud, Facade
from tests.functional.endpoints import Declared

UNKNOWN = "00000000-0000-4000-8000-000000000000"
#: Whose members are somebody's, and to be seen by nobody else.
OWNED = {
    *("servers", "os-server-groups", "os-keypairs", "images"),
    *("networks", "subnets", "ports", "security-groups", "security-group-rules"),
    *("os-security-groups", "os-security-group-rules"),
    *("users", "projects", "trusts", "credentials"),
}
#: What is sent to endpoints that read their body themselves: images' data.
RAW = (b"data", "application/octet-stream")


class Town:
    """The member owns what is owned; the stranger is a member of another project."""

    def __init__(self, directory: Path, database: str | None = None) -> None:
        self.cloud = Cloud(directory, database=database)
        self.root = Facade(self.cloud, "")
        self.domain = self._make("domains", "domain", name="village")
        self.roles = {r["name"]: r["id"] for r in self.root.get("/identity/v3/roles")["roles"]}
        ours = self._make("projects", "project", name="ours")
        theirs = self._make("projects", "project", name="theirs")
        self.users: dict[str, str] = {}
        system, domain = {"system": {"all": True}}, {"domain": {"id": self.domain}}
        self.tokens = {
            "nobody": "",
            "reader": self._person("reader", "reader", {"project": {"id": ours}}),
            "member": self._person("member", "member", {"project": {"id": ours}}),
            "manager": self._person("manager", "manager", {"project": {"id": ours}}),
            "admin": self.cloud.token(),
            "system reader": self._person("system reader", "reader", system),
            "system admin": self._person("system admin", "admin", system),
            "domain manager": self._person("domain manager", "manager", domain),
            "service": self._person("service", "service", {"project": {"id": ours}}),
            "stranger": self._person("stranger", "member", {"project": {"id": theirs}}),
        }
        self.known = {"projects": ours, "os-quota-sets": ours, "quotas": ours, **self._owned(ours)}

    def _make(self, collection: str, word: str, **said: Any) -> str:
        body = {word: said}
        return str(self.root.post(f"/identity/v3/{collection}", body)[word]["id"])

    def _person(self, name: str, role: str, scope: Mapping[str, Any]) -> str:
        """Somebody with that role there; his token for it."""
        user = self.users[name] = self._make("users", "user", name=name, password=PASSWORD)
        [(kind, where)] = scope.items()
        place = "system" if kind == "system" else f"{kind}s/{where['id']}"
        self.root.put(f"/identity/v3/{place}/users/{user}/roles/{self.roles[role]}", None)
        by = {"methods": ["password"], "password": {"user": {"id": user, "password": PASSWORD}}}
        body = {"auth": {"identity": by, "scope": scope}}
        answer = self.root.call("POST", "/identity/v3/auth/tokens", body, status=201, token="")
        return str(answer.headers["X-Subject-Token"])

    def _owned(self, ours: str) -> dict[str, str]:
        """One of everything, the member's where it belongs to somebody; by collection."""
        token: dict[str, Any] = {"token": self.tokens["member"]}
        post = self.root.post
        image = {"name": "i", "disk_format": "raw", "container_format": "bare"}
        image_id = post("/image/v2/images", {**image, "tags": ["tag"]}, **token)["id"]
        self.root.call(
            "PUT", f"/image/v2/images/{image_id}/file", data=bytes(512), status=204, **token
        )
        network = post("/network/v2.0/networks", {"network": {"name": "n"}}, **token)["network"]
        subnet = {"network_id": network["id"], "cidr": "10.1.0.0/24", "ip_version": 4}
        subnet = post("/network/v2.0/subnets", {"subnet": subnet}, **token)["subnet"]
        flavor = {"name": "f", "id": "f", "ram": 64, "vcpus": 1, "disk": 1}
        post("/compute/v2.1/flavors", {"flavor": flavor})
        specs = {"extra_specs": {"quota:key": "1"}}
        post("/compute/v2.1/flavors/f/os-extra_specs", specs)
        post("/compute/v2.1/os-keypairs", {"keypair": {"name": "k"}}, **token)
        group = {"server_group": {"name": "g", "policies": ["affinity"]}}
        group = post("/compute/v2.1/os-server-groups", group, **token)["server_group"]
        server = {"name": "s", "imageRef": image_id, "flavorRef": "f", "metadata": {"key": "value"}}
        server["networks"] = [{"uuid": network["id"]}]
        made = self.root.call(
            "POST", "/compute/v2.1/servers", {"server": server}, status=202, **token
        )
        id = made.json["server"]["id"]
        self.cloud.settle()
        tags = f"/compute/v2.1/servers/{id}/tags/tag"
        self.root.call("PUT", tags, status=201, version="2.26", **token)
        port = self.root.get("/network/v2.0/ports", **token)["ports"][0]["id"]
        (hypervisor,) = self.root.get("/compute/v2.1/os-hypervisors")["hypervisors"]
        return {
            "images": image_id,
            "networks": network["id"],
            "subnets": subnet["id"],
            "ports": port,
            **self._security_group(),
            "os-keypairs": "k",
            "flavors": "f",
            "os-extra_specs": "quota:key",
            "os-server-groups": group["id"],
            "servers": id,
            "metadata": "key",
            "tags": "tag",
            "ips": "n",
            "os-instance-actions": made.headers["x-openstack-request-id"],
            "users": self.users["member"],
            "roles": self.roles["member"],
            "domains": self.domain,
            "os-hypervisors": str(hypervisor["id"]),
            **self._credentials(ours),
        }

    def _security_group(self) -> dict[str, str]:
        """One of the member's, by both of the names it has."""
        body = {"security_group": {"name": "web"}}
        group = self.root.post("/network/v2.0/security-groups", body, token=self.tokens["member"])[
            "security_group"
        ]
        rule = group["security_group_rules"][0]["id"]
        return {
            "security-groups": group["id"],
            "security-group-rules": rule,
            "os-security-groups": group["id"],
            "os-security-group-rules": rule,
        }

    def _credentials(self, ours: str) -> dict[str, str]:
        """What the member gave away a part of his rights by."""
        token: dict[str, Any] = {"token": self.tokens["member"]}
        member = self.users["member"]
        here = f"/identity/v3/users/{member}"
        rule = {"service": "compute", "method": "GET", "path": "/v2.1/servers"}
        application = {"application_credential": {"name": "a", "access_rules": [rule]}}
        application = self.root.post(f"{here}/application_credentials", application, **token)[
            "application_credential"
        ]
        kept = {"credential": {"type": "cert", "blob": "-----BEGIN", "user_id": member}}
        pair = {"tenant_id": ours}
        trust = {
            "trustor_user_id": member,
            "trustee_user_id": self.users["reader"],
            "project_id": ours,
            "impersonation": False,
            "roles": [{"name": "member"}],
        }
        post = self.root.post
        pair = post(f"{here}/credentials/OS-EC2", pair, **token)["credential"]
        trust = post("/identity/v3/OS-TRUST/trusts", {"trust": trust}, **token)["trust"]
        return {
            "application_credentials": application["id"],
            "access_rules": application["access_rules"][0]["id"],
            "credentials": post("/identity/v3/credentials", kept, **token)["credential"]["id"],
            "OS-EC2": pair["access"],
            "trusts": str(trust["id"]),
        }

    def call(
        self, each: Declared, who: str, known: Mapping[str, str], body: Any = None
    ) -> webob.Response:
        data, kind = RAW if each.endpoint.raw else (None, "application/json")
        return self.root.call(
            each.endpoint.method,
            each.path(known, UNKNOWN),
            body,
            token=self.tokens[who],
            version=each.version,
            data=data,
            headers={"Content-Type": kind},
        )

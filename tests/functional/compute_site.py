"""A cloud ready to boot: a network, an image, a flavor, and people to use them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nova_lite.testing.cloud import PASSWORD, Cloud, Facade

Json = dict[str, Any]
FLAVOR = "small"


@dataclass(frozen=True)
class Person:
    token: str
    project: str
    user: str


class Site:
    def __init__(self, directory: Path, hosts: int = 2, **options: Any) -> None:
        self.cloud = Cloud(directory, hosts, options_=options)
        self.compute = Facade(self.cloud, "/compute/v2.1")
        self.identity = Facade(self.cloud, "/identity/v3")
        network = Facade(self.cloud, "/network/v2.0")
        self.network: Json = network.post("/networks", {"network": {"name": "net", "shared": True}})
        self.network_id: str = self.network["network"]["id"]
        subnet = {"network_id": self.network_id, "cidr": "10.0.0.0/16", "ip_version": 4}
        network.post("/subnets", {"subnet": subnet})
        image = Facade(self.cloud, "/image/v2")
        named = {"name": "image", "disk_format": "raw", "container_format": "bare"}
        self.image_id: str = image.post("/images", {**named, "visibility": "public"})["id"]
        image.call("PUT", f"/images/{self.image_id}/file", data=bytes(1024), status=204)
        self.flavor(FLAVOR)
        self.cloud.settle()

    def person(self, name: str, role: str = "member", project: Person | None = None) -> Person:
        """A new user, of a new project unless `project` says whose."""
        domain = {"domain_id": "default"}
        where = f"{name}-project"
        if project is None:
            made = self.identity.post("/projects", {"project": {"name": where, **domain}})
            id = made["project"]["id"]
        else:
            id = project.project
            where = self.identity.get(f"/projects/{id}")["project"]["name"]
        user = {"name": name, "password": f"{name}-{PASSWORD}", **domain}
        user_id = self.identity.post("/users", {"user": user})["user"]["id"]
        roles = {each["name"]: each["id"] for each in self.identity.get("/roles")["roles"]}
        self.identity.put(f"/projects/{id}/users/{user_id}/roles/{roles[role]}", None)
        return Person(self.cloud.token(name, f"{name}-{PASSWORD}", where), id, user_id)

    def flavor(self, name: str, **values: Any) -> Json:
        flavor = {"name": name, "id": name, "ram": 64, "vcpus": 1, "disk": 1, **values}
        made: Json = self.compute.post("/flavors", {"flavor": flavor})["flavor"]
        return made

    def create(self, by: Person | None = None, version: str = "2.37", **values: Any) -> str:
        """Ask for a server; its id."""
        made = self.ask(by, version, **values)
        assert made.status_int == 202, made.text
        id: str = made.json["server"]["id"]
        return id

    def ask(self, by: Person | None = None, version: str = "2.37", **values: Any) -> Any:
        """The answer to a request for a server; a value of None leaves its key out."""
        server = {
            "name": "server",
            "imageRef": self.image_id,
            "flavorRef": FLAVOR,
            "networks": [{"uuid": self.network_id}],
            **values,
        }
        body = {"server": {name: value for name, value in server.items() if value is not None}}
        return self.compute.call(
            "POST", "/servers", body, version=version, token=by.token if by else None
        )

    def running(self, by: Person | None = None, **values: Any) -> str:
        id = self.create(by, **values)
        self.cloud.settle()
        assert self.server(id)["status"] == "ACTIVE"
        return id

    def server(self, id: str, version: str = "2.37", by: Person | None = None) -> Json:
        shown: Json = self.compute.get(
            f"/servers/{id}", version=version, token=by.token if by else None
        )
        return dict(shown["server"])

    def act(self, id: str, action: str, value: Any = None, status: int = 202, **how: Any) -> Any:
        return self.compute.call(
            "POST", f"/servers/{id}/action", {action: value}, status=status, **how
        )

    def refused(self, status: int, method: str, path: str, body: Any = None, **how: Any) -> str:
        """The message with which it is refused."""
        answer = self.compute.call(method, path, body, status=status, **how)
        assert answer.content_type == "application/json"
        (fault,) = answer.json.values()
        assert fault["code"] == status
        return str(fault["message"])


def by(person: Person) -> dict[str, Any]:
    return {"token": person.token}


def done(site: Site, id: str, action: str, value: object = None, **how: Any) -> str:
    """The status of the server when the action is through."""
    site.act(id, action, value, **how)
    site.cloud.settle()
    return str(site.server(id)["status"])


def refused(site: Site, status: int, id: str, action: str, value: object = None, **how: str) -> str:
    return site.refused(status, "POST", f"/servers/{id}/action", {action: value}, **how)

"""The services of the compute side on a database of their own."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa

from nova_lite.config import QUOTA
from nova_lite.context import RequestContext
from nova_lite.db.base import Base
from nova_lite.db.engine import Database
from nova_lite.db.models import (
    Domain,
    Flavor,
    Host,
    Image,
    ImageStatus,
    Network,
    Project,
    Service,
    Subnet,
    User,
)
from nova_lite.domain.specs import Role
from nova_lite.services.compute.flavors import Flavors
from nova_lite.services.compute.hosts import Hosts
from nova_lite.services.compute.instances import Instances, NewInstance
from nova_lite.services.compute.keypairs import KeyPairs
from nova_lite.services.compute.quotas import Quotas

MEMBER = frozenset({"member", "reader"})
ALICE = RequestContext("req-a", "alice", project_id="red", roles=MEMBER)
BOB = RequestContext("req-b", "bob", project_id="blue", roles=MEMBER)
ADMIN = RequestContext("req-c", "root", project_id="admin", roles=MEMBER | {"admin"})
NOBODY = RequestContext("req-n", "nobody", roles=MEMBER)  # without a project
DOWN_AFTER = dt.timedelta(seconds=20)


def _hurry(connection: Any, _record: Any) -> None:
    """Do not wait for the disk: a test's process may die, its machine does not."""
    connection.execute("PRAGMA synchronous=OFF")


class Site:
    def __init__(self, directory: Path, **limits: int) -> None:
        self.time = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
        self.database = Database(f"sqlite:///{directory}/db")
        sa.event.listen(self.database.engine, "connect", _hurry)
        Base.metadata.create_all(self.database.engine)
        self.limits = dict.fromkeys((option.name for option in QUOTA), -1) | limits
        self.quotas = Quotas(self.database, self.limits)
        self.woken: list[UUID] = []
        self.answer: dict[str, Any] = {}
        self.flavors = Flavors(self.database)
        self.keypairs = KeyPairs(self.database, self.quotas, self.now)
        self.hosts = Hosts(self.database, DOWN_AFTER, self.now)
        self.instances = Instances(
            self.database,
            self.quotas,
            self.wake,
            self.ask,
            self.now,
            service_down_time=DOWN_AFTER,
        )
        self._people()

    def now(self) -> dt.datetime:
        self.time += dt.timedelta(microseconds=1)
        return self.time

    def wake(self, operations: Sequence[UUID]) -> None:
        self.woken += operations

    def ask(self, host: str, question: str, args: Any, seconds: float) -> dict[str, Any]:
        return self.answer

    def _people(self) -> None:
        with self.database.write() as session:
            session.add(Domain(id="default", name="Default"))
            session.flush()
            for project in ("red", "blue", "admin"):
                session.add(Project(id=project, domain_id="default", name=project))
            for user in ("alice", "bob", "root"):
                session.add(User(id=user, domain_id="default", name=user, password_hash=""))

    def add(self, *rows: Any) -> None:
        with self.database.write() as session:
            session.add_all(rows)

    def add_flavor(self, flavorid: str = "small", **values: Any) -> None:
        sizes: Mapping[str, Any] = {"memory_mb": 64, "vcpus": 1, "root_gb": 1, **values}
        self.add(Flavor(flavorid=flavorid, name=flavorid, **sizes))

    def add_image(self, **values: Any) -> UUID:
        id = uuid4()
        made = {"owner": "red", "status": ImageStatus.ACTIVE, "visibility": "shared", **values}
        self.add(Image(id=id, created_at=self.now(), updated_at=self.now(), **made))
        return id

    def add_network(self, project: str = "red", cidr: str = "10.0.0.0/24", **values: Any) -> UUID:
        id, now = uuid4(), self.now()
        times = {"created_at": now, "updated_at": now}
        named = {"name": "net", "mode": "flatdhcp", "bridge": f"br{id.hex[:8]}", **values}
        self.add(Network(id=id, project_id=project, **named, **times))
        self.add(Subnet(network_id=id, project_id=project, cidr=cidr, pools=[], **times))
        return id

    def add_host(self, name: str, zone: str = "nova", **values: Any) -> None:
        now = self.now()
        sizes = {"memory_mb": 1000, "vcpus": 10, "disk_gb": 100, **values}
        kind = {"hypervisor_type": "fake", "hypervisor_version": 1, "cpu_info": {}}
        self.add(
            Host(name=name, zone=zone, address="127.0.0.1", **sizes, **kind),
            Service(role=Role.COMPUTE, host=name, zone=zone, last_seen_at=now, created_at=now),
        )

    def create(self, by: RequestContext = ALICE, **values: Any) -> UUID:
        new = {"name": "server", "flavor_id": "small", "image_id": None, "networks": "none"}
        return self.instances.create(by, NewInstance(**{**new, **values}))[0].id

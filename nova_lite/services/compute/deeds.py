"""What is done to an instance that takes more to ask for than its id.

Each request is checked as far as it can be at once, and begins an operation in
the same transaction; what only the scheduler or a host can tell, comes later.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.engine import Database, one_transaction
from nova_lite.db.models import Flavor, Host, Instance, Service
from nova_lite.db.queries import hosts
from nova_lite.domain.errors import Conflict, Invalid, InvalidState, NotFound
from nova_lite.domain.specs import Role
from nova_lite.domain.states import Action, VmState
from nova_lite.operations import FLOWS
from nova_lite.services.compute.instance_access import begun, ready
from nova_lite.services.compute.instance_references import (
    bootable_image,
    check_room,
    copied,
    flavor_for,
    image_for,
    key_for,
    of_the_image,
    user_data_of,
)
from nova_lite.services.compute.quotas import Quotas

Wake = Callable[[Sequence[UUID]], None]


class Deeds:
    def __init__(
        self,
        database: Database,
        quotas: Quotas,
        wake: Wake,
        service_down_time: dt.timedelta,
        now: Callable[[], dt.datetime],
    ) -> None:
        self.database = database
        self.quotas = quotas
        self.wake = wake
        self.service_down_time = service_down_time
        self.now = now

    # --- disks ------------------------------------------------------------------------------

    @one_transaction
    def rebuild(
        self, context: RequestContext, id: UUID, image_id: UUID, values: Mapping[str, Any]
    ) -> Instance:
        """Make it anew from an image.  Returns it as it will be.

        `values` is what else changes, by the names of Instance; without `files` it has none.
        """
        with self.database.write() as session:
            instance = ready(session, context, id, Action.REBUILD)
            image = image_for(session, context, image_id, instance)
            wanted = {"files": [], **values, "image_properties": of_the_image(image)}
            if "key_name" in wanted:
                key = key_for(session, context, wanted["key_name"])
                wanted["key_data"] = key and key.public_key
            if "user_data" in wanted:
                wanted["user_data"] = user_data_of(wanted["user_data"])
            allowance = self.quotas.of(session, instance.project_id, context.user_id)
            allowance.check_metadata(len(wanted.get("properties", ())))
            allowance.check_files(wanted["files"])
            operations = begun(
                session,
                context,
                instance,
                "instance.rebuild",
                self.now(),
                image_id=str(image_id),
                values=wanted,
            )
            session.refresh(instance)
        self.wake(operations)
        # Detached by now: this is said, and not written.
        for name, value in {**wanted, "image_id": image_id}.items():
            setattr(instance, name, value)
        return instance

    @one_transaction
    def rescue(self, context: RequestContext, id: UUID, image_id: UUID | None = None) -> None:
        """Start it from another disk, of that image or its own; its own disks are beside it."""
        with self.database.write() as session:
            instance = ready(session, context, id, Action.RESCUE)
            image_id = image_id or instance.image_id
            if image_id is None:
                raise Invalid(f"Instance {id} has no image to be rescued with: name one.")
            bootable_image(session, context, image_id)
            operations = begun(
                session, context, instance, "instance.rescue", self.now(), image_id=str(image_id)
            )
        self.wake(operations)

    def unrescue(self, context: RequestContext, id: UUID) -> None:
        self._begin(context, id, "instance.unrescue")

    # --- flavor and host ----------------------------------------------------------------------

    @one_transaction
    def resize(
        self,
        context: RequestContext,
        id: UUID,
        flavor_id: str,
        *,
        auto_disk_config: bool | None = None,
    ) -> None:
        """Give it another flavor, for its owner to confirm.  Raises QuotaExceeded."""
        with self.database.write() as session:
            instance = ready(session, context, id, Action.RESIZE)
            flavor = flavor_for(session, context, flavor_id)
            _check_flavor(instance, flavor)
            more = {
                "cores": flavor.vcpus - instance.vcpus,
                "ram": flavor.memory_mb - instance.memory_mb,
            }
            grown = {name: amount for name, amount in more.items() if amount > 0}
            if grown:
                allowance = self.quotas.of(session, instance.project_id, instance.user_id)
                allowance.reserve(**grown)
            if auto_disk_config is not None:
                instance.auto_disk_config = auto_disk_config
            operations = begun(
                session,
                context,
                instance,
                "instance.resize",
                self.now(),
                flavor=copied(flavor),
                **_disk_of_its_image(session, instance, flavor),
            )
        self.wake(operations)

    def confirm_resize(self, context: RequestContext, id: UUID) -> None:
        self._begin(context, id, "instance.confirm_resize")

    def revert_resize(self, context: RequestContext, id: UUID) -> None:
        self._begin(context, id, "instance.revert_resize")

    def migrate(self, context: RequestContext, id: UUID, host: str | None = None) -> None:
        """Move it, off, to a host: that one, or which the scheduler chooses."""
        self._move(context, id, "instance.migrate", host)

    def live_migrate(self, context: RequestContext, id: UUID, host: str | None = None) -> None:
        """Move it while it runs; the same."""
        self._move(context, id, "instance.live_migrate", host)

    @one_transaction
    def _move(self, context: RequestContext, id: UUID, kind: str, host: str | None) -> None:
        with self.database.write() as session:
            instance = ready(session, context, id, FLOWS[kind].action)
            check_room(session, None, host)
            if host is not None and host == instance.host:
                raise Invalid(f"Instance {id} is on host {host} already.")
            operations = begun(session, context, instance, kind, self.now(), **_said(host=host))
        self.wake(operations)

    @one_transaction
    def evacuate(
        self, context: RequestContext, id: UUID, host: str | None = None, *, stopped: bool = False
    ) -> None:
        """Make it anew elsewhere, because its host is down; `stopped`: and leave it off.

        Raises Invalid while its host is up, NotFound for a host that is not there.
        """
        with self.database.write() as session:
            instance = ready(session, context, id, Action.EVACUATE)
            if host is not None and _host(session, host) is None:
                raise NotFound(f"Compute host {host} not found.")
            if host is not None and host == instance.host:
                raise Invalid("The target host can't be the same one.")
            if self._is_up(session, instance.host):
                raise Invalid(f"Compute service of {instance.host} is still in use.")
            operations = begun(
                session,
                context,
                instance,
                "instance.evacuate",
                self.now(),
                stopped=stopped,
                **_said(host=host),
            )
        self.wake(operations)

    def _is_up(self, session: Session, host: str | None) -> bool:
        worker = sa.select(Service.number).where(
            Service.host == host,
            Service.role == Role.COMPUTE,
            Service.last_seen_at > self.now() - self.service_down_time,
            Service.forced_down == sa.false(),
        )
        return session.scalar(worker) is not None

    # --- shelves ------------------------------------------------------------------------------

    def shelve_offload(self, context: RequestContext, id: UUID) -> None:
        """Give its host back, and keep its image."""
        self._begin(context, id, "instance.shelve_offload")

    @one_transaction
    def unshelve(self, context: RequestContext, id: UUID, **wanted: str | None) -> None:
        """`zone`, where it is to be from now on (None: anywhere); `host`, where it goes now.

        Either only for one that is on no host.
        """
        with self.database.write() as session:
            instance = ready(session, context, id, Action.UNSHELVE)
            if wanted and instance.vm_state is not VmState.SHELVED_OFFLOADED:
                raise InvalidState(
                    f"Cannot choose a place for instance {id} while it is in vm_state "
                    f"{instance.vm_state}: it has one."
                )
            host, zone = wanted.get("host"), wanted.get("zone", instance.requested_zone)
            check_room(session, wanted.get("zone"), host)
            if host is not None and zone is not None:
                there = _host(session, host)
                if there is not None and there.zone != zone:
                    raise Conflict(f"Host {host} is not in the availability zone {zone}.")
            args = {"new_zone": zone} if "zone" in wanted else {}
            operations = begun(
                session,
                context,
                instance,
                "instance.unshelve",
                self.now(),
                **args,
                **_said(host=host),
            )
        self.wake(operations)

    # --- parts --------------------------------------------------------------------------------

    @one_transaction
    def _begin(self, context: RequestContext, id: UUID, kind: str) -> None:
        with self.database.write() as session:
            instance = ready(session, context, id, FLOWS[kind].action)
            operations = begun(session, context, instance, kind, self.now())
        self.wake(operations)


def _said(**args: Any) -> dict[str, Any]:
    return {name: value for name, value in args.items() if value is not None}


def _host(session: Session, name: str) -> Host | None:
    return session.scalar(sa.select(Host).where(Host.name == name))


def _check_flavor(instance: Instance, flavor: Flavor) -> None:
    if flavor.flavorid == instance.flavor_id:
        raise Invalid("When resizing, instances must change flavor!")
    if instance.root_gb and not flavor.root_gb:
        raise Invalid("Resize to zero disk flavor is not allowed.")
    for what, new, old in (
        ("root", flavor.root_gb, instance.root_gb),
        ("ephemeral", flavor.ephemeral_gb, instance.ephemeral_gb),
    ):
        if new < old:
            raise Invalid(f"The {what} disk of flavor {flavor.flavorid} is too small: {old} GB.")
    if flavor.memory_mb < int(instance.image_properties.get("min_ram") or 0):
        raise Invalid("Flavor's memory is too small for the image of the instance.")


def _disk_of_its_image(session: Session, instance: Instance, flavor: Flavor) -> dict[str, Any]:
    """How much disk it takes, where that is as much as its image says and not its flavor."""
    if flavor.root_gb or instance.host is None:
        return {}
    promised = hosts.promised(session, instance.id, instance.host).disk_gb
    return {"disk_gb": promised - instance.ephemeral_gb + flavor.ephemeral_gb}

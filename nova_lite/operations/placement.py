"""What is asked of the scheduler for one instance: its size, its hints, its group.

Hints come in the arguments of an operation as `hints`, in Nova's words: `group`
is kept with the instance, `same_host` and `different_host` name other instances,
`build_near_host_ip` and `cidr` a subnet, `query` is JsonFilter's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.bus.messages import Json
from nova_lite.db.models import Allocation, Instance, ServerGroup
from nova_lite.scheduler.base import AFFINITY, ANTI_AFFINITY, Group, Placement


def placement_of(
    session: Session, instance: Instance, args: Json, avoid: frozenset[str]
) -> Placement:
    """Holds the instance's group, where its policy is hard, until the end of the transaction.

    So those who place its members do it one after the other, and each sees
    where the one before went.
    """
    hints = args.get("hints") or {}
    image = args.get("image_id", instance.image_id)
    return Placement(
        memory_mb=instance.memory_mb,
        vcpus=instance.vcpus,
        disk_gb=args.get("disk_gb", instance.root_gb + instance.ephemeral_gb),
        zone=instance.requested_zone,
        host=args.get("host"),
        avoid=avoid,
        same_hosts=(
            frozenset(_hosts_of(session, instance, hints["same_host"]))
            if hints.get("same_host")
            else None
        ),
        other_hosts=frozenset(_hosts_of(session, instance, hints.get("different_host"))),
        near=_near(hints),
        query=_query(hints.get("query")),
        group=_group(session, instance),
        extra_specs=instance.extra_specs or {},
        flavor_name=instance.flavor_name,
        image_id=image and str(image),
        image_properties=instance.image_properties or {},
        project_id=instance.project_id,
    )


def claim_group(session: Session, instance: Instance, host: str) -> bool:
    """Whether the instance, which has just been promised room on `host`, may be there.

    False when that breaks the policy of its group.  Of two members that are
    placed at once the second waits here until the first is where it is.
    """
    group = _group(session, instance)
    if group is None:
        return True
    if group.policy == ANTI_AFFINITY:
        return group.members.get(host, 0) < group.max_per_host
    return group.policy != AFFINITY or not group.members or host in group.members


def _group(session: Session, instance: Instance) -> Group | None:
    """The group and where its other members are; None also when it was deleted meanwhile."""
    if instance.server_group_id is None:
        return None
    found = sa.select(ServerGroup.policy, ServerGroup.rules).where(
        ServerGroup.id == instance.server_group_id
    )
    row = session.execute(found).one_or_none()
    if row is not None and row.policy in (AFFINITY, ANTI_AFFINITY):
        # Read committed: what is counted below is what the one before us committed.
        row = session.execute(found.with_for_update()).one_or_none()
    if row is None:
        return None
    # Promises rather than places: a member on its way to another host has two.
    others = (
        sa.select(Allocation.host, sa.func.count())
        .join(Instance, Instance.id == Allocation.instance_id)
        .where(
            Instance.server_group_id == instance.server_group_id,
            Instance.deleted == sa.false(),
            Instance.id != instance.id,
        )
        .group_by(Allocation.host)
    )
    members = {host: count for host, count in session.execute(others)}
    return Group(row.policy, members, int(row.rules.get("max_server_per_host", 1)))


def _hosts_of(session: Session, instance: Instance, named: Any) -> Iterable[str]:
    """The hosts of the instances that a hint names: one id, or several; of this project only."""
    ids = []
    for id in [named] if isinstance(named, str) else named or ():
        try:
            ids.append(UUID(id))
        except ValueError:
            continue  # an instance that cannot be is nowhere
    if not ids:
        return ()
    return session.scalars(
        sa.select(Instance.host).where(
            Instance.id.in_(ids),
            Instance.project_id == instance.project_id,
            Instance.deleted == sa.false(),
            Instance.host.is_not(None),
        )
    ).all()  # type: ignore[return-value]


def _near(hints: Json) -> str | None:
    address = hints.get("build_near_host_ip")
    return None if address is None else f"{address}/{str(hints.get('cidr') or 24).lstrip('/')}"


def _query(query: Any) -> str | None:
    return query if query is None or isinstance(query, str) else json.dumps(query)

"""Quotas: counted from what is there, never stored.

Counting and adding happen under a lock on the project's row, so that of a
hundred requests for the last place exactly one gets it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.engine import Database
from nova_lite.db.models import Instance, KeyPair, Network, Port, Project, Subnet, User
from nova_lite.domain.errors import Forbidden, NotFound, QuotaExceeded


@dataclass(frozen=True)
class Usage:
    """One resource of one project; a limit of -1 is none."""

    used: int
    limit: int


class Quotas:
    """`limits` are the options of [quota], by name."""

    def __init__(self, database: Database, limits: Mapping[str, int]) -> None:
        self.database = database
        self.limits = limits

    def usage(self, context: RequestContext, project_id: str) -> dict[str, Usage]:
        """What a project has, and what it may have."""
        if not context.owns(project_id):
            raise Forbidden("You are not authorized to see the limits of that project.")
        with self.database.read() as session:
            used = {
                **_compute(session, project_id),
                **{name: _rows(session, name, project_id) for name in _COUNTED},
                "key_pairs": _key_pairs(session, context.user_id),
            }
        return {name: Usage(used.get(name, 0), limit) for name, limit in self.limits.items()}

    def check_metadata(self, items: int) -> None:
        """Raises QuotaExceeded when a server may not have so many metadata items."""
        limit = self.limits["metadata_items"]
        if 0 <= limit < items:
            raise QuotaExceeded(f"Maximum number of metadata items exceeds {limit}")

    def reserve(self, session: Session, project_id: str, **wanted: int) -> None:
        """Check that the project may have `wanted` more; holds its row until the commit.

        Raises QuotaExceeded, naming what would be too much.
        """
        _check(self.limits, wanted, self._used(session, project_id, wanted))

    def afford(
        self,
        session: Session,
        project_id: str,
        at_least: int,
        at_most: int,
        each: Mapping[str, int],
    ) -> int:
        """How many things that cost `each` the project may have, from `at_least` to `at_most`.

        Raises QuotaExceeded when not even `at_least`.
        """
        used = self._used(session, project_id, each)
        room = [
            (self.limits[name] - used[name]) // cost
            for name, cost in each.items()
            if cost and self.limits[name] >= 0
        ]
        count = min([at_most, *room])
        if count < at_least:
            _check(self.limits, {name: at_least * cost for name, cost in each.items()}, used)
        return max(count, at_least)

    def _used(self, session: Session, project_id: str, wanted: Mapping[str, int]) -> dict[str, int]:
        # Other transactions of this project that add something wait here.
        locked = sa.select(Project.id).where(Project.id == project_id).with_for_update()
        if session.scalar(locked) is None:
            raise NotFound(f"Project {project_id} could not be found.")
        used: dict[str, int] = {}
        if wanted.keys() & {"instances", "cores", "ram"}:
            used |= _compute(session, project_id)
        for name in wanted.keys() & _COUNTED.keys():
            used[name] = _rows(session, name, project_id)
        return used

    def reserve_key_pair(self, session: Session, user_id: str) -> None:
        """The same for key pairs, which belong to users."""
        session.execute(sa.select(User.id).where(User.id == user_id).with_for_update()).first()
        _check(self.limits, {"key_pairs": 1}, {"key_pairs": _key_pairs(session, user_id)})


def _check(limits: Mapping[str, int], wanted: Mapping[str, int], used: Mapping[str, int]) -> None:
    over = [name for name, more in wanted.items() if 0 <= limits[name] < used[name] + more]
    if over:
        asked = ", ".join(f"{wanted[name]} {name}" for name in over)
        have = ", ".join(f"{used[name]} of {limits[name]} {name}" for name in over)
        raise QuotaExceeded(
            f"Quota exceeded for {', '.join(over)}: Requested {asked}, but already used {have}"
        )


_COUNTED: dict[str, type[Network] | type[Subnet] | type[Port]] = {
    "networks": Network,
    "subnets": Subnet,
    "ports": Port,
}


def _rows(session: Session, name: str, project_id: str) -> int:
    model = _COUNTED[name]
    count = sa.select(sa.func.count()).select_from(model).where(model.project_id == project_id)
    if model is Network:
        count = count.where(Network.deleted.is_(False))
    return session.scalars(count).one()


def _key_pairs(session: Session, user_id: str) -> int:
    count = sa.select(sa.func.count()).select_from(KeyPair).where(KeyPair.user_id == user_id)
    return session.scalars(count).one()


def _compute(session: Session, project_id: str) -> dict[str, int]:
    count, cores, ram = session.execute(
        sa.select(
            sa.func.count(), sa.func.sum(Instance.vcpus), sa.func.sum(Instance.memory_mb)
        ).where(Instance.project_id == project_id, Instance.deleted.is_(False))
    ).one()
    return {"instances": count, "cores": int(cores or 0), "ram": int(ram or 0)}

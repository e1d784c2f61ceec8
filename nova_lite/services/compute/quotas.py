"""Quotas: limits are kept, what is used of them never is; it is counted from what is there.

What a project may have is what an administrator has said of it, else of the
class `default`, else an option.  One user may be given a part of that.
Counting and adding happen under a lock on the project's row, so that of a
hundred requests for the last place exactly one gets it.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.base import insert_if_absent, rows_changed
from nova_lite.db.engine import Database, one_transaction
from nova_lite.db.models import (
    Instance,
    KeyPair,
    Network,
    Port,
    Project,
    QuotaLimit,
    SecurityGroup,
    SecurityGroupRule,
    ServerGroup,
    Subnet,
    User,
)
from nova_lite.domain.errors import Forbidden, Invalid, NotFound, QuotaExceeded

UNLIMITED = -1
DEFAULT = "default"
#: Kept for old clients, and without effect: networks have quotas of their own.
OLD_NAMES = ("fixed_ips", "floating_ips")


@dataclass(frozen=True)
class Usage:
    """One resource of one project; a limit of -1 is none."""

    used: int
    limit: int


@dataclass(frozen=True)
class Limits:
    """Of a project, and what there is besides for one user in it."""

    project: Mapping[str, int]
    user: Mapping[str, int] = field(default_factory=dict)

    def of(self, name: str) -> int:
        return self.user.get(name, self.project.get(name, UNLIMITED))


class Allowance:
    """What somebody may have more of, asked and answered within one transaction."""

    def __init__(
        self, session: Session, limits: Limits, project_id: str, user_id: str | None
    ) -> None:
        self.session = session
        self.limits = limits
        self.project_id = project_id
        self.user_id = user_id

    def check_metadata(self, items: int) -> None:
        """Raises QuotaExceeded when a server may not have so many metadata items."""
        limit = self.limits.of("metadata_items")
        if 0 <= limit < items:
            raise QuotaExceeded(f"Maximum number of metadata items exceeds {limit}")

    def check_group(self, members: int) -> None:
        """Raises QuotaExceeded when so many servers are too many for a server group."""
        if 0 <= self.limits.of("server_group_members") < members:
            raise QuotaExceeded("Quota exceeded, too many servers in group")

    def check_files(self, files: Sequence[Mapping[str, str]]) -> None:
        """Raises QuotaExceeded for more, larger or longer named personality than is allowed."""
        for name, what, largest in (
            ("injected_files", "files", len(files)),
            (
                "injected_file_content_bytes",
                "bytes in one file",
                max((len(base64.b64decode(file["contents"])) for file in files), default=0),
            ),
            (
                "injected_file_path_bytes",
                "bytes in the path of a file",
                max((len(file["path"].encode()) for file in files), default=0),
            ),
        ):
            limit = self.limits.of(name)
            if 0 <= limit < largest:
                raise QuotaExceeded(f"Personality: more than {limit} {what}.")

    def reserve(self, **wanted: int) -> None:
        """Check that there may be `wanted` more; holds the project's row until the commit.

        Raises QuotaExceeded, naming what would be too much.
        """
        for limits, used in self._layers(wanted):
            _check(limits, wanted, used)

    def afford(self, at_least: int, at_most: int, each: Mapping[str, int]) -> int:
        """How many things that cost `each` there may be, from `at_least` to `at_most`.

        Raises QuotaExceeded when not even `at_least`.
        """
        count, layers = at_most, list(self._layers(each))
        for limits, used in layers:
            room = [
                (limits[name] - used[name]) // cost
                for name, cost in each.items()
                if cost and limits.get(name, UNLIMITED) >= 0
            ]
            count = min([count, *room])
        if count < at_least:
            for limits, used in layers:
                _check(limits, {name: at_least * cost for name, cost in each.items()}, used)
        return max(count, at_least)

    def _layers(
        self, wanted: Mapping[str, int]
    ) -> Iterator[tuple[Mapping[str, int], Mapping[str, int]]]:
        """Limits, and what is used of them: of the project, then of the user."""
        # Other transactions of this project that add something wait here.
        locked = sa.select(Project.id).where(Project.id == self.project_id).with_for_update()
        if self.session.scalar(locked) is None:
            raise NotFound(f"Project {self.project_id} could not be found.")
        yield self.limits.project, _used(self.session, wanted, self.project_id)
        personal = {name: limit for name, limit in self.limits.user.items() if name in wanted}
        if personal:
            yield personal, _used(self.session, personal, self.project_id, self.user_id)


class Quotas:
    """`limits` are the options of [quota], by name.

    `own_projects`: whether every project there is is a row of ours; with another
    Keystone only those are that somebody has used.
    """

    def __init__(
        self, database: Database, limits: Mapping[str, int], *, own_projects: bool = True
    ) -> None:
        self.database = database
        self.limits = limits
        self.own_projects = own_projects

    # --- asking within another's transaction -------------------------------------------------

    def of(self, session: Session, project_id: str, user_id: str | None = None) -> Allowance:
        """What a user of a project may have."""
        return Allowance(session, self._limits(session, project_id, user_id), project_id, user_id)

    def reserve(self, session: Session, project_id: str, **wanted: int) -> None:
        """Check that the project may have `wanted` more; holds its row until the commit.

        Raises QuotaExceeded, naming what would be too much.
        """
        self.of(session, project_id).reserve(**wanted)

    def reserve_key_pair(self, session: Session, user_id: str, project_id: str | None) -> None:
        """The same for key pairs, which belong to users; how many depends on the project, too."""
        session.execute(sa.select(User.id).where(User.id == user_id).with_for_update()).first()
        limit = self._limits(session, project_id, user_id).of("key_pairs")
        _check({"key_pairs": limit}, {"key_pairs": 1}, {"key_pairs": _key_pairs(session, user_id)})

    # --- looking -----------------------------------------------------------------------------

    def usage(
        self,
        context: RequestContext,
        project_id: str,
        user_id: str | None = None,
        *,
        known: bool = False,
    ) -> dict[str, Usage]:
        """What a project, or one user in it, has, and may have.

        With `known` raises Invalid for a project that is not there.
        """
        _must_own(context, project_id)
        with self.database.read() as session:
            if known:
                self._must_be_known(session, project_id)
            limits = self._limits(session, project_id, user_id)
            used = _used(session, limits.project, project_id, user_id)
        return {name: Usage(used.get(name, 0), limits.of(name)) for name in limits.project}

    def defaults(self, context: RequestContext, project_id: str | None = None) -> dict[str, int]:
        """What a project may have of which nobody has said anything.  Raises as `usage`."""
        with self.database.read() as session:
            if project_id is not None:
                _must_own(context, project_id)
                self._must_be_known(session, project_id)
            return dict(self._limits(session, None, None).project)

    def class_limits(self, context: RequestContext, name: str) -> dict[str, int]:
        """Those of a class; only those of `default` have an effect."""
        with self.database.read() as session:
            return self._class(session, name)

    # --- saying ------------------------------------------------------------------------------

    @one_transaction
    def set_limits(
        self,
        context: RequestContext,
        project_id: str,
        limits: Mapping[str, int],
        user_id: str | None = None,
        *,
        force: bool = False,
    ) -> dict[str, int]:
        """Let a project, or a user in it, have so much; return all its limits.

        Raises Invalid for less than is used, and for parts that together are
        more than the whole; with `force` for neither.
        """
        _must_own(context, project_id)
        with self.database.write() as session:
            self._must_be_known(session, project_id, lock=True)
            if not force:
                self._must_fit(session, project_id, user_id, limits)
            _keep(session, "project", project_id, user_id or "", limits)
            now = self._limits(session, project_id, user_id)
            return {name: now.of(name) for name in now.project}

    @one_transaction
    def forget_limits(
        self,
        context: RequestContext,
        project_id: str,
        names: Collection[str],
        user_id: str | None = None,
    ) -> None:
        """Back to the defaults: the project with all its users, or one user alone."""
        _must_own(context, project_id)
        said = sa.delete(QuotaLimit).where(
            QuotaLimit.scope == "project",
            QuotaLimit.scope_id == project_id,
            QuotaLimit.resource.in_(names),
        )
        with self.database.write() as session:
            rows_changed(session, said.where(QuotaLimit.user_id == user_id) if user_id else said)

    @one_transaction
    def set_class_limits(
        self, context: RequestContext, name: str, limits: Mapping[str, int]
    ) -> dict[str, int]:
        with self.database.write() as session:
            _keep(session, "class", name, "", limits)
            return self._class(session, name)

    # --- parts -------------------------------------------------------------------------------

    def _limits(self, session: Session, project_id: str | None, user_id: str | None) -> Limits:
        """All layers, in one query."""
        mine = sa.and_(QuotaLimit.scope == "class", QuotaLimit.scope_id == DEFAULT)
        if project_id is not None:
            whose = QuotaLimit.user_id.in_(("", user_id) if user_id else ("",))
            project = sa.and_(
                QuotaLimit.scope == "project", QuotaLimit.scope_id == project_id, whose
            )
            mine = sa.or_(mine, project)
        said = sa.select(
            QuotaLimit.scope, QuotaLimit.user_id, QuotaLimit.resource, QuotaLimit.limit
        )
        layers: dict[tuple[str, str], dict[str, int]] = {}
        for scope, user, resource, limit in session.execute(said.where(mine)):
            layers.setdefault((scope, user), {})[resource] = limit
        return Limits(
            {
                **dict.fromkeys(OLD_NAMES, UNLIMITED),
                **self.limits,
                **layers.get(("class", ""), {}),
                **layers.get(("project", ""), {}),
            },
            layers.get(("project", user_id), {}) if user_id else {},
        )

    def _class(self, session: Session, name: str) -> dict[str, int]:
        said = sa.select(QuotaLimit.resource, QuotaLimit.limit).where(
            QuotaLimit.scope == "class", QuotaLimit.scope_id == name
        )
        kept = {resource: limit for resource, limit in session.execute(said)}
        return {**dict.fromkeys(OLD_NAMES, UNLIMITED), **self.limits, **kept}

    def _must_be_known(self, session: Session, project_id: str, *, lock: bool = False) -> None:
        query = sa.select(Project.id).where(Project.id == project_id)
        found = session.scalar(query.with_for_update() if lock else query)
        if found is None and self.own_projects:
            raise Invalid(f"Project ID {project_id} is not a valid project.")

    def _must_fit(
        self, session: Session, project_id: str, user_id: str | None, limits: Mapping[str, int]
    ) -> None:
        whole = self._limits(session, project_id, None).project
        used = _used(session, limits, project_id, user_id)
        parts = _parts(session, project_id, but=user_id)
        for name, limit in limits.items():
            least, most = used.get(name, 0), UNLIMITED
            if user_id is None:
                least = max(least, parts.get(name, 0))
            elif whole[name] != UNLIMITED:
                most = max(whole[name] - parts.get(name, 0), 0)
            if 0 <= limit < least:
                raise Invalid(
                    f"Quota limit {limit} for {name} must be greater than or equal to "
                    f"already used and reserved {least}."
                )
            if most != UNLIMITED and not 0 <= limit <= most:
                raise Invalid(
                    f"Quota limit {limit} for {name} must be less than or equal to {most}."
                )


def _must_own(context: RequestContext, project_id: str) -> None:
    if not context.owns(project_id):
        raise Forbidden("You are not authorized to see the limits of that project.")


def _keep(
    session: Session, scope: str, scope_id: str, user_id: str, limits: Mapping[str, int]
) -> None:
    for resource, limit in sorted(limits.items()):
        key = {"scope": scope, "scope_id": scope_id, "user_id": user_id, "resource": resource}
        if not insert_if_absent(session, QuotaLimit, **key, limit=limit):
            session.execute(sa.update(QuotaLimit).filter_by(**key).values(limit=limit))


def _parts(session: Session, project_id: str, but: str | None) -> dict[str, int]:
    """What users of a project were given, together."""
    given = (
        sa.select(QuotaLimit.resource, sa.func.sum(QuotaLimit.limit))
        .where(
            QuotaLimit.scope == "project",
            QuotaLimit.scope_id == project_id,
            QuotaLimit.user_id.not_in(("", but or "")),
            QuotaLimit.limit > 0,
        )
        .group_by(QuotaLimit.resource)
    )
    return {resource: int(total) for resource, total in session.execute(given)}


def _check(limits: Mapping[str, int], wanted: Mapping[str, int], used: Mapping[str, int]) -> None:
    over = [
        name
        for name, more in wanted.items()
        if 0 <= limits.get(name, UNLIMITED) < used[name] + more
    ]
    if over:
        asked = ", ".join(f"{wanted[name]} {name}" for name in over)
        have = ", ".join(f"{used[name]} of {limits[name]} {name}" for name in over)
        raise QuotaExceeded(
            f"Quota exceeded for {', '.join(over)}: Requested {asked}, but already used {have}"
        )


# --- counting ---------------------------------------------------------------------------------

_COUNTED: dict[str, Any] = {
    "server_groups": ServerGroup,
    "networks": Network,
    "subnets": Subnet,
    "ports": Port,
    "security_groups": SecurityGroup,
    "security_group_rules": SecurityGroupRule,
}


def _used(
    session: Session, names: Mapping[str, int], project_id: str, user_id: str | None = None
) -> dict[str, int]:
    """What there is of these: of a project, or of one user in it where users have such things."""
    used: dict[str, int] = {}
    if names.keys() & {"instances", "cores", "ram"}:
        used |= _compute(session, project_id, user_id)
    for name in names.keys() & _COUNTED.keys():
        used[name] = _rows(session, name, project_id, user_id)
    if "key_pairs" in names and user_id is not None:
        used["key_pairs"] = _key_pairs(session, user_id)
    return used


def _rows(session: Session, name: str, project_id: str, user_id: str | None) -> int:
    model = _COUNTED[name]
    count = sa.select(sa.func.count()).select_from(model).where(model.project_id == project_id)
    if model is Network:
        count = count.where(Network.deleted == sa.false())
    if model is ServerGroup and user_id is not None:
        count = count.where(ServerGroup.user_id == user_id)
    return session.scalars(count).one()


def _key_pairs(session: Session, user_id: str) -> int:
    count = sa.select(sa.func.count()).select_from(KeyPair).where(KeyPair.user_id == user_id)
    return session.scalars(count).one()


def _compute(session: Session, project_id: str, user_id: str | None) -> dict[str, int]:
    query = sa.select(
        sa.func.count(), sa.func.sum(Instance.vcpus), sa.func.sum(Instance.memory_mb)
    ).where(Instance.project_id == project_id, Instance.deleted == sa.false())
    if user_id is not None:
        query = query.where(Instance.user_id == user_id)
    count, cores, ram = session.execute(query).one()
    return {"instances": count, "cores": int(cores or 0), "ram": int(ram or 0)}

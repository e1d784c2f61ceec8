"""Security groups and their rules, whoever asks.

Every project has a group `default`, made when the project is first seen here.
Who is in a group is what its ports say: see services.networks.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.base import insert_if_absent
from nova_lite.db.engine import Database, one_transaction
from nova_lite.db.models import Port, PortSecurityGroup, SecurityGroup, SecurityGroupRule
from nova_lite.db.queries import security_groups as queries
from nova_lite.db.queries.security_groups import DEFAULT
from nova_lite.domain.errors import Conflict, Forbidden, Invalid, NotFound
from nova_lite.domain.security_rules import Rule, normalized
from nova_lite.services.compute.instance_access import found
from nova_lite.services.compute.quotas import Quotas
from nova_lite.services.listing import Condition, Listed, Listing
from nova_lite.services.network.networks import Page


@dataclass(frozen=True)
class NewGroup:
    name: str = ""
    description: str = ""
    project_id: str | None = None  # None: who asks


@dataclass(frozen=True)
class NewRule:
    group_id: UUID
    rule: Rule
    description: str = ""
    project_id: str | None = None  # None: that of the group, as it has to be


@dataclass(frozen=True)
class ShownRule:
    id: UUID
    group_id: UUID
    project_id: str
    direction: str
    ethertype: str
    protocol: str | None
    port_range_min: int | None
    port_range_max: int | None
    remote_ip_prefix: str | None
    remote_group_id: UUID | None
    description: str
    created_at: dt.datetime
    updated_at: dt.datetime

    @property
    def normalized_cidr(self) -> str | None:
        return normalized(self.remote_ip_prefix)


@dataclass(frozen=True)
class ShownGroup:
    id: UUID
    project_id: str
    name: str
    description: str
    created_at: dt.datetime
    updated_at: dt.datetime
    rules: Sequence[ShownRule]


_TIMES = frozenset({"created_at", "updated_at"})
GROUPS = Listed(
    columns={
        "id": SecurityGroup.id,
        "project_id": SecurityGroup.project_id,
        "name": SecurityGroup.name,
        "description": SecurityGroup.description,
        "created_at": SecurityGroup.created_at,
        "updated_at": SecurityGroup.updated_at,
    },
    origin=SecurityGroup,
    hidden=_TIMES,
)
RULES = Listed(
    columns={
        "id": SecurityGroupRule.id,
        "group_id": SecurityGroupRule.group_id,
        "project_id": SecurityGroupRule.project_id,
        "direction": SecurityGroupRule.direction,
        "ethertype": SecurityGroupRule.ethertype,
        "protocol": SecurityGroupRule.protocol,
        "port_range_min": SecurityGroupRule.port_range_min,
        "port_range_max": SecurityGroupRule.port_range_max,
        "remote_ip_prefix": SecurityGroupRule.remote_ip_prefix,
        "remote_group_id": SecurityGroupRule.remote_group_id,
        "description": SecurityGroupRule.description,
        "created_at": SecurityGroupRule.created_at,
        "updated_at": SecurityGroupRule.updated_at,
    },
    origin=SecurityGroupRule,
    unsortable=frozenset(
        {"protocol", "port_range_min", "port_range_max", "remote_ip_prefix", "remote_group_id"}
    ),
    hidden=_TIMES,
)


class SecurityGroups:
    def __init__(
        self,
        database: Database,
        quotas: Quotas,
        now: Callable[[], dt.datetime],
        page_size: int = 1000,  # the longest list that is answered at once
    ) -> None:
        self.database = database
        self.quotas = quotas
        self.now = now
        self.page_size = page_size

    # --- groups -----------------------------------------------------------------------------

    def groups(self, context: RequestContext, listing: Listing) -> Page:
        """The project's own; those of all projects for administrators."""
        self._greet(context)
        with self.database.read() as session:
            visible = _visible(context, SecurityGroup.project_id)
            rows, more = GROUPS.page(session, visible, listing, self.page_size)
            return Page(_with_rules(session, rows), more)

    def group(self, context: RequestContext, id: UUID) -> ShownGroup:
        self._greet(context)
        with self.database.read() as session:
            return _shown(session, context, [id])[0]

    def of_instance(self, context: RequestContext, id: UUID) -> list[ShownGroup]:
        """Those that its ports are in, whosever they are."""
        member = (
            sa.select(PortSecurityGroup.group_id)
            .join(Port, Port.id == PortSecurityGroup.port_id)
            .where(Port.device_id == str(id))
        )
        with self.database.read() as session:
            found(session, context, id)
            query = GROUPS.select().where(SecurityGroup.id.in_(member))
            rows = session.execute(query.order_by(SecurityGroup.name, SecurityGroup.id)).all()
            return _with_rules(session, rows)

    def owners(self, ids: Collection[UUID]) -> dict[UUID, tuple[str, str]]:
        """The projects and names of these groups, whosever they are: those that rules name."""
        owner = sa.select(SecurityGroup.id, SecurityGroup.project_id, SecurityGroup.name)
        with self.database.read() as session:
            rows = session.execute(owner.where(SecurityGroup.id.in_(list(ids))))
            return {id: (project_id, name) for id, project_id, name in rows}

    @one_transaction
    def create_groups(self, context: RequestContext, new: Sequence[NewGroup]) -> list[ShownGroup]:
        """All of them or none.  Raises QuotaExceeded, Conflict for another default group."""
        with self.database.write() as session:
            return _shown(session, context, [self._add(session, context, one) for one in new])

    def _add(self, session: Session, context: RequestContext, new: NewGroup) -> UUID:
        project_id = new.project_id or context.project_id
        if project_id is None or not context.owns(project_id):
            raise Forbidden("Only an administrator may create things for other projects.")
        _check_name(new.name)
        now = self.now()
        queries.default_group(session, project_id, now)  # which counts, too
        self.quotas.reserve(
            session, project_id, security_groups=1, security_group_rules=len(queries.OUTWARDS)
        )
        group = SecurityGroup(
            id=uuid4(),
            project_id=project_id,
            name=new.name,
            description=new.description,
            created_at=now,
            updated_at=now,
        )
        session.add(group)
        session.flush()
        queries.add_rules(session, group.id, project_id, queries.OUTWARDS, now)
        return group.id

    @one_transaction
    def update_group(self, context: RequestContext, id: UUID, **values: str) -> ShownGroup:
        """Set name or description.  Raises Conflict for the name of the default group."""
        with self.database.write() as session:
            group = _group(session, context, id)
            if group.default_of is None:
                _check_name(values.get("name", ""))
            elif "name" in values:
                raise Conflict("Updating default security group not allowed.")
            for name, value in values.items():
                setattr(group, name, value)
            group.updated_at = self.now()
            session.flush()
            return _shown(session, context, [id])[0]

    @one_transaction
    def delete_group(self, context: RequestContext, id: UUID) -> None:
        """With its rules, and those of others about it.

        Raises Conflict for the default group, and while there are ports in it.
        """
        with self.database.write() as session:
            # Whoever puts a port into it holds it, too.
            group = _group(session, context, id, lock=True)
            if group.default_of is not None and not context.is_admin:
                raise Conflict("Removing default security group not allowed.")
            used = sa.select(PortSecurityGroup.port_id).where(PortSecurityGroup.group_id == id)
            if session.scalar(used.limit(1)):
                raise Conflict(f"Security Group {id} in use.")
            queries.touched(session, [id])
            session.execute(sa.delete(SecurityGroup).where(SecurityGroup.id == id))

    # --- rules ------------------------------------------------------------------------------

    def rules(self, context: RequestContext, listing: Listing) -> Page:
        self._greet(context)
        with self.database.read() as session:
            visible = _visible(context, SecurityGroupRule.project_id)
            rows, more = RULES.page(session, visible, listing, self.page_size)
            return Page([ShownRule(**row._mapping) for row in rows], more)

    def rule(self, context: RequestContext, id: UUID) -> ShownRule:
        with self.database.read() as session:
            return _shown_rules(session, context, [id])[0]

    @one_transaction
    def create_rules(self, context: RequestContext, new: Sequence[NewRule]) -> list[ShownRule]:
        """All of them or none.

        Raises NotFound for groups that are not there, Conflict for a rule that is, QuotaExceeded.
        """
        with self.database.write() as session:
            made = [self._add_rule(session, context, one) for one in new]
            queries.touched(session, {one.group_id for one in new})
            return _shown_rules(session, context, made)

    def _add_rule(self, session: Session, context: RequestContext, new: NewRule) -> UUID:
        group = _group(session, context, new.group_id)
        if new.project_id not in (None, group.project_id):
            raise Invalid("A rule is of the project that its security group is of.")
        if new.rule.remote_group_id is not None:
            _group(session, context, new.rule.remote_group_id)
        self.quotas.reserve(session, group.project_id, security_group_rules=1)
        id, now = uuid4(), self.now()
        if not insert_if_absent(
            session,
            SecurityGroupRule,
            **queries.rule_values(new.rule),
            id=id,
            group_id=group.id,
            project_id=group.project_id,
            description=new.description,
            created_at=now,
            updated_at=now,
        ):
            same = sa.select(SecurityGroupRule.id).where(
                SecurityGroupRule.group_id == group.id,
                SecurityGroupRule.meaning == new.rule.meaning,
            )
            raise Conflict(
                f"Security group rule already exists. Rule id is {session.scalar(same)}."
            )
        return id

    @one_transaction
    def delete_rule(self, context: RequestContext, id: UUID) -> None:
        with self.database.write() as session:
            rule = _shown_rules(session, context, [id])[0]
            session.execute(sa.delete(SecurityGroupRule).where(SecurityGroupRule.id == id))
            queries.touched(session, [rule.group_id])

    # --- parts ------------------------------------------------------------------------------

    def _greet(self, context: RequestContext) -> None:
        """See to it that the asker's project has its default group."""
        if context.project_id is None:
            return
        theirs = sa.select(SecurityGroup.id).where(SecurityGroup.default_of == context.project_id)
        if not self.database.look(theirs):
            self.default(context.project_id)

    @one_transaction
    def default(self, project_id: str) -> UUID:
        """The default group of a project."""
        with self.database.write() as session:
            return queries.default_group(session, project_id, self.now())


def _check_name(name: str) -> None:
    if name == DEFAULT:
        raise Conflict("Default security group already exists.")


def _visible(context: RequestContext, owner: Any) -> list[Condition]:
    return [] if context.is_admin else [owner == context.project_id]


def _group(
    session: Session, context: RequestContext, id: UUID, *, lock: bool = False
) -> SecurityGroup:
    group = session.get(SecurityGroup, id, with_for_update=lock or None)
    if group is None or not context.owns(group.project_id):
        raise NotFound(f"Security group {id} does not exist")
    return group


def _shown(session: Session, context: RequestContext, ids: Sequence[UUID]) -> list[ShownGroup]:
    """The groups of these ids, in their order."""
    visible = _visible(context, SecurityGroup.project_id)
    query = GROUPS.select().where(*visible, SecurityGroup.id.in_(ids))
    rows = {row.id: row for row in session.execute(query)}
    for id in ids:
        if id not in rows:
            raise NotFound(f"Security group {id} does not exist")
    return _with_rules(session, [rows[id] for id in ids])


def _with_rules(session: Session, rows: Sequence[sa.Row[Any]]) -> list[ShownGroup]:
    of: defaultdict[UUID, list[ShownRule]] = defaultdict(list)
    query = RULES.select().where(SecurityGroupRule.group_id.in_([row.id for row in rows]))
    for rule in session.execute(
        query.order_by(SecurityGroupRule.created_at, SecurityGroupRule.meaning)
    ):
        of[rule.group_id].append(ShownRule(**rule._mapping))
    return [ShownGroup(**row._mapping, rules=of[row.id]) for row in rows]


def _shown_rules(session: Session, context: RequestContext, ids: Sequence[UUID]) -> list[ShownRule]:
    visible = _visible(context, SecurityGroupRule.project_id)
    query = RULES.select().where(*visible, SecurityGroupRule.id.in_(ids))
    rows = {row.id: ShownRule(**row._mapping) for row in session.execute(query)}
    for id in ids:
        if id not in rows:
            raise NotFound(f"Security group rule {id} does not exist")
    return [rows[id] for id in ids]

"""Who is in which security group, and what that lets through to whom."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.db.base import insert_if_absent
from nova_lite.db.models import (
    FixedAddress,
    Port,
    PortSecurityGroup,
    SecurityGroup,
    SecurityGroupRule,
)
from nova_lite.db.queries import filters
from nova_lite.domain.errors import NotFound
from nova_lite.domain.security_rules import (
    EGRESS,
    INGRESS,
    IPV4,
    IPV6,
    Rule,
    cidr,
    protocol_name,
)
from nova_lite.domain.specs import FilterRule

DEFAULT = "default"
#: What every new group lets through: guests may talk to whom they like.
OUTWARDS = (Rule(EGRESS, IPV4), Rule(EGRESS, IPV6))


# --- groups and their members -------------------------------------------------------------------


def default_group(session: Session, project_id: str, now: dt.datetime) -> UUID:
    """The default group of a project, made when it is first asked for; held until the commit."""
    mine = SecurityGroup.default_of == project_id
    # Shared: whoever would delete it has to wait, and nobody else.
    query = sa.select(SecurityGroup.id).where(mine).with_for_update(read=True, key_share=True)
    found = session.scalar(query)
    if found is not None:
        return found
    id = uuid4()
    if not insert_if_absent(
        session,
        SecurityGroup,
        id=id,
        project_id=project_id,
        default_of=project_id,
        name=DEFAULT,
        description="Default security group",
        created_at=now,
        updated_at=now,
    ):
        return session.scalars(query).one()  # somebody else was quicker
    inwards = [Rule(INGRESS, version, remote_group_id=id) for version in (IPV4, IPV6)]
    add_rules(session, id, project_id, [*OUTWARDS, *inwards], now)
    return id


def add_rules(
    session: Session, group: UUID, project_id: str, rules: Iterable[Rule], now: dt.datetime
) -> None:
    """The rules of a group that is new."""
    session.execute(
        sa.insert(SecurityGroupRule),
        [
            {
                **rule_values(rule),
                "id": uuid4(),
                "group_id": group,
                "project_id": project_id,
                "description": "",
                "created_at": now,
                "updated_at": now,
            }
            for rule in rules
        ],
    )


def rule_values(rule: Rule) -> dict[str, object]:
    """A rule as columns."""
    return {**vars(rule), "meaning": rule.meaning}


def _hold(session: Session, groups: Collection[UUID]) -> None:
    """Keep groups from being deleted until the commit.  Raises NotFound for one that is gone."""
    found = set(
        session.scalars(
            sa.select(SecurityGroup.id)
            .where(SecurityGroup.id.in_(list(groups)))
            .order_by(SecurityGroup.id)
            .with_for_update(read=True, key_share=True)
        )
    )
    for group in groups:
        if group not in found:
            raise NotFound(f"Security group {group} does not exist")


def join(session: Session, port: UUID, groups: Collection[UUID]) -> None:
    """Put a port, which has its addresses, into groups it is not in yet.

    Raises NotFound for one that is not there.
    """
    wanted = list(dict.fromkeys(groups))
    if wanted:
        _hold(session, wanted)
        session.execute(
            sa.insert(PortSecurityGroup), [{"port_id": port, "group_id": id} for id in wanted]
        )
        touched(session, wanted)


def leave(
    session: Session, ports: Collection[UUID], groups: Collection[UUID] | None = None
) -> None:
    """Take ports out of these groups, or out of all that they are in."""
    theirs = PortSecurityGroup.port_id.in_(list(ports))
    member = sa.select(PortSecurityGroup.group_id).where(theirs).distinct()
    gone = sa.delete(PortSecurityGroup).where(theirs)
    if groups is not None:
        mine = PortSecurityGroup.group_id.in_(list(groups))
        member, gone = member.where(mine), gone.where(mine)
    left = session.scalars(member).all()
    if left:
        touched(session, left)  # as long as they are members
        session.execute(gone, execution_options={"synchronize_session": False})
    if groups is not None:  # the ports stay, and let through less
        filters.ports_changed(session, ports)


def moved(session: Session, ports: Collection[UUID]) -> None:
    """Say that these ports have other addresses now."""
    groups = {group for mine in groups_of(session, ports).values() for group in mine}
    touched(session, sorted(groups))


def groups_of(session: Session, ports: Collection[UUID]) -> dict[UUID, list[UUID]]:
    """The groups that each of these ports is in."""
    found: dict[UUID, list[UUID]] = {port: [] for port in ports}
    query = (
        sa.select(PortSecurityGroup.port_id, PortSecurityGroup.group_id)
        .join(SecurityGroup, SecurityGroup.id == PortSecurityGroup.group_id)
        .where(PortSecurityGroup.port_id.in_(list(ports)))
        .order_by(SecurityGroup.created_at, SecurityGroup.id)
    )
    for port, group in session.execute(query):
        found[port].append(group)
    return found


def forget(session: Session, project_id: str) -> None:
    """Delete the groups of a project, whatever is in them."""
    mine = sa.select(SecurityGroup.id).where(SecurityGroup.project_id == project_id)
    ids = session.scalars(mine).all()
    touched(session, ids)
    session.execute(sa.delete(PortSecurityGroup).where(PortSecurityGroup.group_id.in_(ids)))
    session.execute(sa.delete(SecurityGroup).where(SecurityGroup.id.in_(ids)))


# --- what hosts must know -----------------------------------------------------------------------


def rules_of(session: Session, ports: Sequence[UUID]) -> dict[UUID, tuple[FilterRule, ...] | None]:
    """What each of these ports lets through; None: it is not filtered.

    Where a rule is about the members of a group these are given by their
    addresses.  Equal rules are said once, in one order.
    """
    known = sa.select(Port.id, Port.port_security_enabled).where(Port.id.in_(list(ports)))
    secured = {port: filtered for port, filtered in session.execute(known)}
    rows = session.execute(
        sa.select(PortSecurityGroup.port_id, SecurityGroupRule)
        .join(SecurityGroupRule, SecurityGroupRule.group_id == PortSecurityGroup.group_id)
        .where(PortSecurityGroup.port_id.in_([id for id, filtered in secured.items() if filtered]))
        .order_by(PortSecurityGroup.port_id, SecurityGroupRule.meaning)
    ).all()
    remote = {rule.remote_group_id for _, rule in rows if rule.remote_group_id is not None}
    members = _members(session, remote)
    found: dict[UUID, dict[FilterRule, None]] = defaultdict(dict)
    for port, rule in rows:
        found[port][_filter(rule, members)] = None
    return {id: tuple(found[id]) if secured.get(id, True) else None for id in ports}


def _members(session: Session, groups: Collection[UUID]) -> dict[tuple[UUID, str], list[str]]:
    """By group and IP version the addresses of their ports, as CIDRs."""
    found: dict[tuple[UUID, str], list[str]] = defaultdict(list)
    if groups:
        query = (
            sa.select(PortSecurityGroup.group_id, FixedAddress.address)
            .join(FixedAddress, FixedAddress.port_id == PortSecurityGroup.port_id)
            .where(PortSecurityGroup.group_id.in_(list(groups)))
            .order_by(FixedAddress.subnet_id, FixedAddress.offset)
        )
        for group, address in session.execute(query):
            version, bits = (IPV6, 128) if ":" in address else (IPV4, 32)
            found[group, version].append(f"{address}/{bits}")
    return found


def _filter(rule: SecurityGroupRule, members: dict[tuple[UUID, str], list[str]]) -> FilterRule:
    remotes: tuple[str, ...] | None = None
    if rule.remote_group_id is not None:
        remotes = tuple(members.get((rule.remote_group_id, rule.ethertype), ()))
    else:
        prefix = cidr(rule.remote_ip_prefix)
        remotes = None if prefix is None else (prefix,)
    return FilterRule(
        direction=rule.direction,
        ethertype=rule.ethertype,
        protocol=protocol_name(rule.protocol, rule.ethertype),
        port_min=rule.port_range_min,
        port_max=rule.port_range_max,
        remotes=remotes,
    )


def touched(session: Session, groups: Iterable[UUID]) -> None:
    """Say that the rules or members of these groups change: filters of guests must follow.

    Comes after members have come and before they go.
    """
    filters.changed(session, list(groups))


def toggled(session: Session, port: Port) -> None:
    """Say that a port is filtered from now on, or no longer."""
    filters.ports_changed(session, [port.id])

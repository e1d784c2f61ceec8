"""Whether a port is filtered, and by which groups: who may decide on it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.models import Network, Port, SecurityGroup
from nova_lite.db.queries import security_groups as queries
from nova_lite.domain.errors import Conflict, Forbidden, Invalid, NotFound


def for_new_port(
    session: Session,
    context: RequestContext,
    network: Network,
    project_id: str,
    enabled: bool | None,
    groups: Sequence[UUID] | None,
) -> bool:
    """Whether a new port is to be filtered, if it may be so and in these groups.

    Raises Invalid for groups without security, and as `_check_groups` and `_may_decide`.
    """
    secured: bool = network.port_security_enabled
    if enabled not in (None, secured):
        _may_decide(context, network)
        secured = not secured
    if groups and not secured:
        raise Invalid("Port security must be enabled in order to use security groups.")
    _check_groups(session, context, project_id, groups or ())
    return secured


def change(
    session: Session,
    context: RequestContext,
    port: Port,
    network: Network,
    enabled: bool | None,
    groups: Sequence[UUID] | None,
) -> None:
    """Have a port be filtered or not, and in these groups; None: as it is.

    Raises Invalid for groups without security, Conflict for a port that would keep its own.
    """
    toggled = enabled not in (None, port.port_security_enabled)
    if toggled:
        _may_decide(context, network)
        port.port_security_enabled = not port.port_security_enabled
        session.flush()
    mine = queries.groups_of(session, [port.id])[port.id]
    if not port.port_security_enabled:
        if groups:
            raise Invalid("Port security must be enabled in order to use security groups.")
        if mine and groups is None:
            raise Conflict(
                "Port has security group associated. Cannot disable port security "
                "until security group is removed."
            )
    if groups is not None:
        new = [group for group in groups if group not in mine]
        _check_groups(session, context, port.project_id, new)
        queries.leave(session, [port.id], [group for group in mine if group not in groups])
        queries.join(session, port.id, new)
    if toggled:
        queries.toggled(session, port)


def _may_decide(context: RequestContext, network: Network) -> None:
    """What is sent from a port without security may claim to come from any other."""
    if not context.owns(network.project_id):
        raise Forbidden("Only the owner of a network may decide on port security on it.")


def _check_groups(
    session: Session, context: RequestContext, project_id: str, groups: Collection[UUID]
) -> None:
    """Raises NotFound for a group that is neither the port's project's nor the asker's."""
    if not groups:
        return
    query = sa.select(SecurityGroup.id, SecurityGroup.project_id).where(
        SecurityGroup.id.in_(list(groups))
    )
    owners = {group: owner for group, owner in session.execute(query)}
    for group in groups:
        owner = owners.get(group)
        if owner is None or not (owner == project_id or context.owns(owner)):
            raise NotFound(f"Security group {group} does not exist")

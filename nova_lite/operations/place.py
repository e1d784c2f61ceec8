"""Finding a host, and holding it: a question to the scheduler, settled by the database."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nova_lite.db.queries import hosts
from nova_lite.domain.errors import NoValidHost
from nova_lite.operations.flow import StepContext
from nova_lite.operations.placement import claim_group
from nova_lite.scheduler.base import Placement


def find(
    context: StepContext,
    request: Placement,
    failures: Sequence[str] = (),
    take: Callable[[str], bool | None] = lambda host: None,
) -> str:
    """The best host that still has room when its turn comes; the room is taken.

    `take` holds the room of a host that is a special case, and says whether it was
    there; of others (None) a new allocation for `request` is made.  Raises
    NoValidHost, which tells what was considered and, of `failures`, what has been
    tried before.
    """
    world = context.world

    def claim(host: str) -> bool:
        return hosts.claim(
            context.session,
            context.instance.id,
            host,
            memory_mb=request.memory_mb,
            vcpus=request.vcpus,
            disk_gb=request.disk_gb,
            ratios=fleet.ratios(host),
            zone=request.zone,
        )

    # The picture may be a second old.  Nobody is refused for that: once more with a fresh one.
    for fresh in (False, True):
        fleet = world.fleet.look(context.session, fresh=fresh)
        ranking = world.scheduler.rank(request, fleet)
        for host in hosts.in_turn(context.session, ranking.hosts):
            special = take(host)
            if not (claim(host) if special is None else special):
                continue
            # Where it is already it has its place among its group.
            if special or claim_group(context.session, context.instance, host):
                fleet.take(host, request.memory_mb, request.vcpus, request.disk_gb)
                return host
            # It filled up with members of its group meanwhile.
            hosts.release(context.session, context.instance.id, host)
    reason = f"No valid host was found: {ranking.explain()}."
    if ranking.hosts:
        reason += " All that were left filled up meanwhile."
    if failures:
        reason += f" Tried before: {'; '.join(failures)}"
    raise NoValidHost(reason, details=ranking.explain_hosts())

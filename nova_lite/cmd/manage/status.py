"""nova-manage status: one look at everything that must hold, for Nagios and its like."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import IntEnum
from typing import Any
from urllib.parse import unquote, urlsplit

import click
import kombu
from oslo_config import cfg
from sqlalchemy.exc import ArgumentError, DBAPIError

from nova_lite.cmd.manage.output import format_option, show_list, show_one
from nova_lite.cmd.manage.site import Site
from nova_lite.db import migrate
from nova_lite.db.models import Operation, OperationStatus, Service
from nova_lite.db.queries import health, operations
from nova_lite.domain.specs import Role
from nova_lite.operations import FLOWS

AT_MOST = 5  # things named in one message
UNATTENDED = dt.timedelta(seconds=60)  # after which somebody should have looked at what is due
GIVE_UP = dt.timedelta(minutes=10)  # for steps of a flow this release does not know
BROKER_SECONDS = 5.0


class Level(IntEnum):
    """Exit codes of a Nagios plug-in."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@dataclass(frozen=True)
class Finding:
    level: Level
    message: str


@click.group()
def command() -> None:
    """Whether all is well, for monitoring."""


@command.command()
@click.option(
    "--patience",
    default=5.0,
    show_default=True,
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="How long a network may take to catch up with what it was behind at first.",
)
@format_option
@click.pass_context
def check(context: click.Context, format: str, patience: float) -> None:
    """Look at everything that must hold.

    Exits as Nagios wants it: 0 all is well, 1 somebody should look, 2 somebody must, 3 it cannot
    be told.  The first line is the summary.
    """
    try:
        found = examine(context.obj, patience)
    except (cfg.Error, ArgumentError, OSError, ValueError) as error:
        found = {"configuration": Finding(Level.UNKNOWN, _one_line(error))}
    rows = [
        {"check": name, "status": finding.level.name, "message": finding.message}
        for name, finding in found.items()
    ]
    level = worst([finding.level for finding in found.values()])
    if format == "json":
        show_one(format, {"status": level.name, "checks": rows})
    else:
        bad = [f"{row['check']}: {row['message']}" for row in rows if row["status"] != "OK"]
        click.echo(f"NOVA_LITE {level.name}: {'; '.join(bad) or 'all is well'}")
        show_list(format, ["check", "status", "message"], rows)
    context.exit(level)


def worst(levels: Sequence[Level]) -> Level:
    """What is known to be broken counts more than what is not known."""
    order = (Level.OK, Level.WARNING, Level.UNKNOWN, Level.CRITICAL)
    return max(levels, key=order.index)


def examine(site: Site, patience: float) -> dict[str, Finding]:
    """Every check by name.  Without a database that can be used, the others are not known."""
    found = {
        "broker": check_broker(site.config.transport_url),
        "database": check_database(site),
    }
    if found["database"].level is not Level.OK:
        unknown = Finding(Level.UNKNOWN, "not looked at")
        return found | dict.fromkeys(CHECKS, unknown)
    for name, look in CHECKS.items():
        try:
            found[name] = look(site, patience)
        except DBAPIError as error:
            found[name] = Finding(Level.CRITICAL, _one_line(error.orig))
    return found


# --- the checks -------------------------------------------------------------------------------


def check_broker(url: str) -> Finding:
    """Whether each of the broker's hosts lets us in."""
    if not url.startswith("rabbit"):
        return Finding(Level.OK, "inside nova-all")
    problems = []
    connections = broker_connections(url)
    for name, connection in connections.items():
        with closing(connection):
            try:
                connection.connect()
            # A wrong password counts as an error of the channel.
            except (OSError, *connection.connection_errors, *connection.channel_errors) as error:
                problems.append(f"{name}: {_one_line(error)}")
    if not problems:
        return Finding(Level.OK, "reachable")
    some = len(problems) < len(connections)
    return Finding(Level.WARNING if some else Level.CRITICAL, "; ".join(problems))


def broker_connections(url: str) -> dict[str, kombu.Connection]:
    """A connection to each host of a transport_url, not yet opened, by host and port."""
    parts = urlsplit(url)
    found = {}
    for place in parts.netloc.split(","):
        host = urlsplit(f"//{place}")
        found[f"{host.hostname}:{host.port or 5672}"] = kombu.Connection(
            hostname=host.hostname,
            port=host.port or 5672,
            userid=unquote(host.username or "guest"),
            password=unquote(host.password or "guest"),
            virtual_host=unquote(parts.path.removeprefix("/")) or "/",
            connect_timeout=BROKER_SECONDS,
        )
    return found


def check_database(site: Site) -> Finding:
    try:
        with site.database.engine.connect() as connection:
            is_at = migrate.current(connection)
    except DBAPIError as error:
        return Finding(Level.CRITICAL, _one_line(error.orig))
    newest = migrate.head()
    if is_at != newest:
        return Finding(
            Level.CRITICAL, f"at revision {is_at}, should be {newest}: run `nova-manage db sync`"
        )
    return Finding(Level.OK, f"at revision {newest}")


def check_services(site: Site, _patience: float) -> Finding:
    with site.database.read() as session:
        rows = health.services(session)
    since = site.now() - dt.timedelta(seconds=site.config.service_down_time)
    problems = list(missing(rows, since))
    # A worker that is down and disabled is being looked after.
    wanted = [row for row in rows if not row.disabled]
    return _finding(problems, f"{len(wanted)} up, {len(rows) - len(wanted)} disabled")


def missing(rows: Sequence[Service], since: dt.datetime) -> Iterator[str]:
    """Workers that are wanted and have not been heard of since."""
    for role in Role:
        if not any(row.role == role for row in rows):
            yield f"no {role} has ever reported"
    for row in rows:
        if row.disabled:
            continue
        if row.forced_down:
            yield f"{row.role} on {row.host} is forced down"
        elif row.last_seen_at <= since:
            yield f"{row.role} on {row.host} is down since {row.last_seen_at:%Y-%m-%dT%H:%M:%SZ}"


def check_operations(site: Site, _patience: float) -> Finding:
    with site.database.read() as session:
        rows = operations.unfinished(session)
    stuck = [words for row in rows if (words := why_stuck(row, site.now()))]
    return _finding(stuck, f"{len(rows)} under way")


def why_stuck(operation: Operation, now: dt.datetime) -> str | None:
    """What is wrong with an operation that should have gone on by now."""
    steps = {
        (flow.kind, step.name): step.give_up_after for flow in FLOWS.values() for step in flow.steps
    }
    patience = steps.get((operation.kind, operation.step), GIVE_UP)
    name = f"{operation.kind} {operation.id}"
    if operation.wake_at is not None and now - operation.wake_at > UNATTENDED:
        return f"{name}: no scheduler has looked at it since {_minutes(now - operation.wake_at)}"
    if now - operation.step_started_at > patience:
        undo = "undo " if operation.status is OperationStatus.UNWINDING else ""
        waits = operation.waiting_for or operation.error or "nothing"
        since = _minutes(now - operation.step_started_at)
        return f"{name}: in step {undo}{operation.step} since {since}, waiting for {waits}"
    return None


def check_claims(site: Site, _patience: float) -> Finding:
    with site.database.read() as session:
        problems = health.miscounted(session)
        problems += [f"{host}: allocations, but no such host" for host in health.homeless(session)]
    return _finding(problems, "counters equal allocations")


def check_networks(site: Site, patience: float) -> Finding:
    """Who is behind may catch up for a while with what it was behind at first."""
    deadline = time.monotonic() + patience
    wanted: dict[Any, int] = {}
    while True:
        with site.database.read() as session:
            rows = health.behind(session)
        for row in rows:
            wanted.setdefault((row.id, row.host), row.generation)
        late = [
            row
            for row in rows
            if row.deleted or row.applied < wanted[row.id, row.host] or row.error
        ]
        if not late or time.monotonic() >= deadline:
            break
        time.sleep(min(0.5, patience))
    problems = [f"{row.name} on {row.host}: {_lag(row)}" for row in late]
    level = Level.CRITICAL if any(row.error for row in late) else Level.WARNING
    return _finding(problems, "all provided", level)


CHECKS: dict[str, Callable[[Site, float], Finding]] = {
    "services": check_services,
    "operations": check_operations,
    "claims": check_claims,
    "networks": check_networks,
}


# --- words ------------------------------------------------------------------------------------


def _finding(problems: Sequence[str], fine: str, level: Level = Level.CRITICAL) -> Finding:
    if not problems:
        return Finding(Level.OK, fine)
    more = len(problems) - AT_MOST
    said = [*problems[:AT_MOST], *([f"and {more} more"] if more > 0 else [])]
    return Finding(level, _one_line(", ".join(said)))


def _lag(row: Any) -> str:
    if row.error:
        return str(row.error)
    if row.deleted:
        return "deleted, and still provided"
    return f"provides generation {row.applied} of {row.generation}"


def _minutes(time: dt.timedelta) -> str:
    return f"{time.total_seconds() / 60:.1f} minutes"


def _one_line(words: object) -> str:
    return " ".join(str(words).split())

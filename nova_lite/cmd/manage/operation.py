"""nova-manage operation: what is being done to servers, on which step, and waiting for whom."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import click

from nova_lite.cmd.manage.output import fields, format_option, show_list, show_one
from nova_lite.cmd.manage.site import Site
from nova_lite.db.models import Operation
from nova_lite.db.queries import operations
from nova_lite.domain.errors import NotFound

COLUMNS = ("id", "kind", "instance", "status", "step", "since", "tries", "waiting_for", "error")
JOURNAL = ("step", "host", "started_at", "seconds", "error")


@click.group()
def command() -> None:
    """What is being done to servers, step by step."""


@command.command("list")
@click.option("--all", "everything", is_flag=True, help="Also what is finished, newest first.")
@click.option("--instance", type=click.UUID, help="All that was done to one server.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True)
@format_option
@click.pass_obj
def list_(site: Site, everything: bool, instance: UUID | None, limit: int, format: str) -> None:
    """What is running now: on which step, since when, and waiting for whom."""
    with site.database.read() as session:
        if everything or instance:
            found = operations.latest(session, limit, instance)
        else:
            found = operations.unfinished(session, limit)
    show_list(format, COLUMNS, map(_row, found))


@command.command()
@click.argument("id", type=click.UUID)
@format_option
@click.pass_obj
def show(site: Site, id: UUID, format: str) -> None:
    """One operation and its journal: each step with its times."""
    with site.database.read() as session:
        operation = operations.find(session, id)
        if operation is None:
            raise NotFound(f"There is no operation {id}.")
        events = operations.journal(session, id)
    about = _row(operation) | fields(
        operation,
        ("error_details", "project_id", "user_id", "request_id", "started_at", "finished_at"),
    )
    about["next_look"] = operation.wake_at
    journal: list[dict[str, Any]] = [
        {
            "step": event.name,
            "host": event.host,
            "started_at": event.started_at,
            "seconds": round((event.finished_at - event.started_at).total_seconds(), 3),
            "error": event.error,
        }
        for event in events
    ]
    if operation.finished_at is None:
        took = site.now() - operation.step_started_at
        journal.append(
            {
                "step": f"{_direction(operation)}{operation.step} (under way)",
                "host": operation.command_host,
                "started_at": operation.step_started_at,
                "seconds": round(took.total_seconds(), 3),
                "error": None,
            }
        )
    if format == "json":
        return show_one(format, {**about, "journal": journal})
    show_one(format, about)
    click.echo()
    show_list(format, JOURNAL, journal)


def _row(operation: Operation) -> dict[str, Any]:
    return {
        **fields(operation, ("id", "kind", "status", "waiting_for", "error")),
        "instance": operation.target_id,
        "step": f"{_direction(operation)}{operation.step}",
        "since": operation.step_started_at,
        "tries": operation.attempt + 1,
    }


def _direction(operation: Operation) -> str:
    return "undo " if operation.status == "unwinding" else ""

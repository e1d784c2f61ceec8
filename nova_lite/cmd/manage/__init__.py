"""nova-manage: what an operator does on a controller, with its configuration and database.

Each word after `nova-manage` is a module of this package, read when it is
asked for: help answers at once, and only who needs the database loads it.
"""

from __future__ import annotations

import importlib
from typing import Any, cast

import click

from nova_lite.cmd.manage.site import Site

COMMANDS = {
    "bootstrap": "Make keys, database, administrator and default flavors.",
    "config": "Print sample configuration, policy rules, endpoints.",
    "db": "The schema of the database.",
    "flavor": "Sizes of servers.",
    "host": "Compute hosts.",
    "image": "Images that servers start from.",
    "instance": "Servers of all projects.",
    "network": "Networks of the cloud.",
    "operation": "What is being done to servers, step by step.",
    "project": "Projects, which own things.",
    "role": "Roles, and who has them where.",
    "scheduler": "Where a server would go, and why.",
    "service": "The workers of the cloud.",
    "status": "Whether all is well, for monitoring.",
    "user": "Users.",
}


class Failure(click.ClickException):
    """What went wrong, in one line."""

    def show(self, file: Any = None) -> None:
        click.echo(f"nova-manage: {self.message}", file=file, err=True)


class Commands(click.Group):
    """The words of COMMANDS, and one place where failures become a line and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"nova_lite.cmd.manage.{cmd_name}")
        return cast(click.Command, module.command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in self.list_commands(ctx)])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            message = _words(error)
            if message is None:
                raise
            raise Failure(" ".join(message.split())) from error


def _words(error: Exception) -> str | None:
    """What an operator is told of a failure; None for one that is our own fault."""
    # Loaded by now if they are concerned at all.
    from alembic.util import CommandError
    from oslo_config import cfg
    from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, ProgrammingError

    from nova_lite.domain.errors import NovaLiteError

    if isinstance(error, (OperationalError, ProgrammingError)):
        return f"database: {error.orig} (`nova-manage db version` tells whether it is up to date)"
    if isinstance(error, DBAPIError):
        return f"database: {error.orig}"
    if isinstance(error, (NovaLiteError, CommandError, ArgumentError, OSError, ValueError)):
        return str(error)
    if isinstance(error, cfg.Error):
        return f"configuration: {error}"
    return None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config-file",
    "files",
    multiple=True,
    metavar="FILE",
    help="Configuration to use instead of /etc/nova-lite/nova.conf; may be given again.",
)
@click.pass_context
def command(context: click.Context, files: tuple[str, ...]) -> None:
    """Administer a nova_lite cloud from one of its controllers."""
    context.obj = context.with_resource(Site(files))


def main() -> None:
    command(prog_name="nova-manage")

"""Where passwords come from: never from the command line, which everybody on the host can read."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

password_file_option: Callable[[Any], Any] = click.option(
    "--password-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Its first line is the password; without, it is asked for, or read from standard input.",
)


def read_password(file: Path | None, *, variable: str | None = None) -> str:
    """The first line of `file`; or the environment's; or what is typed, or piped in.

    Raises click.UsageError when that is empty.
    """
    if file is not None:
        found = file.read_text().partition("\n")[0]
    elif variable is not None and os.environ.get(variable):
        found = os.environ[variable]
    elif _at_terminal():
        found = str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    else:
        found = sys.stdin.readline().rstrip("\r\n")
    if not found:
        raise click.UsageError("The password is empty.")
    return found


def _at_terminal() -> bool:
    return sys.stdin.isatty()

"""What was asked for.  bin/quickstart knows the names of the options, here is what they mean."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from nova_lite.cmd.quickstart.terminal import Refusal

REAL_STATE = Path("/var/lib/nova-lite")
PORT = 8774


@dataclass(frozen=True)
class Arguments:
    state: Path
    stop: bool
    purge: bool
    fake: bool
    hosts: int | None  # None: not said; so are the ports
    port: int | None
    metadata_port: int | None
    server: bool
    foreground: bool


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Refusal(message, "bin/quickstart --help")


def parse(words: Sequence[str], environment: Mapping[str, str] = os.environ) -> Arguments:
    """Refuses what nobody could mean."""
    parser = _Parser("quickstart", allow_abbrev=False, add_help=False)
    for name in ("--stop", "--purge", "--fake", "--no-server", "--foreground"):
        parser.add_argument(name, action="store_true")
    parser.add_argument("--state-dir", type=Path)
    parser.add_argument("--hosts", type=_number(1, 1000))
    for name in ("--port", "--metadata-port"):
        parser.add_argument(name, type=_number(1, 65534))
    given = parser.parse_args(words)
    if given.hosts is not None and not given.fake:
        parser.error("--hosts is the number of fake hypervisors: it goes with --fake")
    if given.stop and given.purge:
        parser.error("--purge stops as well: one of both is enough")
    state = given.state_dir or (fake_state(environment) if given.fake else REAL_STATE)
    return Arguments(
        # What is remembered under it must be found from anywhere.
        state=Path(os.path.abspath(state)),
        stop=given.stop,
        purge=given.purge,
        fake=given.fake,
        hosts=given.hosts,
        port=given.port,
        metadata_port=given.metadata_port,
        server=not given.no_server,
        foreground=given.foreground,
    )


def fake_state(environment: Mapping[str, str]) -> Path:
    """Where a user keeps the state of programs (XDG base directories)."""
    home = Path(environment.get("HOME") or Path.home())
    return Path(environment.get("XDG_STATE_HOME") or home / ".local" / "state") / "nova-lite"


def _number(low: int, high: int) -> Callable[[str], int]:
    def number(word: str) -> int:
        value = int(word)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{word} is not between {low} and {high}")
        return value

    return number

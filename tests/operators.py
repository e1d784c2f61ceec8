"""Somebody at the controller's shell, who types nova-manage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from nova_lite.cmd.manage import command


class Operator:
    """`directory` is the state directory; nova.conf is in it."""

    def __init__(self, directory: Path, **options: str) -> None:
        self.directory = directory
        self.file = directory / "nova.conf"
        lines = ["[DEFAULT]", f"state_path = {directory}"]
        for name, value in options.items():
            group, _, option = name.rpartition("__")
            lines += [f"[{group or 'DEFAULT'}]", f"{option} = {value}"]
        self.file.write_text("\n".join(lines) + "\n")

    def runs(self, *words: str, code: int = 0, typed: str = "", **environment: str) -> Result:
        """The result of a command, which ends with `code`."""
        arguments = ["--config-file", str(self.file), *words]
        result = CliRunner().invoke(command, arguments, input=typed, env=environment)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    def sees(self, *words: str, **how: Any) -> str:
        return self.runs(*words, **how).stdout

    def reads(self, *words: str, **how: Any) -> Any:
        return json.loads(self.sees(*words, "-f", "json", **how))

    def is_told(self, *words: str, **how: Any) -> str:
        """The one line about why a command failed."""
        told = self.runs(*words, code=1, **how).stderr
        assert told.count("\n") == 1, told
        return told.strip()

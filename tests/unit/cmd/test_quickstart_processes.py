"""Processes known by their command line."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nova_lite.cmd.quickstart import processes


@contextmanager
def script(directory: Path, code: str, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    path = directory / "cloudd"
    path.write_text(f"{code}\nimport time; print(1, flush=True); time.sleep(60)\n")
    process = subprocess.Popen([sys.executable, path, *words], stdout=subprocess.PIPE)
    with process:
        assert process.stdout and process.stdout.readline()
        yield process
        process.kill()


def test_a_script_is_found_by_its_name_and_what_it_was_told(tmp_path: Path) -> None:
    with script(tmp_path, "", "--config", "/a") as process:
        assert processes.running("cloudd", "/a") == [process.pid]
        assert processes.running("cloudd", "/b") == []
        assert processes.running("other", "/a") == []


def test_it_is_asked_to_end_and_nobody_else(tmp_path: Path) -> None:
    with script(tmp_path, "", "/a") as process, script(tmp_path, "", "/b") as bystander:
        assert processes.end("cloudd", "/a", patience=10) == [process.pid]
        assert process.wait(1) == -15
        assert bystander.poll() is None
        assert processes.end("cloudd", "/a", patience=10) == []


def test_who_does_not_hear_is_killed(tmp_path: Path) -> None:
    with script(tmp_path, "import signal; signal.signal(15, signal.SIG_IGN)", "/a") as process:
        began = time.monotonic()
        processes.end("cloudd", "/a", patience=0.2)
        assert process.wait(5) == -9
        assert time.monotonic() - began < 5


def test_who_is_gone_has_no_command_line() -> None:
    with subprocess.Popen(["true"]) as process:
        pass
    assert processes.command_line(process.pid) == []

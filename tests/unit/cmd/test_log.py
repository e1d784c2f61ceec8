"""Where log lines go, and what they look like."""

from __future__ import annotations

import logging
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nova_lite import config as options
from nova_lite.cmd import log


@pytest.fixture(autouse=True)
def logging_stays_as_it_was() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("nova_lite")
    before = (root.handlers[:], root.level, ours.level)
    yield
    for handler in root.handlers:
        if handler not in before[0]:
            handler.close()
    root.handlers[:], root.level, ours.level = before


def setup(**values: Any) -> None:
    config = options.load(files=[])
    for name, value in values.items():
        config.set_override(name, value)
    log.setup(config)


def test_a_line_says_when_where_and_what_in_utc(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    setup()
    logging.getLogger("nova_lite.test").warning("the %s", "message")
    line = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z WARNING MainThread nova_lite.test the message\n"
    assert re.fullmatch(line, capsys.readouterr().err)


@pytest.mark.parametrize(("debug", "expected"), [(False, "info\n"), (True, "debug\ninfo\n")])
def test_debug_is_for_our_own_words_alone(debug: bool, expected: str, tmp_path: Path) -> None:
    setup(debug=debug, log_file=str(tmp_path / "log"))
    logging.getLogger("nova_lite.x").debug("debug")
    logging.getLogger("nova_lite.x").info("info")
    logging.getLogger("urllib3").info("a request with its token")
    text = (tmp_path / "log").read_text()
    assert re.sub(r"(?m)^.* ", "", text) == expected


def test_a_log_is_not_for_everybody(tmp_path: Path) -> None:
    setup(log_file=str(tmp_path / "log"))
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) & 0o007 == 0

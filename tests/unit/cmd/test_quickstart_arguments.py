"""What bin/quickstart was asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from nova_lite.cmd.quickstart.arguments import REAL_STATE, parse
from nova_lite.cmd.quickstart.terminal import Refusal

JOE = {"HOME": "/home/joe"}


def test_without_options_it_is_a_real_cloud_with_a_server() -> None:
    asked = parse([], JOE)
    assert asked.state == REAL_STATE
    assert asked.server
    assert not (asked.fake or asked.stop or asked.purge or asked.foreground)
    assert asked.port is asked.metadata_port is asked.hosts is None


def test_who_plays_keeps_his_state_at_home() -> None:
    assert parse(["--fake"], JOE).state == Path("/home/joe/.local/state/nova-lite")
    moved = JOE | {"XDG_STATE_HOME": "/elsewhere"}
    assert parse(["--fake"], moved).state == Path("/elsewhere/nova-lite")


def test_the_state_is_found_from_any_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse(["--state-dir", "cloud/../here"]).state == tmp_path / "here"


def test_all_options_are_understood() -> None:
    words = "--fake --hosts 3 --port 9000 --metadata-port=9100 --no-server --foreground"
    asked = parse(words.split(), JOE)
    assert (asked.hosts, asked.port, asked.metadata_port) == (3, 9000, 9100)
    assert asked.foreground and not asked.server


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("--hosts 3", "goes with --fake"),
        ("--fake --hosts 0", "not between 1 and 1000"),
        ("--fake --hosts many", "invalid"),
        ("--port 65535", "not between 1 and 65534"),
        ("--stop --purge", "one of both"),
        ("--sto", "unrecognized"),
    ],
)
def test_nonsense_is_refused_in_one_line(words: str, complaint: str) -> None:
    with pytest.raises(Refusal, match=complaint) as refused:
        parse(words.split(), JOE)
    assert "\n" not in str(refused.value)

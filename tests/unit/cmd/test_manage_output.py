from __future__ import annotations

import datetime as dt
import json
from uuid import UUID

import pytest

from nova_lite.cmd.manage.output import show_list, show_one

ROW = {
    "id": UUID(int=1),
    "name": "one",
    "enabled": True,
    "since": dt.datetime(2030, 1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1))),
    "tags": ["a", "b"],
    "specs": {"key": "value"},
    "host": None,
}


def test_a_table_is_as_wide_as_it_must_be(capsys: pytest.CaptureFixture[str]) -> None:
    show_list("table", ["name", "vm_state"], [{"name": "a long name", "vm_state": "active"}])
    assert capsys.readouterr().out == "NAME         VM STATE\na long name  active\n"


def test_values_are_said_as_people_say_them(capsys: pytest.CaptureFixture[str]) -> None:
    show_one("value", ROW)
    assert capsys.readouterr().out.splitlines() == [
        "00000000-0000-0000-0000-000000000001",
        "one",
        "yes",
        "2030-01-01T00:00:00Z",
        "a, b",
        '{"key": "value"}',
        "-",
    ]


def test_json_keeps_what_json_can_say(capsys: pytest.CaptureFixture[str]) -> None:
    show_list("json", list(ROW), [ROW])
    assert json.loads(capsys.readouterr().out) == [
        {
            "id": "00000000-0000-0000-0000-000000000001",
            "name": "one",
            "enabled": True,
            "since": "2030-01-01T00:00:00Z",
            "tags": ["a", "b"],
            "specs": {"key": "value"},
            "host": None,
        }
    ]


def test_a_name_cannot_steer_the_terminal_or_make_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_list("table", ["name"], [{"name": "\x1b[2Jevil\nname"}])
    assert capsys.readouterr().out == "NAME\n\\x1b[2Jevil\\nname\n"


def test_an_empty_list_has_a_head_and_no_rows(capsys: pytest.CaptureFixture[str]) -> None:
    show_list("table", ["id", "name"], [])
    assert capsys.readouterr().out == "ID  NAME\n"
    show_list("value", ["id", "name"], [])
    assert capsys.readouterr().out == ""

from __future__ import annotations

import importlib
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from nova_lite.cmd.manage import COMMANDS, command, main
from nova_lite.cmd.manage.status import broker_connections

HELP = """
import sys
from nova_lite.cmd.manage import main
sys.argv = ["nova-manage", "--help"]
try:
    main()
except SystemExit as end:
    assert not end.code
dear = {"sqlalchemy", "alembic", "numpy", "oslo_config", "oslo_messaging", "kombu", "argon2"}
print("loaded:", sorted(dear & set(sys.modules)))
"""


def test_help_loads_nothing_dear() -> None:
    ran = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "loaded: []"


@pytest.mark.parametrize("word", COMMANDS)
def test_every_word_has_its_command_and_says_the_same_of_it(word: str) -> None:
    found = importlib.import_module(f"nova_lite.cmd.manage.{word}").command
    assert isinstance(found, click.Command)
    assert (found.help or "").splitlines()[0] == COMMANDS[word]


@pytest.mark.parametrize("word", COMMANDS)
def test_every_list_and_show_can_be_read_by_programs(word: str) -> None:
    found = importlib.import_module(f"nova_lite.cmd.manage.{word}").command
    commands = found.commands if isinstance(found, click.Group) else {}
    for name in {"list", "show", "version", "explain", "check"} & commands.keys():
        options = {option for each in commands[name].params for option in each.opts}
        assert {"-f", "--format"} <= options, f"{word} {name}"


def test_help_lists_every_word() -> None:
    shown = CliRunner().invoke(command, ["--help"]).output
    assert all(f"  {word} " in shown for word in COMMANDS)


def test_main_ends_with_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["nova-manage", "--config-file", "/no/such", "user", "list"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    assert capsys.readouterr().err.startswith("nova-manage: ")


def test_a_transport_url_may_name_several_hosts() -> None:
    found = broker_connections("rabbit://anna:p%40ss@one:1111,two/kitchen")
    assert list(found) == ["one:1111", "two:5672"]
    one, two = found.values()
    assert (one.userid, one.password, one.virtual_host) == ("anna", "p@ss", "kitchen")
    assert (two.userid, two.password) == ("guest", "guest")
    assert next(iter(broker_connections("rabbit://one").values())).virtual_host == "/"

"""Every option explains itself, and what is wrong in a file is told at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from oslo_config import cfg

from nova_lite import config as options
from nova_lite.context import RequestContext

ALL = [(group, option) for group, several in options.GROUPS.items() for option in several]


@pytest.mark.parametrize(("group", "option"), ALL, ids=lambda x: getattr(x, "name", x))
def test_every_option_tells_what_it_is_for_and_has_a_sound_default(
    group: str, option: cfg.Opt
) -> None:
    assert option.help and option.help.endswith(".")
    assert "  " not in option.help
    config = options.load(files=[])
    section = config if group == "DEFAULT" else config[group]
    assert section[option.name] == option.default


def test_whatever_may_hold_a_password_is_secret() -> None:
    names = {f"{group}.{option.name}" for group, option in ALL if option.secret}
    assert names == {"DEFAULT.transport_url", "database.connection"}


def test_everything_listens_on_loopback_unless_told_otherwise() -> None:
    config = options.load(files=[])
    assert {config.api.listen, config.metadata.listen, config.my_ip} == {"127.0.0.1"}


def written(directory: Path, text: str) -> str:
    file = directory / "nova.conf"
    file.write_text(text)
    return str(file)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("[api]\nport = banana\n", "[api] port"),
        ("[api]\nport = 70000\n", "[api] port"),
        ("[api]\nlisten = no address\n", "[api] listen"),
        ("[compute]\ndriver = vmware\n", "[compute] driver"),
        ("[identity]\ntoken_expiration = 1\n", "[identity] token_expiration"),
        ("[scheduler]\nram_allocation_ratio = -1\n", "[scheduler] ram_allocation_ratio"),
        ("[database]\nconnection = mysql+pymysql://u:pa$hunter2@h\n", "[database] connection"),
        ("[database]\nconnection = mysql+pymysql://u:pa${hunter2.x}@h\n", "[database] connection"),
        ("garbage\n", "nova.conf"),
        ("key = value without a group\n[broken\n", "nova.conf"),
    ],
)
def test_what_is_wrong_in_a_file_is_told_at_the_start(
    tmp_path: Path, text: str, names: str
) -> None:
    with pytest.raises(cfg.Error) as caught:
        options.load(files=[written(tmp_path, text)])
    said = str(caught.value)
    assert names in said and "\n" not in said and "hunter2" not in said


def test_what_is_wrong_in_an_option_of_the_command_line_is_told_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        options.load(files=[written(tmp_path, "[DEFAULT]\ndebug = perhaps\n")])
    assert capsys.readouterr().err == "argument --debug: Invalid Boolean value: perhaps\n"


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(cfg.ConfigFilesNotFoundError):
        options.load(["--config-file", str(tmp_path / "missing.conf")])


def test_an_argument_nobody_knows_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        options.load(["--nonsense"], files=[])
    assert caught.value.code == 2
    assert "unrecognized arguments: --nonsense" in capsys.readouterr().err


def test_the_command_line_says_it_better_than_a_file(tmp_path: Path) -> None:
    file = written(
        tmp_path, "[DEFAULT]\nhost = a\ndebug = true\nlog_file = /a.log\n[api]\nport=1\n"
    )
    said = options.load(["--config-file", file])
    assert (said.host, said.debug, said.log_file, said.api.port) == ("a", True, "/a.log", 1)
    said = options.load(["--config-file", file, "--host", "b", "--nodebug", "--log_file", "/b.log"])
    assert (said.host, said.debug, said.log_file) == ("b", False, "/b.log")


def test_a_later_file_says_it_better_than_an_earlier(tmp_path: Path) -> None:
    other = tmp_path / "other.conf"
    other.write_text("[DEFAULT]\nhost = b\n")
    first = written(tmp_path, "[DEFAULT]\nhost = a\nmy_ip = 10.0.0.1\n")
    config = options.load(["--config-file", first, "--config-file", str(other)])
    assert (config.host, config.my_ip) == ("b", "10.0.0.1")


def test_two_configurations_know_nothing_of_each_other(tmp_path: Path) -> None:
    first = options.load(files=[written(tmp_path, "[api]\nport = 1\n")])
    assert options.load(files=[]).api.port == 8774
    assert first.api.port == 1


def test_the_usual_file_is_read_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options, "DEFAULT_FILE", str(tmp_path / "nova.conf"))
    assert options.load().host != "found"
    written(tmp_path, "[DEFAULT]\nhost = found\n")
    assert options.load().host == "found"


def test_the_database_is_in_the_state_directory_unless_told_otherwise(tmp_path: Path) -> None:
    config = options.load(files=[written(tmp_path, "[DEFAULT]\nstate_path = /s\n")])
    assert options.database_url(config) == "sqlite:////s/nova.sqlite"
    assert options.state(config, "keys", "fernet") == Path("/s/keys/fernet")
    said = written(tmp_path, "[database]\nconnection = postgresql+psycopg://u@h/d\n")
    assert options.database_url(options.load(files=[said])) == "postgresql+psycopg://u@h/d"


def test_a_file_beside_the_configuration_goes_before_the_installed(tmp_path: Path) -> None:
    config = options.load(["--config-file", written(tmp_path, "")])
    installed = options.beside(config, "api-paste.ini")
    assert installed and installed.parent != tmp_path
    (tmp_path / "api-paste.ini").touch()
    assert options.beside(config, "api-paste.ini") == tmp_path / "api-paste.ini"
    assert options.beside(config, str(tmp_path / "api-paste.ini")) == tmp_path / "api-paste.ini"
    assert options.beside(config, "no-such-file") is None


def test_a_thing_is_seen_by_its_project_and_by_administrators() -> None:
    ours = RequestContext("req", "u", project_id="ours")
    assert ours.owns("ours") and not ours.owns("theirs")
    admin = RequestContext("req", "u", project_id="ours", roles=frozenset({"admin"}))
    assert admin.owns("theirs")
    nowhere = RequestContext("req", "u")
    assert not nowhere.owns("ours")

"""What is generated from the options, and that it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from oslo_config import cfg

from nova_lite import config as options
from nova_lite.cmd.manage import command
from nova_lite.cmd.manage.config import docs, sample

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("word", "file"),
    [("sample", "etc/nova-lite/nova.conf.sample"), ("docs", "docs/configuration.md")],
)
def test_the_file_is_what_the_options_say(word: str, file: str) -> None:
    made = CliRunner().invoke(command, ["config", word]).output
    assert (ROOT / file).read_text() == made, f"run: nova-manage config {word} > {file}"


def test_the_sample_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "nova.conf"
    file.write_text(sample())
    read, default = options.load(files=[str(file)]), options.load(files=[])
    for group, of_group in options.GROUPS.items():
        for option in of_group:
            assert _value(read, group, option) == _value(default, group, option)


def test_every_default_of_the_sample_can_be_read_back(tmp_path: Path) -> None:
    lines = sample().splitlines()
    given = [line[1:] if line.startswith("#") and line[1:2].isalpha() else line for line in lines]
    file = tmp_path / "nova.conf"
    file.write_text("\n".join(line for line in given if not line.endswith(" =")))
    read, default = options.load(files=[str(file)]), options.load(files=[])
    for group, of_group in options.GROUPS.items():
        for option in of_group:
            if option.sample_default is None:
                assert _value(read, group, option) == _value(default, group, option)


def test_every_option_has_its_reason_on_the_page() -> None:
    page = docs()
    for group, of_group in options.GROUPS.items():
        assert f"## [{group}]" in page
        for option in of_group:
            assert option.help
            assert f"| `{option.dest}` |" in page


def test_secrets_have_no_default_on_the_page() -> None:
    for of_group in options.GROUPS.values():
        for option in of_group:
            if option.secret:
                default = str(option.sample_default or option.default or "")
                assert "@" not in default and "password" not in default


def test_bounds_and_choices_are_said() -> None:
    page = docs()
    assert "| whole number from 1 |" in page
    assert "| one of auto, kvm, qemu |" in page
    assert "| port |" in page


def _value(config: cfg.ConfigOpts, group: str, option: cfg.Opt) -> object:
    return config[option.dest] if group == "DEFAULT" else config[group][option.dest]

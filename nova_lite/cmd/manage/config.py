"""nova-manage config: what the code says of itself, as samples and pages.

nova.conf.sample and docs/configuration.md come from `nova_lite.config`, policy.yaml.sample and
the tables in docs/api from the declarations of the APIs.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

import click
from oslo_config import cfg

from nova_lite.api import FACADES
from nova_lite.config import DEFAULT_FILE, GROUPS

KINDS = {
    cfg.BoolOpt: "boolean",
    cfg.DictOpt: "list of NAME:VALUE, separated by commas",
    cfg.FloatOpt: "number",
    cfg.HostAddressOpt: "address or host name",
    cfg.IntOpt: "whole number",
    cfg.ListOpt: "list, separated by commas",
    cfg.PortOpt: "port",
    cfg.StrOpt: "text",
}


@click.group()
def command() -> None:
    """Print sample configuration, policy rules, endpoints."""


@command.command("sample")
def print_sample() -> None:
    """nova.conf with every option at its default, each with its reason."""
    click.echo(sample(), nl=False)


@command.command("docs")
def print_docs() -> None:
    """The same as a page of documentation, in Markdown."""
    click.echo(docs(), nl=False)


# The APIs are loaded by who asks for them: they are most of the program.


@command.command("policy")
def print_policy() -> None:
    """policy.yaml with every rule at its default, and which requests ask it."""
    from nova_lite.cmd.manage import declared

    click.echo(declared.policy_sample(), nl=False)


@command.command("api")
@click.argument("name", type=click.Choice(FACADES))
def print_api(name: str) -> None:
    """What an API serves, as a table in Markdown."""
    from nova_lite.cmd.manage import declared

    click.echo(declared.endpoint_table(name), nl=False)


@command.command("microversions")
def print_microversions() -> None:
    """What each microversion of the compute API changes, as a table in Markdown."""
    from nova_lite.cmd.manage import declared

    click.echo(declared.steps_table(), nl=False)


def sample() -> str:
    return "\n".join(_sample_lines()) + "\n"


def _sample_lines() -> Iterator[str]:
    yield "# Configuration of nova_lite.  What is commented out stands at its default."
    for group, options in GROUPS.items():
        yield from ("", f"[{group}]")
        for option in options:
            text = f"{option.help} ({_kind(option)})"
            yield from ("", *textwrap.wrap(text, 98, initial_indent="# ", subsequent_indent="# "))
            yield f"#{option.dest} = {_default(option)}".rstrip()


def docs() -> str:
    return "\n".join(_docs_lines()) + "\n"


def _docs_lines() -> Iterator[str]:
    yield from (
        "# Configuration",
        "",
        "Generated from `nova_lite/config.py` by `nova-manage config docs`; do not edit.",
        "",
        f"All programs read `{DEFAULT_FILE}`, or the files named with `--config-file`.",
    )
    for group, options in GROUPS.items():
        yield from ("", f"## [{group}]", "", "| Option | Kind | Default | What it is for |")
        yield "|---|---|---|---|"
        for option in options:
            default = _default(option)
            cells = (
                f"`{option.dest}`",
                _kind(option),
                f"`{default}`" if default else "",
                option.help or "",
            )
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _kind(option: Any) -> str:
    """'whole number from 0 to 10', 'one of a, b'."""
    choices = getattr(option.type, "choices", None)
    if choices:
        return f"one of {', '.join(map(str, choices))}"
    low, high = getattr(option.type, "min", None), getattr(option.type, "max", None)
    if isinstance(option, cfg.PortOpt):
        low = high = None  # everybody knows
    bounds = [f" from {low:g}" if low is not None else "", f" to {high:g}" if high else ""]
    return KINDS[type(option)] + "".join(bounds)


def _default(option: Any) -> str:
    value = option.default if option.sample_default is None else option.sample_default
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return ",".join(f"{name}:{of_name}" for name, of_name in value.items())
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value)

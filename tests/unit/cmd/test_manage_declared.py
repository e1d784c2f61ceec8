"""What is generated from the declarations of the APIs, and that it was."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # comes with oslo.policy, without types
from click.testing import CliRunner

from nova_lite.api import FACADES
from nova_lite.api.policy import Policy
from nova_lite.api.rules import RULES
from nova_lite.cmd.manage import command
from nova_lite.cmd.manage.declared import endpoints_of, policy_sample, steps

ROOT = Path(__file__).parents[3]
GENERATED = re.compile(r"(<!-- generated: nova-manage ([^\n]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def printed(words: str) -> str:
    result = CliRunner().invoke(command, words.split())
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("facade", FACADES)
def test_the_page_of_an_api_lists_what_is_served(
    facade: str, golden: Callable[[str, str], None]
) -> None:
    page = (ROOT / f"docs/api/{facade}.md").read_text()
    assert f"config api {facade}" in page
    made = GENERATED.sub(lambda part: part[1] + printed(part[2]) + part[3], page)
    golden(f"../../docs/api/{facade}.md", made)
    for endpoint in endpoints_of(facade):
        assert f"`{endpoint.method} {endpoint.path or '/'}" in made or endpoint.method == "HEAD"


def test_the_sample_of_the_policy_is_what_the_rules_say(
    golden: Callable[[str, str], None],
) -> None:
    golden("../../etc/nova-lite/policy.yaml.sample", printed("config policy"))


def test_every_rule_is_in_the_sample_with_its_default_and_nothing_else(tmp_path: Path) -> None:
    text = policy_sample()
    assert yaml.safe_load(text) is None
    given = re.sub(r'^#"', '"', text, flags=re.MULTILINE)
    assert yaml.safe_load(given) == RULES
    file = tmp_path / "policy.yaml"
    file.write_text(given)
    Policy(str(file))  # nothing to complain about


def test_above_a_rule_stands_every_request_that_asks_it() -> None:
    above: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in policy_sample().splitlines():
        if rule := re.match(r'#"([^"]+)": ', line):
            above[rule[1]], lines = lines, []
        else:
            lines.append(line)
    for facade in FACADES:
        for endpoint in endpoints_of(facade):
            if endpoint.policy in RULES:
                said = f"# {endpoint.method:6} /{facade}{endpoint.path}"
                assert any(line.startswith(said) for line in above[endpoint.policy]), said


def test_the_steps_of_compute_are_told_by_what_is_declared() -> None:
    found = steps()
    assert found[2, 9]["servers show"] == ["`locked`"]
    assert "`GET /v2.1/servers/{id}/tags`" in found[2, 26]["new:"]
    assert "`POST /v2.1/servers`" in found[2, 19]["`description` for"]
    assert "`GET /v2.1/images`" in found[2, 36]["no more:"]
    assert "`flavor`" in found[2, 47]["servers show another"]
    assert "`GET /v2.1/servers`" in found[2, 75]["no unknown parameters for"]
    assert "`vcpus`" in found[2, 88]["hypervisors no longer show"]
    assert min(found) > (2, 1)

"""Rules, their defaults, and what an operator makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from oslo_policy.policy import PolicyNotRegistered

from nova_lite.api.declare import Request
from nova_lite.api.policy import Policy, allows
from nova_lite.api.rules import RULES
from nova_lite.context import RequestContext
from nova_lite.domain.errors import Unauthorized

ROLES = {
    "reader": frozenset({"reader"}),
    "member": frozenset({"member", "reader"}),
    "admin": frozenset({"admin", "manager", "member", "reader"}),
}


def may(policy: Policy, rule: str, role: str, **more: Any) -> bool:
    context = RequestContext("req", "u", **{"project_id": "p", "roles": ROLES[role], **more})
    return allows(rule, asking(policy, context))


def asking(policy: Policy, context: RequestContext | None = None) -> Request:
    request = Request.blank("/")
    request.environ.update({"nova_lite.policy": policy, "nova_lite.context": context})
    return request


def overridden(directory: Path, text: str) -> Policy:
    file = directory / "policy.yaml"
    file.write_text(text)
    return Policy(str(file))


def test_the_defaults_are_by_role() -> None:
    policy = Policy()
    who_may = {
        rule: [role for role in ROLES if may(policy, rule, role)]
        for rule in ("get_network", "create_network", "get_agent")
    }
    assert who_may == {
        "get_network": ["reader", "member", "admin"],
        "create_network": ["member", "admin"],
        "get_agent": ["admin"],
    }


def test_every_rule_can_be_asked_and_admins_may_everything() -> None:
    policy = Policy()
    for rule in RULES:
        assert may(policy, rule, "admin"), rule
        nobody = RequestContext("req", "u")
        everybody = RULES[rule] in ("@", "not token_scope:domain")
        assert allows(rule, asking(policy, nobody)) == everybody, rule


def test_a_reader_of_the_system_may_look_where_one_of_a_project_may_not() -> None:
    policy = Policy()
    assert not may(policy, "identity:list_users", "reader")
    assert may(policy, "identity:list_users", "reader", project_id=None, system_scope=True)
    assert not may(policy, "identity:create_user", "reader", project_id=None, system_scope=True)


def test_an_operator_overrides_a_rule_and_the_others_stay(tmp_path: Path) -> None:
    policy = overridden(
        tmp_path,
        '"create_network": "role:admin"\n"get_agent": "role:reader"\n"upload_image": "!"\n',
    )
    assert not may(policy, "create_network", "member") and may(policy, "create_network", "admin")
    assert may(policy, "get_agent", "reader")
    assert not may(policy, "upload_image", "admin")
    assert may(policy, "get_network", "reader") and not may(policy, "create_port", "reader")


def test_a_rule_of_the_operators_own_can_be_built_upon(tmp_path: Path) -> None:
    policy = overridden(tmp_path, '"builders": "role:member"\n"get_agent": "rule:builders"\n')
    assert may(policy, "get_agent", "member") and not may(policy, "get_agent", "reader")


@pytest.mark.parametrize(
    "rule", ["rule:no_such_rule", "nonsense", "role:", "((", "project_id:%(project_id)s"]
)
def test_a_rule_that_says_nothing_lets_nobody_in(tmp_path: Path, rule: str) -> None:
    policy = overridden(tmp_path, f'"get_network": "{rule}"\n')
    assert not may(policy, "get_network", "admin")


def test_an_unknown_rule_lets_nobody_in(tmp_path: Path) -> None:
    for policy in (Policy(), overridden(tmp_path, '"no:such": "@"\n')):
        with pytest.raises(PolicyNotRegistered):
            may(policy, "no:such", "admin")


def test_nobody_is_asked_for_a_token_before_any_rule() -> None:
    with pytest.raises(Unauthorized):
        allows("get_extension", asking(Policy()))


@pytest.mark.parametrize(
    "text", ['"get_network: [', '"get_network": 5\n', "- a\n- b\n", "just words\n"]
)
def test_a_policy_file_that_cannot_be_read_is_told_at_start(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="policy"):
        overridden(tmp_path, text)


def test_a_file_that_changes_is_heeded_by_the_next_process(tmp_path: Path) -> None:
    policy = overridden(tmp_path, '"get_network": "!"\n')
    overridden(tmp_path, '"get_network": "@"\n"get_port": "!"\n')
    assert not may(policy, "get_network", "reader")
    assert may(policy, "get_port", "reader")

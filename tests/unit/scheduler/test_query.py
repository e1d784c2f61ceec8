"""Hosts by an expression of the user's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nova_lite.scheduler import filters
from nova_lite.scheduler.base import Placement
from nova_lite.scheduler.fleet import Fleet
from nova_lite.scheduler.query import matching
from nova_lite.testing.haste import within
from nova_lite.testing.scheduler import a_host

FLEET = Fleet(
    [
        a_host("a", memory_mb_used=8, hypervisor_type="QEMU"),
        a_host("b", hypervisor_type="QEMU"),
        a_host("c", hypervisor_type="fake", instances=2),
    ]
)


def found(expression: Any, fleet: Fleet = FLEET) -> str:
    text = expression if isinstance(expression, str) else json.dumps(expression)
    mask = matching(text, fleet)
    return "".join(name for name, yes in zip(fleet.names, mask, strict=True) if yes)


@pytest.mark.parametrize(
    ("expression", "left"),
    [
        ([">=", "$free_ram_mb", 9], "bc"),
        (["<", "$free_ram_mb", 9], "a"),
        ([">", "$num_instances", 1], "c"),
        (["<=", "$num_instances", 1, 0], "ab"),
        (["=", "$hypervisor_type", "QEMU"], "ab"),
        (["in", "$hypervisor_type", "fake", "xen"], "c"),
        (["in", "$num_instances", 0, 5], "ab"),
        (["in", "$num_instances"], ""),
        (["=", "$capabilities.hypervisor_type", "fake"], "c"),
        (["and", [">=", "$free_ram_mb", 9], ["=", "$hypervisor_type", "QEMU"]], "b"),
        (["or", ["<", "$free_ram_mb", 9], ["=", "$hypervisor_type", "fake"]], "ac"),
        (["not", ["=", "$hypervisor_type", "QEMU"]], "c"),
        (["=", 1, 1], "abc"),
        (["=", 1], ""),
        (["=", "$hypervisor_type", 5], ""),
        (["<", "$hypervisor_type", 5], ""),
        ("true", "abc"),
        ("5", "abc"),
        ('"text"', ""),
        ("null", ""),
        (["=", "$nonesuch", 1], ""),
        (["sum", 1, 2], ""),
        ([["="], 1], ""),
        (["="], ""),
        ([], ""),
        ("not JSON", ""),
        ({"free_ram_mb": 1}, ""),
    ],
)
def test_an_expression_keeps_the_hosts_of_which_it_is_true(expression: Any, left: str) -> None:
    assert found(expression) == left


def test_an_expression_is_bounded() -> None:
    deep: Any = ["=", 1, 1]
    for _ in range(20):
        deep = ["and", deep]
    with within(1):
        assert found(deep) == ""
        assert found(["in", *range(500)]) == ""
        assert found("[" * 5000) == found("1" + " " * 5000) == ""


def test_there_may_be_no_hosts() -> None:
    assert found(["=", "$hypervisor_type", "QEMU"], Fleet([])) == ""


def test_it_is_a_filter() -> None:
    rule = filters.enabled(["JsonFilter"])["JsonFilter"]
    request = Placement(1, 1, 1, query='["=", 1, 2]')
    assert rule.describe(request) == 'query ["=", 1, 2]'
    mask = rule.mask(request, FLEET, FLEET.up)
    assert mask is not None and not mask.any()
    assert rule.concerns(request)  # type: ignore[attr-defined]
    assert not rule.concerns(Placement(1, 1, 1))  # type: ignore[attr-defined]

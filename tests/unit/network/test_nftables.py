from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nova_lite.domain.errors import NetworkError
from nova_lite.domain.specs import NetworkPlan
from nova_lite.network import nftables
from nova_lite.testing.network import GATEWAY, OTHER_PLAN, PLAN

QUIET = replace(GATEWAY, leases=None, snat=False, metadata=None)

CASES = {
    "nothing": [],
    "bridge-only": [replace(PLAN, gateway=None)],
    "flat-dhcp": [PLAN],
    "metadata-elsewhere": [replace(PLAN, gateway=replace(GATEWAY, metadata="192.0.2.9:80"))],
    "router-only": [replace(PLAN, gateway=QUIET)],
    "two-networks": [PLAN, OTHER_PLAN],
}


@pytest.mark.parametrize("case", CASES)
def test_rules_are_as_reviewed(case: str, golden: Callable[[str, str], None]) -> None:
    commands = nftables.transaction(CASES[case])
    lines = ",\n".join(json.dumps(command) for command in commands)
    golden(f"nftables/{case}.json", f"[\n{lines}\n]\n")


@pytest.mark.parametrize("plans", CASES.values(), ids=CASES)
def test_no_command_names_anything_but_our_table(plans: list[NetworkPlan]) -> None:
    for command in nftables.transaction(plans):
        (thing,) = command.values()
        ((kind, content),) = thing.items()
        assert content["family"] == "inet"
        assert content["name" if kind == "table" else "table"] == "nova_lite"


def test_guests_coming_and_going_need_no_new_rules() -> None:
    empty = replace(PLAN, gateway=replace(GATEWAY, leases=()))
    assert nftables.transaction([PLAN]) == nftables.transaction([empty])


def test_a_host_without_nft_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NetworkError, match="nft cannot be run"):
        nftables.fingerprint()

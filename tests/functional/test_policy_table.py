"""Who may do what, for every endpoint there is: the table, and that it would tell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import pytest
import webob

from nova_lite.api.declare import FIRST, LATEST, PUBLIC
from nova_lite.api.identity.rules import ADMIN
from nova_lite.api.rules import RULES
from tests.functional.endpoints import Declared, declared, said
from tests.functional.town import OWNED, Town

ENDPOINTS = list(declared())
#: Whoever asks with ids of nothing and with bodies that say nothing, column by column.
WHO = {
    "none": "nobody",
    "read": "reader",
    "memb": "member",
    "mana": "manager",
    "admn": "admin",
    "sysR": "system reader",
    "sysA": "system admin",
    "domM": "domain manager",
    "serv": "service",
}
HEAD = """\
# Who may do what.  Generated from the declarations by tests/functional/test_policy_table.py
# (--update-golden writes it anew; its diff is the review).
#
# Asked for with ids of nothing and a body that says nothing, by nobody, by a reader, member,
# manager and admin of a project, a reader and an admin of the system, a manager of a domain,
# and a service: 401, 403, or "ok" where policy has let them through.
# "strg": the status for a member of another project who names what is the first one's.
"""


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = Town(tmp_path_factory.mktemp("town"))
    yield town
    town.cloud.close()


def least(each: Declared) -> Any:
    """A body that says nothing but which action is meant."""
    if each.endpoint.action is not None:
        return {each.endpoint.action: None}
    return (
        {} if each.endpoint.method in ("POST", "PUT", "PATCH") and not each.endpoint.raw else None
    )


def verdict(response: webob.Response) -> str:
    return {401: "401", 403: "403"}.get(response.status_int, "ok")


def is_owned(each: Declared) -> bool:
    """Whether it is about a thing that is somebody's."""
    return any(
        collection in OWNED and id.startswith("{")
        for collection, id in pairwise(each.template.split("/"))
    )


def outcomes(town: Town, each: Declared) -> tuple[str, ...]:
    """A verdict for each of WHO, and a status for the stranger."""
    of_all = [verdict(town.call(each, who, {}, least(each))) for who in WHO.values()]
    stranger = "-"
    if is_owned(each):
        stranger = str(town.call(each, "stranger", town.known, each.body()).status_int)
    return (*of_all, stranger)


def place(each: Declared) -> str:
    return " ".join(filter(None, (each.endpoint.method, each.template, each.endpoint.action)))


def lines(town: Town, endpoints: Iterable[Declared]) -> Iterator[str]:
    """One for each endpoint; its variants by microversion share it if nobody's lot differs."""
    rows = [((place(e), e.endpoint.policy, outcomes(town, e)), e.endpoint) for e in endpoints]
    for (where, rule, results), variants in groupby(rows, key=lambda row: row[0]):
        of_it = [endpoint for _, endpoint in variants]
        since, until = min(e.since for e in of_it), max(e.until for e in of_it)
        versions = "-".join(
            "" if end else said(version)
            for end, version in ((since == FIRST, since), (until == LATEST, until))
        )
        columns = f"{where:95} {versions.strip('-') and versions:10} {rule:62} "
        yield columns + " ".join(f"{result:4}" for result in results).rstrip()


def test_who_may_do_what_is_written_down(town: Town, golden: Callable[[str, str], None]) -> None:
    title = f"{'# endpoint':95} {'versions':10} {'rule':62} {' '.join((*WHO, 'strg'))}"
    text = "".join(f"{line}\n" for line in (title, *lines(town, ENDPOINTS)))
    golden("policy.txt", HEAD + text)


def test_nobody_but_who_shows_who_he_is_gets_anything(town: Town) -> None:
    let_in = [
        each.name
        for each in ENDPOINTS
        if each.endpoint.policy is not PUBLIC
        and town.call(each, "nobody", {}, least(each)).status_int != 401
    ]
    assert not let_in


def test_nothing_that_is_anothers_is_changed_or_shown(town: Town) -> None:
    shown = []
    for each in filter(is_owned, ENDPOINTS):
        status = town.call(each, "stranger", town.known, each.body()).status_int
        if status < 400:
            shown.append((each.name, status))
    assert not shown
    for collection in ("compute/v2.1/servers", "image/v2/images", "network/v2.0/ports"):
        kept = town.known[collection.split("/")[-1]]
        town.root.get(f"/{collection}/{kept}", token=town.tokens["member"])


def test_a_rule_that_is_loosened_by_mistake_shows_in_the_table(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    guarded = [e for e in ENDPOINTS if RULES.get(e.endpoint.policy) in ("role:admin", ADMIN)]
    assert {e.facade for e in guarded} == {"identity", "compute", "image", "network"}
    some = [
        next(e for e in guarded if e.facade == facade) for facade in {e.facade for e in guarded}
    ]
    before = [outcomes(town, each) for each in some]
    for each in some:
        monkeypatch.setitem(RULES, each.endpoint.policy, "role:member")
    town.cloud.__dict__.pop("application", None)  # the next one is as after a restart
    try:
        after = [outcomes(town, each) for each in some]
    finally:
        monkeypatch.undo()
        town.cloud.__dict__.pop("application", None)
    for was, now in zip(before, after, strict=True):
        assert was != now and (was[2], now[2]) == ("403", "ok")


def test_what_an_operator_writes_into_policy_yaml_is_what_holds(town: Town, tmp_path: Path) -> None:
    """A rule of each API loosened, another tightened, by the names its operators know."""
    file = tmp_path / "policy.yaml"
    file.write_text(
        '"os_compute_api:os-hypervisors:list": "role:reader"\n'
        '"os_compute_api:servers:detail": "role:admin"\n'
        '"identity:list_users": "role:manager"\n'
        '"identity:get_auth_projects": "!"\n'
        '"stores_info_detail": "role:service or role:admin"\n'
        '"get_images": "rule:nobody_here"\n'
        '"nobody_here": "role:no_such_role"\n'
        '"get_agent": "role:member"\n'
        '"get_network": "role:manager"\n'
    )
    let_in = {
        "/compute/v2.1/os-hypervisors": {"reader", "member", "manager", "admin"},
        "/compute/v2.1/servers/detail": {"admin"},
        "/compute/v2.1/servers": {"reader", "member", "manager", "admin"},
        "/identity/v3/users": {"manager", "admin"},
        "/identity/v3/auth/projects": set(),
        "/image/v2/info/stores/detail": {"service", "admin"},
        "/image/v2/images": set(),
        "/network/v2.0/agents": {"member", "manager", "admin"},
        "/network/v2.0/networks": {"manager", "admin"},
    }
    town.cloud.config.set_override("policy_file", str(file), group="api")
    town.cloud.__dict__.pop("application", None)
    try:
        for path, expected in let_in.items():
            answers = {
                who: town.root.call("GET", path, token=town.tokens[who]).status_int
                for who in ("reader", "member", "manager", "admin", "service")
            }
            assert {who for who, status in answers.items() if status == 200} == expected, path
            assert set(answers.values()) <= {200, 403}
    finally:
        town.cloud.config.clear_override("policy_file", group="api")
        town.cloud.__dict__.pop("application", None)

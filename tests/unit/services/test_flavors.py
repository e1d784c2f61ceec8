"""What can be done with flavors, and by whom."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from nova_lite.domain.errors import Conflict, Invalid, NotFound
from nova_lite.services.compute.flavors import SORT_KEYS, NewFlavor
from tests.unit.services.site import ADMIN, ALICE, BOB, Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def new(name: str, **values: object) -> NewFlavor:
    return NewFlavor(name=name, memory_mb=64, vcpus=1, root_gb=1, **values)  # type: ignore[arg-type]


def test_a_flavor_without_an_id_draws_one(site: Site) -> None:
    made = site.flavors.create(ADMIN, new("a"))
    assert len(made.flavorid) == 36
    assert site.flavors.get(ALICE, made.flavorid).name == "a"


def test_of_many_who_make_the_same_flavor_one_does(site: Site) -> None:
    outcomes: list[str] = []

    def make() -> None:
        try:
            site.flavors.create(ADMIN, new("a", flavorid="a"))
            outcomes.append("made")
        except Conflict:
            outcomes.append("conflict")

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["conflict"] * 7 + ["made"]


@pytest.mark.parametrize("key", SORT_KEYS)
@pytest.mark.parametrize("descending", [False, True])
def test_pages_of_one_make_the_whole_list_in_any_order(
    site: Site, key: str, descending: bool
) -> None:
    for i in range(4):
        site.add_flavor(f"f{i}", memory_mb=64 * (i % 2 + 1), rxtx_factor=1.0 + i % 3)
    whole = site.flavors.list(ADMIN, sort_key=key, descending=descending)
    seen: list[str] = []
    while True:
        page = site.flavors.list(
            ADMIN,
            sort_key=key,
            descending=descending,
            limit=1,
            marker=seen[-1] if seen else None,
        )
        if not page:
            break
        seen.append(page[0].flavorid)
    assert seen == [flavor.flavorid for flavor in whole] and len(seen) == 4


def test_a_disabled_flavor_is_for_administrators_only_to_see(site: Site) -> None:
    site.add_flavor("off", disabled=True)
    assert [f.flavorid for f in site.flavors.list(ADMIN)] == ["off"]
    assert list(site.flavors.list(ALICE)) == []
    with pytest.raises(Invalid, match="off could not be found"):
        site.create(flavor_id="off")


def test_what_was_granted_can_be_withdrawn(site: Site) -> None:
    site.add_flavor("secret", is_public=False)
    with pytest.raises(NotFound):
        site.flavors.get(ALICE, "secret")
    assert list(site.flavors.grant(ADMIN, "secret", "red")) == ["red"]
    assert list(site.flavors.grant(ADMIN, "secret", "blue")) == ["blue", "red"]
    assert site.flavors.get(ALICE, "secret").flavorid == "secret"
    assert list(site.flavors.withdraw(ADMIN, "secret", "red")) == ["blue"]
    assert [f.flavorid for f in site.flavors.list(BOB)] == ["secret"]
    with pytest.raises(NotFound):
        site.flavors.get(ALICE, "secret")


def test_grants_go_with_the_flavor(site: Site) -> None:
    site.add_flavor("secret", is_public=False)
    site.flavors.grant(ADMIN, "secret", "red")
    site.flavors.delete(ADMIN, "secret")
    site.add_flavor("secret", is_public=False)
    assert list(site.flavors.projects(ADMIN, "secret")) == []

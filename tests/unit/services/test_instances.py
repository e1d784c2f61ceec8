"""What can be done with instances, whoever asks."""

from __future__ import annotations

import base64
import threading
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from nova_lite.db.models import Image, ImageStatus, Instance
from nova_lite.domain.errors import (
    Conflict,
    Forbidden,
    Invalid,
    InvalidState,
    NotFound,
)
from nova_lite.domain.states import PowerState, VmState
from nova_lite.services.compute import instance_access, instances
from nova_lite.services.compute.instance_lists import SORT_KEYS, Filters
from nova_lite.services.compute.instance_references import NetworkRequest
from nova_lite.services.compute.instances import MAX_TAGS, NewInstance
from tests.unit.services.site import ADMIN, ALICE, BOB, NOBODY, Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.add_flavor()
    return site


def edit(site: Site, id: UUID, **values: Any) -> None:
    with site.database.write() as session:
        instance = session.query(Instance).filter_by(id=id).one()
        for name, value in values.items():
            setattr(instance, name, value)


def idle(site: Site, by: Any = ALICE, state: VmState = VmState.ACTIVE, **values: Any) -> UUID:
    """An instance that nothing is happening to."""
    id = site.create(by, **values)
    edit(site, id, operation_id=None, task_state=None, vm_state=state, host="a", zone="nova")
    return id


# --- creating ---------------------------------------------------------------------------------


def test_what_is_promised_is_written_before_anybody_is_woken(site: Site) -> None:
    id = site.create()
    instance = site.instances.get(ALICE, id)
    assert instance.vm_state is VmState.BUILDING and instance.task_state == "scheduling"
    assert site.woken == [instance.operation_id]
    (operation,) = site.instances.actions(ALICE, id)
    assert (operation.action, operation.request_id) == ("create", "req-a")


def test_a_token_without_a_project_creates_nothing(site: Site) -> None:
    with pytest.raises(Forbidden):
        site.create(NOBODY)


@pytest.mark.parametrize(
    ("name", "hostname"),
    [
        ("Web Server_1.example", "web-server-1-example"),
        ("-x-", "x"),
        ("x" * 80, "x" * 63),
        ("../etc/passwd", "etcpasswd"),
        ("ünï", "n"),
    ],
)
def test_a_host_name_is_a_dns_label(site: Site, name: str, hostname: str) -> None:
    assert site.instances.get(ALICE, site.create(name=name)).hostname == hostname


def test_a_name_of_no_letters_gives_a_host_name_by_its_id(site: Site) -> None:
    id = site.create(name="日本")
    assert site.instances.get(ALICE, id).hostname == f"server-{id}"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"status": ImageStatus.QUEUED}, "is not active"),
        ({"min_ram": 65}, "memory is too small"),
        ({"min_disk": 2}, "disk is smaller"),
        ({"virtual_size": (1 << 30) + 1}, "disk is smaller"),
        ({"deleted": True}, "could not be found"),
        ({"owner": "blue"}, "could not be found"),
    ],
)
def test_an_image_that_will_not_do(site: Site, values: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        site.create(image_id=site.add_image(**values))


def test_an_image_that_will(site: Site) -> None:
    for values in ({"min_ram": 64, "min_disk": 1}, {"owner": "blue", "visibility": "public"}):
        image = site.add_image(virtual_size=1 << 30, **values)
        assert site.instances.get(ALICE, site.create(image_id=image)).image_id == image
    with site.database.read() as session:
        assert session.query(Image).count() == 2


def test_a_flavor_without_a_disk_takes_an_image_of_any_size(site: Site) -> None:
    site.add_flavor("diskless", root_gb=0)
    site.create(flavor_id="diskless", image_id=site.add_image(virtual_size=9 << 30))


def test_user_data_is_base64_and_not_too_long(site: Site) -> None:
    data = base64.b64encode(b"x" * 65535).decode()
    folded = "\n".join(data[i : i + 76] for i in range(0, len(data), 76))
    assert site.instances.get(ALICE, site.create(user_data=folded)).user_data == data
    for wrong in ("%%%", base64.b64encode(b"x" * 65536).decode()):
        with pytest.raises(Invalid, match="User data"):
            site.create(user_data=wrong)


def test_any_network_is_none_when_there_is_none_and_auto_insists(site: Site) -> None:
    site.create(networks="any")
    with pytest.raises(Invalid, match="automatically allocate"):
        site.create(networks="auto")
    mine = site.add_network()
    site.add_network("blue")
    for wanted in ("any", "auto"):
        id = site.create(networks=wanted)
        (operation,) = site.instances.actions(ALICE, id)
        assert operation.args["networks"] == [
            {"network": str(mine), "address": None, "port": None, "tag": None}
        ]
    site.add_network("blue", shared=True)
    with pytest.raises(Conflict, match="Multiple possible networks"):
        site.create(networks="any")


def test_a_network_of_another_project_is_not_there(site: Site) -> None:
    theirs = site.add_network("blue")
    with pytest.raises(Invalid, match="could not be found"):
        site.create(networks=[NetworkRequest(theirs)])
    mine = site.add_network()
    site.create(networks=[NetworkRequest(mine, "10.0.0.5")])
    with pytest.raises(Invalid, match="not a valid IP"):
        site.create(networks=[NetworkRequest(mine, "10.0.1.5")])


def test_zone_and_host_must_be_there_at_all(site: Site) -> None:
    site.add_host("a", zone="north")
    site.create(zone="north", host="a")
    with pytest.raises(Invalid, match="zone"):
        site.create(zone="south")
    with pytest.raises(Invalid, match="host b"):
        site.create(host="b")


# --- lists ------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", SORT_KEYS)
@pytest.mark.parametrize("down", [False, True])
def test_pages_of_one_make_the_whole_list_in_any_order(site: Site, key: str, down: bool) -> None:
    """Also where values are equal, or missing."""
    for i in range(4):
        id = site.create(name=f"s{i % 2}")
        if i % 2:
            edit(site, id, host="a", zone="nova", launched_at=site.now(), image_id=uuid4())
    sort = [(key, down)]
    whole = site.instances.list(ALICE, Filters(), limit=10, sort=sort)
    seen: list[UUID] = []
    while True:
        marker = seen[-1] if seen else None
        page = site.instances.list(ALICE, Filters(), limit=1, marker=marker, sort=sort)
        if not page:
            break
        seen.append(page[0].id)
    assert seen == [row.id for row in whole] and len(set(seen)) == 4


def test_a_list_has_no_secrets_in_it(site: Site) -> None:
    site.create(user_data="aGk=")
    (row,) = site.instances.list(ALICE, Filters(), limit=1)
    assert not {"key_data", "user_data"} & set(row._fields)
    (row,) = site.instances.list(ALICE, Filters(), limit=1, user_data=True)
    assert row.user_data == "aGk=" and "key_data" not in row._fields


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("web", {"web1", "web2", "a.web"}),
        ("^web", {"web1", "web2"}),
        ("web$", {"a.web"}),
        ("^web1$", {"web1"}),
        (r"a\.web", {"a.web"}),
        ("%", {"100%"}),
        ("_", set()),
        ("|", set()),
        ("(a+)+$", set()),
        (r"100%\$", set()),
    ],
)
def test_a_name_filter_understands_anchors_and_nothing_that_costs(
    site: Site, pattern: str, found: set[str]
) -> None:
    for name in ("web1", "web2", "a.web", "100%"):
        site.create(name=name)
    rows = site.instances.list(ALICE, Filters(name=pattern), limit=10)
    assert {row.display_name for row in rows} == found


def test_only_administrators_look_over_the_fence(site: Site) -> None:
    mine, theirs = site.create(), site.create(BOB)
    everything = Filters(all_projects=True)

    def ids(by: Any, filters: Filters) -> list[UUID]:
        return [row.id for row in site.instances.list(by, filters, limit=10)]

    assert ids(ALICE, everything) == [mine]
    assert ids(ADMIN, everything) == [theirs, mine]
    assert ids(ADMIN, Filters(all_projects=True, project_id="red")) == [mine]
    assert ids(ADMIN, Filters()) == []
    assert ids(ALICE, Filters(ids=[mine, theirs])) == [mine]
    assert ids(ALICE, Filters(equal={"user_id": "bob"})) == []
    with pytest.raises(Forbidden):
        ids(NOBODY, Filters())


def test_a_tag_is_found_as_it_is_and_not_as_a_part_of_another(site: Site) -> None:
    id = site.create()
    site.instances.set_tags(ALICE, id, ['say "hi"', "100%", "é", "back\\slash"])

    def found(tag: str) -> bool:
        return bool(site.instances.list(ALICE, Filters(tags=[tag]), limit=1))

    assert all(map(found, ('say "hi"', "100%", "é", "back\\slash")))
    assert not any(map(found, ("hi", "say", "100", "1%0", "back", "slash", '"', "_")))


# --- changing ---------------------------------------------------------------------------------


def test_changes_at_the_same_time_are_all_kept(site: Site) -> None:
    id = site.create()

    def add(i: int) -> None:
        site.instances.set_metadata(ALICE, id, {f"k{i}": "v"})
        site.instances.add_tag(ALICE, id, f"t{i}")

    threads = [threading.Thread(target=add, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    instance = site.instances.get(ALICE, id)
    assert len(instance.properties) == 8 and len(instance.tags) == 8


def test_more_tags_than_there_may_be(site: Site) -> None:
    id = site.create()
    site.instances.set_tags(ALICE, id, [str(i) for i in range(MAX_TAGS)])
    assert site.instances.add_tag(ALICE, id, "1") is False
    with pytest.raises(Invalid, match="limit 50"):
        site.instances.add_tag(ALICE, id, "more")
    with pytest.raises(NotFound):
        site.instances.remove_tag(ALICE, id, "more")


def test_an_owners_lock_does_not_weaken_an_administrators(site: Site) -> None:
    id = idle(site)
    site.instances.lock(ADMIN, id)
    site.instances.lock(ALICE, id)
    with pytest.raises(Forbidden):
        site.instances.unlock(ALICE, id)
    with pytest.raises(Conflict, match="locked"):
        site.instances.delete(ALICE, id)
    site.instances.stop(ADMIN, id)
    site.instances.unlock(ADMIN, id)
    site.instances.lock(ALICE, id)
    site.instances.unlock(ALICE, id)
    assert site.instances.get(ALICE, id).locked_by is None


def test_a_reset_gives_up_what_is_under_way(site: Site) -> None:
    id = site.create()
    site.instances.reset(ADMIN, id, VmState.ERROR)
    instance = site.instances.get(ALICE, id)
    assert instance.vm_state is VmState.ERROR and instance.operation_id is None
    (operation,) = site.instances.actions(ALICE, id)
    assert operation.status == "cancelled" and operation.wake_at is None
    site.instances.reset(ADMIN, id, VmState.ACTIVE)
    assert site.instances.get(ALICE, id).vm_state is VmState.ACTIVE


def test_a_reset_that_somebody_else_was_quicker_than_is_a_conflict(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = site.create()
    look = instance_access.found

    def quick(*args: Any, **how: Any) -> Instance:
        instance: Instance = look(*args, **how)
        instance.operation_id = uuid4()
        args[0].expunge(instance)
        return instance

    monkeypatch.setattr(instances, "found", quick)
    with pytest.raises(Conflict, match="being changed by another request"):
        site.instances.reset(ADMIN, id, VmState.ERROR)


# --- deeds ------------------------------------------------------------------------------------


def test_a_deed_is_written_down_and_its_instance_held(site: Site) -> None:
    id = idle(site)
    site.instances.reboot(ALICE, id, hard=True)
    instance = site.instances.get(ALICE, id)
    assert instance.task_state == "rebooting_hard" and instance.operation_id in site.woken
    with pytest.raises(InvalidState, match="rebooting_hard"):
        site.instances.stop(ALICE, id)


def test_one_of_many_at_the_same_time_is_done(site: Site) -> None:
    id = idle(site)
    outcomes: list[bool] = []

    def stop() -> None:
        try:
            site.instances.stop(ALICE, id)
            outcomes.append(True)
        except InvalidState:
            outcomes.append(False)

    threads = [threading.Thread(target=stop) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [False] * 5 + [True]


def test_deleting_preempts_and_twice_is_once(site: Site) -> None:
    id = site.create()
    site.instances.delete(ALICE, id)
    woken = len(site.woken)
    site.instances.delete(ALICE, id)
    assert len(site.woken) == woken
    assert [op.action for op in site.instances.actions(ALICE, id)] == ["delete", "create"]


def test_what_was_never_built_can_only_be_deleted(site: Site) -> None:
    id = idle(site, state=VmState.ERROR)
    edit(site, id, host=None)
    with pytest.raises(InvalidState, match="never built"):
        site.instances.reboot(ALICE, id, hard=True)
    site.instances.delete(ALICE, id)


def test_the_journal_of_what_is_gone_is_there_for_those_who_ask_for_it(site: Site) -> None:
    id = idle(site)
    edit(site, id, deleted=True, vm_state=VmState.DELETED, power_state=PowerState.NOSTATE)
    with pytest.raises(NotFound):
        site.instances.get(ALICE, id)
    assert site.instances.get(ALICE, id, deleted=True).deleted
    assert len(site.instances.actions(ALICE, id)) == 1
    with pytest.raises(NotFound):
        site.instances.actions(ALICE, id, deleted=False)
    with pytest.raises(NotFound):
        site.instances.actions(BOB, id)


def test_a_console_log_of_any_bytes_is_text(site: Site) -> None:
    id = idle(site)
    site.answer = {"log": base64.b64encode(b"one\n\xff\nthree").decode()}
    assert site.instances.console_log(ALICE, id) == "one\n\ufffd\nthree"
    assert site.instances.console_log(ALICE, id, 1) == "three"
    assert site.instances.console_log(ALICE, id, 0) == ""


def test_one_request_for_many_numbers_them(site: Site) -> None:
    new = NewInstance("s", "small", None, networks="none", min_count=2, max_count=3)
    made = site.instances.create(ALICE, new)
    assert [i.display_name for i in made] == ["s-1", "s-2", "s-3"]
    assert [i.launch_index for i in made] == [0, 1, 2]
    assert len({i.reservation_id for i in made}) == 1 and len(site.woken) == 3

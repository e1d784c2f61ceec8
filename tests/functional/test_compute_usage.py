"""What was used in a period, the audit of it, and what other services have to say."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
import sqlalchemy as sa

from nova_lite.db.models import Instance
from tests.functional.compute_site import Person, Site

Json = dict[str, Any]
HOUR = 3600
USAGE = "/os-simple-tenant-usage"


def period(site: Site, start: float = -24, stop: float = 24) -> str:
    """Of the query: hours from now."""
    now = site.cloud.clock.time
    times = [now + dt.timedelta(hours=hours) for hours in (start, stop)]
    start_, stop_ = (time.strftime("%Y-%m-%dT%H:%M:%S.%f") for time in times)
    return f"start={start_}&end={stop_}"


def used(site: Site, whose: Person, query: str | None = None, **how: Any) -> Json:
    path = f"{USAGE}/{whose.project}?{query or period(site)}"
    found: Json = site.compute.get(path, **how)["tenant_usage"]
    return found


def live(site: Site, id: str, start: float, stop: float | None) -> None:
    """Rewrite a server's life: hours from now."""
    now = site.cloud.clock.time
    times: Json = {"launched_at": now + dt.timedelta(hours=start)}
    if stop is not None:
        times |= {"terminated_at": now + dt.timedelta(hours=stop), "deleted": True}
    with site.cloud.database.write() as session:
        session.execute(sa.update(Instance).where(Instance.id == UUID(id)).values(**times))


def test_a_server_is_used_for_as_long_as_it_is_there(site: Site) -> None:
    alice = site.person("alice")
    site.flavor("fat", ram=128, vcpus=2, disk=3, **{"OS-FLV-EXT-DATA:ephemeral": 1})
    id = site.running(alice, flavorRef="fat")
    live(site, id, -2, None)
    mine = used(site, alice, token=alice.token)
    assert set(mine) == {
        *("tenant_id", "start", "stop", "server_usages", "total_hours"),
        *("total_vcpus_usage", "total_memory_mb_usage", "total_local_gb_usage"),
    }
    assert mine["total_hours"] == pytest.approx(2, abs=0.01)
    assert mine["total_vcpus_usage"] == pytest.approx(4, abs=0.01)
    assert mine["total_memory_mb_usage"] == pytest.approx(256, abs=1)
    assert mine["total_local_gb_usage"] == pytest.approx(8, abs=0.1)
    (server,) = mine["server_usages"]
    assert server["instance_id"] == id and server["tenant_id"] == alice.project
    assert (server["vcpus"], server["memory_mb"], server["local_gb"]) == (2, 128, 4)
    assert (server["flavor"], server["state"], server["ended_at"]) == ("fat", "active", None)
    assert 2 * HOUR <= server["uptime"] < 2 * HOUR + 60
    assert server["hours"] == pytest.approx(2, abs=0.01)
    assert dt.datetime.fromisoformat(server["started_at"])


def test_what_is_gone_counts_until_its_end_and_only_in_its_time(site: Site) -> None:
    alice = site.person("alice")
    id = site.running(alice)
    site.compute.delete(f"/servers/{id}", token=alice.token)
    site.cloud.settle()
    (server,) = used(site, alice)["server_usages"]
    assert server["state"] == "terminated" and server["ended_at"]
    live(site, id, -10, -4)
    for start, stop, hours in (
        (-24, 0, 6),
        (-8, 0, 4),
        (-8, -6, 2),
        (-24, -9, 1),
        (-30, 20, 6),
    ):
        shown = used(site, alice, period(site, start, stop))
        assert shown["total_hours"] == pytest.approx(hours, abs=0.01)
    for start, stop in ((-24, -11), (-3, 0)):
        assert used(site, alice, period(site, start, stop)) == {}
    assert used(site, alice)["server_usages"][0]["uptime"] == 6 * HOUR


def test_what_was_never_up_was_not_used(site: Site) -> None:
    alice = site.person("alice")
    site.create(alice)
    assert used(site, alice) == {}


def test_administrators_see_all_projects_and_others_their_own(site: Site) -> None:
    alice, bob = site.person("alice"), site.person("bob")
    for who in (alice, bob, alice):
        site.create(who)
    site.cloud.settle()
    where = f"{USAGE}?{period(site)}"
    plain = site.compute.get(where)["tenant_usages"]
    assert [each["tenant_id"] for each in plain] == [alice.project, bob.project]
    assert all("server_usages" not in each and len(each) == 7 for each in plain)
    full = site.compute.get(f"{where}&detailed=1")["tenant_usages"]
    assert site.compute.get(f"{where}&detailed=True")["tenant_usages"][0].keys() == full[0].keys()
    assert [len(each["server_usages"]) for each in full] == [2, 1]
    site.refused(403, "GET", where, token=alice.token)
    site.refused(403, "GET", f"{USAGE}/{alice.project}", token=bob.token)
    assert len(used(site, alice)["server_usages"]) == 2


def test_since_2_40_servers_come_in_pages(site: Site) -> None:
    alice, bob = site.person("alice"), site.person("bob")
    for who in (alice, bob, alice):
        site.running(who)
    query = f"{period(site)}&detailed=1&limit=2"
    assert "tenant_usages_links" not in site.compute.get(f"{USAGE}?{query}", version="2.39")
    for path, name, expected in (
        (f"{USAGE}?{query}", "tenant_usages", [2, 1]),
        (f"{USAGE}/{alice.project}?{query.replace('limit=2', 'limit=1')}", "tenant_usage", [1, 1]),
    ):
        counts: list[int] = []
        seen: list[str] = []
        while path:
            page = site.compute.get(path, version="2.40")
            found = page[name] if isinstance(page[name], list) else [page[name]]
            ids = [s["instance_id"] for each in found for s in each.get("server_usages", ())]
            seen += ids
            counts += [len(ids)] if ids else []
            (link,) = page.get(f"{name}_links", [{"href": ""}])
            path = link["href"].removeprefix("http://localhost/compute/v2.1")
        assert counts == expected and len(set(seen)) == len(seen)
    for marker in ("x", "00000000-0000-0000-0000-000000000000"):
        said = site.refused(400, "GET", f"{USAGE}?marker={marker}", version="2.40")
        assert said == f"marker [{marker}] not found"
    theirs = f"{USAGE}/{bob.project}?{period(site)}&marker={seen[0]}"
    site.refused(400, "GET", theirs, version="2.40")


def test_a_period_has_a_beginning_before_its_end(site: Site) -> None:
    alice = site.person("alice")
    site.running(alice)
    where = f"{USAGE}/{alice.project}"
    for query in (period(site, 1, -1), period(site, 2, 2), "start=yesterday", "end=2030-01-01"):
        site.refused(400, "GET", f"{where}?{query}")
    assert len(site.compute.get(where)["tenant_usage"]["server_usages"]) == 1
    now = site.cloud.clock.time
    for form in ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S.%f"):
        start = (now - dt.timedelta(days=1)).strftime(form)
        assert site.compute.get(f"{where}?start={quote(start)}")["tenant_usage"]
    site.compute.get(f"{where}?color=red", version="2.74")
    site.refused(400, "GET", f"{where}?color=red", version="2.75")
    site.compute.get(f"{where}?{period(site)}&limit=1", version="2.75")


def test_usage_does_not_look_at_what_went_before(site: Site) -> None:
    """The plan of the database, not the time that it takes."""
    said: list[tuple[str, Any]] = []

    @sa.event.listens_for(site.cloud.database.engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_rest: Any) -> None:
        if "launched_at <" in statement:
            said.append((statement, values))

    alice = site.person("alice")
    used(site, alice)
    site.compute.get(f"{USAGE}?{period(site)}")
    assert len(said) == 4
    with site.cloud.database.engine.connect() as connection:
        for statement, values in tuple(said):
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
            assert "USING INDEX ix_instances_" in plan[0].detail, plan


# --- the audit ----------------------------------------------------------------------------------


def test_the_audit_says_which_hosts_have_not_run(site: Site) -> None:
    log = site.compute.get("/os-instance_usage_audit_log")["instance_usage_audit_logs"]
    assert log["hosts_not_run"] == ["host1", "host2"] and log["num_hosts"] == 2
    assert log["overall_status"] == "0 of 2 hosts done. 0 errors."
    assert log["period_ending"] == "2030-01-01 00:00:00"
    assert log["period_beginning"] == "2029-12-01 00:00:00"
    path = f"/os-instance_usage_audit_log/{quote('2012-03-31 12:00:00.5')}"
    log = site.compute.get(path)["instance_usage_audit_log"]
    assert log["period_beginning"] == "2012-02-01 00:00:00"
    for time in ("invalid_time", "2012-13-01%2000:00:00"):
        site.refused(400, "GET", f"/os-instance_usage_audit_log/{time}")
    first = site.compute.get(f"/os-instance_usage_audit_log/{quote('0001-01-05 00:00:00')}")
    assert first["instance_usage_audit_log"]["period_beginning"] == "0001-01-01 00:00:00"
    alice = site.person("alice")
    site.refused(403, "GET", "/os-instance_usage_audit_log", token=alice.token)
    site.refused(403, "GET", path, token=alice.token)


# --- other services -----------------------------------------------------------------------------

EVENTS = "/os-server-external-events"
NOBODY = "00000000-0000-0000-0000-000000000000"


def tell(site: Site, *events: Json, status: int = 200, version: str = "2.1", **how: Any) -> Any:
    body = {"events": list(events)}
    return site.compute.call("POST", EVENTS, body, status=status, version=version, **how).json


def test_what_happened_to_a_server_is_acknowledged(site: Site) -> None:
    id = site.running()
    unplaced = site.create()
    event = {"name": "network-changed", "server_uuid": id}
    good = {**event, "status": "completed", "code": 200}
    assert tell(site, event) == {"events": [good]}
    failed = {**event, "name": "network-vif-plugged", "status": "failed", "tag": "t"}
    assert tell(site, failed) == {"events": [{**failed, "code": 200}]}
    lost, waiting = {**event, "server_uuid": NOBODY}, {**event, "server_uuid": unplaced}
    assert tell(site, event, lost, waiting, status=207)["events"] == [
        good,
        {**lost, "status": "failed", "code": 404},
        {**waiting, "status": "failed", "code": 422},
    ]
    said = tell(site, lost, waiting, status=404)
    assert said["itemNotFound"]["message"] == "No instances found for any event"


@pytest.mark.parametrize(
    ("name", "since", "before"),
    [
        ("volume-extended", "2.51", "2.50"),
        ("power-update", "2.76", "2.75"),
        ("accelerator-request-bound", "2.82", "2.81"),
        ("volume-reimaged", "2.93", "2.92"),
    ],
)
def test_some_events_are_new_and_have_to_say_of_what(
    site: Site, name: str, since: str, before: str
) -> None:
    event = {"name": name, "server_uuid": site.running(), "tag": "x"}
    tell(site, event, status=400, version=before)
    assert tell(site, event, version=since)["events"][0]["code"] == 200
    vague = {**event, "tag": ""}
    codes = [each["code"] for each in tell(site, event, vague, status=207, version=since)["events"]]
    assert codes == [200, 400]


def test_events_come_from_services(site: Site) -> None:
    id = site.running()
    event = {"name": "network-changed", "server_uuid": id}
    tell(site, event, status=403, token=site.person("alice").token)
    for bad in ({"name": "earthquake"}, {"server_uuid": "x"}, {"status": "fine"}, {"stray": 1}):
        tell(site, {**event, **bad}, status=400)
    tell(site, status=400)

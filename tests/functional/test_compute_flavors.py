"""Flavors as the clients of the compute API see them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.functional.compute_site import Site

Json = dict[str, Any]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    site.compute.call("DELETE", "/flavors/small", status=202)
    yield site
    site.cloud.close()


def ids(site: Site, query: str = "", **how: Any) -> list[str]:
    found = site.compute.get(f"/flavors?{query}", **how)["flavors"]
    return sorted(flavor["id"] for flavor in found)


def mine(site: Site, query: str = "", **how: Any) -> list[str]:
    """Without those that every cloud begins with."""
    return [id for id in ids(site, query, **how) if not id.isdecimal()]


def test_a_flavor_is_made_shown_and_deleted(site: Site) -> None:
    body = {
        "name": "big one",
        "ram": "2048",
        "vcpus": 2,
        "disk": 10,
        "swap": "512",
        "OS-FLV-EXT-DATA:ephemeral": 1,
        "rxtx_factor": "1.5",
    }
    made = site.compute.post("/flavors", {"flavor": body}, status=200)["flavor"]
    assert made["ram"] == 2048 and made["swap"] == 512 and made["rxtx_factor"] == 1.5
    assert len(made["id"]) == 36
    assert site.compute.get(f"/flavors/{made['id']}") == {"flavor": made}
    assert made in site.compute.get("/flavors/detail")["flavors"]
    assert [link["rel"] for link in made["links"]] == ["self", "bookmark"]
    site.compute.call("DELETE", f"/flavors/{made['id']}", status=202)
    for method in ("GET", "DELETE"):
        site.refused(404, method, f"/flavors/{made['id']}")


@pytest.mark.parametrize(("id", "expected"), [(7777, "7777"), ("auto", None), (None, None)])
def test_an_id_may_be_chosen(site: Site, id: Any, expected: str | None) -> None:
    made = site.flavor("x", id=id)
    assert made["id"] == expected or (expected is None and len(made["id"]) == 36)
    assert made["swap"] == "" and made["OS-FLV-DISABLED:disabled"] is False


def test_ids_and_names_are_taken_once(site: Site) -> None:
    site.flavor("a")
    flavor = {"id": "a", "name": "b", "ram": 1, "vcpus": 1, "disk": 0}
    assert "ID a already" in site.refused(409, "POST", "/flavors", {"flavor": flavor})
    flavor = {**flavor, "id": "b", "name": "a"}
    assert "name a already" in site.refused(409, "POST", "/flavors", {"flavor": flavor})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("id", "no/slash"),
        ("ram", 0),
        ("ram", "0"),
        ("ram", "9999999999"),
        ("vcpus", 0),
        ("disk", -1),
        ("disk", "many"),
        ("swap", 2**31),
        ("rxtx_factor", "-1"),
        ("os-flavor-access:is_public", "perhaps"),
        ("stray", 1),
    ],
)
def test_what_cannot_be_is_refused_by_name(site: Site, field: str, value: Any) -> None:
    flavor = {"name": "x", "ram": 1, "vcpus": 1, "disk": 0, field: value}
    assert field in site.refused(400, "POST", "/flavors", {"flavor": flavor})


def test_lists_are_narrowed_sorted_and_paged(site: Site) -> None:
    for name, ram, disk in (("a", 300, 1), ("b", 100, 3), ("c", 200, 2)):
        site.flavor(name, ram=ram, disk=disk)
    assert mine(site) == ["a", "b", "c"]
    assert mine(site, "minRam=200") == ["a", "c"]
    assert mine(site, "minDisk=3") == ["b"]
    shown: list[str] = []
    path = "/flavors/detail?limit=2&sort_key=memory_mb&sort_dir=desc"
    while path:
        page = site.compute.get(path)
        shown += [flavor["id"] for flavor in page["flavors"]]
        (link,) = page.get("flavors_links", [{"href": ""}])
        path = link["href"].removeprefix("http://localhost/compute/v2.1")
    assert [id for id in shown if not id.isdecimal()] == ["a", "c", "b"]
    assert len(shown) == len(set(shown))
    for query in ("minRam=x", "is_public=x", "sort_key=x", "sort_dir=x", "marker=x", "limit=x"):
        site.refused(400, "GET", f"/flavors?{query}")


def test_a_flavor_that_is_not_public_is_for_those_it_was_given_to(site: Site) -> None:
    site.flavor("hidden", **{"os-flavor-access:is_public": False})
    site.flavor("open")
    alice, bob = site.person("alice"), site.person("bob")
    assert mine(site) == mine(site, "is_public=true") == ["open"]
    assert mine(site, "is_public=None") == ["hidden", "open"]
    assert mine(site, "is_public=false") == ["hidden"]
    assert mine(site, "is_public=None", token=alice.token) == ["open"]
    site.refused(404, "GET", "/flavors/hidden", token=alice.token)
    site.refused(400, "GET", "/flavors?marker=hidden", token=alice.token)

    def act(action: str, status: int = 200, flavor: str = "hidden", **how: Any) -> Any:
        body = {action: {"tenant": how.pop("tenant", alice.project)}}
        path = f"/flavors/{flavor}/action"
        return site.compute.call("POST", path, body, status=status, **how).json

    access = {"flavor_access": [{"flavor_id": "hidden", "tenant_id": alice.project}]}
    assert act("addTenantAccess") == access
    act("addTenantAccess", 409)
    act("addTenantAccess", 400, tenant="nonesuch")
    act("addTenantAccess", 403, token=alice.token)
    assert site.compute.get("/flavors/hidden/os-flavor-access") == access
    assert mine(site, token=alice.token) == ["hidden", "open"]
    assert site.compute.get("/flavors/hidden", token=alice.token)["flavor"]["id"] == "hidden"
    assert mine(site, token=bob.token) == ["open"]
    assert act("removeTenantAccess") == {"flavor_access": []}
    act("removeTenantAccess", 404)
    assert mine(site, token=alice.token) == ["open"]

    site.refused(404, "GET", "/flavors/open/os-flavor-access")
    act("addTenantAccess", 200, "open", version="2.6")
    act("addTenantAccess", 409, "open", version="2.7")


def test_extra_specs_are_set_shown_and_removed(site: Site) -> None:
    site.flavor("a")
    path, api = "/flavors/a/os-extra_specs", site.compute
    assert api.post(path, {"extra_specs": {"hw:a": "1", "b": "2"}}, status=200) == {
        "extra_specs": {"hw:a": "1", "b": "2"}
    }
    assert api.put(f"{path}/b", {"b": "3"}) == {"b": "3"}
    assert api.get(f"{path}/b") == {"b": "3"}
    assert api.delete(f"{path}/hw:a", status=200) is None
    assert api.get(path) == {"extra_specs": {"b": "3"}}
    site.refused(404, "GET", f"{path}/x")
    site.refused(404, "DELETE", f"{path}/x")
    site.refused(400, "PUT", f"{path}/b", {"x": "3"})
    site.refused(400, "PUT", f"{path}/b", {"b": "3", "x": "3"})
    site.refused(400, "POST", path, {"extra_specs": {"sl/ash": "v"}})
    alice = site.person("alice")
    assert api.get(path, token=alice.token)["extra_specs"] == {"b": "3"}
    site.refused(403, "POST", path, {"extra_specs": {"a": "b"}}, token=alice.token)
    site.refused(404, "POST", "/flavors/x/os-extra_specs", {"extra_specs": {"a": "b"}})


def test_a_server_keeps_what_it_was_bought_as(site: Site) -> None:
    site.flavor("small")
    id = site.running()
    site.compute.call("DELETE", "/flavors/small", status=202)
    assert site.server(id)["flavor"]["id"] == "small"
    assert site.ask().status_int == 400


def test_since_2_55_a_flavor_is_described(site: Site) -> None:
    body = {"flavor": {"name": "a", "id": "a", "ram": 1, "vcpus": 1, "disk": 0}}
    described = {"flavor": {**body["flavor"], "description": "Small,\nbut fine"}}
    site.refused(400, "POST", "/flavors", described, version="2.54")
    made = site.compute.post("/flavors", described, version="2.55")["flavor"]
    assert made["description"] == "Small,\nbut fine"
    assert "description" not in site.compute.get("/flavors/a", version="2.54")["flavor"]
    (listed,) = (
        flavor
        for flavor in site.compute.get("/flavors", version="2.55")["flavors"]
        if flavor["id"] == "a"
    )
    assert set(listed) == {"id", "name", "links", "description"}
    change = {"flavor": {"description": None}}
    site.refused(404, "PUT", "/flavors/a", change, version="2.54")
    said = site.compute.put("/flavors/a", change, version="2.55")["flavor"]
    assert said == {**made, "description": None}
    site.refused(404, "PUT", "/flavors/x", change, version="2.55")
    for bad in ({"name": "b"}, {}, {"description": "x" * 65536}, {"description": "\x07"}):
        site.refused(400, "PUT", "/flavors/a", {"flavor": bad}, version="2.55")
    alice = site.person("alice")
    site.refused(403, "PUT", "/flavors/a", change, version="2.55", token=alice.token)


def test_since_2_61_it_comes_with_its_extra_specs(site: Site) -> None:
    made = site.flavor("a")
    specs = {"hw:numa_nodes": 2, "weight": 1.5, "color": "red"}
    site.compute.post("/flavors/a/os-extra_specs", {"extra_specs": specs})
    expected = {"hw:numa_nodes": "2", "weight": "1.5", "color": "red"}
    assert "extra_specs" not in site.compute.get("/flavors/a", version="2.60")["flavor"]
    shown = site.compute.get("/flavors/a", version="2.61")["flavor"]
    assert shown == {**made, "description": None, "extra_specs": expected}
    assert shown in site.compute.get("/flavors/detail", version="2.61")["flavors"]
    assert not any("extra_specs" in f for f in site.compute.get("/flavors", version="2.61"))
    long = {"extra_specs": {"a": int("1" * 17), "b": "x" * 256}}
    site.refused(400, "POST", "/flavors/a/os-extra_specs", long)


def test_since_2_75_no_swap_is_0_and_a_query_is_known(site: Site) -> None:
    site.flavor("a")
    assert site.compute.get("/flavors/a", version="2.74")["flavor"]["swap"] == ""
    assert site.compute.get("/flavors/a", version="2.75")["flavor"]["swap"] == 0
    for path in ("/flavors", "/flavors/detail"):
        site.compute.get(f"{path}?color=red", version="2.74")
        site.refused(400, "GET", f"{path}?color=red", version="2.75")
        site.compute.get(f"{path}?limit=1&minRam=1&is_public=None", version="2.75")


def test_since_2_86_extra_specs_have_to_make_sense(site: Site) -> None:
    site.flavor("a")
    path, api = "/flavors/a/os-extra_specs", site.compute
    silly = {"hw:cpu_policy": "sometimes"}
    assert api.post(path, {"extra_specs": silly}, version="2.85")["extra_specs"] == silly
    said = site.refused(400, "POST", path, {"extra_specs": silly}, version="2.86")
    assert "'sometimes' is not a value" in said
    site.refused(400, "PUT", f"{path}/hw:cpu_policy", silly, version="2.86")
    good = {"hw:cpu_policy": "shared", "foo:bar": "baz"}
    assert api.post(path, {"extra_specs": good}, version="2.86")["extra_specs"] == good
    changed = {"hw:cpu_policy": "dedicated"}
    assert api.put(f"{path}/hw:cpu_policy", changed, version="2.86") == changed
    assert api.get(path)["extra_specs"] == {**good, **changed}


@pytest.mark.parametrize("key", ["created_at", "updated_at", "description", "vcpu_weight", "swap"])
def test_every_key_of_nova_sorts(site: Site, key: str) -> None:
    for name in "ab":
        site.flavor(name)
    both: list[list[str]] = []
    for direction in ("asc", "desc"):
        path, shown = f"/flavors?limit=1&sort_key={key}&sort_dir={direction}", []
        while path:
            page = site.compute.get(path)
            shown += [flavor["id"] for flavor in page["flavors"]]
            (link,) = page.get("flavors_links", [{"href": ""}])
            path = link["href"].removeprefix("http://localhost/compute/v2.1")
        both.append(shown)
    assert both[0] == both[1][::-1] and {"a", "b"} <= set(both[0])

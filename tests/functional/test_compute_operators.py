"""What operators look at: limits and quotas."""

from __future__ import annotations

from tests.functional.compute_site import Site

NETWORK_LIMITS = {
    "maxSecurityGroups",
    "maxSecurityGroupRules",
    "maxTotalFloatingIps",
    "totalFloatingIpsUsed",
    "totalSecurityGroupsUsed",
}


def test_limits_show_what_is_used_of_what_may_be(site: Site) -> None:
    alice, bob = site.person("alice"), site.person("bob")
    site.create(alice, max_count=2)
    limits = site.compute.get("/limits", token=alice.token)["limits"]
    assert limits["rate"] == []
    absolute = limits["absolute"]
    assert (absolute["totalInstancesUsed"], absolute["maxTotalInstances"]) == (2, 10)
    assert (absolute["totalRAMUsed"], absolute["totalCoresUsed"]) == (128, 2)
    newer = site.compute.get("/limits", version="2.36", token=alice.token)["limits"]["absolute"]
    assert set(absolute) - set(newer) == NETWORK_LIMITS
    path = f"/limits?tenant_id={alice.project}"
    assert site.compute.get(path)["limits"]["absolute"]["totalInstancesUsed"] == 2
    site.refused(403, "GET", path, token=bob.token)


def test_extensions_are_listed(site: Site) -> None:
    aliases = [e["alias"] for e in site.compute.get("/extensions")["extensions"]]
    assert "os-keypairs" in aliases
    assert site.compute.get("/extensions/os-keypairs")["extension"]["name"] == "Keypairs"
    site.refused(404, "GET", "/extensions/os-nonesuch")


def test_a_member_is_no_operator(site: Site) -> None:
    alice = site.person("alice")
    site.refused(403, "DELETE", "/flavors/1", token=alice.token)

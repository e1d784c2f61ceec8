"""limits: what the project of whoever asks has, and what it may have."""

from __future__ import annotations

import pytest

from tests.functional.compute_site import Site

ALWAYS = {
    *("maxTotalInstances", "maxTotalCores", "maxTotalRAMSize", "maxTotalKeypairs"),
    *("maxServerMeta", "totalInstancesUsed", "totalCoresUsed", "totalRAMUsed"),
    *("maxServerGroups", "maxServerGroupMembers", "totalServerGroupsUsed"),
}
NETWORK = {
    *("maxSecurityGroups", "maxSecurityGroupRules", "totalSecurityGroupsUsed"),
    *("maxTotalFloatingIps", "totalFloatingIpsUsed"),
}
FILES = {"maxPersonality", "maxPersonalitySize"}


@pytest.mark.parametrize(
    ("version", "names"),
    [
        ("2.1", ALWAYS | NETWORK | FILES | {"maxImageMeta"}),
        ("2.36", ALWAYS | FILES | {"maxImageMeta"}),
        ("2.39", ALWAYS | FILES),
        ("2.57", ALWAYS),
    ],
)
def test_limits_became_fewer(site: Site, version: str, names: set[str]) -> None:
    limits = site.compute.get("/limits?reserved=1", version=version)["limits"]
    assert limits["rate"] == [] and set(limits["absolute"]) == names
    assert all(isinstance(value, int) for value in limits["absolute"].values())


def test_they_are_the_quota_and_what_is_used_of_it(site: Site) -> None:
    alice, bob = site.person("alice"), site.person("bob")
    site.create(alice, max_count=2)
    quota = {"quota_set": {"cores": 5, "injected_files": 7, "floating_ips": 3}}
    site.compute.put(f"/os-quota-sets/{alice.project}", quota)
    mine = site.compute.get("/limits", token=alice.token)["limits"]["absolute"]
    assert (mine["totalInstancesUsed"], mine["maxTotalInstances"]) == (2, 10)
    assert (mine["totalCoresUsed"], mine["maxTotalCores"]) == (2, 5)
    assert (mine["totalRAMUsed"], mine["maxPersonality"]) == (128, 7)
    assert (mine["totalFloatingIpsUsed"], mine["maxTotalFloatingIps"]) == (0, 3)
    path = f"/limits?tenant_id={alice.project}"
    assert site.compute.get(path)["limits"]["absolute"] == mine
    assert site.compute.get(path, token=alice.token)["limits"]["absolute"] == mine
    site.refused(403, "GET", path, token=bob.token)


def test_since_2_75_a_query_says_nothing_that_nobody_knows(site: Site) -> None:
    site.compute.get("/limits?color=red", version="2.74")
    site.refused(400, "GET", "/limits?color=red", version="2.75")
    site.compute.get("/limits?reserved=True", version="2.75")

"""What a network worker makes of a plan."""

from __future__ import annotations

from uuid import uuid4

import pytest

from nova_lite.domain.errors import NetworkError
from nova_lite.domain.specs import Link, NetworkPlan, to_json
from nova_lite.network.fake import FakeNetwork
from nova_lite.network.verbs import NetworkVerbs


def test_the_newest_plan_is_provided_and_an_older_one_is_content_with_it() -> None:
    driver = FakeNetwork()
    verbs, link = NetworkVerbs(driver).verbs(), Link(uuid4(), "br100")

    def ensure(generation: int) -> object:
        plan = to_json(NetworkPlan(link, generation))
        return verbs["network.ensure"]({"id": str(link.network_id), "plan": plan}, 0)

    assert ensure(3) == {"generation": 3}
    assert ensure(2) == {"generation": 3}
    assert driver.networks() == {link.network_id: 3}
    assert ensure(3) == {"generation": 3}  # said twice is said once
    assert ensure(5) == {"generation": 5}
    for _ in range(2):
        assert verbs["network.remove"]({"id": str(link.network_id)}, 0) == {}
    assert driver.networks() == {}
    assert ensure(1) == {"generation": 1}


def test_a_plan_that_is_none_or_cannot_be_is_refused() -> None:
    driver = FakeNetwork()
    verbs = NetworkVerbs(driver).verbs()
    for poison in ({}, {"link": 5, "generation": 1}, None):
        with pytest.raises((TypeError, ValueError)):
            verbs["network.ensure"]({"id": "x", "plan": poison}, 0)
    link = Link(uuid4(), "br100")
    driver.host.broken["ensure"] = NetworkError("no")
    with pytest.raises(NetworkError):
        verbs["network.ensure"]({"plan": to_json(NetworkPlan(link, 1))}, 0)
    assert driver.networks() == {}

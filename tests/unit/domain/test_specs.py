"""What crosses the bus comes out as it went in, or not at all."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_lite.bus.messages import Command, HostStatus, Report
from nova_lite.domain.specs import (
    Capacity,
    Guest,
    GuestSpec,
    Link,
    NetworkPlan,
    Nic,
    Role,
    from_json,
    to_json,
)

# What JSON can hold and its writers agree on.
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
WORDS = st.dictionaries(st.text(), PLAIN, max_size=3)
SPECS: dict[type, st.SearchStrategy[Any]] = {
    GuestSpec: st.from_type(GuestSpec),
    Guest: st.from_type(Guest),
    NetworkPlan: st.from_type(NetworkPlan),
    Capacity: st.builds(Capacity, cpu_info=WORDS),
    Command: st.builds(Command, args=WORDS),
    Report: st.builds(Report, result=WORDS),
    HostStatus: st.builds(HostStatus, capacity=WORDS),
}


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.__name__)
def test_every_spec_survives_the_bus(spec: type) -> None:
    @given(SPECS[spec])
    def survives(value: object) -> None:
        assert from_json(spec, json.loads(json.dumps(to_json(value)))) == value

    survives()


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.__name__)
def test_whatever_else_comes_is_refused_in_one_of_two_ways(spec: type) -> None:
    @given(PLAIN | st.fixed_dictionaries({}, optional={n: PLAIN for n in spec.__annotations__}))
    def refused(value: object) -> None:
        try:
            understood: object = from_json(spec, value)
        except (TypeError, ValueError):
            return
        # What was accepted can be told on, and is understood the same again.
        assert from_json(spec, to_json(understood)) == understood

    refused()


def a_command(**changes: Any) -> dict[str, Any]:
    command = Command(uuid4(), uuid4(), Role.COMPUTE, "host1", "guest.run", {"id": "x"})
    return {**to_json(command), **changes}


@pytest.mark.parametrize(
    "changes",
    [
        {"id": 5},
        {"id": "not a uuid"},
        {"id": None},
        {"role": "nova-cook"},
        {"role": 1},
        {"host": None},
        {"host": ["host1"]},
        {"args": "id=x"},
        {"args": ["id"]},
        {"sequence": "1"},
        {"sequence": True},
        {"sequence": 1.0},
    ],
    ids=str,
)
def test_a_field_of_the_wrong_type_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        from_json(Command, a_command(**changes))


def test_the_values_of_a_mapping_are_looked_at_too() -> None:
    status = to_json(HostStatus(Role.NETWORK, "net1", networks={str(uuid4()): 1}))
    assert from_json(HostStatus, status).networks
    for poison in ({"n": "many"}, {"n": None}, ["n"], "n"):
        with pytest.raises(TypeError):
            from_json(HostStatus, {**status, "networks": poison})


def test_what_is_missing_is_refused_unless_it_has_a_default() -> None:
    command = a_command()
    del command["verb"]
    with pytest.raises(TypeError, match="verb"):
        from_json(Command, command)
    command = a_command()
    del command["sequence"]
    assert from_json(Command, command).sequence == 0


def test_a_key_from_the_future_is_passed_over() -> None:
    command = a_command()
    assert from_json(Command, {**command, "priority": "high"}) == from_json(Command, command)


def test_a_list_inside_is_a_tuple_of_specs_or_refused() -> None:
    link = Link(uuid4(), "br1")
    nic = Nic(uuid4(), "fa:16:3e:00:00:01", link)
    spec = GuestSpec(uuid4(), "i", "i", "p", 1, 64, disks=(), nics=(nic,))
    words = to_json(spec)
    assert from_json(GuestSpec, words).nics[0].link == link
    for poison in ("nic", {"0": words["nics"][0]}, [5], [None]):
        with pytest.raises(TypeError):
            from_json(GuestSpec, {**words, "nics": poison})


def test_a_nic_names_its_tap_so_that_the_kernel_takes_it() -> None:
    port = UUID("12345678-9abc-def0-1234-56789abcdef0")
    nic = Nic(port, "fa:16:3e:00:00:01", Link(uuid4(), "br1"))
    assert nic.tap == "tap123456789ab" and len(nic.tap) <= 15
    assert Nic(port, nic.mac, nic.link, tap="vnet0").tap == "vnet0"

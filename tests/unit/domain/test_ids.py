"""Names are what others expect them to look like, and differ when they should."""

from __future__ import annotations

import re
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from nova_lite.domain import ids


def test_request_ids_are_openstacks_and_never_the_same() -> None:
    first, second = ids.request_id(), ids.request_id()
    assert first != second and UUID(first.removeprefix("req-"))


@given(st.uuids())
def test_a_mac_is_a_local_unicast_address_of_its_port(port: UUID) -> None:
    mac = ids.mac_of(port)
    assert re.fullmatch(r"fa:16:3e(:[0-9a-f]{2}){3}", mac) and mac == ids.mac_of(port)
    first = int(mac[:2], 16)
    assert first & 2 and not first & 1  # administered locally, and not a group


@given(st.integers(1, 2**32 - 1))
def test_numbers_are_written_as_ec2_does(number: int) -> None:
    assert ids.ec2_instance_id(number) == f"i-{number:08x}"
    assert int(ids.domain_name(number).removeprefix("instance-"), 16) == number


def test_the_names_of_known_things() -> None:
    of = UUID("12345678-9abc-def0-1234-56789abcdef0")
    assert ids.reservation_id(of) == "r-12345678"
    assert ids.domain_name(42) == "instance-0000002a"
    assert ids.ec2_instance_id(42) == "i-0000002a"
    assert ids.mac_of(of) == "fa:16:3e:12:34:56"


def test_an_image_has_the_same_ec2_id_everywhere() -> None:
    image = uuid4()
    assert re.fullmatch(r"ami-[0-9a-f]{8}", ids.ec2_image_id(image))
    assert ids.ec2_image_id(image) == ids.ec2_image_id(UUID(str(image)))
    assert ids.ec2_image_id(image) != ids.ec2_image_id(uuid4())
    assert ids.ec2_image_id(image, "aki") == "aki" + ids.ec2_image_id(image)[3:]

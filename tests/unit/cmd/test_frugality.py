"""What a program does about memory once it is up."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from nova_lite.cmd.frugality import settle


@pytest.fixture
def collector() -> Iterator[None]:
    """As it was, afterwards."""
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


def test_the_collector_does_not_look_through_what_stays(collector: None) -> None:
    there = len(gc.get_objects())
    settle()
    assert gc.get_freeze_count() > there / 2
    assert len(gc.get_objects()) < there / 10
    assert gc.get_threshold()[0] > 10_000


def test_what_comes_later_is_still_collected(collector: None) -> None:
    settle()

    class Knot:
        """Holds on to itself."""

        def __init__(self) -> None:
            self.myself = self

    for _ in range(100):
        Knot()
    gc.collect()
    assert not [each for each in gc.get_objects() if isinstance(each, Knot)]

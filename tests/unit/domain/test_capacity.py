"""How much of a host may be given out."""

from __future__ import annotations

import pytest

from nova_lite.domain.capacity import Ratios


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ([], Ratios(1.0, 4.0, 1.0)),
        ([{"cpu_allocation_ratio": "16.0"}], Ratios(1.0, 16.0, 1.0)),
        ([{"cpu_allocation_ratio": "16"}, {"cpu_allocation_ratio": "2"}], Ratios(1.0, 2.0, 1.0)),
        ([{"ram_allocation_ratio": "many"}, {"ssd": "true"}], Ratios(1.0, 4.0, 1.0)),
        ([{"ram_allocation_ratio": "1.5", "disk_allocation_ratio": "0"}], Ratios(1.5, 4.0, 0.0)),
    ],
)
def test_of_the_ratios_that_aggregates_say_the_smallest_counts(
    metadata: list[dict[str, str]], expected: Ratios
) -> None:
    assert Ratios(1.0, 4.0, 1.0).after(metadata) == expected

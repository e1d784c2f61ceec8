"""How many placements per second each policy decides, by the size of the fleet.

    python -m benchmarks.scheduling [seconds per number]

`single` is `rank` and the claim noted in the picture, one after the other, as a
scheduler does it; `of 100` is `rank_many` for a hundred equal servers; `refused`
is a request that fits nowhere, with the reason per host.  One thread.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable

from nova_lite.scheduler.base import Placement, Scheduler, SchedulerSettings
from nova_lite.scheduler.fleet import Fleet, HostRow
from nova_lite.scheduler.load import load

SIZES = (10, 1_000, 10_000, 100_000)
DRIVERS = ("chance", "round_robin", "least_load", "filter")
SMALL = Placement(memory_mb=512, vcpus=1, disk_gb=1, zone="nova")
HUGE = Placement(memory_mb=2**30, vcpus=1, disk_gb=1, zone="nova")
BATCH = 100


def fleet_of(size: int, rng: random.Random) -> Fleet:
    """Hosts with room for far more than is asked, unequally full; some down, some elsewhere."""
    return Fleet(
        HostRow(
            name=f"host{i:06}",
            zone="nova" if i % 10 else "other",
            enabled=i % 33 != 0,
            up=i % 50 != 1,
            memory_mb=2**24,
            memory_mb_used=rng.randrange(2**18),
            vcpus=2**16,
            vcpus_used=rng.randrange(2**10),
            disk_gb=2**16,
            disk_gb_used=rng.randrange(2**10),
            instances=0,
        )
        for i in range(size)
    )


def per_second(work: Callable[[], int], seconds: float) -> float:
    """Of three tries the best: the other two tell about the machine's other tenants."""
    best = 0.0
    for _ in range(3):
        done, start = 0, time.perf_counter()
        while (took := time.perf_counter() - start) < seconds / 3 or not done:
            done += work()
        best = max(best, done / took)
    return best


def measure(scheduler: Scheduler, fleet: Fleet, seconds: float) -> list[float]:
    def single() -> int:
        host = scheduler.rank(SMALL, fleet).hosts[0]
        fleet.take(host, SMALL.memory_mb, SMALL.vcpus, SMALL.disk_gb)
        return 1

    def many() -> int:
        return len(scheduler.rank_many(SMALL, fleet, BATCH))

    def refused() -> int:
        return 1 - len(scheduler.rank(HUGE, fleet).hosts)

    return [per_second(work, seconds) for work in (single, many, refused)]


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    print(f"{'decisions per second':22}{'hosts':>9}{'single':>11}{'of 100':>11}{'refused':>11}")
    for driver in DRIVERS:
        for size in SIZES:
            scheduler = load(driver, SchedulerSettings(), random.Random(1))
            numbers = measure(scheduler, fleet_of(size, random.Random(2)), seconds)
            print(f"{driver:22}{size:>9,}" + "".join(f"{number:>11,.0f}" for number in numbers))


if __name__ == "__main__":
    main()

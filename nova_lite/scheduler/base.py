"""Placement: which host a guest should go to.  Pure: it ranks, it does not take.

The fleet is kept as columns, one numpy array per property and one row per host
(see `fleet.py`), so that a rule is a line of arithmetic over all hosts at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Protocol, runtime_checkable

from nova_lite.scheduler.fleet import Fleet, Ratios


@dataclass(frozen=True)
class SchedulerSettings:
    """What a policy may know of the configuration: fields are the options of [scheduler].

    Every policy gets all of them and uses what concerns it.
    """

    enabled_filters: Sequence[str] = (
        "ComputeFilter",
        "AvailabilityZoneFilter",
        "RetryFilter",
        "RamFilter",
        "CoreFilter",
        "DiskFilter",
        "SameHostFilter",
        "DifferentHostFilter",
        "ServerGroupAffinityFilter",
        "ServerGroupAntiAffinityFilter",
        "ComputeCapabilitiesFilter",
        "ImagePropertiesFilter",
        "AggregateInstanceExtraSpecsFilter",
    )
    ram_weight_multiplier: float = 1.0
    cpu_weight_multiplier: float = 1.0
    disk_weight_multiplier: float = 1.0
    soft_affinity_weight_multiplier: float = 1.0
    soft_anti_affinity_weight_multiplier: float = 1.0
    ram_allocation_ratio: float = 1.0
    cpu_allocation_ratio: float = 4.0
    disk_allocation_ratio: float = 1.0
    max_instances_per_host: int = 50
    isolated_hosts: Sequence[str] = ()
    isolated_images: Sequence[str] = ()
    restrict_isolated_hosts_to_isolated_images: bool = True
    aggregate_image_properties_isolation_namespace: str = ""
    aggregate_image_properties_isolation_separator: str = "."
    # A few, because the picture may be stale and the first choice full; not
    # many, because then the picture is too old and should be drawn anew.
    alternates: int = 5

    @property
    def ratios(self) -> Ratios:
        return Ratios(
            memory=self.ram_allocation_ratio,
            vcpus=self.cpu_allocation_ratio,
            disk=self.disk_allocation_ratio,
        )


AFFINITY, ANTI_AFFINITY = "affinity", "anti-affinity"
SOFT_AFFINITY, SOFT_ANTI_AFFINITY = "soft-affinity", "soft-anti-affinity"


@dataclass(frozen=True)
class Group:
    """The server group of who is to be placed: where its other members are, and what that means."""

    policy: str
    members: Mapping[str, int] = field(default_factory=dict)  # host -> how many are there
    max_per_host: int = 1  # of anti-affinity

    def joined(self, host: str) -> Group:
        """The same group with one more member on `host`."""
        return replace(self, members={**self.members, host: self.members.get(host, 0) + 1})


@dataclass(frozen=True)
class Placement:
    """A request for room, and what else the filters may ask of it."""

    memory_mb: int
    vcpus: int
    disk_gb: int
    zone: str | None = None
    host: str | None = None  # an administrator's "there and nowhere else"
    avoid: frozenset[str] = frozenset()  # hosts already tried for this request
    same_hosts: frozenset[str] | None = None  # one of these; None: whichever
    other_hosts: frozenset[str] = frozenset()  # none of these
    near: str | None = None  # a subnet that the host's address is to be in
    query: str | None = None  # JsonFilter's, as it came
    group: Group | None = None
    extra_specs: Mapping[str, str] = field(default_factory=dict)  # of the flavor
    flavor_name: str = ""
    image_id: str | None = None
    image_properties: Mapping[str, str] = field(default_factory=dict)
    project_id: str = ""

    def __str__(self) -> str:
        return f"{self.memory_mb} MB, {counted(self.vcpus, 'VCPU')}, {self.disk_gb} GB disk"


@dataclass(frozen=True)
class Verdict:
    """One filter's say: what was asked of it, and how many hosts it left."""

    filter: str
    asked: str  # "512 MB", "zone nova", ...
    remaining: int


@dataclass
class Ranking:
    """The best hosts first, and what became of the others."""

    hosts: list[str]
    considered: int = 0
    verdicts: list[Verdict] = field(default_factory=list)  # in the order they were asked
    refused: dict[str, str] = field(default_factory=dict)  # host -> filter, when none is left

    def explain(self) -> str:
        """'3 hosts; ComputeFilter (up and enabled): 2; RamFilter (512 MB): 0'."""
        said = [f"{v.filter} ({v.asked}): {v.remaining}" for v in self.verdicts]
        return "; ".join([counted(self.considered, "host"), *said])

    def explain_hosts(self, limit: int = 200) -> str:
        """For administrators: 'host1: RamFilter; host2: ComputeFilter'.

        `limit` keeps what is stored with a fault readable on a large site.
        """
        said = [f"{host}: {by}" for host, by in islice(sorted(self.refused.items()), limit)]
        more = len(self.refused) - len(said)
        return "; ".join([*said, f"and {more} more"] if more else said)


@runtime_checkable
class Scheduler(Protocol):
    """A policy.  Built once, as `cls(settings, rng)`; called from many threads at once."""

    def rank(self, request: Placement, fleet: Fleet, *, explain: bool = False) -> Ranking:
        """The hosts to try, best first (a handful), and why not the others.

        `refused` is worked out when no host is left, or when told to `explain`.
        """

    def rank_many(self, request: Placement, fleet: Fleet, count: int) -> Sequence[Ranking]:
        """`rank` for `count` equal requests at once, each seeing those before it placed.

        Each is taken to go to its first choice.  `fleet` itself is not changed.
        """


def counted(number: int, noun: str) -> str:
    """'1 host', '2 hosts'."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

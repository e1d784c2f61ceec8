"""The picture of all hosts, as columns.

A picture may be stale: the claim in the database cannot.  `take` and `give`
keep it honest in between with what this process itself has claimed and undone;
for anything else (hosts that come, go, or change) a new `Fleet` is built and
takes the place of the old one.

Threads: `take` and `give` hold the lock, so that none is lost. Those who read
a column do not: at worst a ranking sees half of a claim that is being noted,
and the claim in the database sorts that out.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

# Handed on: who fills or reads a fleet needs them too.
from nova_lite.domain.capacity import RATIO_KEYS, number
from nova_lite.domain.capacity import AggregateRow as AggregateRow
from nova_lite.domain.capacity import HostRow as HostRow
from nova_lite.domain.capacity import Ratios as Ratios

Mask = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class HostView:
    """One host of the picture, for rules that look at one host at a time.

    Amounts are after over-commit, as in `Fleet`.
    """

    name: str
    zone: str
    enabled: bool
    up: bool
    memory_mb: int
    free_memory_mb: int
    vcpus: int
    free_vcpus: int
    disk_gb: int
    free_disk_gb: int
    instances: int
    hypervisor_type: str = ""
    hypervisor_version: int = 0
    architecture: str = ""
    address: str = ""


class Words:
    """A column of texts, few of them distinct: a question is asked once for each distinct one."""

    def __init__(self, column: Sequence[str]) -> None:
        distinct = dict.fromkeys(column)
        number = {word: i for i, word in enumerate(distinct)}
        self.distinct: list[str] = list(distinct)
        self.codes: Ints = np.fromiter(
            (number[word] for word in column), dtype=np.int64, count=len(column)
        )

    def __getitem__(self, row: int) -> str:
        return self.distinct[int(self.codes[row])]

    def where(self, keep: Callable[[str], bool]) -> Mask:
        answers = np.fromiter(map(keep, self.distinct), np.bool_, len(self.distinct))
        mask: Mask = answers[self.codes]
        return mask

    def only(self, row: int) -> Words:
        return Words([self[row]])


class Fleet:
    """All hosts.  Columns have one entry per host, in the order of `names`, which is sorted.

    Amounts are after over-commit: what may be given out is total x ratio,
    rounded down; what is free is that less what is claimed, and below nought
    where a ratio was lowered under guests that run.
    """

    # What claims change; all other columns may be shared between copies.
    COUNTERS = ("free_memory_mb", "free_vcpus", "free_disk_gb", "instances")
    NUMBERS = ("enabled", "up", "memory_mb", "vcpus", "disk_gb", "hypervisor_version", *COUNTERS)
    RATIOS = ("memory_ratio", "vcpus_ratio", "disk_ratio")
    COLUMNS = ("zone_ids", *NUMBERS, *RATIOS)
    WORDS = ("hypervisor_type", "architecture")

    def __init__(
        self,
        hosts: Iterable[HostRow],
        ratios: Ratios = Ratios(),  # noqa: B008
        aggregates: Sequence[AggregateRow] = (),
    ) -> None:
        rows = sorted(hosts, key=lambda host: host.name)
        self.aggregates = aggregates
        self._masks: dict[int, Mask] = {}
        self.lock = threading.Lock()
        self.names: list[str] = [row.name for row in rows]
        self.index: dict[str, int] = {name: i for i, name in enumerate(self.names)}
        self.zones: list[str] = [row.zone for row in rows]
        # Comparing small numbers is far quicker than comparing 10,000 strings.
        self.zone_index: dict[str, int] = {zone: i for i, zone in enumerate(sorted({*self.zones}))}

        def column(value: Any, dtype: Any = np.int64) -> Any:
            return np.fromiter((value(row) for row in rows), dtype=dtype, count=len(rows))

        self.zone_ids: Ints = column(lambda row: self.zone_index[row.zone])
        self.enabled: Mask = column(lambda row: row.enabled, np.bool_)
        self.up: Mask = column(lambda row: row.up, np.bool_)
        self.memory_ratio = self._ratio(RATIO_KEYS["memory"], ratios.memory)
        self.vcpus_ratio = self._ratio(RATIO_KEYS["vcpus"], ratios.vcpus)
        self.disk_ratio = self._ratio(RATIO_KEYS["disk"], ratios.disk)

        def given_out(total: Ints, ratio: Floats) -> Ints:
            return (total * ratio).astype(np.int64)

        self.memory_mb = given_out(column(lambda row: row.memory_mb), self.memory_ratio)
        self.vcpus = given_out(column(lambda row: row.vcpus), self.vcpus_ratio)
        self.disk_gb = given_out(column(lambda row: row.disk_gb), self.disk_ratio)
        self.free_memory_mb: Ints = self.memory_mb - column(lambda row: row.memory_mb_used)
        self.free_vcpus: Ints = self.vcpus - column(lambda row: row.vcpus_used)
        self.free_disk_gb: Ints = self.disk_gb - column(lambda row: row.disk_gb_used)
        self.instances: Ints = column(lambda row: row.instances)
        self.hypervisor_version: Ints = column(lambda row: row.hypervisor_version)
        self.hypervisor_type = Words([row.hypervisor_type for row in rows])
        self.architecture = Words([row.architecture for row in rows])
        self.addresses: list[str] = [row.address for row in rows]

    def __len__(self) -> int:
        return len(self.names)

    def take(self, host: str, memory_mb: int, vcpus: int, disk_gb: int) -> None:
        """Note a claim of our own, so that the next ranking sees it at once.

        A host that is not in the picture (any more) is passed over: the next
        picture will come from the database, where the claim is.
        """
        self._note(host, 1, memory_mb, vcpus, disk_gb)

    def give(self, host: str, memory_mb: int, vcpus: int, disk_gb: int) -> None:
        """Note that a claim was undone: the contrary of `take`."""
        self._note(host, -1, memory_mb, vcpus, disk_gb)

    def _note(self, host: str, claims: int, memory_mb: int, vcpus: int, disk_gb: int) -> None:
        row = self.index.get(host)
        if row is None:
            return
        with self.lock:
            self.free_memory_mb[row] -= claims * memory_mb
            self.free_vcpus[row] -= claims * vcpus
            self.free_disk_gb[row] -= claims * disk_gb
            self.instances[row] += claims

    def in_zone(self, zone: str) -> Mask:
        """True for the hosts of this zone; for none, if there is no such zone."""
        return np.equal(self.zone_ids, self.zone_index.get(zone, -1))

    def named(self, hosts: Iterable[str]) -> Mask:
        """True for the hosts of these names; who is not in the picture is passed over."""
        mask = np.zeros(len(self), dtype=np.bool_)
        mask[[self.index[host] for host in hosts if host in self.index]] = True
        return mask

    def counts(self, of: Mapping[str, int]) -> Ints:
        """A number for each host, by its name; nought for those that are not named."""
        column = np.zeros(len(self), dtype=np.int64)
        for host in of.keys() & self.index.keys():
            column[self.index[host]] = of[host]
        return column

    def in_aggregate(self, aggregate: AggregateRow) -> Mask:
        mask = self._masks.get(aggregate.id)
        if mask is None:
            few = aggregate.hosts if len(aggregate.hosts) < len(self) else self.names
            mask = self._masks[aggregate.id] = self.named(
                host for host in few if host in aggregate.hosts
            )
        return mask

    def ratios(self, host: str) -> Ratios:
        """What of each resource is given out on this host.  Raises KeyError for a stranger."""
        row = self.index[host]
        return Ratios(*(getattr(self, name)[row].item() for name in self.RATIOS))

    def _ratio(self, key: str, default: float) -> Floats:
        """An aggregate's say goes before the configuration's; of several the smallest counts."""
        ratio = np.full(len(self), np.inf)
        for aggregate in self.aggregates:
            said = number(aggregate.metadata.get(key, ""))
            if said is not None:
                np.minimum(ratio, said, out=ratio, where=self.in_aggregate(aggregate))
        return np.where(np.isinf(ratio), default, ratio)

    def host(self, row: int) -> HostView:
        return HostView(
            name=self.names[row],
            zone=self.zones[row],
            hypervisor_type=self.hypervisor_type[row],
            architecture=self.architecture[row],
            address=self.addresses[row],
            **{name: getattr(self, name)[row].item() for name in self.NUMBERS},
        )

    def copy(self) -> Fleet:
        """A picture of its own: what is taken there is not taken here."""
        twin = copy.copy(self)
        twin.lock = threading.Lock()
        with self.lock:
            for name in self.COUNTERS:
                setattr(twin, name, getattr(self, name).copy())
        return twin

    def only(self, row: int) -> Fleet:
        """A fleet of one host, whose columns are windows on ours: to ask rules about it anew."""
        part = copy.copy(self)
        part.names = [self.names[row]]
        part.index = {part.names[0]: 0}
        part.zones = [self.zones[row]]
        part.addresses = [self.addresses[row]]
        part._masks = {}
        for name in self.COLUMNS:
            setattr(part, name, getattr(self, name)[row : row + 1])
        for name in self.WORDS:
            setattr(part, name, getattr(self, name).only(row))
        return part

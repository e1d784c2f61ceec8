"""What all policies share: the filters are asked, and what they did is told.

A policy of its own is one method, `order`: of the hosts that will do, which
first?
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from nova_lite.scheduler.base import (
    SOFT_AFFINITY,
    SOFT_ANTI_AFFINITY,
    Placement,
    Ranking,
    SchedulerSettings,
    Verdict,
)
from nova_lite.scheduler.filters import BASE, FORCED_HOST, Filter
from nova_lite.scheduler.fleet import Fleet, Floats, Ints
from nova_lite.scheduler.rule import concerning

# Added to scores to order equals by chance: below any difference that means something.
_LESS_THAN_ANY_SCORE = 1e-9


class Policy(ABC):
    """Drop the hosts that will not do; put those first that `order` says."""

    def __init__(self, settings: SchedulerSettings, rng: random.Random) -> None:
        self.alternates = settings.alternates
        self.filters: Mapping[str, Filter] = BASE
        self.rng = rng
        self._noise = np.random.default_rng(rng.getrandbits(64))

    @abstractmethod
    def order(self, request: Placement, fleet: Fleet, rows: Ints) -> Sequence[int]:
        """Of these rows, of which there is at least one, the best `alternates`; best first.

        Called by many threads at once.
        """

    def preferred(self, request: Placement, fleet: Fleet, rows: Ints) -> Ints:
        """Of these rows those that a soft (anti-)affinity asks for, as far as there are any."""
        group = request.group
        if group is None or group.policy not in (SOFT_AFFINITY, SOFT_ANTI_AFFINITY):
            return rows
        there = fleet.counts(group.members)[rows]
        wanted = there.max() if group.policy == SOFT_AFFINITY else there.min()
        some: Ints = rows[there == wanted]
        return some

    def rank(self, request: Placement, fleet: Fleet, *, explain: bool = False) -> Ranking:
        sieve = _Sieve(self._filters_for(request), request, fleet)
        rows = sieve.rows()
        best = self._best(request, fleet, rows) if rows.size else []
        ranking = sieve.ranking(best)
        if explain or not ranking.hosts:
            ranking.refused = sieve.refused()
        return ranking

    def rank_many(self, request: Placement, fleet: Fleet, count: int) -> list[Ranking]:
        picture = fleet.copy()
        sieve = _Sieve(self._filters_for(request), request, picture)
        rows = sieve.rows()
        rankings: list[Ranking] = []
        while rows.size and len(rankings) < count:
            best = self._best(request, picture, rows)
            ranking = sieve.ranking(best)
            rankings.append(ranking)
            first = ranking.hosts[0]
            picture.take(first, request.memory_mb, request.vcpus, request.disk_gb)
            if request.group is not None:
                # The next one asks something else, and of all hosts.
                request = replace(request, group=request.group.joined(first))
                sieve = _Sieve(self._filters_for(request), request, picture)
                rows = sieve.rows()
            elif sieve.puts_out_now(best[0]):
                rows = sieve.rows()
        missing = count - len(rankings)
        if missing > 0:
            # Nothing changes any more: the reason is the same for all the rest.
            rankings += [self.rank(request, picture)] * missing
        return rankings

    def _best(self, request: Placement, fleet: Fleet, rows: Ints) -> Sequence[int]:
        return self.order(request, fleet, self.preferred(request, fleet, rows))

    def highest(self, scores: Floats) -> Ints:
        """Where the highest `alternates` of these scores are, highest first.

        Equals come in random order, so that many schedulers looking at the same
        picture do not all claim the same host.
        """
        scores = scores + self._noise.random(len(scores)) * _LESS_THAN_ANY_SCORE
        if len(scores) > self.alternates:
            some = np.argpartition(scores, -self.alternates)[-self.alternates :]
        else:
            some = np.arange(len(scores))
        return some[np.argsort(-scores[some])]

    def _filters_for(self, request: Placement) -> Mapping[str, Filter]:
        filters = self.filters if request.host is None else {**FORCED_HOST, **self.filters}
        return concerning(filters, request)


class _Sieve:
    """What the filters did to each host, for one request."""

    def __init__(self, filters: Mapping[str, Filter], request: Placement, fleet: Fleet) -> None:
        self.filters, self.request, self.fleet = filters, request, fleet
        left = np.ones(len(fleet), dtype=np.bool_)
        remaining = len(fleet)
        self.left_after = []
        self.remaining = []
        for each in filters.values():
            mask = each.mask(request, fleet, left)
            if mask is not None:
                left = left & mask
                remaining = int(np.count_nonzero(left))
            self.left_after.append(left)
            self.remaining.append(remaining)
        self.left = left.copy()

    def rows(self) -> Ints:
        return np.flatnonzero(self.left)

    def ranking(self, best: Sequence[int]) -> Ranking:
        return Ranking(
            hosts=[self.fleet.names[row] for row in best],
            considered=len(self.fleet),
            verdicts=[
                Verdict(name, each.describe(self.request), remaining)
                for (name, each), remaining in zip(
                    self.filters.items(), self.remaining, strict=True
                )
            ],
        )

    def refused(self) -> dict[str, str]:
        """Host -> the first filter that put it out."""
        refused: dict[str, str] = {}
        before = np.ones(len(self.fleet), dtype=np.bool_)
        for name, after in zip(self.filters, self.left_after, strict=True):
            out = np.flatnonzero(before & ~after).tolist()
            refused.update(dict.fromkeys([self.fleet.names[row] for row in out], name))
            before = after
        return refused

    def puts_out_now(self, row: int) -> bool:
        """Ask again about one host that has changed; True, and noted, if it must go."""
        again = _Sieve(self.filters, self.request, self.fleet.only(row))
        if again.left[0]:
            return False
        self.left[row] = False
        for i, still in enumerate(again.remaining):
            self.remaining[i] -= 1 - still
        return True

"""What a filter is: a question about hosts, and how it is asked of all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from nova_lite.scheduler.base import Placement
from nova_lite.scheduler.fleet import Fleet, HostView, Mask

Concern = Callable[[Placement], bool]


def always(request: Placement) -> bool:
    return True


class Filter(Protocol):
    """A rule by which hosts are put out.

    It may also have `concerns(request)`: a rule that a request does not concern
    is neither asked nor spoken of.
    """

    def describe(self, request: Placement) -> str:
        """What the request asks of this rule, in words: '512 MB', 'any zone'."""

    def mask(self, request: Placement, fleet: Fleet, left: Mask) -> Mask | None:
        """True for each host that may stay, or None if all may.

        `left` are the hosts earlier filters have left; what is said about
        others does not matter, so a dear rule need not look at them.
        """


@dataclass(frozen=True)
class ColumnFilter:
    """A rule that is a line of arithmetic over the columns."""

    asked: Callable[[Placement], str]
    keep: Callable[[Placement, Fleet], Mask | None]
    concerns: Concern = always

    def describe(self, request: Placement) -> str:
        return self.asked(request)

    def mask(self, request: Placement, fleet: Fleet, left: Mask) -> Mask | None:
        return self.keep(request, fleet)


@dataclass(frozen=True)
class HostFilter:
    """A rule that has to look at one host at a time; it is shown only those still left."""

    asked: Callable[[Placement], str]
    keep: Callable[[Placement, HostView], bool]
    concerns: Concern = always

    def describe(self, request: Placement) -> str:
        return self.asked(request)

    def mask(self, request: Placement, fleet: Fleet, left: Mask) -> Mask:
        answer = np.zeros(len(fleet), dtype=np.bool_)
        for row in np.flatnonzero(left).tolist():
            answer[row] = self.keep(request, fleet.host(row))
        return answer


def concerning(filters: Mapping[str, Filter], request: Placement) -> dict[str, Filter]:
    """Those of `filters` that have something to say about this request."""
    return {
        name: each for name, each in filters.items() if getattr(each, "concerns", always)(request)
    }

"""JsonFilter: hosts for which an expression of the user's is true.

The expression is JSON with the verb first: ["and", [">=", "$free_ram_mb", 1024],
["=", "$hypervisor_type", "QEMU"]].  `$name` is a capability of the host.  It is
worked out for all hosts at once, and so that no expression can cost much.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np

from nova_lite.scheduler.capabilities import CAPABILITIES
from nova_lite.scheduler.fleet import Fleet, Mask, Words
from nova_lite.scheduler.rule import ColumnFilter

LONGEST, DEEPEST, MOST = 4096, 16, 200  # characters, levels, parts

Truth = Any  # one bool for every host, or one for all


def _compare(how: Callable[[Any, Any], Any]) -> Callable[[Sequence[Any]], Truth]:
    """The first against each of the others; with no other it is false."""

    def compared(arguments: Sequence[Any]) -> Truth:
        first, *others = arguments
        return bool(others) and reduce(operator.and_, (_asked(how, first, o) for o in others))

    return compared


def _asked(how: Callable[[Any, Any], Any], left: Any, right: Any) -> Truth:
    try:
        # Comparing a text with a number is false, and in numpy an error.
        return np.asarray(how(np.asarray(left), np.asarray(right)), dtype=np.bool_)
    except (TypeError, ValueError):
        return np.False_


def _any_of(arguments: Sequence[Any]) -> Truth:
    first, *others = arguments
    return reduce(operator.or_, (_asked(operator.eq, first, o) for o in others), np.False_)


VERBS: Mapping[str, Callable[[Sequence[Any]], Truth]] = {
    "=": _compare(operator.eq),
    "<": _compare(operator.lt),
    ">": _compare(operator.gt),
    "<=": _compare(operator.le),
    ">=": _compare(operator.ge),
    "in": _any_of,
    "not": lambda arguments: ~reduce(operator.or_, map(_truth, arguments)),
    "or": lambda arguments: reduce(operator.or_, map(_truth, arguments)),
    "and": lambda arguments: reduce(operator.and_, map(_truth, arguments)),
}


def matching(query: str, fleet: Fleet) -> Mask:
    """True for the hosts of which `query` holds; for none when it cannot be understood."""
    try:
        if len(query) > LONGEST:
            raise ValueError("too long")
        truth = _truth(_worth(json.loads(query), fleet, DEEPEST))
    except (ValueError, RecursionError):
        truth = np.False_
    return np.broadcast_to(truth, (len(fleet),)).copy()


def _truth(value: Any) -> Truth:
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        return np.False_
    return array.astype(np.bool_)


def _worth(part: Any, fleet: Fleet, depth: int) -> Any:
    if isinstance(part, str) and part.startswith("$"):
        return _column(part[1:].removeprefix("capabilities.").replace(".", ":"), fleet)
    if not isinstance(part, list):
        return part
    if not part or not depth or len(part) > MOST:
        raise ValueError("empty, or too deep, or too long")
    verb, *arguments = part
    if not isinstance(verb, str) or verb not in VERBS or not arguments:
        raise ValueError(f"no such verb: {verb}")
    return VERBS[verb]([_worth(argument, fleet, depth - 1) for argument in arguments])


def _column(name: str, fleet: Fleet) -> Any:
    """The column of this name; what no host has is nothing, and equals nothing."""
    if name not in CAPABILITIES:
        raise ValueError(f"no such capability: {name}")
    column = CAPABILITIES[name](fleet)
    if isinstance(column, Words):
        return np.asarray(column.distinct or [""])[column.codes]
    return column


FILTERS = {
    "JsonFilter": ColumnFilter(
        lambda request: f"query {(request.query or '')[:100]}",
        lambda request, fleet: matching(request.query or "", fleet),
        lambda request: request.query is not None,
    )
}

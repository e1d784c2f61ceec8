"""The words of `nft -j`, and the tool itself.

What is said to it in one go is one transaction: all of it comes true, or none.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nova_lite.domain.errors import NetworkError

TIMEOUT = 30  # seconds

Json = dict[str, Any]

IN, OUT = {"meta": {"key": "iifname"}}, {"meta": {"key": "oifname"}}
MARK: Json = {"meta": {"key": "mark"}}
L4_PROTOCOL = {"meta": {"key": "l4proto"}}
ACCEPT, DROP = {"accept": None}, {"drop": None}


@dataclass(frozen=True)
class Table:
    """A table of ours; each method is a command about it or something in it."""

    family: str
    name: str

    def add(self, **kind: Json) -> Json:
        """Make sure that there is this object; the table itself when it says no more."""
        return {"add": self._own(kind)}

    def flush(self, **kind: Json) -> Json:
        return {"flush": self._own(kind)}

    def delete(self, **kind: Json) -> Json:
        return {"delete": self._own(kind)}

    def rule(self, chain: str, *expressions: Json) -> Json:
        return self.add(rule={"chain": chain, "expr": list(expressions)})

    def _own(self, kind: dict[str, Json]) -> Json:
        ((what, content),) = kind.items()
        key = "name" if what == "table" else "table"
        return {what: {"family": self.family, key: self.name} | content}


def matches(left: Json, right: Any, op: str = "==") -> Json:
    return {"match": {"op": op, "left": left, "right": right}}


def payload(protocol: str, field: str) -> Json:
    return {"payload": {"protocol": protocol, "field": field}}


def prefix(address: str, length: int) -> Json:
    return {"prefix": {"addr": address, "len": length}}


def one_of(values: Sequence[Any]) -> Any:
    """A set of values, or the value itself where it is the only one."""
    return values[0] if len(values) == 1 else {"set": list(values)}


def jump(chain: str) -> Json:
    return {"jump": {"target": chain}}


def apply(commands: Sequence[Json]) -> None:
    """Carry out a transaction: all of it or, with NetworkError, nothing."""
    answer = call("-j", "-f", "-", text=json.dumps({"nftables": list(commands)}))
    if answer.returncode:
        raise NetworkError(f"nft refused our table: {answer.stderr.strip()}")


def call(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """What nft says.  Raises NetworkError when there is no such program, or no answer."""
    try:
        return subprocess.run(
            ["nft", *arguments], input=text, capture_output=True, text=True, timeout=TIMEOUT
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NetworkError(f"nft cannot be run: {error}") from error

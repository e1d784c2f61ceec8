"""Talking to whoever started it, as bin/lib/terminal.sh does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Refusal(Exception):
    """Why it cannot go on, and what the reader can do about it: one line."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(f"{message} -> {remedy}" if remedy else message)


def note(text: str) -> None:
    """Something to know about the stage that is under way."""
    print(f"    {text}", flush=True)


@contextmanager
def stage(title: str) -> Iterator[None]:
    """What is done under this title, and how long it took."""
    began = time.monotonic()
    print(f"==> {title}", flush=True)
    yield
    note(f"done in {time.monotonic() - began:.1f} s")

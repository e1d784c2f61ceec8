"""How long a call may take, asked so that only the call itself is counted."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def within(seconds: float, clock: Callable[[], float] = time.thread_time) -> Iterator[None]:
    """Fail if what is done in here takes longer: by default in CPU time of this thread.

    Nothing is collected meanwhile. A test process is full of what thousands of tests left, and
    looking through all of it takes a second, which may fall into any call. Bounds are meant for
    what grows out of all proportion: ten times what is needed, never twice.
    """
    collecting = gc.isenabled()
    gc.disable()
    began = clock()
    try:
        yield
        took = clock() - began
    finally:
        if collecting:
            gc.enable()
    assert took < seconds, f"it took {took:.3f} seconds, and {seconds} were granted"

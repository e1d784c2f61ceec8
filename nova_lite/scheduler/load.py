"""The policy the configuration names.

Policies are found in the entry-point group `nova_lite.schedulers`: name -> a
class that keeps the `Scheduler` protocol and is built as `cls(settings, rng)`.
"""

from __future__ import annotations

import random

from nova_lite.scheduler import plugins
from nova_lite.scheduler.base import Scheduler, SchedulerSettings

GROUP = "nova_lite.schedulers"


def load(name: str, settings: SchedulerSettings, rng: random.Random) -> Scheduler:
    """Raises `plugins.Unknown` if there is no such policy, or no such filter as it wants."""
    scheduler = plugins.find(GROUP, name)(settings, rng)
    if not isinstance(scheduler, Scheduler):
        raise TypeError(f"{name!r} in {GROUP} gives no Scheduler, but {scheduler!r}")
    return scheduler

"""The configuration of a command, from its arguments."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from oslo_config import cfg

from nova_lite import config as options
from nova_lite.cmd import log
from nova_lite.cmd.frugality import be_frugal


def configure(arguments: Sequence[str]) -> cfg.ConfigOpts:
    """What the files and `arguments` say, or one line about what is wrong, and an exit."""
    try:
        config = options.load(arguments)
    except (cfg.Error, ValueError, OSError) as error:
        sys.exit(f"configuration: {error}")
    log.setup(config)
    be_frugal()
    return config

"""Where log lines go, and what they look like."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from oslo_config import cfg

FORMAT = "%(asctime)s.%(msecs)03dZ %(levelname)s %(threadName)s %(name)s %(message)s"


def setup(config: cfg.ConfigOpts) -> None:
    formatter = logging.Formatter(FORMAT, datefmt="%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    if config.log_file:
        # Made before it is opened, because it tells of everybody's doings.
        Path(config.log_file).touch(mode=0o640)
    handler: logging.Handler = (
        logging.FileHandler(config.log_file) if config.log_file else logging.StreamHandler()
    )
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("nova_lite").setLevel(logging.DEBUG if config.debug else logging.INFO)

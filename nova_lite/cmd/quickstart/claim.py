"""Who provides real networks on this host: one state directory at a time.

The rules of all networks are one table of the packet filter, and a network
worker keeps it as its own networks need it: a second one would undo that.  The
claim is a file in /run, so it ends with the networks when the host is started
again; it names the network namespace, as that is what they are in.
"""

from __future__ import annotations

import os
from pathlib import Path

from nova_lite.cmd.quickstart.place import Place, write
from nova_lite.cmd.quickstart.terminal import Refusal
from nova_lite.network import nftables

RUN = Path("/run")


def take(place: Place) -> None:
    """Refuses when the host is another's; else it is ours until `drop`."""
    file = _file()
    owner = _owner(file)
    if owner == place.directory:
        return
    if owner is not None and Place(owner).exists:
        raise Refusal(
            f"{owner} provides the networks of this host",
            f"purge it (--state-dir {owner} --purge), or try --fake",
        )
    if owner is None and nftables.fingerprint():
        raise Refusal(
            "another nova_lite provides the networks of this host",
            "end it, or if it is dead: nft delete table inet nova_lite",
        )
    beside = file.with_name(f"{file.name}.{os.getpid()}")
    write(beside, f"{place.directory}\n")
    if owner is not None:  # but is gone
        file.unlink()
    try:
        os.link(beside, file)  # of two at the same time, one finds it there
    except FileExistsError:
        raise Refusal("somebody else has just begun on this host", "try again") from None
    finally:
        beside.unlink()


def drop(place: Place) -> None:
    """Also of half a claim, left by somebody who was killed."""
    for file in RUN.glob(f"{_file().name}*"):
        if _owner(file) == place.directory:
            file.unlink()


def _file() -> Path:
    return RUN / f"nova-lite-networks-{os.stat('/proc/self/ns/net').st_ino}"


def _owner(file: Path) -> Path | None:
    try:
        return Path(file.read_text().strip())
    except FileNotFoundError:
        return None

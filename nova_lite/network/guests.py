"""The filters of guests on this host: the rules in the kernel, and what they were made of.

One file per guest keeps its NICs, written before the kernel is told.  So a
worker that starts knows what is there, and whoever flushed the kernel's rules,
knowing nothing of us, has them back when `watch` looks again.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from nova_lite.domain.specs import Nic, from_json, to_json
from nova_lite.network import filters, nft
from nova_lite.network.dnsmasq import write_whole


class GuestFilters:
    """`directory` is theirs alone; processes that share it take turns."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def protect(self, guest: UUID, nics: Sequence[Nic]) -> None:
        with self._alone():
            before = self._known(guest)
            now = before | {nic.tap: nic for nic in nics}
            # Before it is so: what is known can be taken back.
            self._keep(guest, now)
            if filters.taps([*before.values(), *nics]):
                nft.apply(filters.protect(nics))

    def unprotect(self, guest: UUID, but: Sequence[Nic] = ()) -> None:
        stay = {nic.tap for nic in but}
        with self._alone():
            known = self._known(guest)
            gone = [tap for tap in known if tap not in stay]
            if gone:
                nft.apply(filters.unprotect(gone))
                self._keep(guest, {tap: nic for tap, nic in known.items() if tap in stay})

    def protected(self) -> Mapping[UUID, Sequence[str]]:
        with self._alone():
            standing = set(self._standing())
            found = {guest: sorted(self._known(guest).keys() & standing) for guest in self._all()}
            return {guest: taps for guest, taps in found.items() if taps}

    def watch(self) -> None:
        if not self.directory.exists():
            return
        with self._alone():
            wanted = [nic for guest in self._all() for nic in self._known(guest).values()]
            if set(filters.taps(wanted)) - set(self._standing()):
                nft.apply(filters.protect(wanted))

    def remove_all(self) -> None:
        nft.apply(filters.remove_all())
        shutil.rmtree(self.directory, ignore_errors=True)

    def _standing(self) -> Sequence[str]:
        """The interfaces that the kernel filters."""
        table = (filters.BRIDGE.family, filters.BRIDGE.name)
        answer = nft.call("-j", "list", "set", *table, "guarded")
        if answer.returncode:
            return ()
        found = json.loads(answer.stdout)["nftables"]
        return next((each["set"].get("elem", ()) for each in found if "set" in each), ())

    def _all(self) -> list[UUID]:
        return sorted(UUID(file.stem) for file in self.directory.glob("*.json"))

    def _known(self, guest: UUID) -> dict[str, Nic]:
        try:
            found = json.loads(self._file(guest).read_text())
        except (FileNotFoundError, ValueError):  # a file that power loss has emptied says nothing
            return {}
        return {nic.tap: nic for nic in (from_json(Nic, each) for each in found)}

    def _keep(self, guest: UUID, nics: Mapping[str, Nic]) -> None:
        if nics:
            write_whole(self._file(guest), json.dumps(to_json(list(nics.values()))))
        else:
            self._file(guest).unlink(missing_ok=True)

    def _file(self, guest: UUID) -> Path:
        return self.directory / f"{guest}.json"

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self.directory.mkdir(parents=True, exist_ok=True)
        with open(self.directory / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

"""Copying a disk in use: whose job it is, and what may go wrong on the way."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import libvirt
import pytest

from nova_lite.domain.errors import HypervisorError
from nova_lite.virt.libvirt.backup import copy
from tests.unit.virt.libvirt.errors import libvirt_error

BACKUP = libvirt.VIR_DOMAIN_JOB_OPERATION_BACKUP
NONE, GOES_ON = {"type": libvirt.VIR_DOMAIN_JOB_NONE}, libvirt.VIR_DOMAIN_JOB_UNBOUNDED


class Domain:
    """A guest whose backup takes three looks; `ends` is how, and `off_at` when it goes off."""

    def __init__(self, ends: int = libvirt.VIR_DOMAIN_JOB_COMPLETED) -> None:
        self.ends = ends
        self.active = True
        self.job: dict[str, Any] = NONE
        self.looks = itertools.count()
        self.off_at: int | None = None
        self.begun: list[str] = []
        self.aborted = 0
        self.error = libvirt.VIR_ERR_OPERATION_INVALID

    def name(self) -> str:
        return "instance-1"

    def isActive(self) -> bool:
        return self.active

    def backupBegin(self, xml: str, checkpoint: str | None) -> None:
        if self.job is not NONE:
            raise libvirt_error(self.error, "another backup job is running")
        self.begun.append(xml)
        self.job = {"type": GOES_ON, "operation": BACKUP}
        self.looks = itertools.count()

    def abortJob(self) -> None:
        self.aborted += 1
        if next(self.looks) > 1:
            self.job = NONE
            raise libvirt_error(self.error, "no job is active")

    def jobStats(self, flags: int = 0) -> dict[str, Any]:
        look = next(self.looks)
        if look == self.off_at:
            self.active, self.job = False, NONE
        if not self.active:
            raise libvirt_error(libvirt.VIR_ERR_OPERATION_INVALID, "domain is not running")
        if flags & libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED:
            return {"type": self.ends, "operation": BACKUP, "errmsg": "No space left on device"}
        if look >= 3:
            self.job = NONE
        return self.job


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_only_the_disk_that_was_asked_for_is_copied(tmp_path: Path) -> None:
    domain, clock = Domain(), Clock()
    (tmp_path / "copy").write_bytes(b"of an attempt before")
    assert copy(domain, "vda", tmp_path / "copy", clock)
    assert not (tmp_path / "copy").exists(), "libvirt makes it itself"
    [xml] = domain.begun
    backup = ET.fromstring(xml)
    assert (backup.tag, backup.get("mode")) == ("domainbackup", "push")
    assert [disk.attrib for disk in backup.iter("disk")] == [{"name": "vda", "type": "file"}]
    assert [target.get("file") for target in backup.iter("target")] == [str(tmp_path / "copy")]
    assert domain.aborted == 0 and 0 < clock.now < 1


@pytest.mark.parametrize("looks", [0, 2])
def test_the_job_of_a_worker_that_died_is_abandoned(tmp_path: Path, looks: int) -> None:
    """It may come to its end by itself just then."""
    domain = Domain()
    domain.job, domain.looks = {"type": GOES_ON, "operation": BACKUP}, itertools.count(looks)
    assert copy(domain, "vda", tmp_path / "copy", Clock())
    assert domain.aborted == 1 and len(domain.begun) == 1


def test_the_job_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    domain = Domain()
    domain.job = {"type": GOES_ON, "operation": libvirt.VIR_DOMAIN_JOB_OPERATION_SAVE}
    with pytest.raises(HypervisorError, match="vda of instance-1 could not be copied"):
        copy(domain, "vda", tmp_path / "copy", Clock())
    assert not domain.begun and not domain.aborted


def test_a_copy_that_fails_says_why(tmp_path: Path) -> None:
    domain = Domain(ends=libvirt.VIR_DOMAIN_JOB_FAILED)
    with pytest.raises(HypervisorError, match="could not be copied: No space left on device"):
        copy(domain, "vda", tmp_path / "copy", Clock())


@pytest.mark.parametrize("look", [0, 1, 3])
def test_a_guest_that_goes_off_is_told_from_a_failure(tmp_path: Path, look: int) -> None:
    domain = Domain()
    domain.off_at = look
    assert not copy(domain, "vda", tmp_path / "copy", Clock())


def test_what_is_no_race_is_told(tmp_path: Path) -> None:
    domain = Domain()
    domain.job, domain.error = dict(NONE), libvirt.VIR_ERR_INTERNAL_ERROR
    with pytest.raises(HypervisorError, match="could not be copied: another backup job"):
        copy(domain, "vda", tmp_path / "copy", Clock())


def test_a_guest_that_is_still_going_off_is_told_from_a_failure(tmp_path: Path) -> None:
    domain = Domain()
    domain.job, domain.error = dict(NONE), libvirt.VIR_ERR_INTERNAL_ERROR

    class Dying(Clock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            domain.active = self.now < 1

    assert not copy(domain, "vda", tmp_path / "copy", Dying())

"""The conformance suite of hypervisor drivers, on those that need nothing of the machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import libvirt
import pytest

from nova_lite.images.cache import ImageCache
from nova_lite.testing.virt import (
    AGENT,
    CONTENT,
    HOT,
    IMAGE,
    SCREEN,
    Connect,
    VirtDriverConformance,
)
from nova_lite.virt.driver import VirtDriver
from nova_lite.virt.fake import PLENTY, FakeDriver, Machine
from nova_lite.virt.libvirt.driver import LibvirtDriver


class TestFakeInMemory(VirtDriverConformance):
    @pytest.fixture
    def connect(self) -> Connect:
        machine = Machine()
        return lambda: FakeDriver(machine)


class TestFakeInADirectory(VirtDriverConformance):
    """Each driver as in a process of its own: what they share is the directory."""

    @pytest.fixture
    def connect(self, tmp_path: Path) -> Connect:
        return lambda: FakeDriver(Machine(directory=tmp_path))


class TestFakeThatStaysWhereItIs(VirtDriverConformance):
    """On a machine without any of the abilities that not all have."""

    @pytest.fixture
    def connect(self) -> Connect:
        machine = Machine(replace(PLENTY, abilities=()))
        return lambda: FakeDriver(machine)


class TestLibvirtsOwnMock(VirtDriverConformance):
    lacks = frozenset({HOT, AGENT, SCREEN})

    @pytest.fixture
    def connect(self, tmp_path: Path) -> Iterator[Connect]:
        # The mock lives as long as one connection to it is open.
        anchor = libvirt.open("test:///default")
        drivers: list[LibvirtDriver] = []

        def connect() -> VirtDriver:
            images = ImageCache(tmp_path / "_base", lambda url: iter([{IMAGE.url: CONTENT}[url]]))
            drivers.append(LibvirtDriver("test:///default", tmp_path, images, "test", patience=0.1))
            return drivers[-1]

        yield connect
        assert [domain.name() for domain in anchor.listAllDomains()] == ["test"], "not ours"
        for driver in drivers:
            driver.close()
        anchor.close()

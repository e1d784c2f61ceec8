"""Every network driver we ship, held against the suite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nova_lite.network.driver import NetworkDriver
from nova_lite.network.fake import FakeHost, FakeNetwork
from nova_lite.testing.network import NetworkConformance
from tests.netlab import Lab


class FakeMachine:
    def __init__(self) -> None:
        self.host = FakeHost()

    def driver(self) -> NetworkDriver:
        return FakeNetwork(self.host)


class TestFake(NetworkConformance):
    @pytest.fixture
    def host(self) -> FakeMachine:
        return FakeMachine()


@pytest.mark.real
class TestLinux(NetworkConformance):
    @pytest.fixture
    def host(self) -> Iterator[Lab]:
        lab = Lab()
        try:
            with lab.host.inside():
                yield lab
        finally:
            lab.remove()

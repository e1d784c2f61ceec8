"""The bus of a cloud in one process: oslo.messaging over our broker in memory."""

from __future__ import annotations

import pytest

from nova_lite.bus import memory
from tests.unit.bus.conversation import Conversation


class TestEmbedded(Conversation):
    @pytest.fixture(autouse=True)
    def nothing_left_behind(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # All buses of a process share one broker: what nobody heard before is not for us.
        monkeypatch.setattr(memory.Channel, "queues", {})

    @pytest.fixture
    def url(self) -> str:
        return "kombu+memory://"

from __future__ import annotations

from typing import Any

import pytest
from pyroute2.netlink.exceptions import NetlinkError

from nova_lite.domain.errors import NetworkError
from nova_lite.network import linux


class Refusing:
    def link(self, *arguments: Any, **fields: Any) -> None:
        raise NetlinkError(1, "Operation not permitted")


@pytest.mark.parametrize("act", [linux._find, linux._create_bridge])
def test_what_the_kernel_refuses_is_told_in_its_words(act: Any) -> None:
    with pytest.raises(NetworkError, match="Operation not permitted"), linux._kernel():
        act(Refusing(), "br100")

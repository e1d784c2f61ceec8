"""What the commonest requests cost, counted in statements: those do not depend on the machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from nova_lite.testing.cloud import Cloud
from tests.functional.town import Town

#: What a token is worth is read from these.
OF_TOKENS = ("users", "role_assignments", "projects", "revoked_tokens", "roles", "domains")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = Town(tmp_path_factory.mktemp("town"))
    yield town
    town.cloud.close()


@contextmanager
def statements() -> Iterator[list[str]]:
    """Every SELECT, whichever connection it goes through."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith("BEGIN"):
            seen.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)


def asked_for(ask: Callable[[], object]) -> list[str]:
    ask()  # the first one has to look at the token
    with statements() as seen:
        ask()
    return seen


@pytest.mark.parametrize("who", ["member", "admin"])
@pytest.mark.parametrize("version", ["2.1", "2.96"])
def test_a_server_is_shown_by_one_statement(town: Town, who: str, version: str) -> None:
    path = f"/compute/v2.1/servers/{town.known['servers']}"
    token = town.tokens[who]
    [only] = asked_for(lambda: town.root.get(path, token=token, version=version))
    assert "FROM instances" in only


def test_a_page_of_servers_is_as_many_statements_as_a_page_of_one(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path, hosts=2)
    flavor = {"name": "f", "id": "f", "ram": 64, "vcpus": 1, "disk": 1}
    cloud.compute.post("/flavors", {"flavor": flavor})
    image = {"name": "i", "disk_format": "raw", "container_format": "bare"}
    image = cloud.image.post("/v2/images", image)["id"]
    cloud.image.call("PUT", f"/v2/images/{image}/file", data=bytes(512), status=204)
    server = {"name": "s", "imageRef": image, "flavorRef": "f", "networks": "none", "min_count": 9}
    cloud.compute.post("/servers", {"server": server}, version="2.37")
    cloud.settle()

    def page(of: int) -> list[str]:
        path = f"/servers/detail?limit={of}"
        return asked_for(lambda: cloud.compute.get(path, version="2.96"))

    one, nine = page(1), page(9)
    assert len(one) == len(nine) == 3  # servers, addresses, states of hosts
    cloud.close()


def test_a_token_costs_no_statement_until_it_is_looked_at_again(town: Town) -> None:
    token = town.tokens["reader"]
    path = "/compute/v2.1/extensions"  # which asks the database for nothing
    assert not asked_for(lambda: town.root.get(path, token=token))
    town.cloud.clock.pass_seconds(town.cloud.config.identity.cache_seconds + 1)
    with statements() as seen:
        town.root.get(path, token=token)
    assert any(table in statement for statement in seen for table in OF_TOKENS)
    with statements() as seen:
        town.root.get(path, token=token)
    assert not seen

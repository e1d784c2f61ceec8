"""How flags are asked for, since a database may use an index for one way and not for another."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.services.compute.instance_lists import Filters, conditions

PACKAGE = Path(__file__).parents[3] / "nova_lite"


@pytest.mark.parametrize("deleted", [True, False])
def test_a_list_of_servers_says_which_in_words_an_index_understands(deleted: bool) -> None:
    """MariaDB reads `deleted IS FALSE` from the rows: of all that are gone, too."""
    context = RequestContext("req", "u", project_id="p", roles=frozenset({"reader"}))
    said = sa.and_(*conditions(Session(), context, Filters(deleted=deleted)))
    assert f"instances.deleted = {str(deleted).lower()}" in str(said)
    assert " IS " not in str(said)


def test_no_flag_is_asked_for_by_is() -> None:
    found = [
        f"{path.name}: {line.strip()}"
        for path in PACKAGE.rglob("*.py")
        for line in path.read_text().splitlines()
        if re.search(r"\.(is_|is_not)\((True|False|sa\.(true|false)\(\))\)", line)
    ]
    assert not found

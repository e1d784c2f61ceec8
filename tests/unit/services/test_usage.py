"""Usage is for those whose it is."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from nova_lite.domain.errors import Forbidden
from nova_lite.services.compute.usage import Period, Usages
from tests.unit.services.site import ADMIN, ALICE, BOB, Site


def test_others_see_nothing_of_it(tmp_path: Path) -> None:
    site = Site(tmp_path)
    usages = Usages(site.database, site.now)
    period = Period(site.now(), site.now() + dt.timedelta(days=1))
    assert list(usages.servers(ALICE, period, project_id="red")) == []
    assert list(usages.servers(ADMIN, period)) == []
    for project in ("red", None):
        with pytest.raises(Forbidden):
            usages.servers(BOB, period, project_id=project)

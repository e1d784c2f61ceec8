"""The threads that carry out imports."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nova_lite import config as options
from nova_lite.cmd import controllers
from nova_lite.cmd.process import Process
from tests.functional.image_site import ImageSite
from tests.processes import wait_until


@pytest.fixture
def site(tmp_path: Path) -> Iterator[ImageSite]:
    site = ImageSite(tmp_path)
    yield site
    site.database.close()


@pytest.fixture
def process() -> Iterator[Process]:
    process = Process("test")
    yield process
    process.stop()


def imported(site: ImageSite) -> str:
    id = site.create()
    site.call("PUT", f"/v2/images/{id}/stage", data=b"data", status=204)
    site.call("POST", f"/v2/images/{id}/import", {"method": {"name": "glance-direct"}}, status=202)
    return id


def test_imports_are_carried_out_at_once(
    site: ImageSite, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controllers, "IMPORT_LOOK_SECONDS", 60)
    left_by_another = imported(site)
    services: Any = site.services
    controllers.add_imports(options.load((), files=()), process, services)
    both = (left_by_another, imported(site))
    wait_until(
        lambda: {site.json("GET", f"/v2/images/{id}")["status"] for id in both} == {"active"},
        seconds=30,
        what="the images are there",
    )
    process.stopping.set()
    site.services.image_imports.wake()
    site.services.image_imports.wake()


def test_a_database_that_is_away_is_waited_for(
    site: ImageSite,
    process: Process,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(controllers, "IMPORT_LOOK_SECONDS", 0.01)
    imports = site.services.image_imports
    run_one, calls = imports.run_one, []

    def fail_once() -> bool:
        calls.append(1)
        if len(calls) == 1:
            raise ConnectionError("the database is away")
        return run_one()

    monkeypatch.setattr(imports, "run_one", fail_once)
    id = imported(site)
    config = options.load((), files=())
    config.set_override("import_threads", 1, group="image")
    services: Any = site.services
    with caplog.at_level(logging.ERROR):
        controllers.add_imports(config, process, services)
        wait_until(
            lambda: site.json("GET", f"/v2/images/{id}")["status"] == "active",
            seconds=30,
            what="the image is there",
        )
    assert "it will be tried again" in caplog.text
    process.stopping.set()
    imports.wake()


def test_what_died_is_repaired_now_and_then(
    site: ImageSite, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    from uuid import UUID

    from nova_lite.db.models import ImageStatus

    monkeypatch.setattr(controllers, "IMAGE_REPAIR_SECONDS", 0.01)
    id = site.create()
    site.data._begin(UUID(id), ImageStatus.SAVING)
    services: Any = site.services
    controllers.add_imports(options.load((), files=()), process, services)
    wait_until(
        lambda: site.json("GET", f"/v2/images/{id}")["status"] == "queued",
        seconds=30,
        what="the image waits for data again",
    )

"""Metadata definitions are the same on every database."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nova_lite.domain.errors import Conflict
from nova_lite.services.image.metadefs import Definition, MetadefKind, Metadefs, Namespace, Page
from tests.engines import Database
from tests.functional.image_site import ADMIN, ImageSite

pytestmark = pytest.mark.real


@pytest.fixture(params=["mariadb", "postgresql"])
def metadefs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Metadefs]:
    engine = request.getfixturevalue(request.param)
    assert isinstance(engine, Database)
    site = ImageSite(tmp_path, engine.fresh_database())
    yield site.metadefs
    site.database.close()


def tag(name: str) -> Definition:
    return Definition(MetadefKind.TAG, name)


def test_entries_and_pages_are_as_on_sqlite(metadefs: Metadefs) -> None:
    metadefs.bootstrap()
    metadefs.bootstrap()
    assert len(metadefs.resource_types(ADMIN)) == 5
    names = ["a", "A", "\U0001f4a9", "b"]
    for name in names:
        new = Definition(MetadefKind.OBJECT, name, {"description": name})
        metadefs.create(ADMIN, Namespace(name), [new, tag(name)])
    for key in ("namespace", "display_name", "protected", "created_at"):
        found, marker = [], None
        while True:
            page = Page(limit=3, marker=marker, sort_key=key, descending=False)
            several, more = metadefs.list(ADMIN, page)
            found += [one.namespace.namespace for one in several]
            marker = found[-1]
            if not more:
                break
        assert sorted(found) == sorted(names), key
    entry = metadefs.replace(ADMIN, "a", "a", Definition(MetadefKind.OBJECT, "A", {"x": 1}))
    assert (entry.name, entry.document) == ("A", {"x": 1})
    assert metadefs.entry(ADMIN, "a", MetadefKind.OBJECT, "A").document == {"x": 1}
    with pytest.raises(Conflict):
        metadefs.update(ADMIN, "a", Namespace("b"))
    metadefs.delete(ADMIN, "a")
    assert metadefs.entries(ADMIN, "A", MetadefKind.TAG)[0].name == "A"


def test_ten_at_once_make_a_thing_but_once(metadefs: Metadefs) -> None:
    def once(deed: object, *arguments: object) -> bool:
        try:
            deed(ADMIN, *arguments)  # type: ignore[operator]
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(10) as threads:
        made = threads.map(lambda _: once(metadefs.create, Namespace("ns")), range(10))
        assert sum(made) == 1
        made = threads.map(lambda _: once(metadefs.add, "ns", [tag("t")]), range(10))
        assert sum(made) == 1
        for i in range(5):
            metadefs.create(ADMIN, Namespace(f"ns{i}"))
        renamed = threads.map(lambda i: once(metadefs.update, f"ns{i}", Namespace("one")), range(5))
        assert sum(renamed) == 1

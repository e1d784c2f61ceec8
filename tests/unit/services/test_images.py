"""What can be done with images, and what cannot."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import logging
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from nova_lite.context import RequestContext
from nova_lite.db.base import Base
from nova_lite.db.engine import Database
from nova_lite.db.models import Image, ImageStatus
from nova_lite.db.queries.images import forget
from nova_lite.domain.errors import (
    Conflict,
    Forbidden,
    ImageUnacceptable,
    Invalid,
    NotFound,
    TooLarge,
)
from nova_lite.images.files import FileStore, Locks, Part
from nova_lite.services.image.data import ImageData, signed_path
from nova_lite.services.image.images import Change, Images, ImageSettings, NewImage
from nova_lite.services.image.lists import Filters
from nova_lite.services.image.quotas import ImageQuotas
from nova_lite.services.image.stores import Stores

KEY = b"signing"
ALICE = RequestContext("req-a", "alice", project_id="red", roles=frozenset({"member", "reader"}))
BOB = RequestContext("req-b", "bob", project_id="blue", roles=frozenset({"member", "reader"}))
ADMIN = RequestContext("req-c", "root", project_id="admin", roles=frozenset({"admin", "member"}))
RAW = NewImage(name="raw", disk_format="raw", container_format="bare")


class Clock:
    def __init__(self) -> None:
        self.time = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)

    def __call__(self) -> dt.datetime:
        self.time += dt.timedelta(seconds=1)
        return self.time


class Site:
    """The service on a database and a store of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "images"
        self.clock = Clock()
        self.database = Database(f"sqlite:///{directory}/db")
        Base.metadata.create_all(self.database.engine)
        self.store = FileStore(self.directory)
        staging = directory / "staging"
        self.stores = Stores({"file": self.store}, FileStore(staging), Locks(staging / "locks"))
        self.quotas = ImageQuotas(self.database, lambda session, project, resource: None)
        self.settings = ImageSettings(properties=3, tags=3)
        self.images = Images(self.database, self.stores, self.quotas, self.settings, self.clock)
        self.data = ImageData(self.database, self.stores, self.quotas, KEY, 1000, self.clock)

    def active(self, context: RequestContext = ALICE, content: bytes = b"data", **new: Any) -> UUID:
        given = {"disk_format": "raw", "container_format": "bare", **new}
        image = self.images.create(context, NewImage(**given))
        self.data.upload(context, image.id, io.BytesIO(content), len(content))
        return image.id

    def row(self, id: UUID) -> Image:
        with self.database.read() as session:
            image = session.get(Image, id)
            assert image
            return image

    def set_status(self, id: UUID, status: ImageStatus) -> None:
        with self.database.write() as session:
            session.execute(sa.update(Image).where(Image.id == id).values(status=status))

    def files(self) -> list[str]:
        return sorted(
            str(path.relative_to(self.directory))
            for path in self.directory.rglob("*")
            if path.is_file()
        )

    def names(self, context: RequestContext = ALICE, filters: Filters | None = None) -> list[str]:
        rows, _ = self.images.list(
            context, filters or Filters(), sort=(("name", False),), limit=100
        )
        return [row.name for row in rows]

    def read(self, context: RequestContext, id: UUID) -> bytes | None:
        _, file = self.data.open(context, id)
        if file is None:
            return None
        with file:
            return file.read()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.database.close()


# --- creating ---------------------------------------------------------------------------------


def test_an_image_begins_queued_and_belongs_to_its_project(site: Site) -> None:
    id = uuid4()
    image = site.images.create(
        ALICE, NewImage(name="x", id=id, tags=("a", "b", "a"), properties={"os": "linux"})
    )
    assert (image.id, image.owner, image.status) == (id, "red", ImageStatus.QUEUED)
    assert image.tags == ["a", "b"]
    kept = site.images.get(ALICE, id)
    assert (kept.visibility, kept.size, kept.properties) == ("shared", None, {"os": "linux"})


def test_an_id_is_used_once(site: Site) -> None:
    image = site.images.create(ALICE, RAW)
    again = NewImage(id=image.id)
    with pytest.raises(Conflict, match="already exists"):
        site.images.create(BOB, again)
    site.images.delete(ALICE, image.id)
    with pytest.raises(Conflict, match="already exists"):
        site.images.create(ALICE, again)


def test_only_an_administrator_gives_images_to_others(site: Site) -> None:
    with pytest.raises(Forbidden, match="another project"):
        site.images.create(ALICE, NewImage(owner="blue"))
    given = site.images.create(ADMIN, NewImage(owner="blue"))
    assert given.owner == "blue"
    mine = site.images.create(ALICE, RAW)
    with pytest.raises(Forbidden, match="another project"):
        site.images.update(ALICE, mine.id, [Change("replace", "owner", "blue")])
    with pytest.raises(Invalid, match="owner"):
        site.images.update(ADMIN, mine.id, [Change("replace", "owner", None)])
    assert site.images.update(ADMIN, mine.id, [Change("replace", "owner", "blue")]).owner == "blue"


def test_an_image_needs_a_project(site: Site) -> None:
    with pytest.raises(Forbidden, match="scoped to a project"):
        site.images.create(RequestContext("req", "u", roles=frozenset({"admin"})), NewImage())


def test_properties_and_tags_are_not_without_end(site: Site) -> None:
    many = {str(i): "x" for i in range(4)}
    with pytest.raises(TooLarge, match="image properties: 4 of at most 3"):
        site.images.create(ALICE, NewImage(properties=many))
    with pytest.raises(TooLarge, match="image tags: 4 of at most 3"):
        site.images.create(ALICE, NewImage(tags=list(many)))
    image = site.images.create(ALICE, NewImage(tags=["1", "2", "3"]))
    with pytest.raises(TooLarge):
        site.images.tag(ALICE, image.id, "4")
    assert site.row(image.id).tags == ["1", "2", "3"]


# --- who sees what -------------------------------------------------------------------------------


def test_who_sees_and_who_lists_an_image(site: Site) -> None:
    ids = {
        visibility: site.images.create(ALICE, NewImage(name=visibility, visibility=visibility)).id
        for visibility in ("community", "private", "public", "shared")
    }
    assert site.names(ALICE) == ["community", "private", "public", "shared"]
    assert site.names(ADMIN) == ["community", "private", "public", "shared"]
    assert site.names(BOB) == ["public"]
    assert site.names(BOB, Filters(visibility="public")) == ["public"]
    assert site.names(BOB, Filters(visibility="community")) == ["community"]
    assert site.names(BOB, Filters(visibility="all")) == ["community", "public"]
    assert site.names(BOB, Filters(visibility="private")) == []
    assert site.names(BOB, Filters(visibility="shared")) == []
    assert site.names(BOB, Filters(ids=list(ids.values()))) == ["community", "public"]
    for visibility in ("public", "community"):
        assert site.images.get(BOB, ids[visibility]).name == visibility
        with pytest.raises(Forbidden, match="another project's"):
            site.images.delete(BOB, ids[visibility])
    for visibility in ("private", "shared"):
        with pytest.raises(NotFound, match="No image found"):
            site.images.get(BOB, ids[visibility])
        with pytest.raises(NotFound):
            site.images.delete(BOB, ids[visibility])


def test_a_token_without_a_project_sees_what_is_public(site: Site) -> None:
    site.images.create(ALICE, NewImage(name="public", visibility="public"))
    site.images.create(ALICE, NewImage(name="mine"))
    nobody = RequestContext("req", "u", roles=frozenset({"reader"}))
    assert site.names(nobody) == ["public"]


def test_every_filter_narrows_the_list(site: Site) -> None:
    site.active(name="a", content=b"1", tags=("x", "y"), properties={"os": "linux"}, min_ram=64)
    site.active(name="b", content=b"333", tags=("y",), properties={"os": "bsd"}, protected=True)
    site.images.create(ALICE, NewImage(name="c", os_hidden=True))
    site.images.create(ALICE, NewImage(name="d", tags=("X%",), disk_format="iso"))
    for filters, expected in (
        (Filters(), ["a", "b", "d"]),
        (Filters(os_hidden=True), ["c"]),
        (Filters(equal={"name": ["a", "b"]}), ["a", "b"]),
        (Filters(equal={"status": ["active"]}), ["a", "b"]),
        (Filters(equal={"status": ["queued", "saving"]}), ["d"]),
        (Filters(equal={"protected": [True]}), ["b"]),
        (Filters(equal={"disk_format": ["iso"]}), ["d"]),
        (Filters(equal={"owner": ["blue"]}), []),
        (Filters(equal={"min_ram": [64]}), ["a"]),
        (Filters(size_min=2), ["b"]),
        (Filters(size_max=2), ["a"]),
        (Filters(size_min=1, size_max=3), ["a", "b"]),
        (Filters(tags=("y",)), ["a", "b"]),
        (Filters(tags=("y", "x")), ["a"]),
        (Filters(tags=("X",)), []),
        (Filters(tags=("X%",)), ["d"]),
        (Filters(properties={"os": "linux"}), ["a"]),
        (Filters(properties={"os": "linux", "more": ""}), []),
        (Filters(ids=[]), []),
    ):
        assert site.names(ALICE, filters) == expected, filters
    with pytest.raises(Invalid, match="status"):
        site.names(ALICE, Filters(equal={"status": ["rotten"]}))


def paged(site: Site, sort: Sequence[tuple[str, bool]], limit: int) -> list[UUID]:
    found: list[UUID] = []
    more, marker = True, None
    while more:
        rows, more = site.images.list(ALICE, Filters(), sort=sort, limit=limit, marker=marker)
        assert len(rows) == limit or not more
        found += [row.id for row in rows]
        marker = found[-1]
    return found


@pytest.mark.parametrize("name", ["created_at", "updated_at", "status", "id", "name", "size"])
@pytest.mark.parametrize("descending", [True, False])
def test_pages_put_together_are_the_whole_in_order(site: Site, name: str, descending: bool) -> None:
    ids = [site.active(name=n, content=b"x" * s) for n, s in (("a", 2), ("b", 1), ("a", 1))]
    ids += [site.images.create(ALICE, NewImage(name=n)).id for n in (None, "b", None)]
    whole, _ = site.images.list(ALICE, Filters(), sort=((name, descending),), limit=10)
    assert {row.id for row in whole} == set(ids)
    values = [getattr(row, name) for row in whole]
    values = [{"name": "", "size": -1}.get(name) if v is None else v for v in values]
    assert values == sorted(values, reverse=descending)
    for limit in (1, 2, 6):
        assert paged(site, ((name, descending),), limit) == [row.id for row in whole]


def test_pages_in_mixed_order(site: Site) -> None:
    for name, size in (("a", 2), ("b", 1), ("a", 1), ("b", 2)):
        site.active(name=name, content=b"x" * size)
    sort = (("name", False), ("size", True))
    whole, _ = site.images.list(ALICE, Filters(), sort=sort, limit=10)
    assert [(row.name, row.size) for row in whole] == [("a", 2), ("a", 1), ("b", 2), ("b", 1)]
    assert paged(site, sort, 1) == [row.id for row in whole]


def test_a_marker_has_to_be_there_for_who_asks(site: Site) -> None:
    id = site.active()
    for context, marker in ((ALICE, uuid4()), (BOB, id)):
        with pytest.raises(Invalid, match="marker .* not found"):
            site.images.list(context, Filters(), limit=1, marker=marker)


def test_no_page_is_longer_than_the_operator_allows(site: Site) -> None:
    short = Images(site.database, site.stores, site.quotas, ImageSettings(max_limit=2), site.clock)
    for _ in range(3):
        site.images.create(ALICE, NewImage())
    rows, more = short.list(ALICE, Filters(), limit=100)
    assert len(rows) == 2 and more


# --- changing ------------------------------------------------------------------------------------


def test_changes_are_made_all_or_none(site: Site) -> None:
    image = site.images.create(ALICE, NewImage(name="old", properties={"a": "1", "b": "2"}))
    changed = site.images.update(
        ALICE,
        image.id,
        [
            Change("replace", "name", "new"),
            Change("add", "c", "3"),
            Change("replace", "a", "4"),
            Change("remove", "b"),
            Change("add", "tags", ["x", "x"]),
            Change("replace", "disk_format", "qcow2"),
        ],
    )
    assert (changed.name, changed.properties) == ("new", {"a": "4", "c": "3"})
    assert (changed.tags, changed.disk_format) == (["x"], "qcow2")
    assert changed.updated_at > image.created_at
    with pytest.raises(Conflict, match="Property b does not exist"):
        site.images.update(
            ALICE, image.id, [Change("replace", "name", "newer"), Change("remove", "b")]
        )
    assert site.row(image.id).name == "new"
    with pytest.raises(Conflict, match="Property b does not exist"):
        site.images.update(ALICE, image.id, [Change("replace", "b", "x")])
    with pytest.raises(Forbidden, match="may not be removed"):
        site.images.update(ALICE, image.id, [Change("remove", "name")])


def test_tags_can_be_changed_by_their_place(site: Site) -> None:
    image = site.images.create(ALICE, NewImage(tags=("b",)))
    changed = site.images.update(
        ALICE,
        image.id,
        [
            Change("add", "tags", "a", index="0"),
            Change("add", "tags", "c", index="-"),
            Change("replace", "tags", "d", index="2"),
            Change("remove", "tags", index="1"),
        ],
    )
    assert changed.tags == ["a", "d"]
    for op, index in (("replace", "2"), ("remove", "-"), ("add", "3"), ("add", "x")):
        with pytest.raises(Conflict, match="no tag at"):
            site.images.update(ALICE, image.id, [Change(op, "tags", "z", index=index)])


def test_tags_one_at_a_time(site: Site) -> None:
    image = site.images.create(ALICE, NewImage())
    site.images.tag(ALICE, image.id, "x")
    site.images.tag(ALICE, image.id, "x")
    assert site.row(image.id).tags == ["x"]
    site.images.untag(ALICE, image.id, "x")
    with pytest.raises(NotFound, match="has no tag 'x'"):
        site.images.untag(ALICE, image.id, "x")


def test_what_the_bytes_are_cannot_be_said_again_later(site: Site) -> None:
    id = site.active()
    with pytest.raises(Forbidden, match="only while the image is queued, and it is active"):
        site.images.update(ALICE, id, [Change("replace", "disk_format", "qcow2")])


def test_deactivated_images_are_for_administrators(site: Site) -> None:
    id = site.active(visibility="public")
    site.images.deactivate(ALICE, id)
    site.images.deactivate(ALICE, id)
    assert site.row(id).status is ImageStatus.DEACTIVATED
    with pytest.raises(Forbidden, match="deactivated"):
        site.read(ALICE, id)
    assert site.read(ADMIN, id) == b"data"
    site.images.reactivate(ALICE, id)
    assert site.read(BOB, id) == b"data"
    queued = site.images.create(ALICE, RAW).id
    with pytest.raises(Forbidden, match="deactivate an image in status 'queued'"):
        site.images.deactivate(ALICE, queued)


# --- bytes ---------------------------------------------------------------------------------------


def test_an_upload_makes_an_image_active(site: Site) -> None:
    id = site.active(content=b"data")
    image = site.row(id)
    assert image.status is ImageStatus.ACTIVE
    assert (image.size, image.virtual_size) == (4, 4)
    assert image.checksum == hashlib.md5(b"data").hexdigest()
    assert image.os_hash_value == hashlib.sha512(b"data").hexdigest()
    assert site.read(ALICE, id) == b"data"
    assert site.files() == [str(id)]


def test_there_is_nothing_to_read_before(site: Site) -> None:
    image = site.images.create(ALICE, RAW)
    assert site.read(ALICE, image.id) is None


def test_the_bytes_of_an_active_image_are_for_ever(site: Site) -> None:
    id = site.active()
    site_deactivated = site.active()
    site.images.deactivate(ALICE, site_deactivated)
    for taken in (id, site_deactivated):
        with pytest.raises(Conflict, match="to saving is not allowed"):
            site.data.upload(ALICE, taken, io.BytesIO(b"evil"))
    assert site.read(ALICE, id) == b"data"


def test_only_its_project_uploads(site: Site) -> None:
    image = site.images.create(
        ALICE, NewImage(disk_format="raw", container_format="bare", visibility="public")
    )
    with pytest.raises(Forbidden):
        site.data.upload(BOB, image.id, io.BytesIO(b"x"))
    with pytest.raises(NotFound):
        site.data.upload(ALICE, uuid4(), io.BytesIO(b"x"))


class Breaking(io.BytesIO):
    """A client that hangs up."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell():
            raise OSError("the client disconnected")
        return super().read(4)


@pytest.mark.parametrize(
    ("file", "length", "error", "why"),
    [
        (io.BytesIO(b"x" * 1001), None, TooLarge, "at most 1000 bytes"),
        (io.BytesIO(b"x" * 1001), 1001, TooLarge, "at most 1000 bytes"),
        (io.BytesIO(b"x"), 2, Invalid, "1 bytes came, 2 were announced"),
        (io.BytesIO(b""), 2, Invalid, "0 bytes came, 2 were announced"),
        (Breaking(b"12345678"), 8, Invalid, "broke off after 4 bytes"),
        (io.BytesIO(b"QFI\xfb" + bytes(600)), None, ImageUnacceptable, "looks like qcow2"),
    ],
)
def test_a_refused_upload_leaves_the_image_queued_and_no_bytes(
    site: Site, file: io.BytesIO, length: int | None, error: type[Exception], why: str
) -> None:
    image = site.images.create(ALICE, RAW)
    with pytest.raises(error, match=why):
        site.data.upload(ALICE, image.id, file, length)
    assert site.row(image.id).status is ImageStatus.QUEUED
    assert site.files() == []
    site.data.upload(ALICE, image.id, io.BytesIO(b"good"))
    assert site.read(ALICE, image.id) == b"good"


def test_formats_come_before_bytes(site: Site) -> None:
    image = site.images.create(ALICE, NewImage(disk_format="raw"))
    with pytest.raises(Invalid, match="must be set prior"):
        site.data.upload(ALICE, image.id, io.BytesIO(b"x"))
    assert site.files() == []


class Waiting(io.BytesIO):
    """A client that sends its bytes when it is told to."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.begun, self.go = threading.Event(), threading.Event()

    def read(self, size: int | None = -1, /) -> bytes:
        self.begun.set()
        assert self.go.wait(10)
        return super().read(2)


def test_of_two_uploads_at_once_one_wins(site: Site) -> None:
    image = site.images.create(ALICE, RAW)
    slow = Waiting(b"slow")
    thread = threading.Thread(target=site.data.upload, args=(ALICE, image.id, slow))
    thread.start()
    assert slow.begun.wait(10)
    assert site.row(image.id).status is ImageStatus.SAVING
    with pytest.raises(Conflict, match="being uploaded"):
        site.data.upload(ALICE, image.id, io.BytesIO(b"fast"))
    site.data.clean()
    assert site.row(image.id).status is ImageStatus.SAVING, "it is alive"
    slow.go.set()
    thread.join()
    assert site.read(ALICE, image.id) == b"slow"


def test_deleting_an_image_ends_its_upload_and_frees_its_bytes(site: Site) -> None:
    image = site.images.create(ALICE, RAW)
    slow = Waiting(b"x" * 100)
    errors: list[Exception] = []

    def upload() -> None:
        try:
            site.data.upload(ALICE, image.id, slow)
        except NotFound as error:
            errors.append(error)

    thread = threading.Thread(target=upload)
    thread.start()
    assert slow.begun.wait(10)
    site.images.delete(ALICE, image.id)
    slow.go.set()
    thread.join()
    assert "deleted while" in str(errors[0])
    assert slow.tell() < 100, "it was not read to its end"
    assert site.files() == []
    assert site.row(image.id).status is ImageStatus.DELETED


def test_an_image_deleted_after_its_last_byte_stays_deleted(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = site.images.create(ALICE, RAW)
    fill = Part.fill

    def fill_and_delete(part: Part, *arguments: Any) -> Any:
        stored = fill(part, *arguments)
        site.images.delete(ALICE, image.id)
        return stored

    monkeypatch.setattr(Part, "fill", fill_and_delete)
    with pytest.raises(NotFound, match="deleted while"):
        site.data.upload(ALICE, image.id, io.BytesIO(b"data"))
    assert site.files() == []
    assert site.row(image.id).status is ImageStatus.DELETED


def test_an_upload_that_lost_its_process_can_be_made_again(site: Site) -> None:
    image = site.images.create(ALICE, RAW)
    with site.store.incoming(image.id) as part:
        part.fill([b"half"], "raw")
    (site.directory / "incoming" / str(image.id)).write_bytes(b"ha")
    site.set_status(image.id, ImageStatus.SAVING)
    assert site.read(ALICE, image.id) is None
    site.data.upload(ALICE, image.id, io.BytesIO(b"whole"))
    assert site.read(ALICE, image.id) == b"whole"
    assert site.files() == [str(image.id)]


class Died(BaseException):
    """As if the process had been killed here: nothing is undone."""


def test_dying_between_the_name_and_the_commit_leaves_no_image(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = site.images.create(ALICE, RAW)
    keep = Part.keep

    def keep_and_die(part: Part) -> None:
        keep(part)
        raise Died

    def no_undo(id: UUID, status: ImageStatus) -> None:
        """The process is dead."""

    with monkeypatch.context() as patch:
        patch.setattr(Part, "keep", keep_and_die)
        patch.setattr(site.data, "_requeue", no_undo)
        with pytest.raises(Died):
            site.data.upload(ALICE, image.id, io.BytesIO(b"data"))
    assert site.row(image.id).status is ImageStatus.SAVING
    assert site.read(ALICE, image.id) is None
    site.data.clean()
    assert site.row(image.id).status is ImageStatus.QUEUED
    assert site.files() == []


def test_a_commit_whose_answer_was_lost_is_a_commit(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = site.images.create(ALICE, RAW)
    end = site.data._end

    def end_and_lose_the_answer(*arguments: Any) -> None:
        end(*arguments)
        raise ConnectionError("the database went away")

    monkeypatch.setattr(site.data, "_end", end_and_lose_the_answer)
    with pytest.raises(ConnectionError):
        site.data.upload(ALICE, image.id, io.BytesIO(b"data"))
    assert site.row(image.id).status is ImageStatus.ACTIVE
    assert site.read(ALICE, image.id) == b"data"


# --- deleting -------------------------------------------------------------------------------------


def test_a_deleted_image_is_gone_with_its_bytes_but_remembered(site: Site) -> None:
    id = site.active(name="mine")
    site.images.delete(ALICE, id)
    with pytest.raises(NotFound):
        site.images.get(ALICE, id)
    with pytest.raises(NotFound):
        site.images.delete(ALICE, id)
    assert site.names() == []
    assert site.files() == []
    assert (site.row(id).name, site.row(id).deleted) == ("mine", True)


def test_a_protected_image_stays(site: Site) -> None:
    id = site.active(protected=True)
    with pytest.raises(Forbidden, match="is protected and cannot be deleted"):
        site.images.delete(ALICE, id)
    assert site.read(ALICE, id) == b"data"
    site.images.update(ALICE, id, [Change("replace", "protected", False)])
    site.images.delete(ALICE, id)


def test_a_deletion_that_lost_its_process_is_finished_at_the_next_start(site: Site) -> None:
    kept, deleted = site.active(), site.active()
    with site.database.write() as session:
        values = {"status": ImageStatus.DELETED, "deleted": True}
        session.execute(sa.update(Image).where(Image.id == deleted).values(**values))
    site.data.clean()
    assert site.files() == [str(kept)]


@pytest.mark.parametrize("tidy", ["repair", "clean"])
def test_the_bytes_of_an_image_that_an_operation_gave_up_go_soon(site: Site, tidy: str) -> None:
    kept, forgotten = site.active(), site.active()
    with site.database.write() as session:
        forget(session, forgotten, site.clock())
    assert site.names() == [None], "only the other one is there"
    with pytest.raises(NotFound):
        site.images.get(ALICE, forgotten)
    assert site.files() == sorted([str(kept), str(forgotten)])
    assert site.row(forgotten).status is ImageStatus.PENDING_DELETE
    for _ in range(2):
        getattr(site.data, tidy)()
        assert site.files() == [str(kept)]
        assert site.row(forgotten).status is ImageStatus.DELETED
    assert site.read(ALICE, kept) == b"data"


def test_an_upload_into_an_image_that_was_given_up_comes_to_its_end(site: Site) -> None:
    """Its operation waited too long; the worker knows nothing of it."""
    image = site.images.create(ALICE, RAW)
    slow = Waiting(b"x" * 100)
    with ThreadPoolExecutor(1) as pool:
        upload = pool.submit(site.data.upload, ALICE, image.id, slow)
        assert slow.begun.wait(10)
        with site.database.write() as session:
            forget(session, image.id, site.clock())
        site.data.repair()
        slow.go.set()
        with pytest.raises(NotFound, match="deleted while"):
            upload.result()
    assert slow.tell() < 100, "it was not read to its end"
    assert site.files() == []
    assert site.row(image.id).status is ImageStatus.DELETED


def test_a_store_that_cannot_delete_today_is_asked_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgotten = site.active()
    with site.database.write() as session:
        forget(session, forgotten, site.clock())

    def away(id: UUID) -> None:
        raise OSError("Stale file handle")

    with monkeypatch.context() as patch:
        patch.setattr(site.store, "remove", away)
        with pytest.raises(OSError, match="Stale"):
            site.data.repair()
    assert site.row(forgotten).status is ImageStatus.PENDING_DELETE
    site.data.repair()
    assert (site.files(), site.row(forgotten).status) == ([], ImageStatus.DELETED)


def test_cleaning_tells_of_what_it_cannot_explain_and_touches_nothing(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    unknown, lost = uuid4(), site.active()
    (site.directory / str(unknown)).write_bytes(b"from before the database was restored")
    (site.directory / str(lost)).unlink()
    site.data.clean()
    assert site.files() == [str(unknown)]
    told = {record.levelno: record.getMessage() for record in caplog.records}
    assert str(unknown) in told[logging.WARNING]
    assert str(lost) in told[logging.ERROR]
    assert site.row(lost).status is ImageStatus.ACTIVE


# --- signed links ---------------------------------------------------------------------------------


def test_a_signed_link_opens_one_image_for_a_while(site: Site) -> None:
    id, other = site.active(), site.active(content=b"other")
    soon = int(site.clock.time.timestamp()) + 60
    path, _, query = signed_path(KEY, id, soon).partition("?")
    assert path == f"/v2/images/{id}/file"
    expires, signature = (pair.partition("=")[2] for pair in query.split("&"))
    image, file = site.data.open_signed(id, expires, signature)
    with file:
        assert (image.id, file.read()) == (id, b"data")
    for wrong in (
        (other, expires, signature),
        (id, str(soon + 1), signature),
        (id, expires, "0" * 64),
        (id, "", ""),
    ):
        with pytest.raises(Forbidden, match="signature"):
            site.data.open_signed(*wrong)
    site.clock.time += dt.timedelta(minutes=2)
    with pytest.raises(Forbidden, match="expired"):
        site.data.open_signed(id, expires, signature)


def test_a_signed_link_does_not_outlive_the_permission(site: Site) -> None:
    id = site.active()
    soon = int(site.clock.time.timestamp()) + 60
    expires, signature = (
        pair.partition("=")[2] for pair in signed_path(KEY, id, soon).partition("?")[2].split("&")
    )
    site.images.deactivate(ALICE, id)
    with pytest.raises(NotFound):
        site.data.open_signed(id, expires, signature)
    site.images.reactivate(ALICE, id)
    site.images.delete(ALICE, id)
    with pytest.raises(NotFound):
        site.data.open_signed(id, expires, signature)

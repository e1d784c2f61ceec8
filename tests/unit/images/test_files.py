"""The image store: whole images or none."""

from __future__ import annotations

import errno
import hashlib
import multiprocessing
import os
import signal
import subprocess
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from nova_lite.domain.errors import Conflict, ImageUnacceptable, NotFound, TooLarge
from nova_lite.images import files
from nova_lite.images.files import FileStore

CONTENT = b"\x01" * 3_000_000


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "images")


def pieces(content: bytes) -> Iterator[bytes]:
    return (content[i : i + 1_000_000] for i in range(0, len(content), 1_000_000))


def keep(
    store: FileStore, content: bytes = CONTENT, disk_format: str = "raw", id: UUID | None = None
) -> tuple[UUID, files.Stored]:
    id = id or uuid4()
    with store.incoming(id) as part:
        stored = part.fill(pieces(content), disk_format)
        part.keep()
    return id, stored


def names(tmp_path: Path) -> list[str]:
    root = tmp_path / "images"
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def made(tmp_path: Path, disk_format: str, *arguments: str, size: str = "10M") -> bytes:
    path = tmp_path / "made"
    command = ["qemu-img", "create", "-q", "-f", disk_format, *arguments, str(path), size]
    subprocess.run(command, check=True)
    return path.read_bytes()


def iso() -> bytes:
    """The least that is recognised as a file system of a CD."""
    descriptor = b"\x01CD001\x01".ljust(2048, b"\0")
    return bytes(32768) + descriptor + bytes(100_000)


def test_what_is_kept_can_be_read_and_is_described(store: FileStore, tmp_path: Path) -> None:
    id, stored = keep(store)
    with store.open(id) as file:
        assert file.read() == CONTENT
    assert stored == files.Stored(
        size=len(CONTENT),
        virtual_size=len(CONTENT),
        md5=hashlib.md5(CONTENT).hexdigest(),
        sha512=hashlib.sha512(CONTENT).hexdigest(),
    )
    assert names(tmp_path) == [str(id)]
    assert (tmp_path / "images" / str(id)).stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "images").stat().st_mode & 0o007 == 0
    assert store.ids() == {id}


def test_the_size_of_a_virtual_disk_is_what_its_guest_would_see(
    store: FileStore, tmp_path: Path
) -> None:
    content = made(tmp_path, "qcow2")
    _, stored = keep(store, content, "qcow2")
    assert (stored.size, stored.virtual_size) == (len(content), 10 << 20)


@pytest.mark.parametrize("disk_format", ["aki", "ari", "ami"])
def test_kernels_and_ramdisks_are_bytes(store: FileStore, disk_format: str) -> None:
    assert keep(store, CONTENT, disk_format)[1].virtual_size == len(CONTENT)


def test_a_cd_has_to_be_one(store: FileStore, tmp_path: Path) -> None:
    assert keep(store, iso(), "iso")[1].virtual_size == len(iso())
    with pytest.raises(ImageUnacceptable, match="declared iso but looks like raw"):
        keep(store, CONTENT, "iso")
    assert len(names(tmp_path)) == 1


@pytest.mark.parametrize("declared", ["iso", "aki", "ami", "raw"])
def test_no_container_hides_behind_a_plain_format(
    store: FileStore, tmp_path: Path, declared: str
) -> None:
    with pytest.raises(ImageUnacceptable, match="looks like"):
        keep(store, made(tmp_path, "qcow2"), declared)
    assert names(tmp_path) == []


def test_formats_we_do_not_serve_are_refused(store: FileStore) -> None:
    with pytest.raises(ImageUnacceptable, match="'ploop' is not served"):
        keep(store, CONTENT, "ploop")


def test_the_limit_of_a_virtual_disk_can_be_set(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "images", max_virtual_size=(10 << 20) - 1)
    with pytest.raises(ImageUnacceptable, match="claims a disk of 10485760 bytes"):
        keep(store, made(tmp_path, "qcow2"), "qcow2")


def test_what_was_not_kept_is_gone(store: FileStore, tmp_path: Path) -> None:
    with store.incoming(id := uuid4()) as part:
        part.fill(pieces(CONTENT), "raw")
        assert names(tmp_path) == [f"incoming/{id}"]
        with pytest.raises(NotFound):
            store.open(id)
    assert names(tmp_path) == []


def test_only_one_uploads_an_image_at_a_time(store: FileStore, tmp_path: Path) -> None:
    with store.incoming(id := uuid4()) as part:
        with pytest.raises(Conflict, match="being uploaded"):
            with store.incoming(id):
                pass
        with pytest.raises(Conflict):
            with FileStore(tmp_path / "images").incoming(id):
                pass
        part.fill(pieces(CONTENT), "raw")
        part.keep()
    assert names(tmp_path) == [str(id)]


def test_a_lock_that_comes_too_late_touches_nothing(
    store: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opened while it was still a part, locked when it was already the image."""
    id = uuid4()
    really_open = os.open
    opened: list[int] = []

    def open_then_others_finish(*arguments: object, **named: object) -> int:
        descriptor = really_open(*arguments, **named)  # type: ignore[arg-type]
        if not opened:
            opened.append(descriptor)
            path = tmp_path / "images" / "incoming" / str(id)
            path.write_bytes(CONTENT)
            os.replace(path, tmp_path / "images" / str(id))
        return descriptor

    monkeypatch.setattr(os, "open", open_then_others_finish)
    with store.incoming(id) as part:
        part.fill(pieces(b"other"), "raw")
    assert (tmp_path / "images" / str(id)).read_bytes() == CONTENT
    assert names(tmp_path) == [str(id)]


def test_removing_an_image_ends_its_upload(store: FileStore, tmp_path: Path) -> None:
    id, sent = uuid4(), []

    def endless() -> Iterator[bytes]:
        while True:
            yield b"\x01" * 1000
            sent.append(1)
            if len(sent) == 3:
                store.remove(id)

    with pytest.raises(NotFound, match="deleted while"):
        with store.incoming(id) as part:
            part.fill(endless(), "raw")
    assert len(sent) == 3
    assert names(tmp_path) == []


def test_removing_twice_is_removing_once(store: FileStore, tmp_path: Path) -> None:
    id, _ = keep(store)
    store.remove(id)
    store.remove(id)
    assert names(tmp_path) == []
    with pytest.raises(NotFound, match="has no data"):
        store.open(id)


def _upload_for_ever(directory: Path, id: UUID) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"\x01" * 100_000
            time.sleep(0.001)

    with FileStore(directory).incoming(id) as part:
        part.fill(endless(), "raw")


def test_a_killed_upload_leaves_nothing_that_is_in_the_way(
    store: FileStore, tmp_path: Path
) -> None:
    id, path = uuid4(), tmp_path / "images" / "incoming"
    process = multiprocessing.get_context("spawn").Process(
        target=_upload_for_ever, args=(tmp_path / "images", id)
    )
    process.start()
    assert process.pid
    while not (path / str(id)).exists() or not (path / str(id)).stat().st_size:
        time.sleep(0.01)
    store.clean()
    assert names(tmp_path) == [f"incoming/{id}"], "it is alive"
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert names(tmp_path) == [f"incoming/{id}"]
    with pytest.raises(NotFound):
        store.open(id)
    _, stored = keep(store, b"short", id=id)
    assert stored.size == 5
    with store.open(id) as file:
        assert file.read() == b"short"


def test_cleaning_removes_what_the_dead_left_and_nothing_else(
    store: FileStore, tmp_path: Path
) -> None:
    store.clean()
    assert store.ids() == set()
    kept, _ = keep(store)
    left = uuid4()
    (tmp_path / "images" / "incoming" / str(left)).write_bytes(b"half")
    (tmp_path / "images" / "README").write_text("an operator's")
    store.clean()
    assert names(tmp_path) == sorted(["README", str(kept)])
    assert store.ids() == {kept}


def test_nobody_leads_an_upload_astray_by_a_link(store: FileStore, tmp_path: Path) -> None:
    keep(store)
    (tmp_path / "secret").write_bytes(b"precious")
    (tmp_path / "images" / "incoming" / str(id := uuid4())).symlink_to(tmp_path / "secret")
    with pytest.raises(OSError) as refused:
        keep(store, id=id)
    assert refused.value.errno == errno.ELOOP
    assert (tmp_path / "secret").read_bytes() == b"precious"


class Full:
    """A stream on a disk without room."""

    def __init__(self, stream: object, number: int) -> None:
        self.stream, self.number = stream, number

    def __getattr__(self, name: str) -> object:
        return getattr(self.stream, name)

    def write(self, data: object) -> int:
        raise OSError(self.number, os.strerror(self.number))


@pytest.mark.parametrize(("number", "error"), [(errno.ENOSPC, TooLarge), (errno.EIO, OSError)])
def test_a_full_disk_is_told_from_a_broken_one(
    store: FileStore, tmp_path: Path, number: int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        with store.incoming(uuid4()) as part:
            part._stream = Full(part._stream, number)  # type: ignore[assignment]
            part.fill(pieces(CONTENT), "raw")
    assert names(tmp_path) == []


def test_memory_does_not_grow_with_the_image(store: FileStore) -> None:
    tracemalloc.start()
    try:
        with store.incoming(uuid4()) as part:
            part.fill((bytes(1 << 20) for _ in range(64)), "raw")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20


def test_what_is_only_put_by_is_not_looked_at(store: FileStore, tmp_path: Path) -> None:
    content = made(tmp_path, "qcow2")
    with store.incoming(id := uuid4()) as part:
        stored = part.fill(pieces(content), None)
        assert b"".join(part.read()) == content
        again = part.fill(pieces(CONTENT), None)
        assert b"".join(part.read()) == CONTENT
        part.keep()
    assert (stored.size, stored.virtual_size) == (len(content), len(content))
    assert again.size == len(CONTENT)
    with store.open(id) as file:
        assert file.read() == CONTENT


def test_a_lock_is_held_by_one_and_let_go_by_the_dead(tmp_path: Path) -> None:
    locks, id = files.Locks(tmp_path / "locks"), uuid4()
    with locks.hold(id):
        with pytest.raises(Conflict):
            with files.Locks(tmp_path / "locks").hold(id):
                pass
        with locks.hold(uuid4()):
            locks.clean()
        assert len(list((tmp_path / "locks").iterdir())) == 1
    assert list((tmp_path / "locks").iterdir()) == []
    (tmp_path / "locks" / str(id)).touch()
    locks.clean()
    assert list((tmp_path / "locks").iterdir()) == []

"""The worker's image cache, against a real HTTP server on loopback."""

from __future__ import annotations

import errno
import hashlib
import logging
import multiprocessing
import os
import subprocess
import threading
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from nova_lite.domain.errors import HypervisorError, ImageUnacceptable
from nova_lite.domain.specs import ImageSource
from nova_lite.images.cache import ImageCache, fetch_http

SIGNATURE = "sig=NobodyMaySeeThis"


class Server:
    """Serves `content` to whoever shows the signature, and counts."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.status = 200
        self.headers: dict[str, str] = {}
        self.requests = 0
        self.stop_after: int | None = None  # bytes after which the line goes dead
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests += 1
                assert self.path.endswith(SIGNATURE)
                self.send_response(outer.status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(outer.content)))
                self.end_headers()
                self.wfile.write(outer.content[: outer.stop_after])

            def log_message(self, *arguments: object) -> None:
                """Nobody reads it."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/image?{SIGNATURE}"

    def image(self, content: bytes | None = None, disk_format: str = "raw") -> ImageSource:
        content = self.content if content is None else content
        checksum = hashlib.sha512(content).hexdigest()
        return ImageSource(uuid4(), self.url, disk_format, len(content), checksum)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(b"\x01" * 3_000_000)
    thread = threading.Thread(target=server.http.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.http.shutdown()
    server.http.server_close()
    thread.join()


@pytest.fixture
def cache(tmp_path: Path) -> ImageCache:
    return ImageCache(tmp_path / "base")


def files(cache_dir: Path) -> list[str]:
    return sorted(os.listdir(cache_dir / "base"))


def test_an_image_is_fetched_once(server: Server, cache: ImageCache, tmp_path: Path) -> None:
    image = server.image()
    path = cache.path(image)
    assert path == tmp_path / "base" / str(image.id)
    assert path.read_bytes() == server.content
    assert path.stat().st_mode & 0o777 == 0o644, "QEMU reads it, as another user"
    assert cache.path(image) == path
    assert ImageCache(tmp_path / "base").path(image) == path
    assert server.requests == 1


def test_ten_threads_at_once_fetch_once(server: Server, cache: ImageCache, tmp_path: Path) -> None:
    image = server.image()
    with ThreadPoolExecutor(10) as threads:
        paths = set(threads.map(cache.path, [image] * 10))
    assert paths == {tmp_path / "base" / str(image.id)}
    assert server.requests == 1
    assert files(tmp_path) == [str(image.id)]


def test_several_processes_at_once_fetch_once(
    server: Server, cache: ImageCache, tmp_path: Path
) -> None:
    image = server.image()
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=cache.path, args=(image,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert server.requests == 1
    assert files(tmp_path) == [str(image.id)]


def test_what_a_killed_worker_left_is_started_over(
    server: Server, cache: ImageCache, tmp_path: Path
) -> None:
    image = server.image()
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / f".{image.id}.part").write_bytes(b"half of something else")
    assert cache.path(image).read_bytes() == server.content
    assert files(tmp_path) == [str(image.id)]


def test_a_cached_file_of_the_wrong_size_is_replaced(
    server: Server, cache: ImageCache, caplog: pytest.LogCaptureFixture
) -> None:
    image = server.image()
    path = cache.path(image)
    path.write_bytes(b"short")
    assert cache.path(image).read_bytes() == server.content
    assert "has 5 bytes instead of 3000000" in caplog.text


@pytest.mark.parametrize(
    ("served", "declared", "why"),
    [
        (b"\x01" * 1000, b"\x02" * 1000, "checksum"),
        (b"\x01" * 999, b"\x01" * 1000, "999 bytes came, 1000 were declared"),
        (b"\x01" * 1001, b"\x01" * 1000, "more than the declared 1000 bytes"),
    ],
)
def test_wrong_bytes_are_never_seen(
    server: Server, cache: ImageCache, tmp_path: Path, served: bytes, declared: bytes, why: str
) -> None:
    server.content = served
    image = server.image(declared)
    with pytest.raises(ImageUnacceptable, match=why) as refused:
        cache.path(image)
    assert str(image.id) in str(refused.value)
    assert files(tmp_path) == []


def test_a_dangerous_image_is_never_seen(server: Server, cache: ImageCache, tmp_path: Path) -> None:
    file = tmp_path / "qcow2"
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b", "/etc/passwd", "-F", "raw"]
    subprocess.run([*command, str(file), "1M"], check=True)
    server.content = file.read_bytes()
    with pytest.raises(ImageUnacceptable, match="backing_file"):
        cache.path(server.image(disk_format="qcow2"))
    with pytest.raises(ImageUnacceptable, match="declared raw"):
        cache.path(server.image(disk_format="raw"))
    assert files(tmp_path) == []


def test_the_limit_of_a_virtual_disk_can_be_set(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(file), "1M"], check=True)
    server.content = file.read_bytes()
    image = server.image(disk_format="qcow2")
    with pytest.raises(ImageUnacceptable, match="claims a disk"):
        ImageCache(tmp_path / "base", max_virtual_size=1000).path(image)
    ImageCache(tmp_path / "base", max_virtual_size=1 << 20).path(image)


def test_no_redirect_is_followed(server: Server, cache: ImageCache, tmp_path: Path) -> None:
    server.status = 302
    server.headers = {"Location": server.url}
    with pytest.raises(HypervisorError, match="answered 302"):
        cache.path(server.image())
    assert server.requests == 1
    assert files(tmp_path) == []


def test_a_line_that_goes_dead_is_an_error_and_leaves_nothing(
    server: Server, cache: ImageCache, tmp_path: Path
) -> None:
    server.stop_after = 1_500_000
    image = server.image()
    with pytest.raises(HypervisorError, match="transfer failed"):
        cache.path(image)
    assert files(tmp_path) == []
    server.stop_after = None
    assert cache.path(image).read_bytes() == server.content


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "/etc/passwd"])
def test_only_http_is_spoken(url: str) -> None:
    with pytest.raises(HypervisorError, match="http or https"):
        next(fetch_http(url))


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/x?", "http://[::1/x?", "http://no-such-host.invalid/x?", "http://?"]
)
def test_the_address_of_an_image_is_told_to_nobody(
    url: str, cache: ImageCache, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    image = ImageSource(uuid4(), url + SIGNATURE, "raw", 1, "")
    with pytest.raises(HypervisorError, match="transfer failed") as refused:
        cache.path(image)
    assert SIGNATURE not in str(refused.value)
    assert refused.value.__suppress_context__
    assert SIGNATURE not in caplog.text


def test_a_log_of_everything_still_does_not_tell_the_address(
    server: Server, cache: ImageCache, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    cache.path(server.image())
    assert "fetching image" in caplog.text
    assert SIGNATURE not in caplog.text


def test_a_full_disk_is_an_error_and_leaves_nothing(
    server: Server, cache: ImageCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(HypervisorError, match="could not be kept: No space left on device"):
        cache.path(server.image())
    assert files(tmp_path) == []


def test_one_that_waited_for_a_download_that_failed_tries_by_itself(tmp_path: Path) -> None:
    """The first address has expired; the second, for the same image, is fresh."""
    content = b"\x01" * 1000
    waiting = threading.Event()

    def fetch(url: str) -> Iterator[bytes]:
        if url == "expired":
            waiting.wait(10)
            raise HypervisorError("the image service answered 403")
        yield content

    cache = ImageCache(tmp_path / "base", fetch)
    id = uuid4()

    def image(url: str) -> ImageSource:
        return ImageSource(id, url, "raw", len(content), hashlib.sha512(content).hexdigest())

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(cache.path, image("expired"))
        while not (tmp_path / "base").exists() or not files(tmp_path):
            pass
        second = threads.submit(cache.path, image("fresh"))
        while _open_files(tmp_path / "base" / f".{id}.part") < 2:
            pass
        waiting.set()
        with pytest.raises(HypervisorError, match=f"Image {id}: .* 403"):
            first.result()
        assert second.result().read_bytes() == content
    assert files(tmp_path) == [str(id)]


def _open_files(path: Path) -> int:
    found = 0
    for link in Path("/proc/self/fd").iterdir():
        try:
            found += os.readlink(link) == str(path)
        except FileNotFoundError:
            pass  # closed meanwhile
    return found


def test_memory_does_not_grow_with_the_image(tmp_path: Path) -> None:
    piece, pieces = bytes(1 << 20), 64
    checksum = hashlib.sha512(piece * pieces).hexdigest()

    def fetch(url: str) -> Iterator[bytes]:
        for _ in range(pieces):
            yield bytes(1 << 20)

    cache = ImageCache(tmp_path, fetch)
    tracemalloc.start()
    try:
        cache.path(ImageSource(UUID(int=1), "x", "raw", pieces << 20, checksum))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20


def test_what_another_finished_just_now_is_not_fetched_again(
    server: Server, cache: ImageCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = server.image()
    looks = []

    def look(file: Path, of: ImageSource) -> bool:
        looks.append(file)
        if len(looks) == 1:
            ImageCache(tmp_path / "base").path(image)
            return False  # as it was a moment ago
        return file.exists()

    monkeypatch.setattr("nova_lite.images.cache._is_whole", look)
    assert cache.path(image).read_bytes() == server.content
    assert server.requests == 1
    assert files(tmp_path) == [str(image.id)]


# --- formats that guests do not run on ----------------------------------------------------------


def converted(path: Path, disk_format: str, options: str = "") -> tuple[bytes, bytes]:
    """A disk as plain bytes, and in another format."""
    plain, file = path / "plain", path / "made"
    plain.write_bytes(b"\x05" * 70_000 + bytes((2 << 20) - 70_000))
    more = ["-o", options] if options else []
    command = ["qemu-img", "convert", "-f", "raw", "-O", disk_format, *more, str(plain), str(file)]
    subprocess.run(command, check=True)
    return plain.read_bytes(), file.read_bytes()


@pytest.mark.parametrize(
    ("disk_format", "qemu", "options"),
    [
        ("vmdk", "vmdk", "subformat=monolithicSparse"),
        ("vmdk", "vmdk", "subformat=streamOptimized"),
        ("vdi", "vdi", ""),
        ("vhd", "vpc", "force_size=on"),
        ("vhdx", "vhdx", ""),
    ],
)
def test_other_formats_become_plain_bytes_once(
    server: Server, cache: ImageCache, tmp_path: Path, disk_format: str, qemu: str, options: str
) -> None:
    plain, server.content = converted(tmp_path, qemu, options)
    image = server.image(disk_format=disk_format)
    assert image.kept_as == "raw"
    base = tmp_path / "base"
    base.mkdir()
    (base / f".{image.id}.raw").write_bytes(b"what a killed worker left there")
    path = cache.path(image)
    assert path.read_bytes() == plain
    assert path.stat().st_mode & 0o777 == 0o644
    assert cache.path(image) == path
    assert server.requests == 1
    assert files(tmp_path) == [str(image.id)]


def test_a12_what_qemu_img_chokes_on_is_refused(
    server: Server, cache: ImageCache, tmp_path: Path
) -> None:
    _, content = converted(tmp_path, "vdi")
    server.content = content[:0x15C] + b"\xff" * 12 + content[0x168:]  # nonsense, but no size
    damaged = bytearray(server.content)
    damaged[0x158:0x15C] = b"\xff\xff\xff\x7f"  # where its data begin
    server.content = bytes(damaged)
    with pytest.raises(ImageUnacceptable, match="Image .*: it cannot be converted from vdi"):
        cache.path(server.image(disk_format="vdi"))
    assert files(tmp_path) == []

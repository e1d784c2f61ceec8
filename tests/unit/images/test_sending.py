"""Sending a file to the image service, a real HTTP server on loopback."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from nova_lite.domain.errors import HypervisorError
from nova_lite.images.sending import send

SIGNATURE = "sig=NobodyMaySeeThis"


class Server:
    """Takes one upload after another and gives `status` for it."""

    def __init__(self) -> None:
        self.status = 204
        self.requests: list[str] = []
        self.received = b""
        self.reads = True
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                outer.requests.append(self.path)
                assert self.headers["Content-Type"] == "application/octet-stream"
                if not outer.reads:
                    self.connection.close()
                    return
                outer.received = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(outer.status)
                self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                """Nobody reads it."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/upload?{SIGNATURE}"


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.http.shutdown()
    server.http.server_close()
    thread.join()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "disk"
    file.write_bytes(bytes(range(256)) * 20_000)
    return file


def test_a_file_arrives_as_it_is(
    server: Server, file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    send(server.url, file)
    assert server.received == file.read_bytes()
    assert SIGNATURE not in caplog.text


@pytest.mark.parametrize("status", [200, 302, 403, 409, 413, 500])
def test_anything_but_thanks_is_a_failure(server: Server, file: Path, status: int) -> None:
    server.status = status
    with pytest.raises(HypervisorError, match=f"answered {status} to a snapshot") as refused:
        send(server.url, file)
    assert SIGNATURE not in str(refused.value)
    assert len(server.requests) == 1, "no redirect is followed"


def test_a_line_that_goes_dead_is_a_failure(server: Server, file: Path) -> None:
    server.reads = False
    with pytest.raises(HypervisorError, match="upload failed") as refused:
        send(server.url, file)
    assert SIGNATURE not in str(refused.value) and refused.value.__suppress_context__


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/x?", "http://[::1/x?", "http://no-such-host.invalid/x?", "http://?"]
)
def test_the_address_is_told_to_nobody(url: str, file: Path) -> None:
    with pytest.raises(HypervisorError, match="upload failed") as refused:
        send(url + SIGNATURE, file)
    assert SIGNATURE not in str(refused.value) and refused.value.__suppress_context__


@pytest.mark.parametrize("url", ["file:///tmp/x", "ftp://127.0.0.1/x", "/tmp/x"])
def test_only_http_is_spoken(url: str, file: Path) -> None:
    with pytest.raises(HypervisorError, match="http or https"):
        send(url, file)


def test_a_file_that_is_not_there_is_a_failure(server: Server, tmp_path: Path) -> None:
    with pytest.raises(HypervisorError, match="upload failed: FileNotFoundError"):
        send(server.url, tmp_path / "nothing")
    assert not server.requests

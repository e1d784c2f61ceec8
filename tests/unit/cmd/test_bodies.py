"""Which bodies are read at all."""

from __future__ import annotations

import http.client
import io
import socket
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nova_lite.cmd import controllers
from nova_lite.cmd.bodies import SMALL
from nova_lite.cmd.process import Process

FILE = "/image/v2/images/x/file"


@pytest.fixture
def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def application(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        read = 0
        while chunk := environ["wsgi.input"].read(1 << 20):
            read += len(chunk)
        start("200 OK", [("Content-Type", "text/plain")])
        return [f"{read} of {environ['CONTENT_LENGTH']}".encode()]

    with socket.create_server(("127.0.0.1", 0)) as free:
        number: int = free.getsockname()[1]
    process = Process("test")
    controllers._serve(process, application, "127.0.0.1", number, 1)
    yield number
    process.stop()


def put(port: int, path: str, body: Any, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("PUT", path, body=body, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def pieces(size: int) -> Iterator[bytes]:
    for _ in range(0, size, 1 << 20):
        yield bytes(1 << 20)


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (FILE, {"X-Auth-Token": "t"}),
        ("/image/v2/images/x/stage", {"X-Auth-Token": "t"}),
        (f"{FILE}?expires=1&signature=s", {}),
    ],
)
def test_image_data_may_be_large_and_of_unknown_length(
    port: int, path: str, headers: dict[str, str]
) -> None:
    size = SMALL + (1 << 20)
    assert put(port, path, pieces(size), **headers) == (200, b"%d of %d" % (size, size))
    assert put(port, path, io.BytesIO(bytes(size)), **headers) == (200, b"%d of %d" % (size, size))


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (FILE, {}),
        ("/image/v2/images", {"X-Auth-Token": "t"}),
        (f"{FILE}/more", {"X-Auth-Token": "t"}),
        ("/compute/v2.1/servers?signature=s", {}),
    ],
)
def test_nothing_else_is_large(port: int, path: str, headers: dict[str, str]) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
        words = [f"PUT {path} HTTP/1.1", "Host: x", f"Content-Length: {SMALL + 1}"]
        words += [f"{name}: {value}" for name, value in headers.items()]
        raw.sendall("\r\n".join([*words, "", ""]).encode())
        assert raw.recv(100).startswith(b"HTTP/1.1 413")
    assert put(port, path, pieces(1 << 20), **headers)[0] == 200


def test_a_chunked_body_that_breaks_off_never_arrives(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
        head = (
            f"PUT {FILE} HTTP/1.1\r\nHost: x\r\nX-Auth-Token: t\r\nTransfer-Encoding: chunked\r\n"
        )
        raw.sendall(head.encode() + b"\r\n5\r\nhello\r\n")
        raw.shutdown(socket.SHUT_WR)
        assert raw.recv(100) == b""

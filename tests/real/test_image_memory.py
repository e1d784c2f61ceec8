"""However large an image is, no process grows with it."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests

from tests.deployment import Deployment
from tests.processes import free_port, wait_until

pytestmark = pytest.mark.real

MIB = 1 << 20
SIZE = 1024 * MIB
MOST = 50 * MIB


def zeros(size: int = SIZE) -> Iterator[bytes]:
    for _ in range(0, size, MIB):
        yield bytes(MIB)


def memory(root: psutil.Process) -> dict[int, int]:
    return {p.pid: p.memory_info().rss for p in (root, *root.children(recursive=True))}


@pytest.mark.parametrize(
    ("program", "chunked"), [("nova-all", True), ("nova-api", False), ("nova-api", True)]
)
def test_an_image_of_any_size_goes_in_and_out_in_constant_memory(
    tmp_path: Path, program: str, chunked: bool
) -> None:
    uploads = free_port()
    cloud = Deployment(
        tmp_path,
        database=f"sqlite:///{tmp_path}/nova.sqlite",
        transport="kombu+memory://",
        daemons={"it": program},
        options={"image": {"port": uploads}},
    )
    try:
        cloud.start("it")
        wait_until(lambda: answers(cloud.url), seconds=60, what="the API answers")
        words = {"name": "large", "disk_format": "raw", "container_format": "bare"}
        id = cloud.call("POST", "/image/v2/images", words)["id"]
        token = {"X-Auth-Token": cloud.token()}
        path = f"/image/v2/images/{id}/file"
        root = psutil.Process(cloud.processes["it"].pid)
        before, grown = memory(root), 0

        def watched() -> Iterator[bytes]:
            nonlocal grown
            for number, chunk in enumerate(zeros()):
                if number % 32 == 0:
                    now = memory(root)
                    grown = max(grown, *(size - before.get(pid, size) for pid, size in now.items()))
                yield chunk

        port = uploads if chunked and program == "nova-api" else cloud.port
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        headers = {**token, "Content-Type": "application/octet-stream"}
        if not chunked:
            headers["Content-Length"] = str(SIZE)
        connection.request("PUT", path, body=watched(), headers=headers, encode_chunked=chunked)
        assert connection.getresponse().status == 204
        connection.close()
        with requests.get(cloud.url + path, headers=token, stream=True) as answer:
            received = sum(len(chunk) for chunk in answer.iter_content(MIB))
        now = memory(root)
        grown = max(grown, *(size - before.get(pid, size) for pid, size in now.items()))
        assert received == SIZE
        assert grown < MOST, f"{grown >> 20} MiB"
    finally:
        cloud.close()


def answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/identity/v3", timeout=2).ok
    except requests.RequestException:
        return False

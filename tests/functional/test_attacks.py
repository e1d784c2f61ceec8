"""What hostile clients try on a whole cloud, by the numbers of the catalogue of attacks.

Images alone have test_image_attacks.py; that every endpoint keeps strangers out and survives
odd bodies (E7, F1, F20 to F22) is test_endpoints.py's; tokens (F7 to F9) are
test_identity.py's, and forged headers (F2, E8) test_middleware.py's.
"""

from __future__ import annotations

import base64
import gc
import logging
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from nova_lite.domain.specs import GuestSpec, to_json
from nova_lite.testing.cloud import PASSWORD, Cloud
from nova_lite.testing.haste import within
from nova_lite.virt.fake import FakeDriver
from tests.functional.image_site import qemu_image

ARCHIVE = b"disk.ovf".ljust(257, b"\0") + b"ustar".ljust(10_000, b"\0")


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    cloud = Cloud(tmp_path, hosts=1)
    flavor = {"name": "f", "id": "f", "ram": 64, "vcpus": 1, "disk": 1}
    cloud.compute.post("/flavors", {"flavor": flavor})
    yield cloud
    cloud.close()


def person(cloud: Cloud, name: str) -> str:
    """A token of a member of a project that is all his own."""
    root = cloud.identity
    project = root.post("/v3/projects", {"project": {"name": name}})["project"]["id"]
    user = root.post("/v3/users", {"user": {"name": name, "password": PASSWORD}})["user"]["id"]
    [role] = root.get("/v3/roles?name=member")["roles"]
    root.put(f"/v3/projects/{project}/users/{user}/roles/{role['id']}", None)
    return cloud.token(name, PASSWORD, name)


def image(cloud: Cloud, content: bytes = bytes(512), token: str | None = None, **more: Any) -> str:
    body = {"name": "i", "disk_format": "raw", "container_format": "bare", **more}
    id = str(cloud.image.post("/v2/images", body, token=token)["id"])
    cloud.image.call("PUT", f"/v2/images/{id}/file", data=content, token=token, status=204)
    return id


def boot(cloud: Cloud, image: str, status: int = 202, **how: Any) -> Any:
    server = {"name": "s", "imageRef": image, "flavorRef": "f"}
    return cloud.compute.post("/servers", {"server": server}, status=status, **how)


# --- A. images --------------------------------------------------------------------------------


def test_a10_a_disk_that_says_it_is_larger_than_was_paid_for(cloud: Cloud, tmp_path: Path) -> None:
    for disk_format, qemu in (("qcow2", "qcow2"), ("vdi", "vdi"), ("vhdx", "vhdx")):
        large = image(cloud, qemu_image(tmp_path, qemu, size="2G"), disk_format=disk_format)
        answer = boot(cloud, large, status=400)
        assert "disk is smaller" in answer["badRequest"]["message"]
    boot(cloud, image(cloud, qemu_image(tmp_path, "vdi", size="1G"), disk_format="vdi"))


def test_an_archive_is_not_started_from(cloud: Cloud) -> None:
    packed = image(cloud, ARCHIVE, disk_format="vmdk", container_format="ova")
    assert "archive" in boot(cloud, packed, status=400)["badRequest"]["message"]


def test_a18_an_image_that_was_taken_back_starts_nothing_more(cloud: Cloud) -> None:
    """Even where a host still has it."""
    token = person(cloud, "red")
    id = image(cloud, visibility="public")
    boot(cloud, id, token=token)
    cloud.settle()
    path = f"/v2/images/{id}"
    media = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    private = [{"op": "replace", "path": "/visibility", "value": "private"}]
    cloud.image.patch(path, private, headers=media)
    boot(cloud, id, status=400, token=token)
    boot(cloud, id)
    cloud.image.post(f"{path}/actions/deactivate", None)
    boot(cloud, id, status=400)
    cloud.image.post(f"{path}/actions/reactivate", None)
    boot(cloud, id)
    cloud.image.delete(path)
    boot(cloud, id, status=400)


def test_a25_properties_of_an_image_steer_no_hypervisor(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs, ensure = [], FakeDriver.ensure

    def watched(driver: FakeDriver, spec: GuestSpec) -> None:
        specs.append(orjson.dumps(to_json(spec)).decode())
        ensure(driver, spec)

    monkeypatch.setattr(FakeDriver, "ensure", watched)
    token = person(cloud, "red")
    theirs = image(cloud, disk_format="aki", container_format="aki")
    steering: dict[str, Any] = {
        "kernel_id": theirs,
        "ramdisk_id": theirs,
        "os_command_line": "init=/bin/canary",
        "hw_firmware_path": "/etc/canary",
        "hw_vif_model": "'/><canary>",
        "img_config_drive": "canary",
    }
    cloud.image.call("GET", f"/v2/images/{theirs}", token=token, status=404)
    id = image(cloud, token=token, **steering)
    boot(cloud, id, token=token)
    cloud.settle()
    assert specs
    for spec in specs:
        assert id in spec
        assert "canary" not in spec
        assert theirs not in spec


# --- E. bodies --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"server":' * 100_000,
        b'{"server": NaN}',
        b'{"server": {"min_count": 1e999999}}',
        b'{"server": {"min_count": ' + b"9" * 500_000 + b"}}",
        b'{"server": {"name": "\\ud800"}}',
        b'{"server": {}, "server": {}, "server": 1}',
        b"\xff\xfe{",
    ],
    ids=["brackets", "braces", "nan", "infinity", "digits", "surrogate", "twice", "utf-16"],
)
def test_e7_json_that_is_meant_to_hurt_is_refused_cheaply(cloud: Cloud, body: bytes) -> None:
    for call, path in ((cloud.compute, "/servers"), (cloud.image, "/v2/images")):
        call.get("/flavors" if call is cloud.compute else "/v2/images")  # all is imported
        json = {"Content-Type": "application/json"}
        with within(0.2):
            call.call("POST", path, data=body, headers=json, status=400)


# --- H. floods --------------------------------------------------------------------------------


def grown(work: Any, times: int) -> int:
    """Bytes that are still held after `work` was done so often."""
    for i in range(200):
        work(-i)
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for i in range(times):
        work(i)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return after - before


def test_h6_paths_that_lead_nowhere_leave_nothing_behind(cloud: Cloud) -> None:
    def nowhere(i: int) -> None:
        cloud.compute.call("GET", f"/nowhere/{i}", status=404)

    # Less than a path each.
    assert grown(nowhere, 2000) < 2000 * 20


def test_h7_tokens_that_are_none_cost_little_and_leave_nothing_behind(cloud: Cloud) -> None:
    def guess(i: int) -> None:
        token = base64.urlsafe_b64encode(b"\x80" + b"%08d" % abs(i) * 20).decode()
        cloud.compute.call("GET", "/servers", token=token, status=401)

    with within(100 * 0.02):
        for i in range(100):
            guess(i)
    assert grown(guess, 1000) < 1000 * 20
    with within(0.2):
        cloud.compute.call("GET", "/servers", token="g" * 1_000_000, status=401)


# --- I. secrets -------------------------------------------------------------------------------


def test_i1_what_is_secret_is_in_no_log(cloud: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    canary = "canary-a8Zq"
    user = {"name": "u", "password": f"{canary}-password"}
    cloud.identity.post("/v3/users", {"user": user})
    cloud.identity.call(
        "POST",
        "/v3/auth/tokens",
        {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}},
        token="",
    )
    pair = cloud.compute.post("/os-keypairs", {"keypair": {"name": "k"}})["keypair"]
    data = base64.b64encode(f"#!/bin/sh\necho {canary}-data".encode()).decode()
    body = {"name": "s", "imageRef": image(cloud), "flavorRef": "f", "user_data": data}
    made = cloud.compute.post("/servers", {"server": {**body, "adminPass": f"{canary}-admin"}})
    cloud.settle()
    wrong = {**body, "user_data": f"{canary}-{data}", "adminPass": [f"{canary}-list"]}
    answer = cloud.compute.call("POST", "/servers", {"server": wrong}, status=400)
    assert canary not in answer.text
    for secret in (canary, data, cloud.token(), *pair["private_key"].splitlines()[1:-1]):
        assert secret not in caplog.text
    assert made["server"]["id"] in caplog.text, "it logs"

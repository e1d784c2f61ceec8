"""Files of guests, made by the real qemu-img."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from nova_lite.domain.errors import HypervisorError
from nova_lite.domain.specs import Disk, GuestSpec, ImageSource
from nova_lite.virt.libvirt import disks as module
from nova_lite.virt.libvirt.disks import GIB, Disks, virtual_size


class Images:
    """Images that are there already."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()

    def path(self, image: ImageSource) -> Path:
        return self.directory / str(image.id)

    def add(self, disk_format: str, size: int) -> ImageSource:
        image = ImageSource(uuid4(), "", disk_format, 1, "")
        file = str(self.path(image))
        subprocess.run(["qemu-img", "create", "-q", "-f", disk_format, file, str(size)], check=True)
        return image


@pytest.fixture
def images(tmp_path: Path) -> Images:
    return Images(tmp_path / "_base")


@pytest.fixture
def disks(tmp_path: Path, images: Images) -> Disks:
    return Disks(tmp_path, images)


def guest(*wanted: Disk) -> GuestSpec:
    return GuestSpec(uuid4(), "instance-1", "", "", 1, 64, wanted, ())


def info(path: Path) -> dict[str, Any]:
    answer = subprocess.check_output(["qemu-img", "info", "--output=json", str(path)])
    found: dict[str, Any] = json.loads(answer)
    return found


@pytest.mark.parametrize("disk_format", ["raw", "qcow2"])
def test_a_disk_is_an_overlay_that_names_its_bases_format(
    disks: Disks, images: Images, disk_format: str
) -> None:
    image = images.add(disk_format, 1 << 20)
    spec = guest(Disk("vda", 2, image))
    [file] = disks.ensure(spec)
    assert file.path == disks.directory(spec.id) / "disk"
    assert (file.base, file.base_format) == (images.path(image), disk_format)
    found = info(file.path)
    assert found["format"] == "qcow2"
    assert found["virtual-size"] == 2 * GIB
    assert found["backing-filename"] == str(images.path(image))
    assert found["backing-filename-format"] == disk_format


def test_a_disk_is_never_smaller_than_its_image(disks: Disks, images: Images) -> None:
    image = images.add("qcow2", 3 * GIB)
    large, exact = disks.ensure(guest(Disk("vda", 1, image), Disk("vdb", 0, image)))
    assert virtual_size(large.path, "qcow2") == 3 * GIB
    assert virtual_size(exact.path, "qcow2") == 3 * GIB


def test_a_disk_without_image_is_empty(disks: Disks) -> None:
    spec = guest(Disk("vda", 1), Disk("vdb", 2))
    first, second = disks.ensure(spec)
    assert second.path == disks.directory(spec.id) / "disk.vdb"
    assert (second.base, info(second.path)["virtual-size"]) == (None, 2 * GIB)
    assert "backing-filename" not in info(first.path)


def test_a_disk_that_is_there_is_kept(disks: Disks) -> None:
    spec = guest(Disk("vda", 1))
    [file] = disks.ensure(spec)
    file.path.write_bytes(b"what the guest wrote")
    later = replace(spec, disks=(Disk("vda", 1), Disk("vdb", 1)))
    assert disks.ensure(later)[0] == file
    assert file.path.read_bytes() == b"what the guest wrote"


def test_a_disk_left_half_made_is_made_again(disks: Disks) -> None:
    spec = guest(Disk("vda", 1))
    directory = disks.directory(spec.id)
    directory.mkdir(parents=True)
    (directory / "disk.part").write_bytes(b"half")
    [file] = disks.ensure(spec)
    assert info(file.path)["virtual-size"] == GIB
    assert os.listdir(directory) == ["disk"]


def test_qemus_user_can_pass_through_but_nobody_else_reads_disks(disks: Disks) -> None:
    [file] = disks.ensure(guest(Disk("vda", 1)))
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o711
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_removal_takes_everything_and_may_be_repeated(disks: Disks) -> None:
    spec, neighbour = guest(Disk("vda", 1)), guest(Disk("vda", 1))
    disks.ensure(spec)
    disks.ensure(neighbour)
    (disks.directory(spec.id) / "console.log.2").touch()
    for _ in "twice":
        disks.remove(spec.id)
        assert not disks.directory(spec.id).exists()
        assert disks.directory(neighbour.id).exists()


@pytest.mark.parametrize("target", ["", "vd", "../vda", "vda/../../x", "sda", "vda\n"])
def test_a_target_cannot_lead_elsewhere(disks: Disks, target: str) -> None:
    with pytest.raises(HypervisorError, match="cannot be called"):
        disks.ensure(guest(Disk(target, 1)))


def test_a_disk_of_no_size_is_refused(disks: Disks) -> None:
    with pytest.raises(HypervisorError, match="neither a size nor an image"):
        disks.ensure(guest(Disk("vda", 0)))


def test_what_qemu_img_complains_about_is_passed_on(disks: Disks, images: Images) -> None:
    image = images.add("raw", 1 << 20)
    with pytest.raises(HypervisorError, match="qemu-img info failed: .*not in qcow2 format"):
        disks.ensure(guest(Disk("vda", 1, replace(image, disk_format="qcow2"))))


def test_a_silent_failure_still_says_something(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "QEMU_IMG_LIMITS", ("sh", "-c", "exit 3"))
    monkeypatch.setenv("PATH", _with_program(tmp_path, "prlimit", '#!/bin/sh\nexec "$@"\n'))
    with pytest.raises(HypervisorError, match="qemu-img info failed: exit status 3"):
        virtual_size(tmp_path, "raw")


def test_qemu_img_cannot_use_up_the_host(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, images: Images
) -> None:
    image = images.path(images.add("raw", 1 << 20))
    monkeypatch.setenv(
        "PATH", _with_program(tmp_path, "qemu-img", "#!/bin/sh\nulimit -v -t >&2\nexit 1\n")
    )
    with pytest.raises(HypervisorError, match="failed"):
        virtual_size(image, "raw")
    monkeypatch.setenv(
        "PATH", _with_program(tmp_path, "qemu-img", "#!/bin/sh\nwhile :; do :; done\n")
    )
    monkeypatch.setattr(module, "QEMU_IMG_LIMITS", ("--cpu=1",))
    with pytest.raises(HypervisorError, match="exit status -9|exit status -24"):
        virtual_size(image, "raw")


def test_qemu_img_cannot_hang_us(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", _with_program(tmp_path, "qemu-img", "#!/bin/sh\nexec sleep 60\n"))
    monkeypatch.setattr(module, "QEMU_IMG_TIMEOUT", 0.1)
    with pytest.raises(HypervisorError, match="took too long"):
        virtual_size(tmp_path, "raw")


def test_trouble_with_storage_is_told_as_ours(tmp_path: Path, images: Images) -> None:
    (tmp_path / "file").touch()
    disks = Disks(tmp_path / "file" / "instances", images)
    for call in (disks.total_gb, lambda: disks.ensure(guest()), lambda: disks.remove(uuid4())):
        with pytest.raises(HypervisorError, match="Storage of guests: .*Not a directory"):
            call()


def test_the_size_of_the_storage_is_that_of_its_file_system(disks: Disks, tmp_path: Path) -> None:
    system = os.statvfs(tmp_path)
    assert disks.total_gb() == system.f_blocks * system.f_frsize // GIB


def _with_program(directory: Path, name: str, text: str) -> str:
    programs = directory / "bin"
    programs.mkdir(exist_ok=True)
    (programs / name).write_text(text)
    (programs / name).chmod(0o755)
    return f"{programs}:{os.environ['PATH']}"

"""Files of guests, made by the real qemu-img."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from nova_lite.domain.errors import HypervisorError
from nova_lite.domain.specs import Disk, GuestSpec, ImageSource
from nova_lite.virt.libvirt import qemu_img
from nova_lite.virt.libvirt.disks import GIB, Disks, resize, virtual_size
from nova_lite.virt.libvirt.qemu_img import Limit
from nova_lite.virt.libvirt.xml import DiskFile


class Images:
    """Images that are there already."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.asked: list[UUID] = []
        directory.mkdir()

    def path(self, image: ImageSource) -> Path:
        self.asked.append(image.id)
        return self.directory / str(image.id)

    def add(self, disk_format: str, size: int) -> ImageSource:
        image = ImageSource(uuid4(), "http://x/", disk_format, 1, "")
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


def ensure(disks: Disks, spec: GuestSpec) -> list[DiskFile]:
    """All disks of a guest that is off."""
    return disks.ensure(spec, lambda file, size: resize(file.path, size))


def write(path: Path, pattern: int) -> None:
    command = ["qemu-io", "-f", "qcow2", "-c", f"write -q -P {pattern} 64k 64k", str(path)]
    subprocess.run(command, check=True)


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
    [file] = ensure(disks, spec)
    assert file.path == disks.directory(spec.id) / "disk"
    assert (file.base, file.base_format) == (images.path(image), disk_format)
    found = info(file.path)
    assert found["format"] == "qcow2"
    assert found["virtual-size"] == 2 * GIB
    assert found["backing-filename"] == str(images.path(image))
    assert found["backing-filename-format"] == disk_format


def test_a_disk_is_never_smaller_than_its_image(disks: Disks, images: Images) -> None:
    image = images.add("qcow2", 3 * GIB)
    large, exact = ensure(disks, guest(Disk("vda", 1, image), Disk("vdb", 0, image)))
    assert virtual_size(large.path, "qcow2") == 3 * GIB
    assert virtual_size(exact.path, "qcow2") == 3 * GIB


def test_a_disk_without_image_is_empty(disks: Disks) -> None:
    spec = guest(Disk("vda", 1), Disk("vdb", 2))
    first, second = ensure(disks, spec)
    assert second.path == disks.directory(spec.id) / "disk.vdb"
    assert (second.base, info(second.path)["virtual-size"]) == (None, 2 * GIB)
    assert "backing-filename" not in info(first.path)


def test_a_disk_that_is_there_is_kept(disks: Disks) -> None:
    spec = guest(Disk("vda", 1))
    [file] = ensure(disks, spec)
    write(file.path, 7)
    content = file.path.read_bytes()
    later = replace(spec, disks=(Disk("vda", 1), Disk("vdb", 1)))
    assert ensure(disks, later)[0] == file
    assert file.path.read_bytes() == content


def test_a_disk_grows_and_never_shrinks(disks: Disks) -> None:
    spec = guest(Disk("vda", 1))
    [file] = ensure(disks, spec)
    write(file.path, 7)
    for wanted, found in ((2, 2), (1, 2), (0, 2)):
        assert ensure(disks, replace(spec, disks=(Disk("vda", wanted),))) == [file]
        assert virtual_size(file.path, "qcow2") == found * GIB
    read = ["qemu-io", "-f", "qcow2", "-c", "read -P 7 64k 64k", str(file.path)]
    assert b"verification failed" not in subprocess.check_output(read)


@pytest.mark.parametrize("disk_format", ["raw", "qcow2"])
def test_a_disk_knows_what_it_lies_on_without_its_image(
    disks: Disks, images: Images, disk_format: str
) -> None:
    image = images.add(disk_format, 1 << 20)
    spec = guest(Disk("vda", 1, image))
    made = ensure(disks, spec)
    images.asked.clear()
    gone = ImageSource(image.id, "", "", 0, "")
    for known in (gone, None):
        assert ensure(disks, replace(spec, disks=(Disk("vda", 1, known),))) == made
    assert not images.asked
    ensure(disks, spec)
    assert images.asked == [image.id], "an image that was lost comes back"
    with pytest.raises(HypervisorError, match=f"vdr: image {image.id} is gone"):
        disks.prepare(guest(Disk("vda", 1), Disk("vdr", 0, gone)))


def test_a_disk_that_was_made_to_refer_elsewhere_is_not_used(disks: Disks, tmp_path: Path) -> None:
    """As by a guest that has taken over its QEMU: these files are read as root."""
    spec = guest(Disk("vda", 1))
    [file] = ensure(disks, spec)
    (tmp_path / "secret").write_bytes(bytes(512))
    for elsewhere in (tmp_path / "secret", tmp_path / "_base" / ".." / "secret", Path("secret")):
        create = ["qemu-img", "create", "-q", "-f", "qcow2"]
        backed = ["-u", "-b", str(elsewhere), "-F", "raw", str(file.path), "1G"]
        subprocess.run([*create, *backed], check=True)
        with pytest.raises(HypervisorError, match="refers to a file that is no image"):
            ensure(disks, spec)
        with pytest.raises(HypervisorError, match="refers to a file that is no image"):
            disks.copy(spec.id, tmp_path / "copy")
    option = f"data_file={tmp_path / 'secret'},data_file_raw=on"
    subprocess.run([*create, "-o", option, str(file.path), "1M"], check=True)
    with pytest.raises(HypervisorError, match="refers to a file that is no image"):
        disks.copy(spec.id, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_disks_that_are_not_kept_are_deleted_and_nothing_else(disks: Disks) -> None:
    spec = guest(Disk("vda", 1), Disk("vdb", 1), Disk("vdr", 1))
    ensure(disks, spec)
    directory = disks.directory(spec.id)
    for name in ("console.log", "disk.vdc.part"):
        (directory / name).touch()
    for _ in "twice":
        disks.keep(spec.id, ["vda", "vdr"])
        assert sorted(os.listdir(directory)) == ["console.log", "disk", "disk.vdr"]
    disks.keep(spec.id, ())
    assert os.listdir(directory) == ["console.log"]
    disks.keep(uuid4(), ())


@pytest.mark.parametrize("disk_format", ["raw", "qcow2", None])
def test_a_copy_has_all_that_the_disk_has(
    disks: Disks, images: Images, tmp_path: Path, disk_format: str | None
) -> None:
    image = images.add(disk_format, 1 << 20) if disk_format else None
    spec = guest(Disk("vda", 1, image))
    [file] = ensure(disks, spec)
    write(file.path, 7)
    copy = tmp_path / "copy"
    for _ in "twice":
        disks.copy(spec.id, copy)
    assert "backing-filename" not in info(copy)
    subprocess.run(["qemu-img", "compare", "-q", str(file.path), str(copy)], check=True)
    assert copy.stat().st_blocks * 512 < 1 << 20


def test_scratch_is_gone_at_the_end_or_at_the_next_beginning(disks: Disks) -> None:
    id = uuid4()
    with disks.scratch(id) as first:
        first.write_bytes(b"half")
        with disks.scratch(id) as second:
            assert second == first and not second.exists()
            assert stat.S_IMODE(second.parent.stat().st_mode) == 0o711
    assert not first.parent.exists()
    first.parent.mkdir()
    disks.clean()
    assert os.listdir(disks.directory(id)) == []


def test_a_disk_left_half_made_is_made_again(disks: Disks) -> None:
    spec = guest(Disk("vda", 1))
    directory = disks.directory(spec.id)
    directory.mkdir(parents=True)
    (directory / "disk.part").write_bytes(b"half")
    [file] = ensure(disks, spec)
    assert info(file.path)["virtual-size"] == GIB
    assert os.listdir(directory) == ["disk"]


def test_qemus_user_can_pass_through_but_nobody_else_reads_disks(disks: Disks) -> None:
    [file] = ensure(disks, guest(Disk("vda", 1)))
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o711
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_removal_takes_everything_and_may_be_repeated(disks: Disks) -> None:
    spec, neighbour = guest(Disk("vda", 1)), guest(Disk("vda", 1))
    ensure(disks, spec)
    ensure(disks, neighbour)
    (disks.directory(spec.id) / "console.log.2").touch()
    for _ in "twice":
        disks.remove(spec.id)
        assert not disks.directory(spec.id).exists()
        assert disks.directory(neighbour.id).exists()


@pytest.mark.parametrize("target", ["", "vd", "../vda", "vda/../../x", "sda", "vda\n"])
def test_a_target_cannot_lead_elsewhere(disks: Disks, target: str) -> None:
    with pytest.raises(HypervisorError, match="cannot be called"):
        ensure(disks, guest(Disk(target, 1)))


def test_a_disk_of_no_size_is_refused(disks: Disks) -> None:
    with pytest.raises(HypervisorError, match="neither a size nor an image"):
        ensure(disks, guest(Disk("vda", 0)))


def test_what_qemu_img_complains_about_is_passed_on(disks: Disks, images: Images) -> None:
    image = images.add("raw", 1 << 20)
    with pytest.raises(HypervisorError, match="qemu-img info failed: .*not in qcow2 format"):
        ensure(disks, guest(Disk("vda", 1, replace(image, disk_format="qcow2"))))


def test_a_silent_failure_still_says_something(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", _with_program(tmp_path, "qemu-img", "#!/bin/sh\nexit 3\n"))
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
    monkeypatch.setattr(qemu_img, "prlimit", lambda limit: ("prlimit", "--cpu=1"))
    with pytest.raises(HypervisorError, match="exit status -9|exit status -24"):
        virtual_size(image, "raw")


def test_qemu_img_cannot_hang_us(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", _with_program(tmp_path, "qemu-img", "#!/bin/sh\nexec sleep 60\n"))
    with pytest.raises(HypervisorError, match="qemu-img convert took too long"):
        qemu_img.qemu_img("convert", limit=Limit(0.1, 1 << 30))


def test_trouble_with_storage_is_told_as_ours(tmp_path: Path, images: Images) -> None:
    (tmp_path / "file").touch()
    disks = Disks(tmp_path / "file" / "instances", images)
    for call in (
        disks.total_gb,
        lambda: ensure(disks, guest()),
        lambda: disks.keep(uuid4(), ()),
        lambda: disks.remove(uuid4()),
        lambda: disks.scratch(uuid4()).__enter__(),
    ):
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


def test_an_image_is_fetched_before_a_guest_needs_it(disks: Disks, images: Images) -> None:
    image = images.add("qcow2", GIB)
    images.asked.clear()
    disks.fetch(image)
    assert images.asked == [image.id]

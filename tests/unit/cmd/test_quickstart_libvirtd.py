"""Whose libvirtd is used, who starts it, and who may stop it."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from nova_lite.cmd.quickstart import libvirtd
from nova_lite.cmd.quickstart.place import Place
from nova_lite.cmd.quickstart.terminal import Refusal

GUEST = UUID("5d0a2b9e-7d55-4d5e-8c1f-0c5f1e0a7a11")


class Host:
    """A host with systemd, whose libvirtd answers once it was started."""

    def __init__(self) -> None:
        self.up = False
        self.guests = 0
        self.told: list[str] = []

    def systemctl(self, *words: str) -> None:
        self.told.append(words[0])
        self.up = words[0] == "start"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    host = Host()
    (tmp_path / "boot_id").write_text("today")
    monkeypatch.setattr(libvirtd, "SYSTEMD", tmp_path)
    monkeypatch.setattr(libvirtd, "BOOT_ID", tmp_path / "boot_id")
    monkeypatch.setattr(libvirtd, "answers", lambda uri: host.up)
    monkeypatch.setattr(libvirtd, "active", lambda uri: host.guests)
    monkeypatch.setattr(libvirtd, "_systemctl", host.systemctl)
    return host


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path / "cloud")
    made.make()
    return made


def test_where_there_is_systemd_or_a_libvirtd_it_is_the_host_s(
    host: Host, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert libvirtd.choose(place) == libvirtd.SYSTEM
    monkeypatch.setattr(libvirtd, "SYSTEMD", Path("/nowhere"))
    assert libvirtd.choose(place) == libvirtd.own_uri(place)
    host.up = True
    assert libvirtd.choose(place) == libvirtd.SYSTEM


def test_what_runs_is_neither_started_nor_stopped(host: Host, place: Place) -> None:
    host.up = True
    libvirtd.ensure(place, libvirtd.SYSTEM, kvm=False)
    libvirtd.release(place, libvirtd.SYSTEM)
    assert host.told == []


def test_what_we_have_started_we_stop(host: Host, place: Place) -> None:
    libvirtd.ensure(place, libvirtd.SYSTEM, kvm=False)
    host.guests = 1
    libvirtd.release(place, libvirtd.SYSTEM)
    assert host.told == ["start"], "a guest needs it"
    host.guests = 0
    libvirtd.release(place, libvirtd.SYSTEM)
    libvirtd.release(place, libvirtd.SYSTEM)
    assert host.told == ["start", "stop"]


def test_after_the_host_was_started_again_it_is_not_ours_any_more(
    host: Host, place: Place, tmp_path: Path
) -> None:
    libvirtd.ensure(place, libvirtd.SYSTEM, kvm=False)
    (tmp_path / "boot_id").write_text("tomorrow")
    libvirtd.release(place, libvirtd.SYSTEM)
    assert host.told == ["start"]


def test_a_libvirt_elsewhere_that_does_not_answer_is_the_operator_s_to_start(
    host: Host, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Refusal, match="qemu[+]ssh://b -> start libvirtd, or change"):
        libvirtd.ensure(place, "qemu+ssh://b", kvm=False)
    monkeypatch.setattr(libvirtd, "START", 0)
    monkeypatch.setattr(libvirtd, "SYSTEMD", Path("/nowhere"))
    with pytest.raises(Refusal, match="does not answer at qemu:///system"):
        libvirtd.ensure(place, libvirtd.SYSTEM, kvm=False)
    monkeypatch.setattr(libvirtd, "_start_own", _nothing)
    with pytest.raises(Refusal, match=f"see {place.libvirt}/log"):
        libvirtd.ensure(place, libvirtd.own_uri(place), kvm=False)


def _nothing(place: Place, kvm: bool) -> None: ...


def test_systemd_s_words_are_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = tmp_path / "said"
    program = tmp_path / "systemctl"
    program.write_text(
        f'#!/bin/sh\necho "$@" > {said}\n[ "$1" = start ] || {{ echo no >&2; exit 1; }}\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    libvirtd._systemctl("start", "libvirtd.service")
    assert said.read_text() == "start libvirtd.service\n"
    with pytest.raises(Refusal, match="systemctl stop: no"):
        libvirtd._systemctl("stop", "libvirtd.service")


def test_only_traces_of_our_guests_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libvirtd, "LOGS", tmp_path)
    monkeypatch.setattr(libvirtd, "PROFILES", tmp_path)
    files: dict[str, str] = {
        "instance-00000001.log": "qemu -drive /state/instances/x/disk",
        "instance-00000002.log": "qemu -drive /other/instances/x/disk",
        f"libvirt-{GUEST}": "profile",
        "libvirt-another": "profile",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    libvirtd.remove_traces([GUEST, UUID(int=0)], Path("/state/instances"))
    left = sorted(file.name for file in tmp_path.iterdir())
    assert left == ["instance-00000002.log", "libvirt-another"]


def test_a_libvirtd_that_does_not_start_is_quoted(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libvirtd, "BEGIN", "echo 'no mounts here' >&2; exit 1")
    with pytest.raises(Refusal, match="libvirtd does not start: "):
        libvirtd._start_own(place, False)


def test_without_kvm_qemu_finds_an_empty_file_in_its_place(tmp_path: Path) -> None:
    node = tmp_path / "kvm"
    libvirtd._make_kvm(node, False)
    libvirtd._make_kvm(node, False)
    assert node.is_file() and node.stat().st_size == 0

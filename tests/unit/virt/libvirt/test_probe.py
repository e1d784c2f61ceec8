"""Choosing between KVM and emulation, with a stand-in for QEMU that acts out a script."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from nova_lite.testing.haste import within
from nova_lite.virt.libvirt.probe import Choice, Host, choose_virt_type, newest_kernel

BOOTS = """
echo "[    0.000000] Linux version 6.1.0"
echo "[    1.100000] VFS: Cannot open root device"
echo "[    1.200000] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block"
"""
STARTS_INIT = 'echo "[    1.100000] Run /init as init process"; exec sleep 60'
HANGS = 'echo "[    0.000000] Linux version 6.1.0"; exec sleep 60'
IS_SILENT = "exec sleep 60"
BREAKS = 'echo "failed to initialize kvm: Permission denied" >&2; exit 1'
TRIPLE_FAULTS = 'echo "[    0.000000] Linux version 6.1.0"; exit 0'
CLOSES_ITS_OUTPUT = "exec sleep 60 >&- 2>&-"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host that looks as if KVM worked."""
    (tmp_path / "cpuinfo").write_text("processor : 0\nflags : fpu vme vmx sse\n")
    (tmp_path / "kvm").touch()
    (tmp_path / "vmlinuz-6.1.0-9").touch()
    return Host(
        cpuinfo=tmp_path / "cpuinfo",
        device=tmp_path / "kvm",
        boot=tmp_path,
        emulator=str(tmp_path / "qemu"),
        timeout=10,
    )


def plays(host: Host, script: str) -> Host:
    emulator = Path(host.emulator)
    emulator.write_text(f'#!/bin/sh\necho "$@" > {emulator}.arguments\n{script}\n')
    emulator.chmod(0o755)
    return host


@pytest.mark.parametrize("script", [BOOTS, STARTS_INIT])
def test_kvm_is_used_when_an_accelerated_guest_got_to_its_end(host: Host, script: str) -> None:
    with within(5, time.monotonic):
        choice = choose_virt_type("auto", None, plays(host, script))
    assert choice == Choice("kvm", "an accelerated guest started")
    arguments = Path(f"{host.emulator}.arguments").read_text()
    assert "-accel kvm " in arguments
    assert f"-kernel {host.boot}/vmlinuz-6.1.0-9 -append console=ttyS0 panic=-1" in arguments


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (HANGS, "hung; the last it said was: [    0.000000] Linux version"),
        (IS_SILENT, "hung; the last it said was: nothing"),
        (CLOSES_ITS_OUTPUT, "hung; the last it said was: nothing"),
        (BREAKS, "ended with status 1; the last it said was: failed to initialize kvm"),
        (TRIPLE_FAULTS, "ended with status 0; the last it said was: [    0.000000] Linux"),
    ],
)
def test_a_guest_that_does_not_get_there_means_emulation(
    host: Host, script: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    choice = choose_virt_type("auto", None, plays(replace(host, timeout=0.5), script))
    assert choice.virt_type == "qemu"
    assert why in choice.reason
    [line] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "falling back" in line.message and why in line.message


def test_without_the_processors_help_nothing_is_tried(host: Host) -> None:
    host.cpuinfo.write_text("flags : fpu vme novmx\n")
    choice = choose_virt_type("auto", None, plays(host, BOOTS))
    assert choice.virt_type == "qemu" and "neither vmx nor svm" in choice.reason
    assert not os.path.exists(f"{host.emulator}.arguments")


def test_without_the_device_nothing_is_tried(host: Host) -> None:
    host.device.unlink()
    choice = choose_virt_type("auto", None, plays(host, BOOTS))
    assert choice.virt_type == "qemu" and "kvm cannot be opened" in choice.reason


def test_without_a_kernel_nothing_is_known(host: Host, tmp_path: Path) -> None:
    (tmp_path / "vmlinuz-6.1.0-9").unlink()
    for kernel in (None, tmp_path / "missing"):
        choice = choose_virt_type("auto", kernel, plays(host, BOOTS))
        assert choice.virt_type == "qemu" and "no kernel to try with" in choice.reason


def test_without_an_emulator_nothing_is_known(host: Host) -> None:
    choice = choose_virt_type("auto", None, host)
    assert choice.virt_type == "qemu" and "cannot be started: No such file" in choice.reason


def test_a_kernel_that_is_given_is_taken(host: Host, tmp_path: Path) -> None:
    kernel = tmp_path / "my-kernel"
    kernel.touch()
    assert choose_virt_type("auto", kernel, plays(host, BOOTS)).virt_type == "kvm"
    assert f"-kernel {kernel} " in Path(f"{host.emulator}.arguments").read_text()


@pytest.mark.parametrize("configured", ["kvm", "qemu"])
def test_what_is_configured_is_not_questioned(host: Host, configured: str) -> None:
    choice = choose_virt_type(configured, None, plays(host, BREAKS))
    assert (choice.virt_type, choice.reason) == (configured, "as configured")
    assert not os.path.exists(f"{host.emulator}.arguments")


def test_the_newest_kernel_is_the_one_with_the_highest_version(tmp_path: Path) -> None:
    assert newest_kernel(tmp_path) is None
    for version in ("6.1.0-9-amd64", "6.1.0-18-amd64", "5.10.0-30-amd64", "6.1.0-18-cloud-amd64"):
        (tmp_path / f"vmlinuz-{version}").touch()
    found = newest_kernel(tmp_path)
    assert found and found.name == "vmlinuz-6.1.0-18-cloud-amd64"


def booted(host: Host) -> int:
    """How often somebody started a guest on trial."""
    runs = Path(f"{host.emulator}.runs")
    return len(runs.read_text().splitlines()) if runs.exists() else 0


COUNTED = 'echo run >> "$0.runs"\n'


@pytest.mark.parametrize("script", [BOOTS, BREAKS])
def test_what_a_trial_showed_is_kept(host: Host, tmp_path: Path, script: str) -> None:
    kept = tmp_path / "state" / "kvm.json"
    plays(host, COUNTED + script)
    first = choose_virt_type("auto", None, host, kept=kept)
    assert choose_virt_type("auto", None, host, kept=kept) == first
    assert booted(host) == 1


def test_a_kept_answer_is_not_believed_after_the_host_was_started_again(
    host: Host, tmp_path: Path
) -> None:
    boot_id, kept = tmp_path / "boot_id", tmp_path / "kvm.json"
    boot_id.write_text("one")
    host = replace(plays(host, COUNTED + BREAKS), boot_id=boot_id)
    assert choose_virt_type("auto", None, host, kept=kept).virt_type == "qemu"
    boot_id.write_text("two")
    plays(host, COUNTED + BOOTS)
    assert choose_virt_type("auto", None, host, kept=kept).virt_type == "kvm"
    assert booted(host) == 2


def test_a_kept_answer_is_not_believed_of_another_kernel(host: Host, tmp_path: Path) -> None:
    kept = tmp_path / "kvm.json"
    plays(host, COUNTED + BOOTS)
    choose_virt_type("auto", None, host, kept=kept)
    (host.boot / "vmlinuz-6.1.0-9").write_text("rebuilt")
    choose_virt_type("auto", None, host, kept=kept)
    assert booted(host) == 2


def test_a_kept_answer_that_power_loss_has_emptied_says_nothing(host: Host, tmp_path: Path) -> None:
    kept = tmp_path / "kvm.json"
    kept.touch()
    assert choose_virt_type("auto", None, plays(host, BOOTS), kept=kept).virt_type == "kvm"


def test_no_trial_is_made_or_remembered_where_it_is_clear_without(
    host: Host, tmp_path: Path
) -> None:
    kept = tmp_path / "kvm.json"
    plays(host, COUNTED + BOOTS)
    host.device.unlink()
    assert choose_virt_type("auto", None, host, kept=kept).virt_type == "qemu"
    assert booted(host) == 0 and not kept.exists()

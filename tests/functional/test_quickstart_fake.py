"""The Python half of bin/quickstart with fake hypervisors, and a real nova-all behind it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nova_lite.cmd.quickstart import __main__ as quickstart
from nova_lite.cmd.quickstart import daemon, furniture, setup
from nova_lite.cmd.quickstart.place import Place
from tests.processes import free_port

Run = Callable[..., int]
# A daemon is meant to outlive whoever has started it.
pytestmark = pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "cloud"


@pytest.fixture
def run(state: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(state / "cache"))  # so that it is put back
    mask = os.umask(0o022)

    def run(*words: str) -> int:
        where = ("--fake", f"--state-dir={state}")
        monkeypatch.setattr(sys, "argv", ["quickstart", *where, *words])
        return quickstart.main()

    yield run
    run("--purge")
    os.umask(mask)


@pytest.fixture
def ports() -> list[str]:
    return [f"--port={free_port()}", f"--metadata-port={free_port()}"]


def test_a_cloud_from_nothing_and_to_nothing(
    run: Run, ports: list[str], state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*ports, "--hosts=2") == 0
    said = capsys.readouterr().out
    assert "first is ACTIVE at 10.10" in said and "after it was asked for" in said
    assert f". {state}/openrc" in said
    assert run() == 0
    assert "runs already" in capsys.readouterr().out
    pid = int((state / "nova-all.pid").read_text())
    assert Path(f"/proc/{pid}").exists()
    assert run("--stop") == 0
    assert not (state / "nova-all.pid").exists()
    assert run("--purge") == 0
    assert not state.exists()
    assert run("--stop") == run("--purge") == 0
    assert "There is nothing" in capsys.readouterr().out


def test_an_older_database_is_brought_up_to_date_under_a_new_nova_all(
    run: Run, ports: list[str], state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(*ports, "--no-server") == 0
    before = (state / "nova-all.pid").read_text()
    monkeypatch.setattr(setup, "is_outdated", lambda _: True)
    assert run("--no-server") == 0
    assert (state / "nova-all.pid").read_text() != before


def test_a_nova_all_that_dies_is_quoted(
    run: Run, ports: list[str], state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*ports, "--no-server") == 0
    run("--stop")
    with (state / "nova.conf").open("a") as config:
        config.write("\n[scheduler]\ndriver = dice\n")
    assert run() == 1
    said = capsys.readouterr().err
    assert "nova-all ended by itself" in said and "dice" in said


def test_a_configuration_that_cannot_be_read_is_named(
    run: Run, ports: list[str], state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*ports, "--no-server") == 0
    run("--stop")
    good = (state / "nova.conf").read_text()
    (state / "nova.conf").write_text(good + "\n[quota]\ninstances = many\n")
    assert run() == 1
    assert "nova.conf: " in capsys.readouterr().err
    (state / "nova.conf").write_text(good)


def test_what_fails_in_the_foreground_leaves_no_daemon(
    run: Run, ports: list[str], state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(furniture, "FLAVOR", "m1.unheard-of")
    assert run(*ports, "--foreground") == 1
    assert daemon.Daemon(Place(state), "").running() is None


def test_real_clouds_are_for_root(
    state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(sys, "argv", ["quickstart", f"--state-dir={state}"])
    assert quickstart.main() == 1
    assert "need root -> use sudo, or try --fake" in capsys.readouterr().err
    assert not state.exists()


def test_ctrl_c_is_an_end_like_others(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(setup, "configure", interrupted)
        assert run() == 130
    assert "the next run goes on from here" in capsys.readouterr().err

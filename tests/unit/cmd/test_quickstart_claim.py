"""One host, one who provides its networks."""

from __future__ import annotations

from pathlib import Path

import pytest

from nova_lite.cmd.quickstart import claim
from nova_lite.cmd.quickstart.place import Place
from nova_lite.cmd.quickstart.terminal import Refusal
from nova_lite.network import nftables


@pytest.fixture(autouse=True)
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host on which nobody provides networks yet."""
    run = tmp_path / "run"
    run.mkdir()
    monkeypatch.setattr(claim, "RUN", run)
    monkeypatch.setattr(nftables, "fingerprint", lambda: "")
    return run


def place(directory: Path) -> Place:
    made = Place(directory)
    made.make()
    return made


def test_the_host_is_whose_who_comes_first(tmp_path: Path, run: Path) -> None:
    first, second = place(tmp_path / "first"), place(tmp_path / "second")
    claim.take(first)
    claim.take(first)
    with pytest.raises(Refusal, match=f"{first.directory} provides the networks .* -> purge it"):
        claim.take(second)
    half = next(run.iterdir()).with_suffix(".1234")
    half.write_text(f"{first.directory}\n")
    claim.drop(second)
    claim.drop(first)
    assert list(run.iterdir()) == []
    claim.take(second)


def test_a_claim_of_a_state_that_is_gone_is_void(tmp_path: Path) -> None:
    first, second = place(tmp_path / "first"), place(tmp_path / "second")
    claim.take(first)
    first.remove()
    claim.take(second)
    claim.take(second)


def test_networks_of_somebody_who_claims_nothing_are_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nftables, "fingerprint", lambda: "something")
    with pytest.raises(Refusal, match="another nova_lite provides"):
        claim.take(place(tmp_path / "first"))


def test_of_two_who_begin_at_the_same_time_one_is_refused(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = place(tmp_path / "first"), place(tmp_path / "second")

    def a_moment_later() -> str:
        monkeypatch.setattr(nftables, "fingerprint", lambda: "")
        claim.take(second)
        return ""

    monkeypatch.setattr(nftables, "fingerprint", a_moment_later)
    with pytest.raises(Refusal, match="just begun"):
        claim.take(first)
    assert [file.read_text().strip() for file in run.iterdir()] == [str(second.directory)]

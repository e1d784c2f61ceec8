"""A package somebody else has installed: real metadata, a real module, a real import."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Install = Callable[[str, str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """install(distribution, entry_points.txt, source): the module is called as the distribution."""

    def install(distribution: str, entry_points: str, source: str) -> None:
        site = tmp_path / distribution
        metadata = site / f"{distribution}-1.0.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text(f"Name: {distribution}\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(entry_points)
        (site / f"{distribution}.py").write_text(source)
        monkeypatch.syspath_prepend(site)

    return install

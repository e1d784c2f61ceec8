"""What all tests share: real engines, the test guest, and golden files."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest_plugins = ["tests.engines", "tests.guest", "tests.keystone"]

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="rewrite tests/golden from what the code says now; the diff is the review",
    )


@pytest.fixture(autouse=True)
def temporary_files_stay_where_they_were() -> Iterator[None]:
    """A process that serves the API moves them for good; a test that plays one does not."""
    before = tempfile.tempdir
    yield
    tempfile.tempdir = before


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """`golden(path, text)`: `text` is what tests/golden/`path` holds."""
    update = request.config.getoption("--update-golden")

    def compare(path: str, text: str) -> None:
        file = GOLDEN / path
        if update:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        assert file.read_text() == text, f"differs from {file}; see --update-golden"

    return compare

"""The secrets that controllers share."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet, InvalidToken

from nova_lite.cmd import keys


def test_keys_are_made_once_and_are_for_us_alone(tmp_path: Path) -> None:
    keys.create(tmp_path / "keys")
    file = tmp_path / "keys" / "fernet" / "1"
    first = file.read_bytes()
    keys.create(tmp_path / "keys")
    assert file.read_bytes() == first
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_no_key_is_an_error_that_tells_the_remedy(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(FileNotFoundError, match=r"run `nova-manage bootstrap`, or copy"):
            keys.load(tmp_path)
        (tmp_path / "fernet").mkdir(exist_ok=True)
        (tmp_path / "fernet" / "README").touch()


def test_the_highest_key_signs_and_all_of_them_check(tmp_path: Path) -> None:
    keys.create(tmp_path)
    old = keys.load(tmp_path)
    new = Fernet.generate_key()
    (tmp_path / "fernet" / "10").write_bytes(new + b"\n")
    (tmp_path / "fernet" / "2").write_bytes(Fernet.generate_key())
    both = keys.load(tmp_path)
    assert both.fernet.decrypt(old.fernet.encrypt(b"token")) == b"token"
    assert Fernet(new).decrypt(both.fernet.encrypt(b"token")) == b"token"
    with pytest.raises(InvalidToken):
        old.fernet.decrypt(both.fernet.encrypt(b"token"))
    # Links to images that were signed before are still good.
    assert both.signing == old.signing and len(old.signing) == 32


def test_the_key_of_links_is_not_the_key_of_tokens(tmp_path: Path) -> None:
    keys.create(tmp_path)
    secret = (tmp_path / "fernet" / "1").read_bytes()
    assert keys.load(tmp_path).signing not in secret


def test_a_key_that_is_none_is_told_without_being_shown(tmp_path: Path) -> None:
    (tmp_path / "fernet").mkdir()
    (tmp_path / "fernet" / "1").write_bytes(b"hunter2")
    with pytest.raises(ValueError) as caught:
        keys.load(tmp_path)
    assert "hunter2" not in str(caught.value)

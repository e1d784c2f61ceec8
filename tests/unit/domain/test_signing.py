"""A signed link is good for what it was made for, until it runs out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_lite.domain.signing import is_signed, sign

KEY, NOW = b"secret", 1_000_000.0


def test_a_signature_opens_what_it_was_made_for() -> None:
    assert is_signed(KEY, "image 1", "1000060", sign(KEY, "image 1", 1_000_060), NOW)


def test_it_runs_out_to_the_second() -> None:
    signature = sign(KEY, "image 1", 1_000_060)
    assert is_signed(KEY, "image 1", "1000060", signature, NOW + 59.9)
    assert not is_signed(KEY, "image 1", "1000060", signature, NOW + 60)


def test_it_opens_nothing_else_and_not_for_longer() -> None:
    signature = sign(KEY, "image 1", 1_000_060)
    assert not is_signed(KEY, "image 2", "1000060", signature, NOW)
    assert not is_signed(KEY, "image 1", "2000060", signature, NOW)
    assert not is_signed(b"other", "image 1", "1000060", signature, NOW)
    assert not is_signed(KEY, "image 1\n1000060", "1000060", signature, NOW)


def test_one_changed_character_is_enough() -> None:
    signature = sign(KEY, "image 1", 1_000_060)
    for i, character in enumerate(signature):
        tampered = signature[:i] + ("0" if character != "0" else "1") + signature[i + 1 :]
        assert not is_signed(KEY, "image 1", "1000060", tampered, NOW)
    assert not is_signed(KEY, "image 1", "1000060", signature[:-1], NOW)


@pytest.mark.parametrize("expires", ["", "-1", "1e9", "never", "٢٠٠٠٠٠٠", "9" * 13, " 2000000"])
def test_a_time_that_is_none_is_refused(expires: str) -> None:
    assert not is_signed(KEY, "image 1", expires, sign(KEY, "image 1", 2_000_000), NOW)


@given(st.text(), st.text())
def test_nothing_a_client_sends_is_more_than_refused(expires: str, signature: str) -> None:
    assert not is_signed(KEY, "image 1", expires, signature, NOW)


def test_a_signature_with_letters_from_elsewhere_is_refused() -> None:
    assert not is_signed(KEY, "image 1", "1000060", "é" * 64, NOW)
    assert not is_signed(KEY, "image 1", "1000060", "\ud800" * 64, NOW)

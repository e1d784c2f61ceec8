"""Every expected failure has an HTTP status, and is a NovaLiteError."""

from __future__ import annotations

import pytest

from nova_lite.domain import errors


def every_error() -> list[type[errors.NovaLiteError]]:
    found = [thing for thing in vars(errors).values() if isinstance(thing, type)]
    return [thing for thing in found if issubclass(thing, errors.NovaLiteError)]


@pytest.mark.parametrize("error", every_error(), ids=lambda error: error.__name__)
def test_it_says_what_it_was_told_and_has_a_status(error: type[errors.NovaLiteError]) -> None:
    failure = error("what, which, and whose fault")
    assert str(failure) == "what, which, and whose fault"
    assert failure.status in {400, 401, 403, 404, 406, 409, 410, 413, 500, 501, 503}


def test_a_full_quota_is_forbidden_and_a_wrong_state_a_conflict() -> None:
    assert issubclass(errors.QuotaExceeded, errors.Forbidden)
    assert issubclass(errors.InvalidState, errors.Conflict)


def test_why_no_host_was_found_is_told_twice_once_for_the_owner() -> None:
    failure = errors.NoValidHost("No valid host was found.", details="host1: no memory")
    assert "host1" not in str(failure) and failure.details == "host1: no memory"
    assert errors.NoValidHost("none").details == ""

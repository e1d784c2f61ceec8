"""A transaction that failed for a passing reason is run again, and for no other."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from nova_lite.db.engine import again_if_passing, is_undone, one_transaction


class Work:
    """Fails with these errors, one a time, and then does not."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.runs = 0

    def __call__(self) -> str:
        self.runs += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def deadlock() -> sa.exc.DBAPIError:
    return sa.exc.OperationalError("UPDATE", {}, Exception(1213, "Deadlock found"))


def violation() -> sa.exc.DBAPIError:
    return sa.exc.IntegrityError("INSERT", {}, Exception(1062, "Duplicate entry"))


def test_two_deadlocks_are_got_over() -> None:
    work = Work(deadlock(), deadlock())
    assert again_if_passing(work) == "done" and work.runs == 3


def test_the_third_is_told() -> None:
    work = Work(*(deadlock() for _ in range(3)))
    with pytest.raises(sa.exc.OperationalError, match="Deadlock"):
        again_if_passing(work)
    assert work.runs == 3


def test_what_will_not_pass_is_told_at_once() -> None:
    work = Work(violation())
    with pytest.raises(sa.exc.IntegrityError):
        again_if_passing(work)
    assert work.runs == 1


def lost(statement: str | None) -> sa.exc.DBAPIError:
    cause = Exception(2013, "Lost connection to server during query")
    return sa.exc.OperationalError(statement, {}, cause, connection_invalidated=True)


class Desk:
    def __init__(self, *errors: Exception) -> None:
        self.work = Work(*errors)

    @one_transaction
    def stamp(self, letter: str, *, twice: bool) -> tuple[str, bool, str]:
        return letter, twice, self.work()


def test_a_method_that_is_one_transaction_gets_over_what_passes() -> None:
    desk = Desk(deadlock(), lost("UPDATE"), deadlock(), deadlock())
    assert desk.stamp("a", twice=True) == ("a", True, "done") and desk.work.runs == 5


def test_what_was_perhaps_committed_is_not_done_twice() -> None:
    assert not is_undone(lost(None)) and is_undone(lost("UPDATE")) and not is_undone(violation())
    desk = Desk(lost(None))
    with pytest.raises(sa.exc.OperationalError, match="Lost connection"):
        desk.stamp("a", twice=False)
    assert desk.work.runs == 1

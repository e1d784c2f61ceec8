"""What a client is told about a body that does not fit."""

from __future__ import annotations

from typing import Any

import pytest

from nova_lite.api.schema import (
    BOOLEAN,
    NAME,
    TEXT,
    UUID,
    Schema,
    boolean,
    one,
    thing,
    validate,
)
from nova_lite.domain.errors import Invalid

USER = one(
    "user",
    thing(
        ("name",),
        name=NAME,
        password={"type": "string", "maxLength": 5},
        adminPass={"enum": ["a"]},
        user_data={"type": "integer"},
        auth=thing(private_key={"type": "null"}, deep=thing(x={"type": "integer"})),
        size={"type": "integer"},
        tags={"type": "array", "items": {"type": "string", "maxLength": 3}},
    ),
)


def refusal(schema: Schema, value: Any, what: str = "body") -> str:
    with pytest.raises(Invalid) as caught:
        validate(schema, value, what)
    return str(caught.value)


def test_the_field_and_its_value_and_the_reason_are_named() -> None:
    said = refusal(USER, {"user": {"name": "x", "size": "large"}})
    assert (
        said == "Invalid input for field/attribute user.size. Value: 'large'. It must be integer."
    )
    said = refusal(USER, {"user": {"name": "x", "tags": ["abc", "abcd"]}})
    assert said.startswith("Invalid input for field/attribute user.tags.1. Value: 'abcd'. It must")
    assert refusal(USER, 5).startswith("Invalid input for field/attribute body. Value: 5. It")
    assert refusal(USER, "x", "query").startswith("Invalid input for field/attribute query.")


CANARY = "hunter2-hunter2"


@pytest.mark.parametrize(
    "body",
    [
        {"user": {"name": "x", "password": CANARY}},
        {"user": {"name": "x", "password": [CANARY]}},
        {"user": {"name": "x", "adminPass": CANARY}},
        {"user": {"name": "x", "user_data": CANARY}},
        {"user": {"name": "x", "auth": {"private_key": CANARY}}},
        {"user": {"name": "x", "auth": {"private_key": None, "more": CANARY}}},
        {"user": {"password": CANARY}},
        {"user": {"name": "x", "unknown": CANARY}},
        {"user": {"name": "x", "size": {"password": CANARY}}},
        {"user": [CANARY]},
        {"password": CANARY},
        [CANARY],
    ],
)
def test_a_secret_is_not_repeated(body: Any) -> None:
    said = refusal(USER, body)
    assert said.startswith("Invalid input for field/attribute ") and CANARY not in said


def test_little_is_repeated_of_what_is_long() -> None:
    assert len(refusal(USER, {"user": {"name": "x" * 100_000}})) < 400
    assert len(refusal(USER, {"user": {"name": "x", "n" * 100_000: 1}})) < 1000
    assert len(refusal({"patternProperties": {".": {"type": "null"}}}, {"n" * 9999: 1})) < 1000


def test_no_depth_is_too_deep_to_be_refused() -> None:
    deep: Any = 1
    for _ in range(1000):
        deep = [deep]
    assert "user.name" in refusal(USER, {"user": {"name": deep}})


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        (
            NAME,
            ["a", "a b", "é\U0001f4a9"],
            ["", " ", " a", "a ", "a\n", "\x00", "x" * 256, 1, None],
        ),
        (TEXT, ["", " a ", "a\nb\t"], ["\x00", "\x1b", "x" * 256, 1]),
        (UUID, ["0" * 32, "01234567-89ab-cdef-ABCD-0123456789ab"], ["", "0" * 31, "g" * 32]),
        (BOOLEAN, [True, False, "true", "False", "1", 0], ["yes", 2, None, "", []]),
    ],
)
def test_the_shared_fragments(schema: Schema, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        validate(schema, value)
    for value in bad:
        refusal(schema, value)


def test_newlines_at_the_end_do_not_slip_through() -> None:
    for schema, value in ((NAME, "a\n"), (UUID, "0" * 32 + "\n")):
        refusal(schema, value)


def test_what_a_boolean_means() -> None:
    assert [boolean(v) for v in (True, "true", "True", "1", 1)] == [True] * 5
    assert [boolean(v) for v in (False, "false", "False", "0", 0)] == [False] * 5

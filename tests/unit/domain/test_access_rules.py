"""Which requests the rules of an application credential are about."""

from __future__ import annotations

import pytest

from nova_lite.domain.access_rules import AccessRule, Asked, matches, permitted
from nova_lite.testing.haste import within


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/v2.1/servers", "/v2.1/servers"),
        ("/v2.1/servers/*", "/v2.1/servers/a-b"),
        ("/v2.1/servers/*/ips", "/v2.1/servers/a/ips"),
        ("/v2.1/servers/{server_id}/ips", "/v2.1/servers/a/ips"),
        ("/v2.1/**", "/v2.1/"),
        ("/v2.1/**", "/v2.1/servers/a/ips"),
        ("/**/ips", "/v2.1/servers/a/ips"),
        ("/v2.1/{a}{b}", "/v2.1/ab"),
        ("/***", "/a/b"),
        ("/{unclosed", "/{unclosed"),
        ("/a+b(c)", "/a+b(c)"),
    ],
)
def test_a_pattern_is_about_a_path(pattern: str, path: str) -> None:
    assert matches(pattern, path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/v2.1/servers", "/v2.1/servers/"),
        ("/v2.1/servers", "/v2x1/servers"),  # a dot is a dot
        ("/v2.1/servers", "/v2.1/server"),
        ("/v2.1/servers/*", "/v2.1/servers/"),
        ("/v2.1/servers/*", "/v2.1/servers/a/b"),
        ("/v2.1/servers/{id}", "/v2.1/servers/a/b"),
        ("/v2.1/**", "/v2.1"),
        ("/v2.1/{a}{b}", "/v2.1/a"),
        ("", "/"),
    ],
)
def test_a_pattern_is_not_about_another_path(pattern: str, path: str) -> None:
    assert not matches(pattern, path)


def test_the_service_and_the_method_count_too() -> None:
    rules = [AccessRule("compute", "/v2.1/servers", "GET")]
    assert permitted(rules, Asked("compute", "/v2.1/servers", "GET"))
    assert not permitted(rules, Asked("compute", "/v2.1/servers", "HEAD"))
    assert not permitted(rules, Asked("image", "/v2.1/servers", "GET"))
    assert not permitted([], Asked("compute", "/v2.1/servers", "GET"))


def test_what_a_token_is_worth_can_always_be_asked() -> None:
    assert permitted([], Asked("identity", "/v3/auth/tokens", "GET"))
    assert not permitted([], Asked("identity", "/v3/auth/tokens", "DELETE"))


def test_no_pattern_takes_long() -> None:
    with within(5):
        assert not matches("/" + "**a" * 70, "/" + "a" * 2000 + "b")

"""What follows from grants, worked out without a database."""

from __future__ import annotations

from nova_lite.domain.assignments import Assignment, Tree, effective
from nova_lite.domain.scopes import ALL, ScopeKind

DOMAIN, PROJECT, SYSTEM = ScopeKind.DOMAIN, ScopeKind.PROJECT, ScopeKind.SYSTEM
#: top/middle/leaf and another beside top, all in acme; and one elsewhere.
TREE = Tree(
    [
        ("top", None, "acme"),
        ("middle", "top", "acme"),
        ("leaf", "middle", "acme"),
        ("beside", None, "acme"),
        ("far", None, "elsewhere"),
    ]
)


def comes_to(
    *granted: Assignment,
    members: dict[str, list[str]] | None = None,
    implied: dict[str, list[str]] | None = None,
    projects: set[str] | None = None,
) -> set[Assignment]:
    found = effective(
        granted, members=members or {}, tree=TREE, implied=implied or {}, projects=projects
    )
    assert len(set(found)) == len(found)
    return set(found)


def test_what_is_granted_to_a_user_is_so() -> None:
    granted = Assignment("reader", SYSTEM, ALL, user_id="joe")
    assert comes_to(granted) == {granted}


def test_a_group_is_its_users_and_one_of_nobody_is_nothing() -> None:
    granted = Assignment("reader", PROJECT, "top", group_id="cooks")
    assert comes_to(granted) == set()
    assert comes_to(granted, members={"cooks": ["ann", "bert"], "others": ["joe"]}) == {
        Assignment("reader", PROJECT, "top", user_id="ann", membership="cooks"),
        Assignment("reader", PROJECT, "top", user_id="bert", membership="cooks"),
    }


def test_what_a_domain_passes_on_is_held_in_all_its_projects_and_not_on_itself() -> None:
    granted = Assignment("reader", DOMAIN, "acme", user_id="joe", inherited=True)
    found = comes_to(granted)
    assert {(one.kind, one.scope_id) for one in found} == {
        (PROJECT, id) for id in ("top", "middle", "leaf", "beside")
    }
    assert {one.source for one in found} == {(DOMAIN, "acme")}


def test_what_a_project_passes_on_is_held_below_it_and_not_on_itself() -> None:
    granted = Assignment("reader", PROJECT, "top", user_id="joe", inherited=True)
    assert {one.scope_id for one in comes_to(granted)} == {"middle", "leaf"}
    assert {one.scope_id for one in comes_to(granted, projects={"leaf", "far"})} == {"leaf"}


def test_a_role_comes_with_all_it_implies_by_each_way_to_it() -> None:
    granted = Assignment("boss", SYSTEM, ALL, user_id="joe")
    implied = {"boss": ["cook", "waiter"], "cook": ["eater"], "waiter": ["eater"]}
    found = {(one.role_id, one.prior_role_id) for one in comes_to(granted, implied=implied)}
    assert found == {
        ("boss", None),
        ("cook", "boss"),
        ("waiter", "boss"),
        ("eater", "cook"),
        ("eater", "waiter"),
    }


def test_roles_that_imply_each_other_come_to_an_end() -> None:
    granted = Assignment("hen", SYSTEM, ALL, user_id="joe")
    implied = {"hen": ["egg"], "egg": ["hen", "egg"]}
    assert {one.role_id for one in comes_to(granted, implied=implied)} == {"hen", "egg"}


def test_a_tree_knows_both_ways() -> None:
    assert TREE.above("leaf") == ["middle", "top"]
    assert TREE.above("nowhere") == []
    assert TREE.below((PROJECT, "beside")) == []
    assert TREE.below((DOMAIN, "nowhere")) == []


def test_projects_that_are_in_each_other_come_to_an_end() -> None:
    tree = Tree([("a", "b", "acme"), ("b", "a", "acme")])
    assert tree.above("a") == ["b", "a"]
    assert set(tree.below((PROJECT, "a"))) == {"a", "b"}

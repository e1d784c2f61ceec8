"""Who has which role where, and what follows from it.

A grant to a group is one to each member; one that is inherited is one on every
project below; and a role comes with those it implies.  What follows from a grant
remembers how, so that one can tell what to take back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from nova_lite.domain.scopes import ScopeKind

Place = tuple[ScopeKind, str]


@dataclass(frozen=True, slots=True)
class Assignment:
    """A user or a group has a role at a place, or on all projects below it if `inherited`.

    One that only follows from a grant is never `inherited`; it says to which group
    that was made, at which other place, and the role that directly implies this one.
    """

    role_id: str
    kind: ScopeKind
    scope_id: str
    user_id: str | None = None
    group_id: str | None = None
    inherited: bool = False
    membership: str | None = None
    source: Place | None = None
    prior_role_id: str | None = None


class Tree:
    """Projects in projects in domains; of each its id, its parent or None, and its domain.

    Bears circles, so that whatever happened to the data an answer comes.
    """

    def __init__(self, projects: Iterable[tuple[str, str | None, str]]) -> None:
        self._parents: dict[str, str | None] = {}
        self._children: dict[str, list[str]] = {}
        self._domains: dict[str, list[str]] = {}
        for id, parent, domain in projects:
            self._parents[id] = parent
            self._domains.setdefault(domain, []).append(id)
            if parent is not None:
                self._children.setdefault(parent, []).append(id)

    def below(self, place: Place) -> Sequence[str]:
        """All projects of a domain, or those in a project at any depth."""
        kind, id = place
        if kind is ScopeKind.DOMAIN:
            return self._domains.get(id, [])
        found = dict.fromkeys(self._children.get(id, ()))
        waiting = list(found)
        while waiting:
            new = [child for child in self._children.get(waiting.pop(), ()) if child not in found]
            found.update(dict.fromkeys(new))
            waiting += new
        return list(found)

    def above(self, id: str) -> Sequence[str]:
        """The projects a project is in, the nearest first."""
        found: dict[str, None] = {}
        parent = self._parents.get(id)
        while parent in self._parents and parent not in found:
            found[parent] = None
            parent = self._parents[parent]
        return list(found)


def effective(
    granted: Iterable[Assignment],
    *,
    members: Mapping[str, Sequence[str]],
    tree: Tree,
    implied: Mapping[str, Sequence[str]],
    projects: Collection[str] | None = None,
) -> list[Assignment]:
    """What the grants come to for users, each way to it once.

    `members` are the users of each group, `implied` the roles that a role directly
    implies; of what is inherited only `projects` are of interest, None being all.
    """
    found: dict[Assignment, None] = {}
    for grant in granted:
        for held in _of_users(grant, members):
            for here in _on_projects(held, tree, projects):
                found.update(dict.fromkeys(_with_implied(here, implied)))
    return list(found)


def _of_users(grant: Assignment, members: Mapping[str, Sequence[str]]) -> Iterator[Assignment]:
    if grant.group_id is None:
        yield grant
        return
    for user in members.get(grant.group_id, ()):
        yield replace(grant, user_id=user, group_id=None, membership=grant.group_id)


def _on_projects(
    held: Assignment, tree: Tree, projects: Collection[str] | None
) -> Iterator[Assignment]:
    if not held.inherited:
        yield held
        return
    source = (held.kind, held.scope_id)
    for id in tree.below(source):
        if projects is None or id in projects:
            yield replace(held, kind=ScopeKind.PROJECT, scope_id=id, inherited=False, source=source)


def _with_implied(held: Assignment, implied: Mapping[str, Sequence[str]]) -> Iterator[Assignment]:
    yield held
    waiting, met = [held.role_id], {held.role_id}
    while waiting:
        prior = waiting.pop()
        for role in implied.get(prior, ()):
            yield replace(held, role_id=role, prior_role_id=prior)
            if role not in met:
                met.add(role)
                waiting.append(role)

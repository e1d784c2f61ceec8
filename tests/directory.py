"""A directory by chance, and what must be true of any: the same on every database."""

from __future__ import annotations

import random

from nova_lite.context import RequestContext
from nova_lite.db.engine import Database
from nova_lite.db.models import (
    Domain,
    Grant,
    Group,
    GroupMember,
    ImpliedRole,
    Project,
    Role,
    User,
)
from nova_lite.db.queries.identity import scopes_of, standing
from nova_lite.domain.scopes import ALL, ScopeKind
from nova_lite.services.identity.grants import Filters, Grants

OPERATOR = RequestContext("req-1", "operator", roles=frozenset({"admin"}))
DOMAINS = ("acme", "umbrella")
USERS, GROUPS = ("ann", "bert", "cleo"), ("cooks", "waiters")
ROLES = ("r1", "r2", "r3", "r4")
DOMAIN_ROLES = ("d1", "d2")
SCOPES = (ScopeKind.PROJECT, ScopeKind.DOMAIN, ScopeKind.SYSTEM)


class World:
    """A directory by chance: trees of projects, groups, and grants of every kind."""

    def __init__(self, database: Database, seed: int) -> None:
        rng = random.Random(seed)
        self.parents: dict[str, str | None] = {}
        with database.write() as session:
            session.add_all(Domain(id=domain, name=domain) for domain in DOMAINS)
            session.flush()
            for name in USERS:
                session.add(User(id=name, name=name, domain_id=DOMAINS[0], password_hash=""))
            for name in GROUPS:
                session.add(Group(id=name, name=name, domain_id=DOMAINS[0]))
            session.add_all(Role(id=role, name=role) for role in ROLES)
            session.add_all(Role(id=role, name=role, domain_id="acme") for role in DOMAIN_ROLES)
            for domain in DOMAINS:
                inside: list[str | None] = [None]
                for number in range(4):
                    id = f"{domain}-{number}"
                    self.parents[id] = rng.choice(inside)
                    inside.append(id)
                    session.add(
                        Project(id=id, name=id, domain_id=domain, parent_id=self.parents[id])
                    )
                    session.flush()
            pairs = [(group, user) for group in GROUPS for user in USERS]
            for group, user in rng.sample(pairs, 3):
                session.add(GroupMember(group_id=group, user_id=user))
            every = [*ROLES, *DOMAIN_ROLES]
            edges = [(prior, implied) for prior in every for implied in every]
            for prior, implied in rng.sample(edges, 4):
                session.add(ImpliedRole(prior_id=prior, implied_id=implied))
            scopes = [
                (ScopeKind.SYSTEM, ALL),
                *((ScopeKind.DOMAIN, id) for id in DOMAINS),
                *((ScopeKind.PROJECT, id) for id in self.parents),
            ]
            taken = set()
            for _ in range(12):
                kind, scope_id = rng.choice(scopes)
                actor = rng.choice((*USERS, *GROUPS))
                inherited = kind is not ScopeKind.SYSTEM and rng.random() < 0.4
                grant = (actor, kind, scope_id, rng.choice(every), inherited)
                if grant not in taken:
                    taken.add(grant)
                    who = {"user_id" if actor in USERS else "group_id": actor}
                    session.add(
                        Grant(
                            scope=kind.value,
                            scope_id=scope_id,
                            role_id=grant[3],
                            inherited=inherited,
                            **who,
                        )
                    )
        self.scopes = scopes

    def check(self, database: Database) -> None:
        """What all assignments come to is what a token gets, and where one can get one."""
        grants = Grants(database, lambda: None)
        listed: dict[tuple[str, ScopeKind, str], set[str]] = {}
        for one in grants.list_assignments(OPERATOR, Filters(effective=True)).found:
            assert one.user_id is not None and not one.inherited
            listed.setdefault((one.user_id, one.kind, one.scope_id), set()).add(one.role_id)
        assert listed
        for user in USERS:
            for kind, scope_id in self.scopes:
                roles = listed.get((user, kind, scope_id), set())
                with database.read() as session:
                    found = standing(session, user, kind, scope_id)
                assert (set(found.roles) if found else set()) == roles
                narrowed = Filters(user_id=user, kind=kind, scope_id=scope_id, effective=True)
                again = grants.list_assignments(OPERATOR, narrowed).found
                assert {one.role_id for one in again} == roles
            for kind in SCOPES:
                with database.read() as session:
                    scopes = set(session.scalars(scopes_of(user, kind)))
                assert scopes == {id for who, of, id in listed if (who, of) == (user, kind)}

    def check_subtree(self, database: Database) -> None:
        """What is listed of a subtree is what is listed of its projects."""
        grants = Grants(database, lambda: None)
        top = next(id for id, parent in self.parents.items() if parent is None)
        inside = {top}
        for id, parent in self.parents.items():  # those above come first
            if parent in inside:
                inside.add(id)
        everything = grants.list_assignments(OPERATOR, Filters(effective=True)).found
        below = Filters(kind=ScopeKind.PROJECT, scope_id=top, effective=True, subtree=True)
        found = grants.list_assignments(OPERATOR, below).found
        assert set(found) == {
            one for one in everything if one.kind is ScopeKind.PROJECT and one.scope_id in inside
        }

"""Logging in, and what a token is worth from one moment to the next."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet, MultiFernet

from nova_lite.context import RequestContext
from nova_lite.db.base import Base
from nova_lite.db.engine import Database
from nova_lite.db.models import RevokedToken, User
from nova_lite.domain.errors import Forbidden, NotFound, Unauthorized
from nova_lite.domain.scopes import ScopeKind
from nova_lite.services.identity import identity as module
from nova_lite.services.identity.collection import Wanted
from nova_lite.services.identity.entering import HOME, Scope
from nova_lite.services.identity.grants import Grants, Place
from nova_lite.services.identity.identity import (
    Bootstrapped,
    Identity,
    IdentitySettings,
    TokenDetails,
    admin_context,
)
from nova_lite.services.identity.passwords import Passwords
from nova_lite.services.identity.proofs import DENIED, Named, PasswordProof, Proofs
from nova_lite.services.identity.roles import Roles
from nova_lite.services.identity.tokens import LONGEST, unseal

PASSWORD = "correct horse"
ADMIN = PasswordProof(Named(name="admin", domain_id="default"), PASSWORD)
SETTINGS = IdentitySettings(
    token_expiration=3600,
    cache_seconds=5,
    password_hash_memory_kib=8,
    password_hash_rounds=1,
    region="RegionOne",
)
OPERATOR = admin_context()


class Clock:
    def __init__(self) -> None:
        self.time = dt.datetime(2030, 1, 1, 12, 0, 0, 123456, tzinfo=dt.UTC)

    def __call__(self) -> dt.datetime:
        return self.time

    def pass_seconds(self, seconds: float) -> None:
        self.time += dt.timedelta(seconds=seconds)


class Site:
    """Two controllers on one database: what one changes, the other must find out."""

    def __init__(self, directory: Path) -> None:
        self.database = Database(f"sqlite:///{directory}/nova.sqlite")
        Base.metadata.create_all(self.database.engine)
        self.clock = Clock()
        self.fernet = MultiFernet([Fernet(Fernet.generate_key())])
        self.here, self.there = self.controller(), self.controller()
        self.roles = Roles(self.database, self.here.forget)
        self.grants = Grants(self.database, self.here.forget)
        self.admin: Bootstrapped = self.here.bootstrap(PASSWORD)

    def controller(self, **options: Any) -> Identity:
        settings = IdentitySettings(**{**SETTINGS.__dict__, **options})
        return Identity(self.database, self.fernet, settings, self.clock)

    def role(self, name: str) -> str:
        [role] = self.roles.list_roles(OPERATOR, Wanted({"name": name}))
        return str(role.id)

    def user(self, name: str, *roles: str) -> tuple[str, str]:
        """The ids of a user with password "secret-NAME", and of a project he has the roles on."""
        user = self.here.create_user(OPERATOR, name=name, password=f"secret-{name}")
        project = self.here.create_project(OPERATOR, name=f"{name}s")
        for role in roles:
            there = Place(ScopeKind.PROJECT, project.id, user_id=user.id)
            self.grants.grant(OPERATOR, self.role(role), there)
        return user.id, project.id

    def token(self, user_id: str, password: str, project_id: str) -> str:
        return login(
            self.here,
            password=PasswordProof(Named(id=user_id), password),
            scope=Scope(ScopeKind.PROJECT, Named(id=project_id)),
        )[0]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.database.close()


@pytest.fixture
def joe(site: Site) -> tuple[str, str, str]:
    """A member with a token: ids of user and project, and the token."""
    user, project = site.user("joe", "member")
    return user, project, site.token(user, "secret-joe", project)


def login(
    identity: Identity,
    *,
    password: PasswordProof | None = None,
    token: str | None = None,
    scope: Scope = HOME,
) -> tuple[str, TokenDetails]:
    return identity.login("req-1", Proofs(password=password, token=token), scope)


def refused(identity: Identity, **proof: Any) -> None:
    """Who shows a token that is none learns so much, as the token is all he has said."""
    kind, message = (
        (NotFound, "Could not find token.") if set(proof) == {"token"} else (Unauthorized, DENIED)
    )
    with pytest.raises(kind) as error:
        login(identity, **proof)
    assert str(error.value) == message


# --- logging in -------------------------------------------------------------------------------


def test_a_token_says_who_asks_where_and_with_which_roles(site: Site) -> None:
    in_admin = Scope(ScopeKind.PROJECT, Named(name="admin", domain_name="Default"))
    text, details = login(site.here, password=ADMIN, scope=in_admin)
    context = site.here.context_of(text, "req-2")
    assert context == RequestContext(
        request_id="req-2",
        user_id=site.admin.user_id,
        user_name="admin",
        project_id=site.admin.project_id,
        project_name="admin",
        roles=frozenset({"admin", "manager", "member", "reader"}),
        expires_at=site.clock.time + dt.timedelta(seconds=3600),
        token_id=details.token.audit_id,
    )
    assert [name for _, name in details.worth.standing.role_ids] == [
        "admin",
        "manager",
        "member",
        "reader",
    ]
    assert details.token.methods == ("password",)


def test_a_user_is_found_by_id_or_by_name_in_a_domain_by_id_or_name(site: Site) -> None:
    for named in (
        Named(id=site.admin.user_id),
        Named(name="admin", domain_id="default"),
        Named(name="admin", domain_name="Default"),
    ):
        _, details = login(site.here, password=PasswordProof(named, PASSWORD))
        assert details.token.user_id == site.admin.user_id


def test_whatever_is_wrong_with_a_login_the_answer_is_the_same(
    site: Site, joe: tuple[str, str, str]
) -> None:
    user, project, token = joe
    refused(site.here)
    refused(site.here, password=PasswordProof(Named(id=user), "wrong"))
    refused(site.here, password=PasswordProof(Named(id="nobody"), "secret-joe"))
    refused(site.here, password=PasswordProof(Named(name="joe", domain_id="other"), "secret-joe"))
    refused(site.here, token="nonsense")
    refused(site.here, token=token, password=ADMIN)
    for scope in (
        Scope(ScopeKind.PROJECT, Named(id=site.admin.project_id)),
        Scope(ScopeKind.PROJECT, Named(name="nowhere", domain_id="default")),
        Scope(ScopeKind.DOMAIN, Named(id="default")),
        Scope(ScopeKind.DOMAIN, Named(name="nowhere")),
        Scope(ScopeKind.SYSTEM),
    ):
        refused(site.here, token=token, scope=scope)
    site.here.update_user(OPERATOR, user, enabled=False)
    refused(site.here, password=PasswordProof(Named(id=user), "secret-joe"))


def test_an_unknown_user_costs_a_guesser_as_much_as_a_wrong_password(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []
    verify = type(site.here.passwords._hasher).verify

    def counted(self: Any, hash: str, password: str) -> bool:
        checked.append(hash[:20])
        return verify(self, hash, password)

    monkeypatch.setattr(type(site.here.passwords._hasher), "verify", counted)
    refused(site.here, password=PasswordProof(Named(id=site.admin.user_id), "wrong"))
    refused(site.here, password=PasswordProof(Named(id="nobody"), "wrong"))
    known, unknown = checked  # one check each, with the same parameters
    assert known == unknown


def test_a_user_without_a_password_cannot_log_in(site: Site) -> None:
    user = site.here.create_user(OPERATOR, name="robot")
    refused(site.here, password=PasswordProof(Named(id=user.id), ""))


def test_without_a_scope_one_gets_the_default_project_and_without_that_none(
    site: Site, joe: tuple[str, str, str]
) -> None:
    user, project, _ = joe
    proof = PasswordProof(Named(id=user), "secret-joe")
    _, nowhere = login(site.here, password=proof)
    assert (nowhere.token.kind, nowhere.worth.standing.roles) == (ScopeKind.NONE, frozenset())
    site.here.update_user(OPERATOR, user, default_project_id=project)
    text, at_home = login(site.here, password=proof)
    assert at_home.token.scope_id == project
    assert site.here.context_of(text, "req-2").project_name == "joes"
    _, unscoped = login(site.here, password=proof, scope=Scope(ScopeKind.NONE))
    assert unscoped.token.kind is ScopeKind.NONE
    site.here.update_project(OPERATOR, project, enabled=False)
    _, locked_out = login(site.here, password=proof)
    assert locked_out.token.kind is ScopeKind.NONE


def test_an_unscoped_token_has_no_roles_anywhere(site: Site) -> None:
    text, _ = login(site.here, password=ADMIN, scope=Scope(ScopeKind.NONE))
    context = site.here.context_of(text, "req-2")
    assert (context.project_id, context.roles, context.system_scope) == (None, frozenset(), False)


def test_system_and_domain_are_scopes_of_their_own(site: Site) -> None:
    text, _ = login(site.here, password=ADMIN, scope=Scope(ScopeKind.SYSTEM))
    context = site.here.context_of(text, "req-2")
    assert context.system_scope and context.is_admin and context.project_id is None
    domain = site.here.create_domain(OPERATOR, name="acme")
    there = Place(ScopeKind.DOMAIN, domain.id, user_id=site.admin.user_id)
    site.grants.grant(OPERATOR, site.role("reader"), there)
    for named in (Named(id=domain.id), Named(name="acme")):
        text, details = login(site.here, password=ADMIN, scope=Scope(ScopeKind.DOMAIN, named))
        context = site.here.context_of(text, "req-2")
        assert context.roles == {"reader"} and context.project_id is None
        assert context.project_domain_id == domain.id  # new things of the asker go there
        assert details.worth.standing.scope_name == "acme"


def test_a_token_made_from_a_token_does_not_live_longer(
    site: Site, joe: tuple[str, str, str]
) -> None:
    _, project, first = joe
    site.clock.pass_seconds(1800)
    second, details = login(
        site.here, token=first, scope=Scope(ScopeKind.PROJECT, Named(id=project))
    )
    third, last = login(site.here, token=second, scope=Scope(ScopeKind.NONE))
    old = unseal(site.fernet, first)
    assert details.token.expires_at == last.token.expires_at == old.expires_at
    assert details.token.issued_at == old.issued_at + dt.timedelta(seconds=1800)
    assert details.token.methods == ("password", "token")
    # Its own name, and that of the first of the line.
    assert details.token.audit_ids[1] == last.token.audit_ids[1] == old.audit_id
    assert len({old.audit_id, details.token.audit_id, last.token.audit_id}) == 3
    site.clock.pass_seconds(1800)
    for text in (first, second, third):
        with pytest.raises(Unauthorized):
            site.here.context_of(text, "req-2")
        refused(site.here, token=text)


def test_password_and_token_together_end_when_the_first_of_them_does(
    site: Site, joe: tuple[str, str, str]
) -> None:
    user, _, token = joe
    site.clock.pass_seconds(60)
    _, details = login(site.here, password=PasswordProof(Named(id=user), "secret-joe"), token=token)
    assert details.token.expires_at == unseal(site.fernet, token).expires_at
    assert details.token.methods == ("password", "token")


def test_the_hash_is_made_anew_at_login_when_its_cost_has_changed(site: Site) -> None:
    def hash() -> str:
        with site.database.read() as session:
            found = session.scalar(sa.select(User.password_hash).filter_by(name="admin"))
        return str(found)

    before = hash()
    login(site.here, password=ADMIN)
    assert hash() == before
    dearer = site.controller(password_hash_rounds=2)
    text, _ = login(dearer, password=ADMIN)
    assert hash() != before and "t=2" in hash()
    login(dearer, password=ADMIN)
    dearer.context_of(text, "req-2")  # a better hash takes no token back


def test_neither_passwords_nor_tokens_get_into_the_log(
    site: Site, joe: tuple[str, str, str], caplog: pytest.LogCaptureFixture
) -> None:
    user, _, token = joe
    caplog.set_level(logging.DEBUG)
    proof = PasswordProof(Named(id=user), "secret-joe")
    login(site.here, password=proof, token=token)
    refused(site.here, password=PasswordProof(Named(id=user), "secret-wrong"))
    site.here.change_password("req-1", user, "secret-joe", "secret-new")
    refused(site.here, token=token)
    assert "secret-" not in caplog.text and token[:20] not in caplog.text
    assert "secret-" not in repr(proof)
    assert user in caplog.text  # but whom it was about does


# --- using a token ------------------------------------------------------------------------------


def test_the_end_of_a_token_is_exact_even_when_it_was_just_believed(
    site: Site, joe: tuple[str, str, str]
) -> None:
    _, _, token = joe
    site.clock.time = unseal(site.fernet, token).expires_at - dt.timedelta(microseconds=1)
    site.here.context_of(token, "req-2")
    site.clock.time += dt.timedelta(microseconds=1)
    for controller in (site.here, site.there):
        with pytest.raises(Unauthorized):
            controller.context_of(token, "req-3")


@pytest.mark.parametrize(
    "take_away",
    [
        "role",
        "project disabled",
        "project deleted",
        "domain disabled",
        "user disabled",
        "user deleted",
        "password",
        "token",
    ],
)
def test_what_is_taken_away_is_gone_here_at_once_and_elsewhere_after_a_few_seconds(
    site: Site, take_away: str
) -> None:
    domain = site.here.create_domain(OPERATOR, name="acme")
    user = site.here.create_user(
        OPERATOR, name="ann", password="secret-ann", domain_id=domain.id
    ).id
    project = site.here.create_project(OPERATOR, name="anns", domain_id=domain.id).id
    there = Place(ScopeKind.PROJECT, project, user_id=user)
    site.grants.grant(OPERATOR, site.role("member"), there)
    token = site.token(user, "secret-ann", project)
    context = site.here.context_of(token, "req-2")
    site.there.context_of(token, "req-2")
    deeds: dict[str, Callable[[], object]] = {
        "role": lambda: site.grants.revoke(OPERATOR, site.role("member"), there),
        "project disabled": lambda: site.here.update_project(OPERATOR, project, enabled=False),
        "project deleted": lambda: site.here.delete_project(OPERATOR, project),
        "domain disabled": lambda: site.here.update_domain(OPERATOR, domain.id, enabled=False),
        "user disabled": lambda: site.here.update_user(OPERATOR, user, enabled=False),
        "user deleted": lambda: site.here.delete_user(OPERATOR, user),
        "password": lambda: site.here.change_password("req-3", user, "secret-ann", "other"),
        "token": lambda: site.here.revoke_token(context, token),
    }
    deeds[take_away]()
    with pytest.raises(Unauthorized):
        site.here.context_of(token, "req-4")
    site.clock.pass_seconds(4.9)
    site.there.context_of(token, "req-5")  # believed a little longer
    site.clock.pass_seconds(0.1)
    with pytest.raises(Unauthorized):
        site.there.context_of(token, "req-6")
    refused(site.there, token=token)


def test_roles_are_those_of_now_not_those_of_when_the_token_was_made(
    site: Site, joe: tuple[str, str, str]
) -> None:
    user, project, token = joe
    assert site.there.context_of(token, "req-2").roles == {"member", "reader"}
    there = Place(ScopeKind.PROJECT, project, user_id=user)
    site.grants.grant(OPERATOR, site.role("service"), there)
    site.grants.revoke(OPERATOR, site.role("member"), there)
    site.clock.pass_seconds(5)
    assert site.there.context_of(token, "req-2").roles == {"service"}


def test_enabling_a_user_again_does_not_bring_his_old_tokens_back(
    site: Site, joe: tuple[str, str, str]
) -> None:
    user, project, token = joe
    site.here.update_user(OPERATOR, user, enabled=False)
    site.clock.pass_seconds(10)
    site.here.update_user(OPERATOR, user, enabled=True)
    with pytest.raises(Unauthorized):
        site.here.context_of(token, "req-2")
    site.here.context_of(site.token(user, "secret-joe", project), "req-3")


def test_a_login_that_a_change_of_password_overtakes_gets_nothing(
    site: Site, joe: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    user, project, _ = joe
    verify = Passwords.verify

    def slowly(self: Passwords, hash: str, password: str) -> bool:
        right = verify(self, hash, password)
        monkeypatch.undo()
        site.there.update_user(OPERATOR, user, password="secret-new")
        return right

    monkeypatch.setattr(Passwords, "verify", slowly)
    refused(site.here, password=PasswordProof(Named(id=user), "secret-joe"))
    site.token(user, "secret-new", project)


def test_a_checked_token_costs_no_query(
    site: Site, joe: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, token = joe
    site.here.context_of(token, "req-2")
    monkeypatch.setattr(site.here, "database", None)
    assert site.here.context_of(token, "req-3").request_id == "req-3"


def test_a_clock_that_is_put_back_prolongs_no_belief(site: Site, joe: tuple[str, str, str]) -> None:
    user, _, token = joe
    site.there.context_of(token, "req-2")
    site.here.delete_user(OPERATOR, user)
    site.clock.pass_seconds(-60)
    with pytest.raises(Unauthorized):
        site.there.context_of(token, "req-3")


def test_no_more_checked_tokens_are_kept_than_there_is_room_for(
    site: Site, joe: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_CACHED", 2)
    user, project, first = joe
    for token in (first, *(site.token(user, "secret-joe", project) for _ in range(3))):
        site.here.context_of(token, "req-2")
    assert len(site.here._checked) == 2


def test_only_tokens_of_our_own_keys_are_read(site: Site, joe: tuple[str, str, str]) -> None:
    _, _, token = joe
    stranger = MultiFernet([Fernet(Fernet.generate_key())])
    payload = orjson.dumps({"u": site.admin.user_id, "k": "system"})
    for text in (
        "",
        "nonsense",
        "ä" * 10,
        token[:-1],
        token[:40] + ("A" if token[40] != "A" else "B") + token[41:],
        token * 10,
        "A" * LONGEST,
        stranger.encrypt(payload).decode(),
        site.fernet.encrypt(payload).decode(),  # ours, but no token
        site.fernet.encrypt(b"hello").decode(),
    ):
        with pytest.raises(Unauthorized):
            site.here.context_of(text, "req-2")


def test_tokens_outlive_a_change_of_keys_as_long_as_the_old_key_is_there(
    site: Site, joe: tuple[str, str, str]
) -> None:
    _, _, token = joe
    new = Fernet(Fernet.generate_key())
    site.there.fernet = MultiFernet([new, *site.fernet._fernets])
    site.there.context_of(token, "req-2")
    site.there.fernet = MultiFernet([new])
    site.clock.pass_seconds(5)
    with pytest.raises(Unauthorized):
        site.there.context_of(token, "req-3")


# --- looking at tokens, and taking them back ------------------------------------------------------


def test_one_may_look_at_ones_own_tokens_and_who_sees_all_at_those_of_others(
    site: Site, joe: tuple[str, str, str]
) -> None:
    user, _, token = joe
    joe_asks = site.here.context_of(token, "req-2")
    admins, _ = login(site.here, password=ADMIN)
    assert site.here.describe(joe_asks, token).token.user_id == user
    with pytest.raises(Forbidden):
        site.here.describe(joe_asks, admins)
    for trusted in (
        OPERATOR,
        RequestContext("req-3", "x", roles=frozenset({"service"}), project_id="p"),
        RequestContext("req-3", "x", roles=frozenset({"reader"}), system_scope=True),
    ):
        assert site.here.describe(trusted, token).token.user_id == user
    with pytest.raises(NotFound):
        site.here.describe(OPERATOR, "nonsense")


def test_one_may_take_back_ones_own_tokens_and_an_admin_those_of_others(
    site: Site, joe: tuple[str, str, str]
) -> None:
    user, project, token = joe
    other = site.token(user, "secret-joe", project)
    admins, _ = login(site.here, password=ADMIN)
    service = RequestContext("req-3", "x", roles=frozenset({"service"}), project_id="p")
    for asker in (service, site.here.context_of(token, "req-2")):
        with pytest.raises(Forbidden):
            site.here.revoke_token(asker, admins)
    site.here.revoke_token(OPERATOR, token)
    with pytest.raises(NotFound):
        site.here.revoke_token(OPERATOR, token)
    site.here.context_of(other, "req-4")  # that one only


def test_a_revocation_is_forgotten_when_the_token_would_have_ended(
    site: Site, joe: tuple[str, str, str]
) -> None:
    user, project, token = joe
    site.here.revoke_token(OPERATOR, token)
    site.clock.pass_seconds(3601)
    later = site.token(user, "secret-joe", project)
    site.here.revoke_token(OPERATOR, later)
    with site.database.read() as session:
        kept = session.scalars(sa.select(RevokedToken.audit_id)).all()
    assert kept == [unseal(site.fernet, later).audit_id]


def test_who_does_not_know_the_password_cannot_change_it(
    site: Site, joe: tuple[str, str, str]
) -> None:
    user, project, _ = joe
    with pytest.raises(Unauthorized):
        site.here.change_password("req-2", user, "wrong", "secret-new")
    site.here.change_password("req-2", user, "secret-joe", "secret-new")
    refused(site.here, password=PasswordProof(Named(id=user), "secret-joe"))
    site.token(user, "secret-new", project)


# --- the beginning --------------------------------------------------------------------------------


def test_bootstrapping_again_changes_nothing_but_what_is_asked(site: Site) -> None:
    token, _ = login(site.here, password=ADMIN, scope=Scope(ScopeKind.SYSTEM))
    assert site.here.bootstrap(PASSWORD) == site.admin
    site.here.context_of(token, "req-2")
    assert site.here.bootstrap("another") == site.admin
    with pytest.raises(Unauthorized):
        site.here.context_of(token, "req-3")
    refused(site.here, password=ADMIN)
    assert sorted(role.name for role in site.roles.list_roles(OPERATOR)) == [
        "admin",
        "manager",
        "member",
        "reader",
        "service",
    ]


def test_an_admin_who_locked_himself_out_gets_in_again(site: Site) -> None:
    site.here.update_user(OPERATOR, site.admin.user_id, enabled=False)
    everywhere = Place(ScopeKind.SYSTEM, user_id=site.admin.user_id)
    site.grants.revoke(OPERATOR, site.role("admin"), everywhere)
    site.here.bootstrap(PASSWORD)
    login(site.here, password=ADMIN, scope=Scope(ScopeKind.SYSTEM))


def test_there_may_be_several_first_admins(site: Site) -> None:
    made = site.here.bootstrap("other", username="root", project="ops")
    assert made.user_id != site.admin.user_id and made.project_id != site.admin.project_id
    context = site.here.context_of(site.token(made.user_id, "other", made.project_id), "req-2")
    assert context.is_admin and context.project_name == "ops"

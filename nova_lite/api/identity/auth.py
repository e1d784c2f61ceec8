"""Logging in and what a token is worth: /v3/auth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import webob

from nova_lite.api.declare import PUBLIC, Request, Resource, answer, json_of
from nova_lite.api.identity.catalog import entries
from nova_lite.api.identity.domains import DOMAIN
from nova_lite.api.identity.projects import PROJECT
from nova_lite.api.identity.words import At, flag, moment, url
from nova_lite.domain.errors import Forbidden, Invalid, NotFound, Unauthorized
from nova_lite.domain.scopes import ScopeKind
from nova_lite.services.identity.entering import HOME, Scope
from nova_lite.services.identity.identity import TokenDetails
from nova_lite.services.identity.proofs import (
    ApplicationCredentialProof,
    Named,
    PasswordProof,
    Proofs,
)
from nova_lite.services.identity.worth import Worth

AUTH = Resource("/v3/auth")
TRUST = "OS-TRUST:trust"


@AUTH.on("POST", "/tokens", policy=PUBLIC, status=201)
def log_in(request: Request) -> webob.Response:
    auth = At(json_of(request)) / "auth"
    proofs = _proofs(auth / "identity")
    text, details = request.services.identity.login(request.request_id, proofs, _scope(auth))
    return answer(201, _body(request, details), X_Subject_Token=text)


@AUTH.on("GET", "/tokens", policy="identity:validate_token")
def show_token(request: Request) -> webob.Response:
    text = _subject(request)
    details = request.services.identity.describe(
        request.context,
        text,
        allow_expired=bool(flag(request, "allow_expired")),
        access_rules=bool(request.headers.get("OpenStack-Identity-Access-Rules")),
    )
    return answer(200, _body(request, details), X_Subject_Token=text)


@AUTH.on("HEAD", "/tokens", policy="identity:check_token")
def check_token(request: Request) -> webob.Response:
    shown: webob.Response = show_token(request)
    return shown


@AUTH.on("DELETE", "/tokens", policy="identity:revoke_token", status=204)
def revoke_token(request: Request) -> None:
    request.services.identity.revoke_token(request.context, _subject(request))


@AUTH.on("GET", "/catalog", policy="identity:get_auth_catalog")
def show_catalog(request: Request) -> dict[str, Any]:
    context = request.context
    if context.project_id is None:
        raise Forbidden("A project-scoped token is required to produce a service catalog.")
    found = entries(request, context.user_id, context.project_id)
    return {"catalog": found, "links": {"self": url(request, "auth/catalog")}}


@AUTH.on("GET", "/projects", policy="identity:get_auth_projects")
def my_projects(request: Request) -> dict[str, Any]:
    context = request.context
    mine = request.services.identity.user_projects(context, context.user_id, enabled=True)
    return PROJECT.page(request, mine)


@AUTH.on("GET", "/domains", policy="identity:get_auth_domains")
def my_domains(request: Request) -> dict[str, Any]:
    context = request.context
    mine = request.services.identity.user_domains(context, context.user_id, enabled=True)
    return DOMAIN.page(request, mine)


@AUTH.on("GET", "/system", policy="identity:get_auth_system")
def my_system(request: Request) -> dict[str, Any]:
    there = request.services.identity.is_in_system(request.context)
    return {
        "system": [{"all": True}] if there else [],
        "links": {"self": url(request, "auth/system")},
    }


def _proofs(identity: At) -> Proofs:
    """What somebody shows, by the methods that he names."""
    methods = identity / "methods"
    if not isinstance(methods.value, list):
        raise Invalid(f"Invalid input for field/attribute {methods.path}. It is no list of names.")
    if not all(isinstance(name, str) and name in _METHODS for name in methods.value):
        raise Unauthorized("Attempted to authenticate with an unsupported method.")
    return Proofs(**{name: _METHODS[name](identity / name) for name in methods.value})


def _password(method: At) -> PasswordProof:
    user = method / "user"
    return PasswordProof(_named(user, in_domain=True), (user / "password").text())


def _application_credential(method: At) -> ApplicationCredentialProof:
    secret, id = (method / "secret").text(), method.get("id")
    if id is not None:
        return ApplicationCredentialProof(secret, id=id.text())
    name, user = (method / "name").text(), _named(method / "user", in_domain=True)
    return ApplicationCredentialProof(secret, name=name, user=user)


_METHODS: dict[str, Callable[[At], Any]] = {
    "password": _password,
    "token": lambda method: (method / "id").text(),
    "application_credential": _application_credential,
}


def _named(what: At, *, in_domain: bool) -> Named:
    """By id, or by name: then with its domain where it has one."""
    id = what.get("id")
    if id is not None:
        return Named(id=id.text())
    name = (what / "name").text()
    if not in_domain:
        return Named(name=name)
    domain = _named(what / "domain", in_domain=False)
    return Named(name=name, domain_id=domain.id, domain_name=domain.name)


def _scope(auth: At) -> Scope:
    scope = auth.get("scope")
    if scope is None:
        return HOME
    if scope.value == "unscoped":
        return Scope(ScopeKind.NONE)
    if not isinstance(scope.value, dict) or len(scope.value) != 1:
        raise Invalid(f"Invalid input for field/attribute {scope.path}. It needs exactly one key.")
    [kind] = scope.value
    if kind == "unscoped":
        return Scope(ScopeKind.NONE)
    if kind == "system" and (scope / "system" / "all").value is True:
        return Scope(ScopeKind.SYSTEM)
    if kind == "project":
        return Scope(ScopeKind.PROJECT, _named(scope / "project", in_domain=True))
    if kind == "domain":
        return Scope(ScopeKind.DOMAIN, _named(scope / "domain", in_domain=False))
    if kind == TRUST:
        return Scope(trust_id=(scope / TRUST / "id").text())
    raise Invalid(
        f"Invalid input for field/attribute {scope.path}. "
        f"It is none of project, domain, system (all), {TRUST} and unscoped."
    )


def _subject(request: Request) -> str:
    subject: str | None = request.headers.get("X-Subject-Token")
    if not subject:
        raise NotFound("No token in the request: the header X-Subject-Token is missing.")
    return subject


def _body(request: Request, details: TokenDetails) -> dict[str, Any]:
    token, worth = details.token, details.worth
    standing = worth.standing
    body: dict[str, Any] = {
        "methods": list(token.methods),
        "user": {
            "domain": {"id": standing.user_domain_id, "name": standing.user_domain_name},
            "id": worth.user_id,
            "name": standing.user_name,
            "password_expires_at": None,
        },
        "audit_ids": list(token.audit_ids),
        "expires_at": moment(token.expires_at),
        "issued_at": moment(token.issued_at),
    }
    body |= _SCOPES[token.kind](details) | _delegation(worth)
    if token.kind is not ScopeKind.NONE:
        body["roles"] = [{"id": id, "name": name} for id, name in standing.role_ids]
        if not flag(request, "nocatalog"):
            project_id = token.scope_id if token.kind is ScopeKind.PROJECT else None
            body["catalog"] = entries(request, worth.user_id, project_id)
    return {"token": body}


def _project(details: TokenDetails) -> dict[str, Any]:
    standing = details.worth.standing
    domain = {"id": standing.scope_domain_id, "name": standing.scope_domain_name}
    project = {"domain": domain, "id": details.token.scope_id, "name": standing.scope_name}
    # As Keystone has it: nothing is said of it with a trust.
    return {"project": project, **({} if details.worth.trust else {"is_domain": False})}


def _domain(details: TokenDetails) -> dict[str, Any]:
    return {"domain": {"id": details.token.scope_id, "name": details.worth.standing.scope_name}}


_SCOPES: dict[ScopeKind, Callable[[TokenDetails], dict[str, Any]]] = {
    ScopeKind.NONE: lambda details: {},
    ScopeKind.PROJECT: _project,
    ScopeKind.DOMAIN: _domain,
    ScopeKind.SYSTEM: lambda details: {"system": {"all": True}},
}


def _delegation(worth: Worth) -> dict[str, Any]:
    trust, credential = worth.trust, worth.application_credential
    if trust is not None:
        return {
            TRUST: {
                "id": trust.id,
                "trustor_user": {"id": trust.trustor_user_id},
                "trustee_user": {"id": trust.trustee_user_id},
                "impersonation": trust.impersonation,
            }
        }
    if credential is not None:
        said = {
            "id": credential.id,
            "name": credential.name,
            "restricted": not credential.unrestricted,
        }
        rules = credential.access_rules
        return {"application_credential": {**said, **({"access_rules": rules} if rules else {})}}
    return {}

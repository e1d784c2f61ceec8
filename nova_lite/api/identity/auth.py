"""Logging in and what a token is worth: /v3/auth."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import webob

from nova_lite.api.declare import PUBLIC, Request, Resource, answer, json_of
from nova_lite.api.identity.catalog import entries
from nova_lite.api.identity.domains import render_domain
from nova_lite.api.identity.projects import render_project
from nova_lite.api.identity.words import At, flag, listing, url
from nova_lite.domain.errors import Invalid, Unauthorized
from nova_lite.domain.scopes import ScopeKind
from nova_lite.services.identity import (
    Named,
    PasswordProof,
    Scope,
    TokenDetails,
)

AUTH = Resource("/v3/auth")


@AUTH.on("POST", "/tokens", policy=PUBLIC, status=201)
def log_in(request: Request) -> webob.Response:
    auth = At(json_of(request)) / "auth"
    identity = auth / "identity"
    methods = _methods(identity / "methods")
    password = _password(identity / "password" / "user") if "password" in methods else None
    token = (identity / "token" / "id").text() if "token" in methods else None
    text, details = request.services.identity.login(
        request.request_id, password=password, token=token, scope=_scope(auth)
    )
    return answer(201, _body(request, details), X_Subject_Token=text)


@AUTH.on("GET", "/tokens", policy="identity:validate_token")
def show_token(request: Request) -> webob.Response:
    text = _subject(request)
    details = request.services.identity.describe(request.context, text)
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
    return {"catalog": entries(request), "links": {"self": url(request, "auth/catalog")}}


@AUTH.on("GET", "/projects", policy="identity:get_auth_projects")
def my_projects(request: Request) -> dict[str, Any]:
    context = request.context
    mine = request.services.identity.user_projects(context, context.user_id, enabled=True)
    return listing(request, "projects", (render_project(request, one) for one in mine))


@AUTH.on("GET", "/domains", policy="identity:get_auth_domains")
def my_domains(request: Request) -> dict[str, Any]:
    context = request.context
    mine = request.services.identity.user_domains(context, context.user_id, enabled=True)
    return listing(request, "domains", (render_domain(request, one) for one in mine))


def _methods(methods: At) -> list[str]:
    if not isinstance(methods.value, list) or not methods.value:
        raise Invalid(f"Invalid input for field/attribute {methods.path}. It is no list of names.")
    if not all(method in ("password", "token") for method in methods.value):
        raise Unauthorized("Attempted to authenticate with an unsupported method.")
    return methods.value


def _password(user: At) -> PasswordProof:
    return PasswordProof(_named(user, in_domain=True), (user / "password").text())


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
        return Scope()
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
    raise Invalid(
        f"Invalid input for field/attribute {scope.path}. "
        "It is none of project, domain, system (all) and unscoped."
    )


def _subject(request: Request) -> str:
    subject: str | None = request.headers.get("X-Subject-Token")
    if not subject:
        raise Invalid("The header X-Subject-Token is missing.")
    return subject


def _body(request: Request, details: TokenDetails) -> dict[str, Any]:
    token, standing = details.token, details.standing
    body: dict[str, Any] = {
        "methods": list(token.methods),
        "user": {
            "domain": {"id": standing.user_domain_id, "name": standing.user_domain_name},
            "id": token.user_id,
            "name": standing.user_name,
            "password_expires_at": None,
        },
        "audit_ids": list(token.audit_ids),
        "expires_at": _time(token.expires_at),
        "issued_at": _time(token.issued_at),
    }
    body |= _SCOPES[token.kind](details)
    if token.kind is not ScopeKind.NONE:
        body["roles"] = [{"id": id, "name": name} for id, name in details.roles]
        if not flag(request, "nocatalog"):
            body["catalog"] = entries(request)
    return {"token": body}


def _project(details: TokenDetails) -> dict[str, Any]:
    standing = details.standing
    domain = {"id": standing.scope_domain_id, "name": standing.scope_domain_name}
    project = {"domain": domain, "id": details.token.scope_id, "name": standing.scope_name}
    return {"project": project, "is_domain": False}


def _domain(details: TokenDetails) -> dict[str, Any]:
    return {"domain": {"id": details.token.scope_id, "name": details.standing.scope_name}}


_SCOPES: dict[ScopeKind, Callable[[TokenDetails], dict[str, Any]]] = {
    ScopeKind.NONE: lambda details: {},
    ScopeKind.PROJECT: _project,
    ScopeKind.DOMAIN: _domain,
    ScopeKind.SYSTEM: lambda details: {"system": {"all": True}},
}


def _time(time: dt.datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

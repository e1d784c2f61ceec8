"""os-keypairs: the keys one logs in to servers with."""

from __future__ import annotations

from typing import Any

from nova_lite.api.compute.common import Page, next_link, page_of
from nova_lite.api.declare import Field, Request, Resource, render
from nova_lite.api.schema import Schema, one, thing

Json = dict[str, Any]
keypairs = Resource("/v2.1/os-keypairs")

LISTED = (
    Field("name", lambda pair: pair.name),
    Field("public_key", lambda pair: pair.public_key),
    Field("fingerprint", lambda pair: pair.fingerprint),
    Field("type", lambda pair: pair.type, since=(2, 2)),
)
CREATED = (*LISTED, Field("user_id", lambda pair: pair.user_id))
SHOWN = (
    *CREATED,
    Field("id", lambda pair: pair.number),
    Field("created_at", lambda pair: pair.created_at.isoformat(timespec="microseconds")[:26]),
    Field("updated_at", lambda pair: None),  # a key pair is never changed,
    Field("deleted", lambda pair: False),  # and what is deleted is gone
    Field("deleted_at", lambda pair: None),
)


def _name(punctuation: str = "") -> Schema:
    return {
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        "pattern": rf"^(?! )[a-zA-Z0-9{punctuation}_ -]+(?<! )\Z",
    }


_FIRST: dict[str, Schema] = {
    "name": _name(),
    "public_key": {"type": "string", "minLength": 1, "maxLength": 16384},
}
_TYPE: Schema = {"enum": ["ssh", "x509"]}
_USER: Schema = {"type": "string", "minLength": 1, "maxLength": 255}
CREATE = one("keypair", thing(("name",), more=False, **_FIRST))
CREATE_2_2 = one("keypair", thing(("name",), more=False, **_FIRST, type=_TYPE))
CREATE_2_10 = one("keypair", thing(("name",), more=False, **_FIRST, type=_TYPE, user_id=_USER))
#: A pair is not made for anybody any more, and a name may look like an address.
CREATE_2_92 = one(
    "keypair",
    thing(
        ("name", "public_key"),
        more=False,
        **{**_FIRST, "name": _name("@.")},
        type=_TYPE,
        user_id=_USER,
    ),
)
QUERY_2_75 = thing(user_id={})
LIST_QUERY_2_75 = thing(user_id={}, limit={}, marker={})
POLICY = "os_compute_api:os-keypairs:"
ALL = Page(limit=1_000_000, marker=None)  # a quota bounds them


@keypairs.on("GET", policy=POLICY + "index", until=(2, 9))
def mine(request: Request) -> Json:
    return _list(request, ALL, None)


@keypairs.on("GET", policy=POLICY + "index", since=(2, 10), until=(2, 34))
def anybodys(request: Request) -> Json:
    return _list(request, ALL, request.GET.get("user_id"))


@keypairs.on("GET", policy=POLICY + "index", since=(2, 35), until=(2, 74))
@keypairs.on("GET", policy=POLICY + "index", since=(2, 75), query=LIST_QUERY_2_75)
def paged(request: Request) -> Json:
    return _list(request, page_of(request), request.GET.get("user_id"))


def _list(request: Request, page: Page, user_id: str | None) -> Json:
    found = request.services.keypairs.list(
        request.context, user_id=user_id, limit=page.limit, marker=page.marker
    )
    shown = [{"keypair": render(LISTED, pair, request.version)} for pair in found]
    return {
        "keypairs": shown,
        **next_link(request, "/os-keypairs", page, [pair.name for pair in found]),
    }


@keypairs.on("POST", policy=POLICY + "create", body=CREATE, until=(2, 1))
@keypairs.on(
    "POST", policy=POLICY + "create", body=CREATE_2_2, status=201, since=(2, 2), until=(2, 9)
)
@keypairs.on(
    "POST", policy=POLICY + "create", body=CREATE_2_10, status=201, since=(2, 10), until=(2, 91)
)
@keypairs.on("POST", policy=POLICY + "create", body=CREATE_2_92, status=201, since=(2, 92))
def create(request: Request, body: Json) -> Json:
    pair = body["keypair"]
    made, private_key = request.services.keypairs.create(
        request.context,
        pair["name"],
        pair.get("public_key"),
        type=pair.get("type", "ssh"),
        user_id=pair.get("user_id"),
    )
    shown = render(CREATED, made, request.version)
    return {"keypair": {**shown, "private_key": private_key} if private_key else shown}


@keypairs.on("GET", "/{name}", policy=POLICY + "show", until=(2, 9))
def show_mine(request: Request, name: str) -> Json:
    return _show(request, name, None)


@keypairs.on("GET", "/{name}", policy=POLICY + "show", since=(2, 10), until=(2, 74))
@keypairs.on("GET", "/{name}", policy=POLICY + "show", since=(2, 75), query=QUERY_2_75)
def show(request: Request, name: str) -> Json:
    return _show(request, name, request.GET.get("user_id"))


def _show(request: Request, name: str, user_id: str | None) -> Json:
    pair = request.services.keypairs.get(request.context, name, user_id=user_id)
    return {"keypair": render(SHOWN, pair, request.version)}


@keypairs.on("DELETE", "/{name}", policy=POLICY + "delete", status=202, until=(2, 1))
@keypairs.on("DELETE", "/{name}", policy=POLICY + "delete", status=204, since=(2, 2), until=(2, 9))
def delete_mine(request: Request, name: str) -> None:
    request.services.keypairs.delete(request.context, name)


@keypairs.on(
    "DELETE", "/{name}", policy=POLICY + "delete", status=204, since=(2, 10), until=(2, 74)
)
@keypairs.on(
    "DELETE", "/{name}", policy=POLICY + "delete", status=204, since=(2, 75), query=QUERY_2_75
)
def delete(request: Request, name: str) -> None:
    request.services.keypairs.delete(request.context, name, user_id=request.GET.get("user_id"))

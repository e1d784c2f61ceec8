"""os-keypairs: the keys one logs in to servers with."""

from __future__ import annotations

from typing import Any

from nova_lite.api.compute.common import Page, next_link, page_of
from nova_lite.api.declare import Field, Request, Resource, render
from nova_lite.api.schema import Schema, one, thing
from nova_lite.domain.errors import Invalid

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

_FIRST: dict[str, Schema] = {
    "name": {
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        "pattern": r"^(?! )[a-zA-Z0-9_ -]+(?<! )\Z",
    },
    "public_key": {"type": "string", "minLength": 1, "maxLength": 16384},
}
_TYPE: Schema = {"enum": ["ssh", "x509"]}
_USER: Schema = {"type": "string", "minLength": 1, "maxLength": 255}
CREATE = one("keypair", thing(("name",), more=False, **_FIRST))
CREATE_2_2 = one("keypair", thing(("name",), more=False, **_FIRST, type=_TYPE))
CREATE_2_10 = one("keypair", thing(("name",), more=False, **_FIRST, type=_TYPE, user_id=_USER))
ALL = Page(limit=1_000_000, marker=None)  # a quota bounds them


def mine(request: Request) -> Json:
    return _list(request, ALL, None)


def anybodys(request: Request) -> Json:
    return _list(request, ALL, request.GET.get("user_id"))


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


INDEX = "os_compute_api:os-keypairs:index"
keypairs.on("GET", policy=INDEX, until=(2, 9))(mine)
keypairs.on("GET", policy=INDEX, since=(2, 10), until=(2, 34))(anybodys)
keypairs.on("GET", policy=INDEX, since=(2, 35))(paged)


def create(request: Request, body: Json) -> Json:
    pair = body["keypair"]
    if pair.get("type") == "x509":
        raise Invalid("keypair.type: x509 certificates are not served, only ssh.")
    made, private_key = request.services.keypairs.create(
        request.context, pair["name"], pair.get("public_key"), user_id=pair.get("user_id")
    )
    shown = render(CREATED, made, request.version)
    return {"keypair": {**shown, "private_key": private_key} if private_key else shown}


CREATING = "os_compute_api:os-keypairs:create"
keypairs.on("POST", policy=CREATING, body=CREATE, until=(2, 1))(create)
keypairs.on("POST", policy=CREATING, body=CREATE_2_2, status=201, since=(2, 2), until=(2, 9))(
    create
)
keypairs.on("POST", policy=CREATING, body=CREATE_2_10, status=201, since=(2, 10))(create)


@keypairs.on("GET", "/{name}", policy="os_compute_api:os-keypairs:show", until=(2, 9))
def show_mine(request: Request, name: str) -> Json:
    return _show(request, name, None)


@keypairs.on("GET", "/{name}", policy="os_compute_api:os-keypairs:show", since=(2, 10))
def show(request: Request, name: str) -> Json:
    return _show(request, name, request.GET.get("user_id"))


def _show(request: Request, name: str, user_id: str | None) -> Json:
    pair = request.services.keypairs.get(request.context, name, user_id=user_id)
    return {"keypair": render(SHOWN, pair, request.version)}


def delete_mine(request: Request, name: str) -> None:
    request.services.keypairs.delete(request.context, name)


def delete(request: Request, name: str) -> None:
    request.services.keypairs.delete(request.context, name, user_id=request.GET.get("user_id"))


DELETING = "os_compute_api:os-keypairs:delete"
keypairs.on("DELETE", "/{name}", policy=DELETING, status=202, until=(2, 1))(delete_mine)
keypairs.on("DELETE", "/{name}", policy=DELETING, status=204, since=(2, 2), until=(2, 9))(
    delete_mine
)
keypairs.on("DELETE", "/{name}", policy=DELETING, status=204, since=(2, 10))(delete)

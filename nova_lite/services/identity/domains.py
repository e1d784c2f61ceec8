"""Domains: what users, groups and projects are in."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from uuid import uuid4

from nova_lite.context import RequestContext
from nova_lite.db.engine import one_transaction
from nova_lite.db.models import Domain, Project
from nova_lite.domain.errors import Forbidden
from nova_lite.services.identity.collection import (
    EVERYTHING,
    Collection,
    Page,
    Wanted,
    find,
    get,
    overseen,
    oversees,
    put,
    unseen,
    word_for,
)
from nova_lite.services.identity.removal import remove_domain

DEFAULT_DOMAIN = "default"

Place = TypeVar("Place", Domain, Project)


class Domains(Collection):
    """Who may do this is policy; here is kept that one learns nothing of others' domains."""

    now: Callable[[], dt.datetime]

    def list_domains(self, context: RequestContext, wanted: Wanted = EVERYTHING) -> Page:
        return self._list(Domain, overseen(context, Domain.id), wanted=wanted)

    def get_domain(self, context: RequestContext, id: str) -> Domain:
        own = id in (context.user_domain_id, context.project_domain_id)
        with self.database.read() as session:
            domain = find(session, Domain, id) if own or oversees(context, id) else None
        if domain is None:
            raise unseen(context, Domain, id)
        return domain

    def create_domain(
        self,
        context: RequestContext,
        *,
        name: str,
        description: str | None = None,
        enabled: bool = True,
        tags: list[str] | None = None,
        options: Mapping[str, Any] | None = None,
        extra: Mapping[str, Any] | None = None,
        explicit_domain_id: str | None = None,
    ) -> Domain:
        """Raises Conflict when there is one of this name, or of the explicit id."""
        domain = Domain(id=explicit_domain_id or uuid4().hex, name=name, enabled=enabled)
        said = {"description": description, "options": options or {}, "extra": extra or {}}
        return self._create(context, put(domain, {**said, "tags": tags or []}))

    @one_transaction
    def update_domain(self, context: RequestContext, id: str, **values: Any) -> Domain:
        """Set name, description, enabled, tags, options or extra."""
        if id == DEFAULT_DOMAIN and values.get("enabled") is False:
            raise Forbidden("The default domain cannot be disabled.")
        with self._change(context, "updated", Domain, id) as session:
            return change_place(get(session, Domain, id, lock=True), values, self.now())

    @one_transaction
    def delete_domain(self, context: RequestContext, id: str) -> None:
        """Remove a domain that is disabled, with its users, groups and projects.

        Raises Conflict, and removes nothing, while one of these owns something.
        """
        if id == DEFAULT_DOMAIN:
            raise Forbidden("The default domain cannot be deleted.")
        with self._change(context, "deleted", Domain, id) as session:
            domain = get(session, Domain, id)
            check_mutable(domain)
            if domain.enabled:
                raise Forbidden("A domain that is enabled cannot be deleted: disable it first.")
            remove_domain(session, domain)


def change_place(place: Place, values: dict[str, Any], now: dt.datetime) -> Place:
    """Change a domain or a project.  Raises Forbidden for an immutable one."""
    if is_immutable(place):
        # It may become mutable; the rest can be said after that.
        said = {name for name, value in values.items() if value or name != "extra"}
        options = values.get("options", {})
        if said != {"options"} or options.get("immutable", True) not in (False, None):
            check_mutable(place)
    if values.get("enabled") and not place.enabled:
        # Nothing was issued meanwhile, and what was before does not come to life again.
        place.enabled_at = now
    return put(place, values)


def is_immutable(place: Domain | Project) -> bool:
    return bool((place.options or {}).get("immutable"))


def check_mutable(place: Domain | Project) -> None:
    """Raises Forbidden for what its options say is to stay as it is."""
    if is_immutable(place):
        raise Forbidden(
            f"The {word_for(type(place))} {place.id} is immutable: set this option to false first."
        )

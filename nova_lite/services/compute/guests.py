"""What is asked of a guest while one waits: its host answers, or is not up to it."""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

import sqlalchemy as sa

from nova_lite.context import RequestContext
from nova_lite.db.engine import Database, one_transaction
from nova_lite.db.models import ConsoleToken, Instance
from nova_lite.domain.errors import Conflict, Invalid, InvalidState, NotFound, NovaLiteError
from nova_lite.domain.states import VmState
from nova_lite.services.compute.instance_access import found, not_locked
from nova_lite.services.compute.instances import Ask, Json

SECONDS = 20.0
#: In these there is somebody in the guest, or at least something in its memory.
RUNS = frozenset({VmState.ACTIVE, VmState.RESCUED, VmState.RESIZED})
IN_MEMORY = RUNS | {VmState.PAUSED, VmState.ERROR}


@dataclass(frozen=True)
class ConsoleSettings:
    novncproxy_base_url: str = "http://127.0.0.1:6080/vnc_lite.html"
    token_ttl: dt.timedelta = dt.timedelta(seconds=600)


class Guests:
    def __init__(
        self,
        database: Database,
        ask: Ask,
        settings: ConsoleSettings,
        now: Callable[[], dt.datetime],
    ) -> None:
        self.database = database
        self.ask = ask
        self.settings = settings
        self.now = now

    def diagnostics(self, context: RequestContext, id: UUID) -> tuple[Instance, Json]:
        """What it has used so far: domain.specs.Diagnostics as JSON."""
        instance = self._find(context, id, IN_MEMORY, changes=False)
        return instance, self._answer(instance, "guest.diagnostics")

    def set_password(self, context: RequestContext, id: UUID, password: str) -> None:
        """Have the agent in the guest set the administrator's password."""
        instance = self._find(context, id, RUNS)
        user = instance.image_properties.get("os_admin_user") or "root"
        self._answer(instance, "guest.set_password", user=user, password=password)

    def interrupt(self, context: RequestContext, id: UUID) -> None:
        """Send it an NMI, for it to dump its memory."""
        self._answer(self._find(context, id, IN_MEMORY), "guest.interrupt")

    # --- consoles -----------------------------------------------------------------------------

    def console(self, context: RequestContext, id: UUID, console_type: str) -> str:
        """A URL that shows the guest's screen to whoever has it, for a while.

        Raises Invalid where there are no consoles of this type, Conflict while it is not up.
        """
        instance = self._find(context, id, IN_MEMORY, changes=False)
        kind = KINDS.get(console_type)
        if kind is None:
            raise Invalid(f"Unavailable console type {console_type}.")
        try:
            address = self._answer(instance, "console.address", kind=kind)
        except Conflict as error:
            raise Invalid(f"Unavailable console type {console_type}: {error}") from None
        token = secrets.token_urlsafe(32)
        self._keep(token, instance, console_type, address)
        # The proxy's page takes the address of the stream, and the token with it, as its `path`.
        path = urlencode({"path": f"?token={token}"})
        return f"{self.settings.novncproxy_base_url}?{path}"

    @one_transaction
    def _keep(self, token: str, instance: Instance, console_type: str, address: Json) -> None:
        now = self.now()
        with self.database.write() as session:
            session.execute(sa.delete(ConsoleToken).where(ConsoleToken.expires_at < now))
            session.add(
                ConsoleToken(
                    hash=_hash(token),
                    instance_id=instance.id,
                    console_type=console_type,
                    host=address["host"],
                    port=address["port"],
                    expires_at=now + self.settings.token_ttl,
                )
            )

    def console_of(self, context: RequestContext, token: str) -> ConsoleToken:
        """Where a token leads that is still good."""
        query = sa.select(ConsoleToken).where(
            ConsoleToken.hash == _hash(token), ConsoleToken.expires_at > self.now()
        )
        with self.database.read() as session:
            known = session.scalar(query)
        if known is None:
            raise NotFound("Token not found")
        return known

    # --- passwords ----------------------------------------------------------------------------

    @one_transaction
    def forget_password(self, context: RequestContext, id: UUID) -> None:
        """Not in the guest: only here."""
        with self.database.write() as session:
            found(session, context, id, lock=True).password = None

    # --- parts --------------------------------------------------------------------------------

    def _find(
        self,
        context: RequestContext,
        id: UUID,
        states: Collection[VmState],
        *,
        changes: bool = True,
    ) -> Instance:
        with self.database.read() as session:
            instance = found(session, context, id)
        if changes:
            not_locked(context, instance)
        if instance.vm_state not in states or instance.host is None:
            raise InvalidState(
                f"Instance {id} in vm_state {instance.vm_state} cannot be asked: "
                "it has no guest that runs."
            )
        return instance

    def _answer(self, instance: Instance, question: str, **args: str) -> Json:
        """Raises Conflict when there is no answer, or none that helps."""
        assert instance.host is not None
        try:
            return self.ask(instance.host, question, {"id": str(instance.id), **args}, SECONDS)
        except NovaLiteError as error:
            raise Conflict(f"The guest of instance {instance.id} cannot: {error}") from None


#: What a driver has, by the types that proxies show.
KINDS = {"novnc": "vnc"}


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()

"""The edge of our world towards the host's network: what a driver must do.

Every driver passes `nova_lite.testing.network`, the conformance suite.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID

from nova_lite.domain.specs import Link, NetworkPlan, Nic


class NetworkDriver(Protocol):
    """Carries out plans on the host it runs on.

    Every verb is an "ensure", from the complete plan; nothing is kept in memory
    that cannot be read back from the host.  Failures are NetworkError.
    """

    def connect(self, link: Link) -> None:
        """Make the bridge of `link` exist, up, with its uplink; touch nothing else of it."""

    def ensure(self, plan: NetworkPlan) -> None:
        """Make the host provide exactly `plan`; what it no longer says, goes."""

    def remove(self, network: UUID) -> None:
        """Provide nothing of this network any more; content when there is nothing."""

    def networks(self) -> Mapping[UUID, int]:
        """The networks this host provides as a gateway now, and the generation of each."""

    def protect(self, guest: UUID, nics: Sequence[Nic]) -> None:
        """Let through these NICs of the guest what their rules say, from now on.

        Their links are connected; their interfaces need not be there yet.  Other
        NICs of the guest stay as they are: it may not have let go of them.
        """

    def unprotect(self, guest: UUID, but: Sequence[Nic] = ()) -> None:
        """Forget the NICs of the guest, except these; content when there is nothing."""

    def protected(self) -> Mapping[UUID, Sequence[str]]:
        """The interfaces of each guest that are filtered now."""

    def watch(self) -> None:
        """Put back the filters that somebody else took away; cheap while nobody does."""

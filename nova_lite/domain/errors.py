"""Every failure a caller may want to tell apart."""

from __future__ import annotations


class NovaLiteError(Exception):
    """Base of all expected failures; `status` is what the HTTP facades answer."""

    status = 500


class NotFound(NovaLiteError):
    """There is no such thing, or it is not yours: the two look the same from outside."""

    status = 404


class Invalid(NovaLiteError):
    """The request says something that cannot be; the message names the field."""

    status = 400


class Unauthorized(NovaLiteError):
    """Who asks is unknown: no token, a bad one, or a wrong password."""

    status = 401


class NotProvided(NovaLiteError):
    """What the API knows, and no driver of ours does; clients can do without."""

    status = 501


class Forbidden(NovaLiteError):
    """Who asks is known, and may not."""

    status = 403


class QuotaExceeded(Forbidden):
    """The project would own more than its quota allows."""


class Conflict(NovaLiteError):
    """The request is sound, but not for the state things are in."""

    status = 409


class InvalidState(Conflict):
    """The instance is in a state that does not admit this action."""


class Gone(NovaLiteError):
    """An API that was there once, and is not coming back."""

    status = 410


class Unavailable(NovaLiteError):
    """What is needed to answer cannot be reached just now."""

    status = 503


class NotAcceptable(NovaLiteError):
    """A microversion that is not served."""

    status = 406


class TooLarge(NovaLiteError):
    """The body is larger than anybody needs."""

    status = 413


class NoValidHost(NovaLiteError):
    """No host passed every filter, or every ranked host filled up meanwhile.

    The message is for the owner; `details` says per host which filter refused
    it, and is for administrators.
    """

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details


class NoMoreAddresses(NovaLiteError):
    """Every address of the network is taken."""

    status = 409


class RemoteFailure(NovaLiteError):
    """A worker tried what it was asked and reported that it could not, or never answered."""


class HypervisorError(NovaLiteError):
    """The hypervisor refused, or something under it broke."""


class GuestNotFound(HypervisorError):
    """The hypervisor has no such guest."""


class NetworkError(NovaLiteError):
    """The host could not be given the network it was asked to provide."""


class ImageUnacceptable(NovaLiteError):
    """The bytes are not what they claim to be, or ask for what no image may."""

    status = 400

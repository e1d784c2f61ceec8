"""Fetching what a stranger names: an address on the web, and nowhere else.

We stand where strangers do not: beside databases, hypervisors and metadata
services.  So whatever a URL says, or a redirect, is resolved once, every address
it has is looked at, and it is one of these that we connect to.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Any
from urllib.parse import urljoin

import urllib3
from urllib3.util import Url, parse_url

from nova_lite.domain.errors import Invalid

LOG = logging.getLogger(__name__)

CHUNK = 64 << 10
CONNECT_SECONDS, READ_SECONDS = 10, 30
REDIRECTS = frozenset({301, 302, 303, 307, 308})
PORTS = {"http": 80, "https": 443}

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Sequence[str]]

#: IPv6 that leads to an IPv4 address: the last 32 bits, or for 6to4 the second.
NAT64 = ip_network("64:ff9b::/96")
LOCAL_NAT64 = ip_network("64:ff9b:1::/48")

# At DEBUG it logs the path of every request, and it may hold a signature.
logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)


@dataclass(frozen=True)
class WebRules:
    """`networks` may be reached although they are not public."""

    schemes: Sequence[str] = ("http", "https")
    ports: Sequence[int] = (80, 443)
    networks: Sequence[IPv4Network | IPv6Network] = ()
    seconds: float = 3600  # for one image
    redirects: int = 5


def resolve(host: str, port: int) -> Sequence[str]:
    """Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Web:
    def __init__(
        self,
        rules: WebRules,
        resolve: Resolve = resolve,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rules = rules
        self._resolve = resolve
        self._clock = clock

    def check(self, uri: str) -> None:
        """Raises Invalid for what would be refused without looking further."""
        self._parsed(uri)

    def fetch(self, uri: str) -> Iterator[bytes]:
        """What is there, in pieces, after as many redirects as are allowed.

        Raises Invalid, which tells of hosts, but not of paths and queries.
        """
        deadline = self._clock() + self._rules.seconds
        for _ in range(self._rules.redirects + 1):
            url = self._parsed(uri)
            try:
                with closing(self._get(url, self._addresses(url))) as response:
                    if response.status not in REDIRECTS:
                        yield from self._body(response, deadline)
                        return
                    to = _joined(uri, response.headers.get("Location", ""))
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise Invalid(f"Host {url.host} failed: {type(error).__name__}.") from None
            if self._parsed(to).scheme == "http" and url.scheme == "https":
                raise Invalid(f"Host {url.host} leads from https to http.")
            uri = to
        raise Invalid(f"There are more than {self._rules.redirects} redirects.")

    def _parsed(self, uri: str) -> Url:
        """The one reading of a URL that everything here goes by."""
        try:
            url = parse_url(uri)
            host = url.host
        except (urllib3.exceptions.LocationParseError, ValueError):
            raise _refused("it is no URL") from None
        if not uri.isprintable() or " " in uri or "\\" in uri or not host:
            raise _refused("it is no URL")
        if url.scheme not in self._rules.schemes or url.scheme not in PORTS:
            raise _refused(f"scheme {url.scheme!r}")
        if url.auth is not None:
            raise _refused("it has a user in it")
        if _port(url) not in self._rules.ports:
            raise _refused(f"port {_port(url)}")
        try:
            literal = ip_address(host.strip("[]"))
        except ValueError:
            return url  # a name, to be resolved when it is fetched
        self._must_be_outside(host, literal)
        return url

    def _addresses(self, url: Url) -> Sequence[str]:
        """All of a host's addresses.  One that is not allowed spoils them all."""
        host = str(url.host).strip("[]")
        try:
            found = self._resolve(host, _port(url))
        except (OSError, UnicodeError):
            raise Invalid(f"Host {host} cannot be found.") from None
        for address in found:
            self._must_be_outside(host, ip_address(address))
        return found

    def _must_be_outside(self, host: str, address: Address) -> None:
        if not _is_public(address) and not any(address in n for n in self._rules.networks):
            raise _refused(f"host {host}")

    def _get(self, url: Url, addresses: Sequence[str]) -> urllib3.BaseHTTPResponse:
        last: Exception = Invalid(f"Host {url.host} has no address.")
        for address in addresses:
            try:
                return self._pool(url, address).urlopen(
                    "GET",
                    url.request_uri,
                    headers={"Host": url.netloc or "", "Accept-Encoding": "identity"},
                    redirect=False,
                    preload_content=False,
                    decode_content=False,
                )
            except urllib3.exceptions.HTTPError as error:
                last = error
        raise last

    def _pool(self, url: Url, address: str) -> urllib3.HTTPConnectionPool:
        """Connects to `address` and to nothing else, whatever the name may mean by then."""
        common: dict[str, Any] = {
            "port": _port(url),
            "timeout": urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
            "retries": False,
            "maxsize": 1,
        }
        if url.scheme == "http":
            return urllib3.HTTPConnectionPool(address, **common)
        name = str(url.host).strip("[]")
        return urllib3.HTTPSConnectionPool(
            address, **common, server_hostname=name, assert_hostname=name
        )

    def _body(self, response: urllib3.BaseHTTPResponse, deadline: float) -> Iterator[bytes]:
        if response.status != 200:
            raise Invalid(f"The server answered {response.status}.")
        chunked = response.headers.get("Transfer-Encoding", "").lower() == "chunked"
        if not chunked and "Content-Length" not in response.headers:
            raise Invalid("The server does not say how long the data is.")
        # One packet at a time: a server that sends a byte now and then does
        # not get us past the deadline.
        while chunk := response.read1(CHUNK):
            if self._clock() > deadline:
                raise Invalid(f"The data did not come within {self._rules.seconds:g} seconds.")
            yield chunk


def _joined(uri: str, location: str) -> str:
    try:
        return urljoin(uri, location)
    except ValueError:
        raise _refused("it is no URL") from None


def _port(url: Url) -> int:
    return url.port if url.port is not None else PORTS[str(url.scheme)]


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address):
        inner = _inside(address)
        if inner is not None:
            return _is_public(inner)
        if address in LOCAL_NAT64 or address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _inside(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that packets to `address` end at."""
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    if address.teredo:
        return address.teredo[1]
    return address.ipv4_mapped or address.sixtofour


def _refused(why: str) -> Invalid:
    return Invalid(f"URI for web-download does not pass filtering: {why}.")

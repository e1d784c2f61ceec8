"""What strangers name is fetched from the web, and from nowhere else."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_network
from pathlib import Path

import pytest

from nova_lite.domain.errors import Invalid
from nova_lite.images.web import Web, WebRules, resolve

LOOPBACK = ip_network("127.0.0.0/8")
OK = b"HTTP/1.1 200 OK\r\n"


class Server:
    """Answers every connection with what `answers` has for its path; keeps what it heard."""

    def __init__(self) -> None:
        self.answers: dict[str, bytes] = {}
        self.heard: list[bytes] = []
        self.tls: ssl.SSLContext | None = None
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            try:
                with self.secured(connection) as stream:
                    head = b""
                    while b"\r\n\r\n" not in head:
                        head += stream.recv(4096) or b"\r\n\r\n"
                    self.heard.append(head)
                    stream.sendall(self.answers.get(head.split()[1].decode(), b""))
            except (OSError, IndexError):
                continue  # the client did not like us

    def secured(self, connection: socket.socket) -> socket.socket:
        return self.tls.wrap_socket(connection, server_side=True) if self.tls else connection

    def stop(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


def names(**known: str) -> Callable[[str, int], Sequence[str]]:
    def resolve(host: str, port: int) -> Sequence[str]:
        if host not in known:
            raise OSError("no such host")
        return known[host].split()

    return resolve


def fetcher(server: Server, **more: object) -> Web:
    """May reach the server under the name it is given, and the public address 192.0.2.1 is not."""
    rules = WebRules(ports=[server.port, 80, 443], networks=[LOOPBACK])
    return Web(rules, names(inside="127.0.0.1", outside="8.8.8.8"), **more)  # type: ignore[arg-type]


def body(content: bytes) -> bytes:
    return OK + b"Content-Length: %d\r\n\r\n" % len(content) + content


def to(location: str) -> bytes:
    return b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: %s\r\n\r\n" % location.encode()


def fetch(web: Web, uri: str) -> bytes:
    return b"".join(web.fetch(uri))


def test_what_is_there_comes(server: Server) -> None:
    server.answers["/a%20b?c=d"] = body(b"x" * 200_000)
    uri = f"http://inside:{server.port}/a%20b?c=d#not-this"
    assert fetch(fetcher(server), uri) == b"x" * 200_000
    assert b"Host: inside:%d\r\n" % server.port in server.heard[0]
    assert b"Accept-Encoding: identity" in server.heard[0]


def test_what_comes_in_pieces_is_put_together(server: Server) -> None:
    server.answers["/"] = OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"
    assert fetch(fetcher(server), f"http://inside:{server.port}") == b"abcde"


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Content-Length: 5\r\n\r\nhalf",
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhal",
        OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
        OK + b"\r\nwho knows",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 206 Partial Content\r\nContent-Length: 1\r\n\r\nx",
        b"nonsense",
        b"",
    ],
)
def test_half_an_image_is_none(server: Server, answer: bytes) -> None:
    server.answers["/"] = answer
    with pytest.raises(Invalid):
        fetch(fetcher(server), f"http://inside:{server.port}/")


def test_redirects_are_followed_one_by_one(server: Server) -> None:
    port = server.port
    server.answers |= {"/1": to("/2"), "/2": to(f"//inside:{port}/3"), "/3": body(b"here")}
    assert fetch(fetcher(server), f"http://inside:{port}/1") == b"here"
    server.answers["/3"] = to("/1")
    with pytest.raises(Invalid, match="more than 5 redirects"):
        fetch(fetcher(server), f"http://inside:{port}/1")
    assert len(server.heard) == 3 + 6


@pytest.mark.parametrize(
    "uri",
    [
        "http://10.0.0.1/",
        "http://169.254.169.254/openstack/",
        "http://[::1]/",
        "http://[fe80::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://[64:ff9b::10.0.0.1]/",
        "http://[64:ff9b:1::1]/",
        "http://[2002:a00:1::]/",
        "http://[2001:0:808:808:0:0:f5ff:fffe]/",
        "http://[fec0::1]/",
        "http://[fd00::1]/",
        "http://0.0.0.0/",
        "http://[::]/",
        "http://100.64.0.1/",
        "http://224.0.0.1/",
        "http://240.0.0.1/",
        "http://255.255.255.255/",
        "file:///etc/passwd",
        "filesystem:///etc/passwd",
        "gopher://example.com/",
        "ftp://example.com/",
        "unix:///run/x.sock",
        "//example.com/",
        "http://example.com:22/",
        "http://example.com:0/",
        "http://example.com:99999/",
        "http://user:secret@example.com/",
        "http://example.com/a b",
        "http://example.com\\@10.0.0.1/",
        "http://example.com/\r\nHost: x",
        "http:///nothing",
        "http://[::1/",
        "",
        "x",
    ],
)
def test_what_leads_elsewhere_is_refused_at_once_and_behind_a_redirect(
    server: Server, uri: str
) -> None:
    strict = Web(WebRules(), names())
    with pytest.raises(Invalid, match="does not pass filtering") as refused:
        strict.check(uri)
    assert "secret" not in str(refused.value)
    if uri and uri.isprintable() and uri not in ("x", "//example.com/", "http:///nothing"):
        server.answers["/"] = to(uri)
        with pytest.raises(Invalid, match="does not pass filtering"):
            fetch(fetcher(server), f"http://inside:{server.port}/")


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost", "0"]
)
def test_however_an_address_is_written(host: str) -> None:
    with pytest.raises(Invalid, match="does not pass filtering|cannot be found"):
        fetch(Web(WebRules(), resolve), f"http://{host}/")


def test_a_name_with_one_bad_address_is_bad() -> None:
    both = Web(WebRules(), names(both="8.8.8.8 10.0.0.1", local="fe80::1%eth0"))
    for host in ("both", "local"):
        with pytest.raises(Invalid, match=f"filtering: host {host}"):
            fetch(both, f"http://{host}/")
    with pytest.raises(Invalid, match="no.such cannot be found"):
        fetch(both, "http://no.such/")
    with pytest.raises(Invalid, match="has no address"):
        fetch(Web(WebRules(), lambda host, port: ()), "http://empty/")


def test_public_addresses_are_public() -> None:
    for uri in ("http://8.8.8.8/", "https://[2001:4860:4860::8888]/", "http://example.com:443/x"):
        Web(WebRules()).check(uri)


def test_a_name_is_looked_up_once(server: Server) -> None:
    """What it means a moment later (DNS rebinding) does not matter."""
    asked: list[str] = []

    def changing(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    server.answers["/"] = body(b"here")
    rules = WebRules(ports=[server.port], networks=[LOOPBACK])
    assert fetch(Web(rules, changing), f"http://name:{server.port}/") == b"here"
    assert asked == ["name"]


def test_the_next_address_is_tried(server: Server) -> None:
    server.answers["/"] = body(b"here")
    rules = WebRules(ports=[server.port], networks=[LOOPBACK, ip_network("::1/128")])
    both = Web(rules, names(both="::1 127.0.0.1", away="::1"))
    assert fetch(both, f"http://both:{server.port}/") == b"here"
    with pytest.raises(Invalid, match="Host away failed"):
        fetch(both, f"http://away:{server.port}/")


def test_a_download_does_not_take_for_ever(server: Server) -> None:
    server.answers["/"] = body(b"x" * 1000)
    ticks = iter(range(0, 100_000, 4000))
    slow = fetcher(server, clock=lambda: next(ticks))
    with pytest.raises(Invalid, match="within 3600 seconds"):
        fetch(slow, f"http://inside:{server.port}/")


def test_who_answers_https_has_to_prove_it(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datetime as dt

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("inside")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    file = tmp_path / "server.pem"
    plain = serialization.NoEncryption()
    file.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
        + certificate.public_bytes(pem)
    )
    server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.tls.load_cert_chain(file)
    server.answers |= {"/": body(b"here"), "/down": to(f"http://inside:{server.port}/")}
    with pytest.raises(Invalid, match="Host inside failed"):
        fetch(fetcher(server), f"https://inside:{server.port}/")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    assert fetch(fetcher(server), f"https://inside:{server.port}/") == b"here"
    with pytest.raises(Invalid, match="from https to http"):
        fetch(fetcher(server), f"https://inside:{server.port}/down")
    other = Web(WebRules(ports=[server.port], networks=[LOOPBACK]), names(other="127.0.0.1"))
    with pytest.raises(Invalid, match="Host other failed"):
        fetch(other, f"https://other:{server.port}/")


def test_the_log_does_not_tell_paths() -> None:
    assert not logging.getLogger("urllib3.connectionpool").isEnabledFor(10)

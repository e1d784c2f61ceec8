"""Key pairs: what is let in, and how it is named."""

from __future__ import annotations

import datetime as dt
import subprocess
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import SubjectAlternativeName, load_pem_x509_certificate

from nova_lite.domain.errors import Forbidden, Invalid, NotFound, QuotaExceeded
from nova_lite.services.compute.keypairs import (
    certificate_fingerprint_of,
    fingerprint_of,
    generate,
    generate_certificate,
)
from tests.unit.services.site import ADMIN, ALICE, BOB, Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def line(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def test_the_fingerprint_is_the_one_ssh_keygen_says(tmp_path: Path) -> None:
    public, private = generate("somebody")
    file = tmp_path / "key.pub"
    file.write_text(public)
    said = subprocess.run(
        ["ssh-keygen", "-l", "-E", "md5", "-f", str(file)], capture_output=True, text=True
    )
    assert f"MD5:{fingerprint_of(public)} somebody (RSA)" in said.stdout
    file = tmp_path / "key"
    file.write_text(private)
    file.chmod(0o600)
    # Whoever has the private half has the public one.
    said = subprocess.run(["ssh-keygen", "-y", "-f", str(file)], capture_output=True, text=True)
    assert said.stdout.split()[:2] == public.split()[:2]


def test_a_certificate_says_whose_it_is_and_what_for(tmp_path: Path) -> None:
    user = "u" * 64
    now = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
    public, private = generate_certificate(user, now)
    file = tmp_path / "user.pem"
    file.write_text(public)
    command = ["openssl", "x509", "-in", str(file), "-noout", "-fingerprint", "-sha1", "-text"]
    said = subprocess.run(command, capture_output=True, text=True).stdout
    assert certificate_fingerprint_of(public).upper() in said
    assert "TLS Web Client Authentication" in said
    assert f"{user}@localhost" in said and private.startswith("-----BEGIN PRIVATE KEY-----")


def test_a_long_principal_is_a_utf_8_string_in_der() -> None:
    public, _ = generate_certificate("u" * 200, dt.datetime(2030, 1, 1, tzinfo=dt.UTC))
    (name,) = (
        load_pem_x509_certificate(public.encode())
        .extensions.get_extension_for_class(SubjectAlternativeName)
        .value
    )
    assert name.value == b"\x0c\x81\xd2" + b"u" * 200 + b"@localhost"


@pytest.mark.parametrize(
    "evil", ["", "ssh-rsa AAAA", "-----BEGIN CERTIFICATE-----\nAAAA", "\u00e9"]
)
def test_what_is_no_certificate_is_refused(evil: str) -> None:
    with pytest.raises(Invalid, match="Keypair data is invalid"):
        certificate_fingerprint_of(evil)


def test_rsa_and_ecdsa_keys_are_let_in_with_and_without_a_comment() -> None:
    for key in (
        line(rsa.generate_private_key(65537, 2048)),
        line(ec.generate_private_key(ec.SECP256R1())),
    ):
        assert fingerprint_of(key) == fingerprint_of(f"{key} me at home") != ""
        assert len(fingerprint_of(key)) == 47


@pytest.mark.parametrize(
    "evil",
    [
        'command="id" {}',
        'no-pty,from="10.0.0.1" {}',
        "{}\n{}",
        "{}\r",
        "# {}",
        "ssh-dss AAAA",
        "ssh-ed25519 AAAA",
        "ssh-ed25519",
        "",
        "cert-authority {}",
    ],
)
def test_options_further_lines_and_other_things_are_refused(evil: str) -> None:
    public, _ = generate("me")
    with pytest.raises(Invalid, match="Keypair data is invalid"):
        fingerprint_of(evil.format(public, public))


def test_key_pairs_are_the_users_own(site: Site) -> None:
    made, private = site.keypairs.create(ALICE, "k")
    assert private and site.keypairs.get(ALICE, "k").public_key == made.public_key
    with pytest.raises(NotFound):
        site.keypairs.get(BOB, "k")
    with pytest.raises(Forbidden):
        site.keypairs.get(BOB, "k", user_id="alice")
    assert site.keypairs.get(ADMIN, "k", user_id="alice").user_id == "alice"
    assert site.keypairs.get(ALICE, "k", user_id="alice").user_id == "alice"
    site.keypairs.create(BOB, "k")
    site.keypairs.delete(ALICE, "k")
    assert [pair.name for pair in site.keypairs.list(BOB)] == ["k"]


def test_of_many_requests_for_the_last_place_one_gets_it(tmp_path: Path) -> None:
    site = Site(tmp_path, key_pairs=1)
    outcomes: list[bool] = []

    def make(name: str) -> None:
        try:
            site.keypairs.create(ALICE, name)
            outcomes.append(True)
        except QuotaExceeded:
            outcomes.append(False)

    threads = [threading.Thread(target=make, args=(f"k{i}",)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [False] * 5 + [True]
    assert len(site.keypairs.list(ALICE)) == 1

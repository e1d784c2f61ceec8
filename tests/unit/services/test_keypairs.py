"""Key pairs: what is let in, and how it is named."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from nova_lite.domain.errors import Forbidden, Invalid, NotFound, QuotaExceeded
from nova_lite.services.keypairs import fingerprint_of, generate
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
    assert f"MD5:{fingerprint_of(public)} somebody (ED25519)" in said.stdout
    assert private.startswith("-----BEGIN OPENSSH PRIVATE KEY-----")


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

"""Key pairs as the clients of the compute API see them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from nova_lite.services.compute.keypairs import generate
from tests.functional.compute_site import Site


def create(site: Site, status: int = 200, version: str = "2.1", **pair: Any) -> Any:
    how = {"token": pair.pop("token", None)}
    body = {"keypair": pair}
    answer = site.compute.call("POST", "/os-keypairs", body, version=version, status=status, **how)
    return answer.json.get("keypair") or next(iter(answer.json.values()))["message"]


def test_a_pair_made_for_us_shows_its_private_half_once(site: Site) -> None:
    made = create(site, name="k")
    key = load_pem_private_key(made["private_key"].encode(), None)
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    assert made["public_key"] == f"{public.decode()} k" and public.startswith(b"ssh-rsa ")
    shown = site.compute.get("/os-keypairs/k", version="2.2")["keypair"]
    assert "private_key" not in shown
    assert shown["fingerprint"] == made["fingerprint"] and shown["deleted"] is False
    assert shown["type"] == "ssh" and isinstance(shown["id"], int)
    (listed,) = site.compute.get("/os-keypairs")["keypairs"]
    assert set(listed["keypair"]) == {"name", "public_key", "fingerprint"}


def test_a_key_of_ones_own_is_imported(site: Site) -> None:
    public, _ = generate("me@home")
    made = create(site, name="mine", public_key=public + "\n")
    assert "private_key" not in made and made["public_key"] == public
    assert "already exists" in create(site, 409, name="mine", public_key=public)


def test_statuses_and_keys_changed_at_2_2(site: Site) -> None:
    assert "type" not in create(site, 200, "2.1", name="a")
    assert create(site, 201, "2.2", name="b", type="ssh")["type"] == "ssh"
    site.compute.call("DELETE", "/os-keypairs/a", version="2.1", status=202)
    site.compute.call("DELETE", "/os-keypairs/b", version="2.2", status=204)
    site.refused(404, "DELETE", "/os-keypairs/b")
    site.refused(404, "GET", "/os-keypairs/b")
    assert "type" in create(site, 400, "2.1", name="c", type="ssh")
    assert "keypair.type" in create(site, 400, "2.2", name="c", type="pgp")


def test_a_certificate_is_made_or_imported_for_windows(site: Site) -> None:
    made = create(site, 201, "2.2", name="c", type="x509")
    assert made["public_key"].startswith("-----BEGIN CERTIFICATE-----")
    assert made["private_key"].startswith("-----BEGIN PRIVATE KEY-----")
    assert made["type"] == "x509" and len(made["fingerprint"]) == 59
    imported = create(site, 201, "2.2", name="d", type="x509", public_key=made["public_key"])
    assert imported["fingerprint"] == made["fingerprint"] and "private_key" not in imported
    create(site, 400, "2.2", name="e", type="x509", public_key=generate("me")[0])
    create(site, 400, "2.2", name="e", type="ssh", public_key=made["public_key"])
    shown = site.compute.get("/os-keypairs", version="2.2")["keypairs"]
    assert [each["keypair"]["type"] for each in shown] == ["x509", "x509"]


def test_since_2_92_nobody_makes_a_pair_for_us_and_names_may_be_addresses(site: Site) -> None:
    public, _ = generate("me")
    assert "public_key" in create(site, 400, "2.92", name="k")
    made = create(site, 201, "2.92", name="me@home.example", public_key=public)
    path = f"/os-keypairs/{made['name']}"
    assert site.compute.get(path, version="2.92")["keypair"]["public_key"] == public
    create(site, 400, "2.91", name="me@home", public_key=public)


def test_since_2_75_a_query_says_nothing_that_nobody_knows(site: Site) -> None:
    create(site, name="k")
    for path in ("/os-keypairs", "/os-keypairs/k"):
        site.compute.get(f"{path}?color=red", version="2.74")
        assert "query" in site.refused(400, "GET", f"{path}?color=red", version="2.75")
    site.refused(400, "DELETE", "/os-keypairs/k?color=red", version="2.75")
    site.compute.delete("/os-keypairs/k", version="2.75")


def test_administrators_handle_those_of_others_since_2_10(site: Site) -> None:
    alice = site.person("alice")
    user = alice.user
    made = create(site, 201, "2.10", name="hers", user_id=user)
    assert made["user_id"] == user
    assert "user_id" in create(site, 400, "2.9", name="x", user_id=user)
    for version, count in (("2.9", 0), ("2.10", 1), ("2.35", 1)):
        path = f"/os-keypairs?user_id={user}"
        assert len(site.compute.get(path, version=version)["keypairs"]) == count
    path = f"/os-keypairs/hers?user_id={user}"
    assert site.compute.get(path, version="2.10")["keypair"]["user_id"] == user
    for version in ("2.1", "2.9"):
        site.refused(404, "GET", path, version=version)
        site.refused(404, "DELETE", path, version=version)
    assert site.compute.get(path, version="2.10", token=alice.token)["keypair"]["name"] == "hers"
    bob = site.person("bob")
    for method in ("GET", "DELETE"):
        site.refused(403, method, path, version="2.10", token=bob.token)
    create(site, 403, "2.10", name="x", user_id=user, token=bob.token)
    site.compute.delete(path, version="2.10")
    site.refused(404, "GET", path, version="2.10")


def test_lists_are_paged_since_2_35(site: Site) -> None:
    for name in "cab":
        create(site, name=name)
    assert len(site.compute.get("/os-keypairs?limit=1", version="2.34")["keypairs"]) == 3
    seen: list[str] = []
    path = "/os-keypairs?limit=2"
    while path:
        page = site.compute.get(path, version="2.35")
        seen += [each["keypair"]["name"] for each in page["keypairs"]]
        (link,) = page.get("keypairs_links", [{"href": ""}])
        path = link["href"].removeprefix("http://localhost/compute/v2.1")
    assert seen == ["a", "b", "c"]
    site.refused(400, "GET", "/os-keypairs?marker=x", version="2.35")


@pytest.mark.parametrize("name", ["", "a/b", "me@home", " blank", "x" * 256, "a\nb"])
def test_a_name_has_letters_digits_blanks_and_dashes(site: Site, name: str) -> None:
    assert "keypair.name" in create(site, 400, name=name)


@pytest.mark.parametrize(
    "bend",
    [
        lambda key: "",
        lambda key: "ssh-rsa " + "A" * 2048 + " me",
        lambda key: 'command="rm -rf /" ' + key,
        lambda key: key + "\nssh-rsa AAAA second",
        lambda key: key.replace(" ", "\n", 1),
        lambda key: key + "\x00",
        lambda key: "ssh-ed25519 not!base64",
        lambda key: "x" * 20000,
    ],
)
def test_what_is_not_one_public_key_is_refused(site: Site, bend: Any) -> None:
    create(site, 400, name="k", public_key=bend(generate("me")[0]))
    assert site.compute.get("/os-keypairs")["keypairs"] == []


def test_a_user_has_so_many_and_no_more(tmp_path: Path) -> None:
    site = Site(tmp_path, **{"quota.key_pairs": 1})
    create(site, name="a")
    assert "Quota exceeded for key_pairs" in create(site, 403, name="b")
    site.cloud.close()


def test_a_reader_may_look_at_key_pairs_only(site: Site) -> None:
    ron = site.person("ron", "reader")
    assert site.compute.get("/os-keypairs", token=ron.token) == {"keypairs": []}
    create(site, 403, name="k", token=ron.token)

"""nova-manage on a controller whose cloud is not running yet."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from nova_lite.cmd.manage.site import SilentBus, Site
from nova_lite.domain.errors import NovaLiteError, Unauthorized
from nova_lite.domain.specs import Role
from nova_lite.services.identity.grants import Filters
from nova_lite.services.identity.proofs import Named, PasswordProof, Proofs
from nova_lite.services.listing import Listing
from tests.operators import Operator

CHEAP = {"identity__password_hash_memory_kib": "8", "identity__password_hash_rounds": "1"}
CLASSICS = {"m1.nano", "m1.tiny", "m1.small", "m1.medium", "m1.large", "m1.xlarge"}


@pytest.fixture
def blank(tmp_path: Path) -> Operator:
    return Operator(tmp_path, **CHEAP)


@pytest.fixture
def operator(blank: Operator) -> Operator:
    blank.runs("bootstrap", typed="secret\n")
    return blank


def logs_in(operator: Operator, user: str, password: str) -> bool:
    proof = PasswordProof(Named(name=user, domain_id="default"), password)
    with Site([str(operator.file)]) as site:
        try:
            site.services.identity.login("req-1", Proofs(password=proof))
        except Unauthorized:
            return False
    return True


# --- from nothing -----------------------------------------------------------------------------


def test_bootstrap_makes_all_that_is_needed_to_log_in(blank: Operator) -> None:
    said = blank.sees("bootstrap", typed="secret\n")
    assert "secret" not in said
    assert logs_in(blank, "admin", "secret")
    assert {flavor["name"] for flavor in blank.reads("flavor", "list")} == CLASSICS
    assert blank.reads("db", "version")["version"] == blank.reads("db", "version")["newest"]
    for file in (blank.directory / "nova.sqlite", blank.directory / "keys" / "fernet" / "1"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_bootstrap_again_changes_the_password_and_nothing_else(operator: Operator) -> None:
    keys = (operator.directory / "keys" / "fernet" / "1").read_bytes()
    operator.runs("flavor", "delete", "m1.large")
    before = operator.reads("user", "list"), operator.reads("project", "list")
    assert "m1.large" in operator.sees("bootstrap", NOVA_LITE_ADMIN_PASSWORD="other")
    assert "nothing new" in operator.sees("bootstrap", NOVA_LITE_ADMIN_PASSWORD="other")
    assert (operator.reads("user", "list"), operator.reads("project", "list")) == before
    assert (operator.directory / "keys" / "fernet" / "1").read_bytes() == keys
    assert logs_in(operator, "admin", "other")
    assert not logs_in(operator, "admin", "secret")


def test_the_password_comes_from_a_file_and_never_from_the_command_line(blank: Operator) -> None:
    file = blank.directory / "password"
    file.write_text("from a file\nnot this\n")
    blank.runs("bootstrap", "--no-flavors", "--password-file", str(file))
    assert logs_in(blank, "admin", "from a file")
    assert blank.reads("flavor", "list") == []
    blank.runs("bootstrap", "--password", "secret", code=2)


def test_an_empty_password_is_refused_before_anything_is_made(blank: Operator) -> None:
    assert "empty" in blank.runs("bootstrap", typed="\n", code=2).stderr
    assert not (blank.directory / "keys").exists()


def test_a_password_is_asked_for_twice_at_a_terminal(
    blank: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nova_lite.cmd.manage.secret._at_terminal", lambda: True)
    said = blank.sees("bootstrap", typed="secret\nsecret\n")
    assert "Repeat for confirmation" in said
    assert logs_in(blank, "admin", "secret")


def test_db_sync_brings_the_schema_up_and_says_to_what(blank: Operator) -> None:
    assert blank.reads("db", "version")["version"] is None
    assert "revision 0002" in blank.sees("db", "sync")
    assert "revision 0002" in blank.sees("db", "sync")


def test_db_sync_uses_the_database_that_is_configured(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/elsewhere"
    operator = Operator(tmp_path, database__connection=url)
    operator.runs("db", "sync")
    assert (tmp_path / "elsewhere").exists()
    assert not (tmp_path / "nova.sqlite").exists()


# --- failures ---------------------------------------------------------------------------------


def test_without_keys_the_remedy_is_told(blank: Operator) -> None:
    blank.runs("db", "sync")
    assert "nova-manage bootstrap" in blank.is_told("user", "list")


def test_without_tables_the_remedy_is_told(operator: Operator) -> None:
    (operator.directory / "nova.sqlite").unlink()
    told = operator.is_told("user", "list")
    assert "no such table" in told and "nova-manage db version" in told


def test_a_configuration_that_cannot_be_is_told_in_one_line(tmp_path: Path) -> None:
    operator = Operator(tmp_path, database__max_pool_size="0")
    assert "max_pool_size" in operator.is_told("operation", "list")
    operator.file.unlink()
    assert "nova.conf" in operator.is_told("db", "version")


def test_a_database_url_that_cannot_be_is_told_in_one_line(tmp_path: Path) -> None:
    operator = Operator(tmp_path, database__connection="nonsense")
    assert "Could not parse" in operator.is_told("db", "version")


def test_our_own_mistakes_are_not_hidden(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("nova_lite.services.compute.hosts.Hosts.services")
    with pytest.raises(AttributeError):
        operator.runs("service", "list")


def test_a_broken_constraint_is_told_without_the_statement(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise IntegrityError("INSERT INTO secrets", {}, Exception("UNIQUE constraint failed"))

    monkeypatch.setattr("nova_lite.services.compute.hosts.Hosts.services", broken)
    assert operator.is_told("service", "list") == "nova-manage: database: UNIQUE constraint failed"


def test_an_unknown_word_is_a_mistake_of_usage(operator: Operator) -> None:
    assert "No such command" in operator.runs("nonsense", code=2).stderr


def test_nova_manage_asks_no_workers() -> None:
    with pytest.raises(NovaLiteError, match="asks no workers"):
        SilentBus().call(Role.COMPUTE, "host1", "console.log", {}, 1)


# --- people -----------------------------------------------------------------------------------


def roles_of(site: Site, user_id: str) -> list[tuple[str, str, str]]:
    """The roles a user was given, with the kind and the id of where."""
    asked = Filters(user_id=user_id)
    given = site.services.grants.list_assignments(site.admin, asked, named=True)
    return [(given.names[one.role_id].name, one.kind, one.scope_id) for one in given.found]


def test_a_project_is_given_a_quota_of_its_own(operator: Operator) -> None:
    operator.runs("project", "create", "kitchen")
    before = {row["name"]: row for row in operator.reads("project", "quota", "kitchen")}
    assert before["cores"] == {"name": "cores", "used": 0, "limit": 20}
    assert "floating_ips" not in before
    after = operator.reads("project", "quota", "kitchen", "cores", "-1")
    assert {row["name"]: row["limit"] for row in after} == {
        name: -1 if name == "cores" else row["limit"] for name, row in before.items()
    }
    for words in (("cores",), ("spoons", "3")):
        operator.runs("project", "quota", "kitchen", *words, code=2)


def test_a_user_gets_a_role_on_a_project(operator: Operator) -> None:
    operator.runs("project", "create", "kitchen", "--description", "Soup")
    made = operator.reads("user", "create", "anna", "--project", "kitchen", typed="her secret\n")
    assert logs_in(operator, "anna", "her secret")
    projects = {project["name"]: project for project in operator.reads("project", "list")}
    assert made["default_project_id"] == projects["kitchen"]["id"]
    assert projects["kitchen"]["description"] == "Soup"
    with Site([str(operator.file)]) as site:
        [(role, _, where)] = roles_of(site, made["id"])
    assert (role, where) == ("member", made["default_project_id"])


def test_a_role_may_be_granted_twice_and_on_the_whole_cloud(operator: Operator) -> None:
    operator.runs("user", "create", "bert", typed="secret\n")
    operator.runs("role", "create", "auditor")
    for _ in "twice":
        operator.runs("role", "grant", "auditor", "bert", "--project", "admin")
    operator.runs("role", "grant", "reader", "bert", "--system")
    assert "auditor" in operator.sees("role", "list")
    [bert] = [user for user in operator.reads("user", "list") if user["name"] == "bert"]
    with Site([str(operator.file)]) as site:
        found = {(role, kind) for role, kind, _ in roles_of(site, bert["id"])}
    assert found == {("auditor", "project"), ("reader", "system")}


def test_a_role_is_granted_somewhere_and_not_everywhere(operator: Operator) -> None:
    operator.runs("role", "grant", "reader", "admin", code=2)
    operator.runs("role", "grant", "reader", "admin", "--system", "--project", "admin", code=2)


def test_no_user_is_left_behind_when_there_is_no_such_project(operator: Operator) -> None:
    told = operator.is_told("user", "create", "anna", "--project", "nowhere", typed="x\n")
    assert told == "nova-manage: There is no project 'nowhere'."
    assert [user["name"] for user in operator.reads("user", "list")] == ["admin"]


def test_a_name_that_is_taken_is_a_conflict(operator: Operator) -> None:
    assert "name already" in operator.is_told("project", "create", "admin")


# --- networks ---------------------------------------------------------------------------------


def test_a_network_is_made_with_the_words_of_nova_network(operator: Operator) -> None:
    words = "--label private --fixed_range_v4 10.0.0.0/24 --bridge br7 --bridge_interface eth1"
    made = operator.reads("network", "create", *words.split(), "--dns1", "10.1.1.1")
    assert made["bridge"] == "br7"
    assert made["interface"] == "eth1"
    assert made["cidr"] == ["10.0.0.0/24"]
    assert made["gateway"] == ["10.0.0.1"]
    assert made["dns"] == ["10.1.1.1"]
    assert made["mode"] == "flatdhcp"
    assert made["shared"] is True
    assert operator.reads("network", "list") == [made]


@pytest.mark.parametrize(
    ("pool", "gateway", "first", "last"),
    [
        ("10.0.0.0/28", None, "10.0.0.2", "10.0.0.15"),
        ("10.0.0.0/28", "10.0.0.254", "10.0.0.1", "10.0.0.15"),
        ("10.0.0.128/25", None, "10.0.0.128", "10.0.0.254"),
    ],
)
def test_a_network_may_give_out_a_part_of_its_addresses_only(
    operator: Operator, pool: str, gateway: str | None, first: str, last: str
) -> None:
    operator.runs(
        *("network", "create", "--label", "private", "--fixed_range_v4", "10.0.0.0/24"),
        *("--fixed_cidr", pool, *(["--gateway", gateway] if gateway else [])),
    )
    with Site([str(operator.file)]) as site:
        [subnet] = site.services.networks.subnets(site.admin, Listing()).things
    assert list(subnet.pools) == [{"start": first, "end": last}]


def test_a_part_that_is_no_range_is_refused(operator: Operator) -> None:
    words = ("network", "create", "--label", "b", "--cidr", "10.1.0.0/24", "--pool", "nonsense")
    assert "nonsense" in operator.is_told(*words)


def test_a_network_that_cannot_be_leaves_nothing_behind(operator: Operator) -> None:
    operator.runs("network", "create", "--label", "a", "--cidr", "10.0.0.0/24")
    for words, why in (
        (("--cidr", "10.0.0.0/16"), "overlaps"),
        (("--cidr", "10.1.0.0/24", "--bridge", "br100"), "Bridge br100"),
    ):
        assert why in operator.is_told("network", "create", "--label", "b", *words)
        assert [row["name"] for row in operator.reads("network", "list")] == ["a"]


@pytest.mark.parametrize("words", [("a",), ("--fixed_range", "10.0.0.0/24"), ("--uuid", "ID")])
def test_a_network_is_deleted_by_name_range_or_id(
    operator: Operator, words: tuple[str, ...]
) -> None:
    made = operator.reads("network", "create", "--label", "a", "--cidr", "10.0.0.0/24")
    operator.runs("network", "delete", *(made["id"] if word == "ID" else word for word in words))
    assert operator.reads("network", "list") == []


def test_which_network_to_delete_must_be_clear(operator: Operator) -> None:
    for cidr in ("10.0.0.0/24", "10.1.0.0/24"):
        operator.runs("network", "create", "--label", "twin", "--cidr", cidr)
    assert "several networks named 'twin'" in operator.is_told("network", "delete", "twin")
    told = operator.is_told("network", "delete", "--cidr", "10.9.0.0/24")
    assert "10.9.0.0/24" in told
    operator.runs("network", "delete", code=2)
    assert len(operator.reads("network", "list")) == 2


# --- flavors and images -----------------------------------------------------------------------


def test_a_flavor_comes_and_goes(operator: Operator) -> None:
    words = "create big --memory 4096 --cpu 2 --root_gb 10 --swap 64 --flavor 100 --private"
    made = operator.reads("flavor", *words.split())
    assert made["id"] == "100"
    assert (made["memory_mb"], made["vcpus"], made["swap_mb"]) == (4096, 2, 64)
    assert made["is_public"] is False
    assert made in operator.reads("flavor", "list")
    assert "already exists" in operator.is_told("flavor", *words.split())
    operator.runs("flavor", "delete", "big")
    assert "no flavor 'big'" in operator.is_told("flavor", "delete", "big")


def test_an_image_is_uploaded_and_deleted(operator: Operator) -> None:
    file = operator.directory / "disk"
    file.write_bytes(bytes(1 << 20))
    made = operator.reads("image", "upload", "empty", "--file", str(file), "--project", "admin")
    assert made["status"] == "active"
    assert made["size"] == 1 << 20
    assert made["visibility"] == "public"
    assert operator.reads("image", "list") == [made]
    operator.runs("image", "delete", made["id"])
    assert operator.reads("image", "list") == []


def test_a_file_that_is_not_what_it_should_be_leaves_no_image(operator: Operator) -> None:
    file = operator.directory / "disk"
    file.write_bytes(bytes(1 << 20))
    told = operator.is_told(
        "image",
        "upload",
        "empty",
        "--file",
        str(file),
        "--project",
        "admin",
        "--disk-format",
        "qcow2",
    )
    assert "qcow2" in told
    assert operator.reads("image", "list") == []


# --- how it looks -----------------------------------------------------------------------------

LISTS = (
    ["flavor", "list"],
    ["host", "list"],
    ["image", "list"],
    ["instance", "list"],
    ["network", "list"],
    ["operation", "list"],
    ["project", "list"],
    ["role", "list"],
    ["service", "list"],
    ["user", "list"],
)


@pytest.mark.parametrize("words", LISTS, ids=" ".join)
def test_every_list_comes_as_table_json_and_values(operator: Operator, words: list[str]) -> None:
    rows = operator.reads(*words)
    table = operator.sees(*words).splitlines()
    values = operator.sees(*words, "-f", "value").splitlines()
    assert table[0] == table[0].upper()
    assert len(table) - 1 == len(values) == len(rows)

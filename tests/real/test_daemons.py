"""The daemons as an operator meets them: they start, say what is wrong, keep secrets, and stop."""

from __future__ import annotations

import base64
import re
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests

from tests.deployment import ALL_IN_ONE, BIN, PASSWORD, Deployment, secrets_in, separate
from tests.engines import MariaDB, RabbitMQ
from tests.processes import wait_until

pytestmark = pytest.mark.real

DAEMONS = ("nova-all", "nova-api", "nova-scheduler", "nova-compute", "nova-network")
KNOW_SECRETS = ("nova-all", "nova-api", "nova-scheduler")  # the others hold no keys
STOPS_WITHIN = 10  # seconds
CANARY = "canary-3f9a"


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Deployment]:
    """nova-all on SQLite; not started."""
    cloud = Deployment(
        tmp_path / "cloud",
        database=f"sqlite:///{tmp_path}/cloud/nova.sqlite",
        transport="kombu+memory://",
        daemons=ALL_IN_ONE,
        options={"DEFAULT": {"debug": True}},
    )
    yield cloud
    cloud.close()


@pytest.fixture
def apart(tmp_path: Path, mariadb: MariaDB, rabbitmq: RabbitMQ) -> Iterator[Deployment]:
    """All daemons, over RabbitMQ and MariaDB."""
    cloud = Deployment(
        tmp_path / "cloud",
        database=mariadb.fresh_database(),
        transport=rabbitmq.fresh_vhost(),
        daemons=separate(),
        options={"DEFAULT": {"debug": True}},
    )
    cloud.start()
    yield cloud
    cloud.close()


def stop(cloud: Deployment, name: str, number: signal.Signals) -> tuple[int, float]:
    """Its exit code, and how long it took."""
    process = cloud.processes[name]
    family = psutil.Process(process.pid).children(recursive=True)
    began = time.monotonic()
    process.send_signal(number)
    try:
        code = process.wait(STOPS_WITHIN)
    except subprocess.TimeoutExpired:
        pytest.fail(f"{name} does not end on {number.name}:\n{cloud.log_of(name)[-3000:]}")
    took = time.monotonic() - began
    del cloud.processes[name]
    assert not [child for child in family if child.is_running()], "it leaves nobody behind"
    return code, took


def last_lines(config: Path, program: str, *arguments: str) -> tuple[int, list[str]]:
    """Run it until it gives up; its exit code, and what it said."""
    done = subprocess.run(
        [BIN / program, "--config-file", config, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr).splitlines()


def with_options(cloud: Deployment, name: str, text: str) -> Path:
    """The configuration of `cloud`, and what `text` says beside."""
    file = cloud.directory / name
    file.write_text(cloud.config.read_text() + text)
    return file


# --- stopping ----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_everything_in_one_process_stops_in_peace(
    alone: Deployment, number: signal.Signals
) -> None:
    alone.start()
    ids = [alone.boot(f"s-{i}") for i in range(5)]
    assert stop(alone, "all", number)[0] == 0
    assert "nova-all is down" in alone.log_of("all")
    assert "Traceback" not in alone.log_of("all")
    alone.start()
    alone.wait_for(ids, "ACTIVE")
    assert stop(alone, "all", number)[0] == 0


def test_every_daemon_stops_in_peace(apart: Deployment) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        codes = {name: stop(apart, name, number)[0] for name in apart.daemons}
        assert codes == dict.fromkeys(apart.daemons, 0)
        apart.start()
    for name in apart.daemons:
        assert "Traceback" not in apart.log_of(name)


@pytest.mark.parametrize("after", [0.0, 0.3, 1.0, 1.5, 2.0, 3.0])
def test_a_daemon_that_is_still_starting_stops_as_well(alone: Deployment, after: float) -> None:
    alone.start("all")
    time.sleep(after)
    code, _ = stop(alone, "all", signal.SIGTERM)
    assert code in (0, -signal.SIGTERM)


# --- what is wrong is said ---------------------------------------------------------------------


@pytest.mark.parametrize("program", DAEMONS)
def test_an_unknown_option_is_told(alone: Deployment, program: str) -> None:
    code, lines = last_lines(alone.config, program, "--nonsense")
    assert code == 2
    assert lines[-1] == f"{program}: error: unrecognized arguments: --nonsense"


@pytest.mark.parametrize("program", DAEMONS)
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[scheduler]\nmax_attempts = many\n", r"configuration: \[scheduler\] max_attempts: .*"),
        ("[DEFAULT]\ntransport_url = x://u:hunter2@h/\n", r".*\[DEFAULT\] transport_url is not .*"),
    ],
)
def test_a_bad_value_is_told_in_a_line(
    alone: Deployment, program: str, text: str, told: str
) -> None:
    code, lines = last_lines(with_options(alone, "bad.conf", text), program)
    said = [line for line in lines if re.fullmatch(told, line)]
    assert code == 1 and said, lines
    assert not [line for line in lines if "Traceback" in line or "hunter2" in line]


@pytest.mark.parametrize("program", KNOW_SECRETS)
def test_missing_keys_are_told_with_the_remedy(alone: Deployment, program: str) -> None:
    (alone.directory / "keys" / "fernet" / "1").unlink()
    code, lines = last_lines(alone.config, program)
    assert (code, lines[-1].split(": ")[0]) == (1, program)
    assert "nova-manage bootstrap" in lines[-1]


@pytest.mark.parametrize("which", ["port", "metadata_port"])
@pytest.mark.parametrize("program", ["nova-all", "nova-api"])
def test_a_port_in_use_is_told_and_nothing_hangs(
    alone: Deployment, program: str, which: str
) -> None:
    port = getattr(alone, which)
    with socket.create_server(("127.0.0.1", port)):
        code, lines = last_lines(alone.config, program)
    assert code == 1
    assert lines[-1].startswith(f"{program}: ") and str(port) in lines[-1]
    assert "Address already in use" in lines[-1]


@pytest.mark.parametrize("program", ["nova-all", "nova-api"])
def test_a_database_that_is_away_at_the_start_is_told(alone: Deployment, program: str) -> None:
    text = "[database]\nconnection = mysql+pymysql://u:hunter2@127.0.0.1:1/nova\n"
    code, lines = last_lines(with_options(alone, "away.conf", text), program)
    assert code == 1
    assert [line for line in lines if line.startswith(f"{program}: The database cannot be used")]
    assert not [line for line in lines if "hunter2" in line]


# --- listening and keeping secrets -------------------------------------------------------------


def test_listeners_are_on_loopback_and_secrets_in_files_of_our_own(alone: Deployment) -> None:
    alone.start()
    process = psutil.Process(alone.processes["all"].pid)
    listening = {c.laddr for c in process.net_connections("inet") if c.status == "LISTEN"}
    assert {address.ip for address in listening} == {"127.0.0.1"}
    assert {address.port for address in listening} == {alone.port, alone.metadata_port}
    for file in (alone.directory / "keys").rglob("*"):
        assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file
    arguments = " ".join(process.cmdline())
    assert PASSWORD not in arguments


def speak_of_secrets(cloud: Deployment) -> list[str]:
    """Tell the API secrets in every place where one may be, well and ill formed; what they were."""
    data = base64.b64encode(f"#!/bin/sh\necho {CANARY}\n".encode()).decode()
    server = cloud.boot("s", user_data=data, adminPass=f"{CANARY}-admin")
    cloud.wait_for([server], "ACTIVE")
    user = {"name": "u", "password": f"{CANARY}-user", "domain_id": "default"}
    cloud.post("/identity/v3/users", {"user": user})
    pair = cloud.post("/compute/v2.1/os-keypairs", {"keypair": {"name": "k"}}, version="2.1")
    private = pair["keypair"]["private_key"].splitlines()[5]
    token = cloud.token()
    headers = {"X-Auth-Token": token, "X-Subject-Token": token}
    for method, path, body in (
        ("GET", "/identity/v3/auth/tokens", None),
        ("POST", "/identity/v3/users", {"user": {**user, "password": [f"{CANARY}-list"]}}),
        ("POST", "/identity/v3/users", {"user": {**user, "passwort": f"{CANARY}-typo"}}),
        ("POST", "/identity/v3/users", {"user": user}),  # it is there already
        ("POST", "/compute/v2.1/servers", {"server": {"user_data": f"{CANARY} no base64"}}),
        ("POST", "/compute/v2.1/servers", {"server": {"adminPass": {"x": CANARY}}}),
        ("POST", "/identity/v3/auth/tokens", {"auth": {"identity": f"{CANARY}-auth"}}),
        ("GET", f"/identity/v3/projects?password={CANARY}", None),
    ):
        answer = requests.request(method, cloud.url + path, json=body, headers=headers, timeout=30)
        assert answer.status_code < 500, answer.text
        assert CANARY not in answer.text, (path, answer.text)
    wrong = {"X-Auth-Token": f"gAAAAA{CANARY}"}
    assert (
        requests.get(f"{cloud.url}/compute/v2.1/servers", headers=wrong, timeout=9).status_code
        == 401
    )
    key = (cloud.directory / "keys" / "fernet" / "1").read_text()
    return [CANARY, data, private, token, key, PASSWORD]


def check_logs(cloud: Deployment, secrets: list[str]) -> None:
    for name in cloud.daemons:
        log = cloud.log_of(name)
        assert log
        assert not [secret for secret in secrets if secret in log], name
        assert not secrets_in(log), name


def test_no_log_has_a_secret_not_even_at_debug(alone: Deployment) -> None:
    alone.start()
    check_logs(alone, speak_of_secrets(alone))


def test_no_log_of_any_daemon_has_a_secret(apart: Deployment) -> None:
    secrets = speak_of_secrets(apart)
    for line in apart.config.read_text().splitlines():
        found = re.search(r"://[^:/]+:([^@]+)@", line)
        secrets += [found[1]] if found else []
    check_logs(apart, secrets)


# --- a database that goes and comes back -------------------------------------------------------


def test_a_database_that_goes_away_is_told_and_found_again(
    apart: Deployment, mariadb: MariaDB
) -> None:
    before = apart.boot("before")
    apart.wait_for([before], "ACTIVE")
    headers = {"X-Auth-Token": apart.token()}
    url = f"{apart.url}/compute/v2.1/servers"
    assert requests.get(url, headers=headers, timeout=30).ok
    mariadb.kill()
    try:
        user = {"name": "away", "password": f"{CANARY}-user", "domain_id": "default"}
        for path, body in (
            ("/identity/v3/users", {"user": user}),
            ("/compute/v2.1/os-keypairs", {"keypair": {"name": CANARY}}),
        ):
            answer = requests.post(apart.url + path, json=body, headers=headers, timeout=60)
            assert answer.status_code in (500, 503), answer.text
            assert answer.headers["Content-Type"] == "application/json"
            assert "mysql" not in answer.text.lower() and CANARY not in answer.text
    finally:
        mariadb.start()

    def answers() -> bool:
        return requests.get(url, headers=headers, timeout=30).ok

    wait_until(answers, seconds=30, what="the API finds the database again")
    after = apart.boot("after")
    apart.wait_for([before, after], "ACTIVE")
    check_logs(apart, [CANARY, headers["X-Auth-Token"]])

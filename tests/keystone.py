"""A real Keystone, from its package, on a port of its own."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.processes import free_port, kill_tree, spawn, wait_until

REPOSITORY = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nova-lite" / "keystone"
REGION = "RegionOne"

CONFIG = """
[DEFAULT]
log_file = {directory}/keystone.log
[database]
connection = sqlite:///{directory}/keystone.sqlite
[fernet_tokens]
key_repository = {directory}/fernet
[credential]
key_repository = {directory}/credential
[cache]
enabled = false
[identity]
password_hash_rounds = 4
"""
#: It reads the command line itself, so the port is taken from there before it is loaded.
SERVE = """
import sys, waitress
port = sys.argv.pop()
from keystone.wsgi.api import application
waitress.serve(application, listen="127.0.0.1:" + port, threads=4)
"""


class RealKeystone:
    """Bootstrapped, with an admin; `call` speaks for him."""

    def __init__(self, home: Path, directory: Path) -> None:
        self.home, self.directory, self.port = home, directory, free_port()
        self.url = f"http://127.0.0.1:{self.port}/v3"
        self.password = secrets.token_urlsafe(12)
        self.process: subprocess.Popen[bytes] | None = None
        self._token = ""
        for name in ("fernet", "credential"):
            (directory / name).mkdir(mode=0o700, parents=True)
        self.config = directory / "keystone.conf"
        self.config.write_text(CONFIG.format(directory=directory))
        self._manage("db_sync")
        us = ("--keystone-user", str(os.getuid()), "--keystone-group", str(os.getgid()))
        self._manage("fernet_setup", *us)
        self._manage("credential_setup", *us)
        self._manage(
            *("bootstrap", "--bootstrap-password", self.password),
            *("--bootstrap-public-url", self.url, "--bootstrap-internal-url", self.url),
            *("--bootstrap-region-id", REGION),
        )

    def _manage(self, *arguments: str) -> None:
        command: list[str | Path] = [
            self.home / "bin" / "keystone-manage",
            "--config-file",
            self.config,
            *arguments,
        ]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        self.process = spawn(
            [self.home / "bin" / "python", "-c", SERVE, str(self.port)],
            log=self.directory / "serve.log",
            environment={"OS_KEYSTONE_CONFIG_FILES": str(self.config)},
        )

        def answers() -> bool:
            with contextlib.suppress(requests.RequestException):
                return requests.get(self.url, timeout=2).ok
            return False

        wait_until(answers, seconds=60, what=f"Keystone answers; see {self.directory}")

    def kill(self) -> None:
        if self.process is not None:
            kill_tree(self.process)
            self.process = None

    # --- asking it --------------------------------------------------------------------------

    def log_in(self, user: str, password: str, project: str) -> str:
        """A token for a project, all of the default domain."""
        domain = {"id": "default"}
        who = {"name": user, "password": password, "domain": domain}
        identity = {"methods": ["password"], "password": {"user": who}}
        return self.log_in_by(identity, {"project": {"name": project, "domain": domain}})

    def log_in_by(self, identity: Any, scope: Any = None) -> str:
        auth = {"identity": identity, **({"scope": scope} if scope else {})}
        answer = requests.post(f"{self.url}/auth/tokens", json={"auth": auth}, timeout=30)
        assert answer.status_code == 201, answer.text
        return answer.headers["X-Subject-Token"]

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        self._token = self._token or self.log_in("admin", self.password, "admin")
        sent = {"X-Auth-Token": self._token, **headers}
        answer = requests.request(method, self.url + path, json=body, headers=sent, timeout=30)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def user(self, name: str, role: str, project: str) -> str:
        """The password of a new user with this role on a project, made if need be."""
        password = secrets.token_urlsafe(12)
        body = {"user": {"name": name, "password": password, "domain_id": "default"}}
        user = self.call("POST", "/users", body)["user"]["id"]
        found = self.call("GET", f"/projects?name={project}")["projects"]
        if not found:
            found = [self.call("POST", "/projects", {"project": {"name": project}})["project"]]
        [wanted] = self.call("GET", f"/roles?name={role}")["roles"]
        self.call("PUT", f"/projects/{found[0]['id']}/users/{user}/roles/{wanted['id']}")
        return password

    def register(self, type: str, url: str) -> None:
        """Put an API into the catalog."""
        service = self.call("POST", "/services", {"service": {"type": type, "name": type}})
        endpoint = {
            "service_id": service["service"]["id"],
            "interface": "public",
            "url": url,
            "region_id": REGION,
        }
        self.call("POST", "/endpoints", {"endpoint": endpoint})


@pytest.fixture(scope="session")
def keystone_home() -> Path:
    """The environment with Keystone in it, kept between runs."""
    subprocess.run([REPOSITORY / "bin" / "build-test-keystone", CACHE], check=True)
    return CACHE


@pytest.fixture
def keystone(keystone_home: Path, tmp_path: Path) -> Iterator[RealKeystone]:
    found = RealKeystone(keystone_home, tmp_path / "keystone")
    found.start()
    yield found
    found.kill()

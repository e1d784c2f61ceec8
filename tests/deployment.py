"""The daemons as an operator runs them: real processes, killed and started at will."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import secrets
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock
from uuid import UUID

import requests
from click.testing import CliRunner

from nova_lite.cmd.manage import command
from nova_lite.db.engine import Database
from nova_lite.testing.audit import leftovers, unfinished
from tests.processes import free_port, kill_tree, spawn, wait_until

BIN = Path(sys.executable).parent
PASSWORD = secrets.token_urlsafe(12)


class Deployment:
    """A state directory, a configuration, and some daemons.

    `workers_options` is written to a configuration of its own for the workers,
    which has no database in it.
    """

    def __init__(
        self,
        directory: Path,
        *,
        database: str,
        transport: str,
        daemons: Mapping[str, str],
        options: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o711)
        self.port, self.metadata_port = free_port(), free_port()
        self.daemons = dict(daemons)  # a name for each -> which program
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        common: dict[str, dict[str, Any]] = {
            "DEFAULT": {
                "state_path": directory,
                "transport_url": transport,
                "host": "node",
                "report_interval": 1,
                "service_down_time": 8,
            },
            "api": {"port": self.port},
            "metadata": {"port": self.metadata_port},
            "identity": {"password_hash_memory_kib": 8, "password_hash_rounds": 1},
            "quota": {"instances": -1, "cores": -1, "ram": -1, "ports": -1},
            "compute": {"driver": "fake"},
            "network": {"driver": "fake"},
        }
        for group, values in (options or {}).items():
            common.setdefault(group, {}).update(values)
        self.worker_config = self._write("worker.conf", common)
        self.config = self._write("nova.conf", {**common, "database": {"connection": database}})
        self.database = Database(database)
        self.manage("bootstrap", typed=PASSWORD)
        self.manage(
            *("flavor", "create", "tiny", "--id", "tiny"),
            *("--ram", "64", "--vcpus", "1", "--disk", "1"),
        )
        blank = directory / "blank.raw"
        blank.write_bytes(bytes(1 << 20))
        self.manage("image", "upload", "blank", "--file", str(blank), "--disk-format", "raw")
        self._token = self._image = ""

    def _write(self, name: str, groups: Mapping[str, Mapping[str, Any]]) -> Path:
        text = "".join(
            f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in values.items())
            for group, values in groups.items()
        )
        file = self.directory / name
        file.write_text(text)
        file.chmod(0o600)
        return file

    def manage(self, *arguments: str, typed: str = "") -> str:
        """Run nova-manage, in this process to save its start, and give what it printed."""
        words = ["--config-file", str(self.config), *arguments]
        result = CliRunner().invoke(command, words, input=typed)
        assert result.exit_code == 0, f"{arguments}: {result.output} {result.exception}"
        return result.output

    # --- processes -----------------------------------------------------------------------

    def start(self, *names: str) -> None:
        for name in names or self.daemons:
            program = self.daemons[name]
            controls = program in ("nova-api", "nova-scheduler", "nova-all")
            command: list[str | Path] = [
                BIN / program,
                "--config-file",
                self.config if controls else self.worker_config,
                *(["--host", name] if program == "nova-scheduler" else []),
            ]
            self.processes[name] = spawn(command, log=self.directory / f"{name}.log")
        if not names:
            self.wait_until_up()

    def wait_until_up(self) -> None:
        def answers() -> bool:
            with contextlib.suppress(requests.RequestException):
                return requests.get(f"{self.url}/identity/v3", timeout=2).ok
            return False

        wait_until(answers, seconds=60, what=f"the API answers; see {self.directory}")
        self._token = ""
        compute = [name for name, program in self.daemons.items() if "compute" in program]
        wanted = max(1, len(compute))
        wait_until(
            lambda: self._up("nova-compute") >= wanted and self._up("nova-network") >= 1,
            seconds=60,
            what=f"the workers are up; see {self.directory}",
        )

    def _up(self, binary: str) -> int:
        services = self.get("/compute/v2.1/os-services")["services"]
        return sum(s["binary"] == binary and s["state"] == "up" for s in services)

    def kill(self, name: str) -> None:
        """SIGKILL, for the process and all its children."""
        kill_tree(self.processes.pop(name))

    def restart(self, name: str) -> None:
        self.kill(name)
        self.start(name)

    def close(self) -> None:
        for name in list(self.processes):
            self.kill(name)
        self.database.close()

    def log_of(self, name: str) -> str:
        return (self.directory / f"{name}.log").read_text()

    # --- clients -----------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What `openrc` would say."""
        return {
            "OS_AUTH_URL": f"{self.url}/identity/v3",
            "OS_USERNAME": "admin",
            "OS_PASSWORD": PASSWORD,
            "OS_PROJECT_NAME": "admin",
            "OS_USER_DOMAIN_NAME": "Default",
            "OS_PROJECT_DOMAIN_NAME": "Default",
            "OS_REGION_NAME": "RegionOne",
            "OS_IDENTITY_API_VERSION": "3",
        }

    def openstack(self, *arguments: str, fails: bool = False) -> str:
        """The real client, within this process to save its long start; what it printed.

        With `fails` it has to, and what it said of that is given.
        """
        output, errors = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, self.environment),
            contextlib.redirect_stdout(output),
            contextlib.redirect_stderr(errors),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")  # its own affair
            from openstackclient import shell

            _forget_clouds()
            level = logging.root.level
            code = shell.main(list(arguments))
            logging.root.setLevel(level)
        assert bool(code) == fails, f"{arguments}: {output.getvalue()}{errors.getvalue()}"
        return errors.getvalue() if fails else output.getvalue()

    def token(self) -> str:
        domain = {"id": "default"}
        body = {
            "auth": {
                "identity": {
                    "methods": ["password"],
                    "password": {"user": {"name": "admin", "domain": domain, "password": PASSWORD}},
                },
                "scope": {"project": {"name": "admin", "domain": domain}},
            }
        }
        answer = requests.post(f"{self.url}/identity/v3/auth/tokens", json=body, timeout=30)
        assert answer.status_code == 201, answer.text
        return answer.headers["X-Subject-Token"]

    def call(self, method: str, path: str, body: Any = None, version: str = "2.37") -> Any:
        """A request that is repeated while the API is away, as clients do."""
        for attempt in range(200):
            try:
                self._token = self._token or self.token()
                answer = requests.request(
                    method,
                    self.url + path,
                    json=body,
                    headers={
                        "X-Auth-Token": self._token,
                        "X-OpenStack-Nova-API-Version": version,
                    },
                    timeout=30,
                )
                break
            except requests.RequestException:
                assert attempt < 199, f"{method} {path}: the API stays away"
                time.sleep(0.1)
        assert answer.status_code < 400 or answer.status_code == 404, answer.text
        return answer.json() if answer.content and answer.status_code != 404 else None

    def get(self, path: str, **how: Any) -> Any:
        return self.call("GET", path, **how)

    def post(self, path: str, body: Any, **how: Any) -> Any:
        return self.call("POST", path, body, **how)

    def image(self) -> str:
        """The id of the image that is there from the start."""
        if not self._image:
            self._image = self.get("/image/v2/images?name=blank")["images"][0]["id"]
        return self._image

    # --- servers -------------------------------------------------------------------------------

    def boot(self, name: str, networks: Sequence[str] | str = "none", **more: Any) -> str:
        """POST /servers; the id of what was promised."""
        wanted = networks if isinstance(networks, str) else [{"uuid": id} for id in networks]
        server = {
            "name": name,
            "imageRef": more.pop("image", None) or self.image(),
            "flavorRef": more.pop("flavor", "tiny"),
            "networks": wanted,
            **more,
        }
        return str(self.post("/compute/v2.1/servers", {"server": server})["server"]["id"])

    def server(self, id: str) -> Any:
        found = self.get(f"/compute/v2.1/servers/{id}")
        return found and found["server"]

    def wait_for(self, ids: Sequence[str], *states: str, seconds: float = 120) -> None:
        """Until each is in one of these states ("DELETED": gone)."""

        def arrived() -> bool:
            return all(self._status(id) in states for id in ids)

        try:
            wait_until(arrived, seconds=seconds, what=f"{ids} are {states}")
        except TimeoutError as late:
            servers = [self.server(id) for id in ids]
            actions = [self.get(f"/compute/v2.1/servers/{id}/os-instance-actions") for id in ids]
            raise TimeoutError(f"{late}: {servers} {actions}") from None

    def _status(self, id: str) -> str:
        server = self.server(id)
        return str(server["status"]) if server else "DELETED"

    # --- what an operator would look at ----------------------------------------------------------

    def fake_guests(self) -> list[tuple[str, str]]:
        """(host, guest) of every fake machine."""
        return [
            (file.parent.parent.name, file.stem)
            for file in self.directory.glob("fake/*/guests/*.json")
        ]

    def leftovers(self) -> list[str]:
        """Claims, addresses, guests and counters that no living server accounts for."""
        guests = [(host, UUID(guest)) for host, guest in self.fake_guests()]
        with self.database.read() as session:
            return [*leftovers(session, guests), *unfinished(session)]

    def wait_until_clean(self, seconds: float = 60) -> None:
        wait_until(lambda: not self.leftovers(), seconds=seconds, what=f"clean: {self.leftovers()}")


def separate(*, compute: int = 1) -> dict[str, str]:
    """The daemons of deployments (b) and (c)."""
    assert compute == 1, "several hosts are played by one worker: [compute] fake_hosts"
    return {
        "network": "nova-network",
        "scheduler-1": "nova-scheduler",
        "scheduler-2": "nova-scheduler",
        "compute": "nova-compute",
        "api": "nova-api",
    }


ALL_IN_ONE = {"all": "nova-all"}
Deploy = Callable[..., Deployment]


def secrets_in(text: str) -> list[str]:
    """Whatever in a log looks like it should not be there."""
    return re.findall(r"(?:gAAAA[\w-]{20,}|signature=\w+|:[^:@/\s]+@127)", text) + (
        [PASSWORD] if PASSWORD in text else []
    )


def _forget_clouds() -> None:
    """The client keeps its connections for as long as its process lives: to another cloud."""
    from osc_lib import clientmanager

    for known in vars(clientmanager.ClientManager).values():
        if isinstance(known, clientmanager.ClientCache):
            known._handle = None

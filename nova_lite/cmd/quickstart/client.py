"""A client of our own API that knows just enough to furnish a cloud."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import requests

from nova_lite.cmd.quickstart.texts import Login

TIMEOUT = 60  # seconds


class Refused(Exception):
    """What was asked for, and what the API said to it."""


class Client:
    def __init__(self, login: Login) -> None:
        self._login = login
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy leads to this host
        self._session.headers["X-Auth-Token"] = self._token()

    def get(self, path: str) -> Any:
        return self._ask("GET", path)

    def post(self, path: str, body: Any) -> Any:
        return self._ask("POST", path, json=body)

    def delete(self, path: str) -> None:
        self._ask("DELETE", path)

    def upload(self, path: str, file: Path) -> None:
        with file.open("rb") as content:
            headers = {"Content-Type": "application/octet-stream"}
            self._ask("PUT", path, data=content, headers=headers)

    def _token(self) -> str:
        login, domain = self._login, {"name": "Default"}
        user = {"name": login.user, "domain": domain, "password": login.password}
        response = self._send(
            "POST",
            "/identity/v3/auth/tokens",
            json={
                "auth": {
                    "identity": {"methods": ["password"], "password": {"user": user}},
                    "scope": {"project": {"name": login.project, "domain": domain}},
                }
            },
        )
        return response.headers["X-Subject-Token"]

    def _ask(self, method: str, path: str, **how: Any) -> Any:
        response = self._send(method, path, **how)
        return response.json() if response.content else None

    def _send(self, method: str, path: str, **how: Any) -> requests.Response:
        url = f"{self._login.url}{path}"
        try:
            response = self._session.request(method, url, timeout=TIMEOUT, **how)
        except requests.RequestException as error:
            raise Refused(f"{method} {path}: {error}") from error
        if not response.ok:
            raise Refused(f"{method} {path}: {response.status_code} {response.text[:500]}")
        return response

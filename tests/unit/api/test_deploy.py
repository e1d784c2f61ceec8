"""Which API a request goes to."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import pytest
import webob

from nova_lite.api import deploy
from nova_lite.api.declare import Environ, StartResponse
from nova_lite.api.policy import Policy
from nova_lite.services import Services


def factory(_global: Any, **local: str) -> Any:
    """A paste application that tells where it is and what it was given."""

    def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        request = webob.Request(environ)
        keys = ("services", "policy", "public_endpoint")
        given = {key: str(environ[f"nova_lite.{key}"]) for key in keys}
        body = {"name": local["name"], "at": request.script_name, "rest": request.path_info}
        response = webob.Response(json_body={**body, **given})
        return response(environ, start_response)

    return application


INI = f"""
[composite:main]
paste.composite_factory = nova_lite.api.deploy:by_prefix
/image = image
/image/deep = deep
/compute = compute
[app:image]
paste.app_factory = {__name__}:factory
name = image
[app:deep]
paste.app_factory = {__name__}:factory
name = deep
[app:compute]
paste.app_factory = {__name__}:factory
name = compute
"""


class Marked(Policy):
    def __str__(self) -> str:
        return "the policy"


@pytest.fixture
def get(tmp_path: Path) -> Any:
    (tmp_path / "api-paste.ini").write_text(INI)
    application = deploy.load(
        tmp_path / "api-paste.ini", cast(Services, "the services"), Marked(), "http://out"
    )

    def get(path: str) -> webob.Response:
        return webob.Request.blank(path).get_response(application)

    return get


@pytest.mark.parametrize(
    ("path", "name", "at", "rest"),
    [
        ("/image", "image", "/image", ""),
        ("/image/", "image", "/image", "/"),
        ("/image/v2", "image", "/image", "/v2"),
        ("/image/deep/v2", "deep", "/image/deep", "/v2"),
        ("/image/deeper", "image", "/image", "/deeper"),
        ("/compute/v2.1/x", "compute", "/compute", "/v2.1/x"),
    ],
)
def test_the_longest_prefix_of_whole_words_decides(
    get: Any, path: str, name: str, at: str, rest: str
) -> None:
    assert get(path).json == {
        "name": name,
        "at": at,
        "rest": rest,
        "services": "the services",
        "policy": "the policy",
        "public_endpoint": "http://out",
    }


@pytest.mark.parametrize("path", ["/images", "/x", "/imag", "//image", "/%ff", "/a%0d%0ab"])
def test_where_nothing_is_says_so_in_json(get: Any, path: str) -> None:
    response = get(path)
    assert (response.status_int, response.content_type) == (404, "application/json")
    assert response.json == {"error": {"code": 404, "message": "The resource could not be found."}}


def test_the_root_tells_of_all_apis(get: Any) -> None:
    for path in ("", "/"):
        response = get(path)
        assert response.status_int == 300
        assert response.json["apis"]["compute"] == "http://localhost/compute/"
        assert set(response.json["apis"]) == {"compute", "image", "image/deep"}

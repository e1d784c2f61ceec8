"""Importing images: staged, from the web, from each other, and copied between stores."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID, uuid4

import pytest

from nova_lite.db.models import ImageStatus, ImageTask
from nova_lite.domain.errors import NotFound
from nova_lite.images.files import FileStore, Part
from nova_lite.images.web import WebRules
from nova_lite.services.image.imports import ImageImports
from tests.functional.image_site import ADMIN, ALICE, BOB, ImageSite


class Server(BaseHTTPRequestHandler):
    content: ClassVar[bytes] = b"from the web"

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/image" else 404)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *arguments: Any) -> None:
        """Not into the output of the tests."""


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def site(tmp_path: Path, web: str) -> Iterator[ImageSite]:
    port = int(web.rpartition(":")[2])
    rules = WebRules(ports=[port], networks=[ip_network("127.0.0.0/8")])
    site = ImageSite(tmp_path, web=rules)
    yield site
    site.database.close()


def staged(site: ImageSite, content: bytes = b"data", **attributes: Any) -> str:
    id = site.create(**attributes)
    site.call("PUT", f"/v2/images/{id}/stage", data=content, status=204)
    return id


def ask(site: ImageSite, id: str, name: str, status: int = 202, **more: Any) -> Any:
    body = {"method": {"name": name, **more.pop("method", {})}, **more}
    return site.call("POST", f"/v2/images/{id}/import", body, status=status)


def show(site: ImageSite, id: str) -> Any:
    return site.json("GET", f"/v2/images/{id}")


def task(site: ImageSite, id: str) -> Any:
    """The latest task of an image."""
    return site.json("GET", f"/v2/images/{id}/tasks")["tasks"][-1]


def work(site: ImageSite) -> None:
    site.services.image_imports.run_all()


def test_what_can_be_done_is_told(site: ImageSite) -> None:
    methods = ["glance-direct", "web-download", "glance-download", "copy-image"]
    assert site.json("GET", "/v2/info/import")["import-methods"]["value"] == methods
    stores = [{"id": "file", "default": "true"}, {"id": "reserve"}]
    assert site.json("GET", "/v2/info/stores") == {"stores": stores}
    site.call("GET", "/v2/info/stores/detail", status=403)
    detail = site.json("GET", "/v2/info/stores/detail", by=ADMIN)["stores"]
    assert detail[1]["type"] == "file"
    assert detail[1]["properties"]["data_dir"].endswith("/reserve")
    made = site.call("POST", "/v2/images", {}, status=201)
    assert made.headers["OpenStack-image-import-methods"] == ",".join(methods)
    assert made.headers["OpenStack-image-store-ids"] == "file,reserve"


def test_what_was_staged_is_imported(site: ImageSite) -> None:
    id = staged(site)
    image = show(site, id)
    assert (image["status"], image["size"]) == ("uploading", 4)
    site.call("GET", f"/v2/images/{id}/file", status=204)
    ask(site, id, "glance-direct")
    image = show(site, id)
    assert (image["status"], image["os_glance_importing_to_stores"]) == ("importing", "file")
    assert task(site, id)["status"] == "pending"
    work(site)
    image = show(site, id)
    assert (image["status"], image["stores"]) == ("active", "file")
    assert image["os_hash_value"] == hashlib.sha512(b"data").hexdigest()
    assert (image["os_glance_importing_to_stores"], image["os_glance_failed_import"]) == ("", "")
    done = task(site, id)
    assert (done["status"], done["type"], done["image_id"]) == ("success", "api_image_import", id)
    assert done["input"]["import_req"]["method"]["name"] == "glance-direct"
    assert done["request_id"] == "req-a"
    assert site.call("GET", f"/v2/images/{id}/file", status=200).body == b"data"
    assert list(site.stores.staging.ids()) == []


def test_an_image_in_several_stores(site: ImageSite) -> None:
    id = staged(site)
    ask(site, id, "glance-direct", all_stores=True)
    work(site)
    assert show(site, id)["stores"] == "file,reserve"
    for store in site.stores.named.values():
        assert UUID(id) in store.ids()
    path = f"/v2/stores/{{}}/{id}"
    site.call("DELETE", path.format("attic"), status=404)
    site.call("DELETE", path.format("file"), by=BOB, status=404)
    site.call("DELETE", path.format("file"), status=204)
    assert show(site, id)["stores"] == "reserve"
    assert site.files() == []
    assert site.call("GET", f"/v2/images/{id}/file", status=200).body == b"data"
    site.call("DELETE", path.format("file"), status=404)
    refused = site.call("DELETE", path.format("reserve"), status=403)
    assert "only store" in refused.json["message"]
    site.call("DELETE", f"/v2/stores/file/{site.create()}", status=409)


def test_a_copy_that_was_lost_is_made_up_for_by_another(site: ImageSite) -> None:
    id = staged(site)
    ask(site, id, "glance-direct", all_stores=True)
    work(site)
    site.stores["file"].remove(UUID(id))
    assert site.call("GET", f"/v2/images/{id}/file", status=200).body == b"data"
    site.stores["reserve"].remove(UUID(id))
    site.call("GET", f"/v2/images/{id}/file", status=404)


def test_a_copy_is_the_same_or_none(site: ImageSite) -> None:
    id = site.active()
    (site.directory / id).write_bytes(b"rotten")
    body = {"method": {"name": "copy-image"}, "stores": ["reserve"]}
    site.call("POST", f"/v2/images/{id}/import", body, by=ADMIN, status=202)
    work(site)
    image = show(site, id)
    assert (image["status"], image["stores"]) == ("active", "file")
    assert image["os_glance_failed_import"] == "reserve"
    assert "not the same" in task(site, id)["message"]
    assert site.stores["reserve"].ids() == set()


def test_an_upload_goes_where_it_is_told(site: ImageSite) -> None:
    id = site.create()
    path, environ = f"/v2/images/{id}/file", {"HTTP_X_IMAGE_META_STORE": "attic"}
    site.call("PUT", path, data=b"data", environ=environ, status=400)
    assert show(site, id)["status"] == "queued"
    environ = {"HTTP_X_IMAGE_META_STORE": "reserve"}
    site.call("PUT", path, data=b"data", environ=environ, status=204)
    assert (show(site, id)["stores"], site.files()) == ("reserve", [])
    other = staged(site)
    body = {"method": {"name": "glance-direct"}}
    site.call(
        "POST", f"/v2/images/{other}/import", {**body, "stores": ["file"]}, environ=environ,
        status=400,
    )  # fmt: skip
    site.call("POST", f"/v2/images/{other}/import", body, environ=environ, status=202)
    work(site)
    assert show(site, other)["stores"] == "reserve"


def test_an_image_is_copied_to_the_other_stores_by_the_administrator(site: ImageSite) -> None:
    id = site.active()
    ask(site, id, "copy-image", status=403, all_stores=True)
    path, body = f"/v2/images/{id}/import", {"method": {"name": "copy-image"}, "all_stores": True}
    site.call("POST", path, {**body, "stores": ["file"]}, by=ADMIN, status=400)
    site.call("POST", path, {**body, "all_stores": False, "stores": ["file"]}, by=ADMIN, status=409)
    site.call("POST", path, body, by=ADMIN, status=202)
    site.call("POST", path, body, by=ADMIN, status=409)
    image = show(site, id)
    assert (image["status"], image["os_glance_importing_to_stores"]) == ("active", "reserve")
    work(site)
    image = show(site, id)
    assert (image["stores"], image["os_glance_importing_to_stores"]) == ("file,reserve", "")
    site.call("POST", path, body, by=ADMIN, status=409)
    queued = site.create()
    site.call("POST", f"/v2/images/{queued}/import", body, by=ADMIN, status=409)


def test_an_image_from_the_web(site: ImageSite, web: str) -> None:
    id = site.create()
    ask(site, id, "web-download", method={"uri": f"{web}/image"}, stores=["file", "reserve"])
    work(site)
    image = show(site, id)
    assert (image["status"], image["size"]) == ("active", len(Server.content))
    assert image["stores"] == "file,reserve"


def test_an_image_that_is_not_on_the_web(site: ImageSite, web: str) -> None:
    id = site.create()
    ask(site, id, "web-download", method={"uri": f"{web}/nothing"})
    work(site)
    image = show(site, id)
    assert (image["status"], image["os_glance_failed_import"]) == ("queued", "file")
    assert "answered 404" in task(site, id)["message"]
    ask(site, id, "web-download", method={"uri": f"{web}/image"})
    work(site)
    image = show(site, id)
    assert (image["status"], image["os_glance_failed_import"]) == ("active", "")


@pytest.mark.parametrize(
    "uri", ["http://10.0.0.1/", "file:///etc/passwd", "http://example.com:22/", "nonsense"]
)
def test_places_that_strangers_may_not_reach_are_refused_at_once(site: ImageSite, uri: str) -> None:
    id = site.create()
    refused = ask(site, id, "web-download", status=400, method={"uri": uri})
    assert "does not pass filtering" in refused.json["message"]
    assert show(site, id)["status"] == "queued"


def test_bytes_that_are_not_what_they_claim_are_refused(site: ImageSite) -> None:
    id = staged(site, b"no qcow2 at all" * 100, disk_format="qcow2")
    ask(site, id, "glance-direct")
    work(site)
    image = show(site, id)
    assert (image["status"], image["size"]) == ("queued", None)
    assert task(site, id)["status"] == "failure"
    assert site.files() == [] and site.stores.staging.ids() == set()


@pytest.mark.parametrize(
    ("name", "more", "status"),
    [
        ("glance-direct", {}, 409),
        ("copy-image", {}, 403),
        ("carrier-pigeon", {}, 400),
        ("web-download", {}, 400),
        ("glance-download", {"method": {"glance_region": "here"}}, 400),
        ("glance-download", {"method": {"glance_region": "r", "glance_image_id": "foo"}}, 400),
        ("web-download", {"method": {"uri": "http://127.0.0.1/"}}, 400),
        ("glance-direct", {"stores": ["attic"]}, 400),
        ("glance-direct", {"stores": "file"}, 400),
    ],
)
def test_an_import_that_cannot_be(
    site: ImageSite, name: str, more: dict[str, Any], status: int
) -> None:
    id = site.create()
    ask(site, id, name, status, **more)
    image = show(site, id)
    assert image["status"] == "queued"
    assert "os_glance_importing_to_stores" not in image


def test_each_method_has_its_time(site: ImageSite, web: str) -> None:
    queued = site.json("POST", "/v2/images", {})["id"]
    uri = {"uri": f"{web}/image"}
    assert "disk_format" in ask(site, queued, "web-download", 400, method=uri).text
    site.call("PUT", f"/v2/images/{queued}/stage", data=b"x", status=400)
    waiting = staged(site)
    ask(site, waiting, "web-download", 409, method=uri)
    site.call("PUT", f"/v2/images/{waiting}/stage", data=b"x", status=409)
    site.call("PUT", f"/v2/images/{waiting}/file", data=b"x", status=409)
    ask(site, waiting, "glance-direct")
    ask(site, waiting, "glance-direct", 409)
    site.call("PUT", f"/v2/images/{waiting}/stage", data=b"x", by=BOB, status=404)


def test_an_image_is_imported_from_another(site: ImageSite) -> None:
    source = site.active(hw_cores="5", os_distro="rhel", speed="88mph")
    id = site.json("POST", "/v2/images", {"disk_format": "iso", "hw_cores": "1", "own": "x"})["id"]
    named = {"glance_region": "here", "glance_image_id": source}
    ask(site, id, "glance-download", method=named)
    work(site)
    image = show(site, id)
    assert (image["status"], image["disk_format"]) == ("active", "raw")
    assert (image["container_format"], image["own"]) == ("bare", "x")
    assert (image["hw_cores"], image["os_distro"], "speed" in image) == ("5", "rhel", False)
    for wrong in (
        {"glance_region": "elsewhere"},
        {"glance_image_id": str(uuid4())},
        {"glance_image_id": site.active(by=BOB)},
        {"glance_image_id": site.create()},
    ):
        id = site.create(hw_cores="1")
        ask(site, id, "glance-download", method={**named, **wrong})
        work(site)
        image = show(site, id)
        assert (image["status"], image["hw_cores"]) == ("queued", "1")
        assert task(site, id)["status"] == "failure"


# --- stores that fail -------------------------------------------------------------------------


@pytest.fixture
def broken(site: ImageSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first store takes nothing."""
    fill = Part.fill

    def no_disk(part: Part, *arguments: Any) -> Any:
        if part._file.parent == site.directory:
            raise OSError("Input/output error")
        return fill(part, *arguments)

    monkeypatch.setattr(Part, "fill", no_disk)


@pytest.mark.usefixtures("broken")
def test_all_stores_or_none(site: ImageSite) -> None:
    id = staged(site)
    ask(site, id, "glance-direct", all_stores=True)
    work(site)
    image = show(site, id)
    assert (image["status"], image["os_glance_failed_import"]) == ("queued", "file")
    assert "Input/output error" in task(site, id)["message"]
    assert site.stores["reserve"].ids() == set()


@pytest.mark.usefixtures("broken")
def test_as_many_stores_as_can_be(site: ImageSite) -> None:
    id = staged(site)
    ask(site, id, "glance-direct", all_stores=True, all_stores_must_succeed=False)
    work(site)
    image = show(site, id)
    assert (image["status"], image["stores"]) == ("active", "reserve")
    assert image["os_glance_failed_import"] == "file"


# --- processes that die -----------------------------------------------------------------------


class Died(BaseException):
    """As if the process had been killed here: nothing is undone."""


def test_an_import_whose_process_died_is_finished_by_another(
    site: ImageSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = staged(site)
    ask(site, id, "glance-direct")
    keep = Part.keep

    def keep_and_die(part: Part) -> None:
        keep(part)
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(Part, "keep", keep_and_die)
        with pytest.raises(Died):
            work(site)
    assert (show(site, id)["status"], task(site, id)["status"]) == ("importing", "processing")
    site.data.clean()
    assert show(site, id)["status"] == "importing"
    work(site)
    assert (show(site, id)["status"], task(site, id)["status"]) == ("active", "success")
    assert site.files() == [id]


def test_an_import_that_kills_whoever_does_it_is_given_up(
    site: ImageSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = staged(site)
    ask(site, id, "glance-direct")
    monkeypatch.setattr(ImageImports, "_bring", lambda *arguments: 1 / 0)
    work(site)
    assert (show(site, id)["status"], task(site, id)["status"]) == ("queued", "failure")
    assert "too often" in task(site, id)["message"]


def test_an_import_is_done_by_one(site: ImageSite) -> None:
    id = staged(site)
    ask(site, id, "glance-direct")
    with site.stores.locks.hold(UUID(id)):
        assert not site.services.image_imports.run_one()
    assert site.services.image_imports.run_one()
    assert not site.services.image_imports.run_one()


def test_an_image_deleted_while_it_is_imported(
    site: ImageSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting, begun, late = staged(site), staged(site), staged(site)
    ask(site, waiting, "glance-direct")
    site.call("DELETE", f"/v2/images/{waiting}", status=204)
    work(site)
    for id, kind, name in ((begun, FileStore, "open"), (late, Part, "fill")):
        ask(site, id, "glance-direct")
        really = getattr(kind, name)

        def and_delete(*arguments: Any, id: str = id, really: Any = really) -> Any:
            found = really(*arguments)
            site.images.delete(ALICE, UUID(id))
            return found

        with monkeypatch.context() as patch:
            patch.setattr(kind, name, and_delete)
            work(site)
    assert site.files() == [] and site.stores.staging.ids() == set()
    site.call("GET", f"/v2/images/{late}/tasks", status=404)
    tasks = site.json("GET", "/v2/tasks?status=failure", by=ADMIN)["tasks"]
    assert len(tasks) == 3


def test_staging_that_lost_its_process_is_forgotten(site: ImageSite) -> None:
    id = UUID(site.create())
    site.data._begin(id, ImageStatus.UPLOADING)
    with site.stores.locks.hold(id):
        site.data.repair()
    assert show(site, str(id))["status"] == "uploading"
    ask(site, str(id), "glance-direct", 409)
    site.data.repair()
    assert show(site, str(id))["status"] == "queued"
    kept = staged(site)
    site.data.clean()
    assert show(site, kept)["status"] == "uploading"


def test_copies_that_nobody_knows_of_go(site: ImageSite) -> None:
    id = UUID(site.active())
    for name in ("reserve",):
        with site.stores[name].incoming(id) as part:
            part.fill([b"data"], None)
            part.keep()
    with site.stores.staging.incoming(id) as part:
        part.fill([b"data"], None)
        part.keep()
    with site.stores.locks.hold(id):
        site.data.clean()
    assert site.stores["reserve"].ids() == {id}
    site.data.clean()
    assert site.stores["reserve"].ids() == site.stores.staging.ids() == set()
    assert site.files() == [str(id)]


# --- tasks ----------------------------------------------------------------------------------


def new_task(uri: str, **properties: Any) -> dict[str, Any]:
    known = {"disk_format": "raw", "container_format": "bare", "visibility": "public"}
    words = {"import_from": uri, "import_from_format": "raw"}
    return {"type": "import", "input": {**words, "image_properties": {**known, **properties}}}


def test_a_task_makes_an_image(site: ImageSite, web: str) -> None:
    body = new_task(f"{web}/image", name="made", os_distro="debian")
    site.call("POST", "/v2/tasks", body, status=403)
    made = site.call("POST", "/v2/tasks", body, by=ADMIN, status=201)
    path = f"/v2/tasks/{made.json['id']}"
    assert made.headers["Location"] == f"http://localhost/image{path}"
    assert (made.json["status"], made.json["self"]) == ("pending", path)
    work(site)
    done = site.json("GET", path, by=ADMIN)
    assert (done["status"], done["input"]) == ("success", body["input"])
    image = show(site, done["result"]["image_id"])
    assert (image["name"], image["os_distro"], image["status"]) == ("made", "debian", "active")
    listed = site.json("GET", "/v2/tasks", by=ADMIN)
    assert [one["id"] for one in listed["tasks"]] == [done["id"]]
    assert not {"input", "result", "message"} & listed["tasks"][0].keys()


def test_a_task_that_fails_leaves_no_image(site: ImageSite, web: str) -> None:
    made = site.json("POST", "/v2/tasks", new_task(f"{web}/nothing", name="x"), by=ADMIN)
    work(site)
    failed = site.json("GET", f"/v2/tasks/{made['id']}", by=ADMIN)
    assert (failed["status"], failed["result"]) == ("failure", None)
    assert site.names(by=ADMIN) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "export"}, {"type": "import"}, {"type": "import", "input": {}}, [],
        new_task("http://example.com/"),
        new_task("file:///etc/passwd"), new_task("http://127.0.0.1:22/"),
        new_task("http://x/", disk_format="floppy"), new_task("http://x/", min_ram="x"),
    ],
)  # fmt: skip
def test_a_task_that_cannot_be(site: ImageSite, wrong: Any) -> None:
    site.call("POST", "/v2/tasks", wrong, by=ADMIN, status=400)


def test_tasks_are_listed_page_by_page(site: ImageSite, web: str) -> None:
    for _ in range(3):
        site.json("POST", "/v2/tasks", new_task(f"{web}/image"), by=ADMIN)
    path, found = "/v2/tasks?limit=2&sort_key=created_at&sort_dir=asc&type=import", []
    while path:
        page = site.json("GET", path, by=ADMIN)
        found += [one["created_at"] for one in page["tasks"]]
        path = page.get("next", "")
    assert len(found) == 3
    for query in ("status=x", "sort_key=x", "sort_dir=x", f"marker={uuid4()}", "limit=x"):
        site.call("GET", f"/v2/tasks?{query}", by=ADMIN, status=400)
    for id in (uuid4(), "x"):
        site.call("GET", f"/v2/tasks/{id}", by=ADMIN, status=404)


def test_tasks_are_their_projects(site: ImageSite) -> None:
    id = staged(site)
    ask(site, id, "glance-direct")
    tasks, of_alice = site.services.image_tasks, UUID(task(site, id)["id"])
    assert [one.id for one in tasks.list(ALICE, {}, limit=10)[0]] == [of_alice]
    assert tasks.list(BOB, {}, limit=10) == ([], False)
    with pytest.raises(NotFound):
        tasks.get(BOB, of_alice)


def test_tasks_are_forgotten_in_the_end(site: ImageSite) -> None:
    id = staged(site)
    ask(site, id, "glance-direct")
    work(site)
    site.services.image_imports.forget_old()
    assert task(site, id)["expires_at"] == "2030-01-03T00:00:00Z"
    site.time = site.time.replace(day=4)
    site.services.image_imports.forget_old()
    with site.database.read() as session:
        assert session.query(ImageTask).count() == 0

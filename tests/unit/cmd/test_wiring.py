"""From a configuration to a process."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest
import webob
from cryptography.fernet import Fernet, MultiFernet
from oslo_config import cfg

from nova_lite import config as options
from nova_lite.api import FACADES
from nova_lite.bus.messages import Json
from nova_lite.cmd import wiring
from nova_lite.cmd.image_services import image_services, image_stores
from nova_lite.cmd.keys import Keys
from nova_lite.db.base import Base
from nova_lite.db.engine import Database
from nova_lite.domain.errors import NotFound
from nova_lite.domain.specs import Role
from nova_lite.services import Services
from nova_lite.services.identity.identity import admin_context
from nova_lite.services.identity.unified_limits import UnifiedLimits
from nova_lite.services.image.images import NewImage
from nova_lite.testing.bus import PatientBus

KEYS = Keys(MultiFernet([Fernet(Fernet.generate_key())]), b"signing")


def configured(directory: Path, text: str = "") -> cfg.ConfigOpts:
    file = directory / "nova.conf"
    file.write_text(f"[DEFAULT]\nstate_path = {directory}\n{text}")
    return options.load(["--config-file", str(file)])


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = wiring.database(configured(tmp_path))
    Base.metadata.create_all(database.engine)
    yield database
    database.close()


class Bus(PatientBus):
    """Remembers what it was asked."""

    def call(self, role: Role, host: str, question: str, args: Json, timeout: float) -> Json:
        return {"role": role, "host": host, "question": question, **args, "timeout": timeout}


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("", "http://127.0.0.1:8774"),
        ("my_ip = 10.0.0.5\n[api]\nlisten = 0.0.0.0\nport = 80\n", "http://10.0.0.5:80"),
        ("my_ip = 10.0.0.5\n[api]\nlisten = 10.0.0.6\n", "http://10.0.0.6:8774"),
        ("[api]\npublic_endpoint = https://cloud/api/\n", "https://cloud/api"),
        ("[api]\nlisten = ::1\n", "http://[::1]:8774"),
        ("my_ip = fd00::1\n[api]\nlisten = ::\n", "http://[fd00::1]:8774"),
    ],
)
def test_workers_find_the_api_where_it_listens(tmp_path: Path, text: str, url: str) -> None:
    assert wiring.api_url(configured(tmp_path, text)) == url


@pytest.mark.parametrize(
    "url",
    ["hunter2", "oracle://u:hunter2@h/d", "mysql://u:hunter2@h/d", "mssql://u:hunter2@h", "://"],
)
def test_a_database_that_cannot_be_is_told_without_its_password(tmp_path: Path, url: str) -> None:
    with pytest.raises(ValueError, match=r"\[database\] connection is not a URL of sqlite") as said:
        wiring.database(configured(tmp_path, f"[database]\nconnection = {url}\n"))
    assert "hunter2" not in str(said.value)


def test_what_operations_decide_with_is_what_the_options_say(tmp_path: Path) -> None:
    text = """service_down_time = 7
[scheduler]
driver = least_load
max_attempts = 5
ram_allocation_ratio = 1.5
cpu_allocation_ratio = 2
disk_allocation_ratio = 3
[compute]
shutdown_timeout = 9
[network]
dhcp_domain = example
dhcp_lease_time = 600
dns_servers = 9.9.9.9,1.1.1.1
"""
    world = wiring.world(configured(tmp_path, text), KEYS)
    settings = world.settings
    assert type(world.scheduler).__name__ == "LeastLoadScheduler"
    assert (settings.max_attempts, settings.shutdown_timeout) == (5, 9)
    assert settings.service_down_time == dt.timedelta(seconds=7)
    ratios = settings.ratios
    assert (ratios.memory, ratios.vcpus, ratios.disk) == (1.5, 2, 3)
    network = settings.network
    assert (network.domain, network.lease_seconds) == ("example", 600)
    assert network.dns_servers == ("9.9.9.9", "1.1.1.1")
    assert network.metadata == "127.0.0.1:8775"
    assert world.now().tzinfo is dt.UTC
    elsewhere = configured(tmp_path, "[network]\nmetadata_host = 10.0.0.1:80\n")
    assert wiring.world(elsewhere, KEYS).settings.network.metadata == "10.0.0.1:80"


def test_a_scheduler_nobody_knows_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nonsense"):
        wiring.world(configured(tmp_path, "[scheduler]\ndriver = nonsense\n"), KEYS)


def test_an_image_has_a_link_once_its_bytes_are_there(tmp_path: Path, database: Database) -> None:
    config = configured(tmp_path)
    services = wiring.services(config, database, KEYS, Bus())
    context = admin_context(str(uuid4()))
    image = services.images.create(context, NewImage(disk_format="raw", container_format="bare"))
    links = wiring.ImageLinks("http://api", b"signing", wiring.now)
    for id in (image.id, uuid4()):
        with database.read() as session, pytest.raises(NotFound):
            links(id, session)
    services.image_data.upload(context, image.id, io.BytesIO(bytes(512)), 512)
    with database.read() as session:
        source = links(image.id, session)
    assert (source.id, source.disk_format, source.size) == (image.id, "raw", 512)
    assert source.url.startswith(f"http://api/image/v2/images/{image.id}/file?")
    assert len(source.sha512) == 128
    assert list((tmp_path / "images").glob(f"*{image.id}*"))


def test_images_are_kept_where_the_options_say(tmp_path: Path) -> None:
    def places(text: str = "") -> dict[str, str]:
        stores = image_stores(configured(tmp_path, f"[image]\n{text}\n"))
        assert stores.default == next(iter(stores.named))
        return {name: store.properties["data_dir"] for name, store in stores.named.items()}

    assert places() == {"file": f"{tmp_path}/images"}
    assert places("filesystem_store_datadir = /elsewhere") == {"file": "/elsewhere"}
    assert places("stores = fast:/ssd, slow:hdd") == {"fast": "/ssd", "slow": f"{tmp_path}/hdd"}


def test_an_import_method_that_there_is_not_is_named(tmp_path: Path) -> None:
    config = configured(tmp_path, "[image]\nenabled_import_methods = web-download, pigeon\n")
    with pytest.raises(ValueError, match="there is no pigeon"):
        image_services(config, wiring.database(config), b"", UnifiedLimits("here"), wiring.now)


def test_services_speak_over_the_bus(tmp_path: Path, database: Database) -> None:
    bus = Bus()
    services: Any = wiring.services(configured(tmp_path), database, KEYS, bus)
    id = uuid4()
    services.instances.wake([id])
    assert bus.sent == [(id,)]
    answer = services.instances.ask("host", "console", {"id": "x"}, 3.0)
    assert answer == {
        "role": Role.COMPUTE,
        "host": "host",
        "question": "console",
        "id": "x",
        "timeout": 3.0,
    }


NOTHING = cast(Services, SimpleNamespace())


def test_the_api_is_wired_as_the_file_beside_the_configuration_says(tmp_path: Path) -> None:
    config = configured(tmp_path)
    every = webob.Request.blank("/").get_response(wiring.application(config, NOTHING))
    assert set(every.json["apis"]) == set(FACADES)
    (tmp_path / "api-paste.ini").write_text(
        "[composite:main]\npaste.composite_factory = nova_lite.api.deploy:by_prefix\n"
        "/network = network\n[pipeline:network]\npipeline = request_id network_app\n"
        "[filter:request_id]\n"
        "paste.filter_factory = nova_lite.api.middleware:request_id_filter\n"
        "[app:network_app]\npaste.app_factory = nova_lite.api.network.app:factory\n"
    )
    less = wiring.application(configured(tmp_path), NOTHING)
    assert set(webob.Request.blank("/").get_response(less).json["apis"]) == {"network"}
    assert webob.Request.blank("/network/v2.0").get_response(less).status_int == 200


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("[api]\npaste_config = missing.ini\n", r"\[api\] paste_config: there is no missing.ini"),
        ("[api]\npolicy_file = missing.yaml\n", r"\[api\] policy_file: there is no missing.yaml"),
    ],
)
def test_a_file_that_was_asked_for_must_be_there(tmp_path: Path, text: str, names: str) -> None:
    with pytest.raises(FileNotFoundError, match=names):
        wiring.application(configured(tmp_path, text), NOTHING)


def test_an_operators_policy_counts(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text('"get_network": "!"\n')
    (tmp_path / "other.yaml").write_text('"get_network": "nonsense: [\n')
    seen = []

    def look(environ: Any, start_response: Any) -> Any:
        seen.append(environ["nova_lite.policy"])
        return webob.Response()(environ, start_response)

    application = wiring.application(configured(tmp_path), NOTHING)
    assert webob.Request.blank("/network/v2.0").get_response(application).status_int == 200
    with pytest.raises(ValueError, match="other.yaml"):
        wiring.application(configured(tmp_path, "[api]\npolicy_file = other.yaml\n"), NOTHING)

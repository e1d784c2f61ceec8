"""Putting a process together from its configuration."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa
from oslo_config import cfg
from sqlalchemy.orm import Session

from nova_lite import config as options
from nova_lite.api.deploy import load
from nova_lite.api.middleware import Application
from nova_lite.api.policy import Policy
from nova_lite.bus.bus import Bus
from nova_lite.bus.messages import Json
from nova_lite.cmd.keys import Keys
from nova_lite.db.engine import Database
from nova_lite.db.models import Image, ImageStatus
from nova_lite.domain.capacity import Ratios
from nova_lite.domain.errors import NotFound
from nova_lite.domain.specs import ImageSource, Role
from nova_lite.images.files import FileStore
from nova_lite.network.modes import HostSettings
from nova_lite.operations.world import Settings, World
from nova_lite.scheduler.base import SchedulerSettings
from nova_lite.scheduler.load import load as load_scheduler
from nova_lite.services import Services
from nova_lite.services.flavors import Flavors
from nova_lite.services.hosts import Hosts
from nova_lite.services.identity import Identity, IdentitySettings
from nova_lite.services.images import Images, ImageSettings, signed_path
from nova_lite.services.instances import Instances
from nova_lite.services.keypairs import KeyPairs
from nova_lite.services.metadata import Metadata
from nova_lite.services.networks import Networks, NetworkSettings
from nova_lite.services.quotas import Quotas

IMAGE_LINK_SECONDS = 3600  # how long a worker may take to begin fetching an image


Clock = Callable[[], dt.datetime]


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def database(config: cfg.ConfigOpts) -> Database:
    """Raises ValueError, without the URL's password, for a URL that is none of a database."""
    try:
        return Database(options.database_url(config), config.database.max_pool_size)
    except (sa.exc.ArgumentError, KeyError, ImportError):
        raise ValueError(
            "[database] connection is not a URL of "
            "sqlite:///, mysql+pymysql:// or postgresql+psycopg://"
        ) from None


def world(config: cfg.ConfigOpts, keys: Keys, now: Clock = now) -> World:
    """What operations decide with."""
    group = config.scheduler
    scheduler = load_scheduler(
        group.driver,
        SchedulerSettings(
            **{f.name: group[f.name] for f in fields(SchedulerSettings) if f.name in group}
        ),
        random.Random(),
    )
    settings = Settings(
        ratios=Ratios(
            memory=group.ram_allocation_ratio,
            vcpus=group.cpu_allocation_ratio,
            disk=group.disk_allocation_ratio,
        ),
        max_attempts=group.max_attempts,
        service_down_time=dt.timedelta(seconds=config.service_down_time),
        shutdown_timeout=config.compute.shutdown_timeout,
        network=HostSettings(
            domain=config.network.dhcp_domain,
            lease_seconds=config.network.dhcp_lease_time,
            dns_servers=tuple(config.network.dns_servers),
            metadata=config.network.metadata_host
            or f"{config.metadata.listen}:{config.metadata.port}",
        ),
    )
    return World(scheduler, settings, ImageLinks(api_url(config), keys.signing, now), now)


def api_url(config: cfg.ConfigOpts) -> str:
    """Where workers reach the API."""
    if config.api.public_endpoint:
        return str(config.api.public_endpoint).rstrip("/")
    listen = config.my_ip if config.api.listen in ("0.0.0.0", "::") else config.api.listen
    return f"http://{f'[{listen}]' if ':' in listen else listen}:{config.api.port}"


class ImageLinks:
    """Where a worker may fetch an image from, for a while."""

    def __init__(self, url: str, key: bytes, now: Clock) -> None:
        self.url, self.key, self.now = url, key, now

    def __call__(self, image_id: UUID, session: Session) -> ImageSource:
        image = session.get(Image, image_id)
        if image is None or image.status is not ImageStatus.ACTIVE:
            raise NotFound(f"Image {image_id} could not be found.")
        expires = int(self.now().timestamp()) + IMAGE_LINK_SECONDS
        return ImageSource(
            id=image.id,
            url=f"{self.url}/image{signed_path(self.key, image.id, expires)}",
            disk_format=image.disk_format or "",
            size=image.size or 0,
            sha512=image.os_hash_value or "",
        )


def services(
    config: cfg.ConfigOpts, database: Database, keys: Keys, bus: Bus, now: Clock = now
) -> Services:
    quotas = Quotas(database, {option.name: config.quota[option.name] for option in options.QUOTA})

    def ask(host: str, question: str, args: Json, seconds: float) -> Json:
        return bus.call(Role.COMPUTE, host, question, args, seconds)

    def wake(operations: Sequence[UUID]) -> None:
        bus.wake(operations)

    return Services(
        identity=Identity(
            database,
            keys.fernet,
            IdentitySettings(**{f.name: config.identity[f.name] for f in fields(IdentitySettings)}),
            now,
        ),
        images=Images(
            database,
            FileStore(image_directory(config)),
            keys.signing,
            ImageSettings(config.image.image_size_cap, max_limit=config.api.max_limit),
            now,
        ),
        flavors=Flavors(database),
        keypairs=KeyPairs(database, quotas, now),
        networks=Networks(
            database,
            quotas,
            NetworkSettings(
                flat_network_bridge=config.network.flat_network_bridge,
                flat_interface=config.network.flat_interface,
                page_size=config.api.max_limit,
                service_down_time=dt.timedelta(seconds=config.service_down_time),
            ),
            now,
        ),
        instances=Instances(database, quotas, wake, ask, now, page_size=config.api.max_limit),
        hosts=Hosts(database, dt.timedelta(seconds=config.service_down_time), now),
        quotas=quotas,
        metadata=Metadata(database, domain=config.network.dhcp_domain),
    )


def image_directory(config: cfg.ConfigOpts) -> Path:
    return Path(config.image.filesystem_store_datadir or options.state(config, "images"))


def application(config: cfg.ConfigOpts, services: Services, name: str = "main") -> Application:
    """The WSGI application of one [composite:] or [pipeline:] of api-paste.ini."""
    paste = options.beside(config, config.api.paste_config)
    if paste is None:
        raise FileNotFoundError(f"[api] paste_config: there is no {config.api.paste_config}")
    policy_file = options.beside(config, config.api.policy_file)
    said = config.get_location("policy_file", "api")
    if policy_file is None and said and said.location is not cfg.Locations.opt_default:
        # Nobody is let in by a rule that a spelling mistake kept from being read.
        raise FileNotFoundError(f"[api] policy_file: there is no {config.api.policy_file}")
    policy = Policy(str(policy_file) if policy_file else None)
    return load(paste, services, policy, config.api.public_endpoint, name)

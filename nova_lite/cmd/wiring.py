"""Putting a process together from its configuration."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Sequence
from dataclasses import fields
from uuid import UUID, uuid4

import sqlalchemy as sa
from oslo_config import cfg
from sqlalchemy.orm import Session

from nova_lite import config as options
from nova_lite.api.deploy import load
from nova_lite.api.middleware import Application
from nova_lite.api.policy import Policy
from nova_lite.bus.bus import Bus
from nova_lite.bus.messages import Command, Json
from nova_lite.cmd.image_services import image_services
from nova_lite.cmd.keys import Keys
from nova_lite.db.engine import Database
from nova_lite.db.models import Image, ImageStatus
from nova_lite.domain.errors import NotFound
from nova_lite.domain.specs import ImageSource, Role, to_json
from nova_lite.network.modes import HostSettings
from nova_lite.operations.world import Settings, World
from nova_lite.scheduler.base import SchedulerSettings
from nova_lite.scheduler.load import load as load_scheduler
from nova_lite.services import Services
from nova_lite.services.compute.aggregates import Aggregates
from nova_lite.services.compute.deeds import Deeds
from nova_lite.services.compute.external_events import ExternalEvents
from nova_lite.services.compute.flavors import Flavors
from nova_lite.services.compute.guests import ConsoleSettings, Guests
from nova_lite.services.compute.hosts import Hosts
from nova_lite.services.compute.instances import Instances
from nova_lite.services.compute.interfaces import Interfaces
from nova_lite.services.compute.keypairs import KeyPairs
from nova_lite.services.compute.migrations import Migrations
from nova_lite.services.compute.providers import Providers
from nova_lite.services.compute.quotas import Quotas
from nova_lite.services.compute.server_groups import ServerGroups
from nova_lite.services.compute.snapshots import Snapshots
from nova_lite.services.compute.usage import Usages
from nova_lite.services.identity.application_credentials import ApplicationCredentials
from nova_lite.services.identity.catalog import Catalog
from nova_lite.services.identity.credentials import Credentials
from nova_lite.services.identity.domain_config import DomainConfig
from nova_lite.services.identity.endpoint_filter import EndpointFilter
from nova_lite.services.identity.grants import Grants
from nova_lite.services.identity.identity import Identity, IdentitySettings
from nova_lite.services.identity.policies import Policies
from nova_lite.services.identity.registry import Registry
from nova_lite.services.identity.roles import Roles
from nova_lite.services.identity.trusts import Trusts
from nova_lite.services.identity.unified_limits import UnifiedLimits
from nova_lite.services.image.data import signed_path, signed_upload_path
from nova_lite.services.image.metadefs import Metadefs
from nova_lite.services.metadata import Metadata
from nova_lite.services.network.networks import Networks, NetworkSettings
from nova_lite.services.network.reports import NetworkReports
from nova_lite.services.network.security_groups import SecurityGroups

IMAGE_LINK_SECONDS = 3600  # how long a worker may take to begin fetching an image
UPLOAD_LINK_SECONDS = 6 * 3600  # and to begin sending one: it has to copy a disk first


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
    preferences = scheduler_settings(config)
    scheduler = load_scheduler(group.driver, preferences, random.Random())
    settings = Settings(
        ratios=preferences.ratios,
        max_attempts=group.max_attempts,
        service_down_time=dt.timedelta(seconds=config.service_down_time),
        shutdown_timeout=config.compute.shutdown_timeout,
        allow_resize_to_same_host=config.compute.allow_resize_to_same_host,
        shelved_offload_time=_seconds(config.compute.shelved_offload_time, never=-1),
        reclaim_instance_interval=_seconds(config.compute.reclaim_instance_interval, never=0),
        resize_confirm_window=_seconds(config.compute.resize_confirm_window, never=0),
        network=HostSettings(
            domain=config.network.dhcp_domain,
            lease_seconds=config.network.dhcp_lease_time,
            dns_servers=tuple(config.network.dns_servers),
            metadata=config.network.metadata_host
            or f"{config.metadata.listen}:{config.metadata.port}",
        ),
    )
    links = ImageLinks(api_url(config), keys.signing, now)
    return World(scheduler, settings, links, links.upload, now)


def scheduler_settings(config: cfg.ConfigOpts) -> SchedulerSettings:
    group = config.scheduler
    return SchedulerSettings(
        **{f.name: group[f.name] for f in fields(SchedulerSettings) if f.name in group}
    )


def _seconds(value: int, *, never: int) -> dt.timedelta | None:
    return None if value == never else dt.timedelta(seconds=value)


def api_url(config: cfg.ConfigOpts) -> str:
    """Where workers reach the API."""
    if config.api.public_endpoint:
        return str(config.api.public_endpoint).rstrip("/")
    listen = config.my_ip if config.api.listen in ("0.0.0.0", "::") else config.api.listen
    return f"http://{f'[{listen}]' if ':' in listen else listen}:{config.api.port}"


class ImageLinks:
    """Where a worker may fetch an image from, or upload one to, for a while."""

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

    def upload(self, image_id: UUID) -> str:
        """The address that a worker may upload the bytes of a queued image to."""
        expires = int(self.now().timestamp()) + UPLOAD_LINK_SECONDS
        return f"{self.url}/image{signed_upload_path(self.key, image_id, expires)}"


def services(
    config: cfg.ConfigOpts, database: Database, keys: Keys, bus: Bus, now: Clock = now
) -> Services:
    quotas = Quotas(
        database,
        {option.name: config.quota[option.name] for option in options.QUOTA},
        own_projects=config.api.auth_strategy != "keystone",
    )

    def ask(host: str, question: str, args: Json, seconds: float) -> Json:
        return bus.call(Role.COMPUTE, host, question, args, seconds)

    def wake(operations: Sequence[UUID]) -> None:
        bus.wake(operations)

    def prepare(host: str, image: ImageSource) -> None:
        command, args = uuid4(), {"image": to_json(image)}
        bus.publish(Command(command, image.id, Role.COMPUTE, host, "image.fetch", args))

    limits = UnifiedLimits(config.identity.region)
    catalog = Catalog(database, config.identity.region, config.identity.cache_seconds, now)
    identity = Identity(
        database,
        keys.fernet,
        IdentitySettings(**{f.name: config.identity[f.name] for f in fields(IdentitySettings)}),
        now,
    )
    images = image_services(config, database, keys.signing, limits, now)
    down_time = dt.timedelta(seconds=config.service_down_time)
    hosts = Hosts(database, down_time, now)
    return Services(
        identity=identity,
        roles=Roles(database, identity.forget),
        grants=Grants(database, identity.forget),
        application_credentials=ApplicationCredentials(
            database, identity.passwords, now, identity.forget
        ),
        credentials=Credentials(database, keys.fernet, identity.forget),
        trusts=Trusts(database, now, identity.forget),
        **vars(images),
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
        network_reports=NetworkReports(database),
        security_groups=SecurityGroups(database, quotas, now, config.api.max_limit),
        instances=Instances(
            database,
            quotas,
            wake,
            ask,
            now,
            page_size=config.api.max_limit,
            service_down_time=down_time,
            reclaims=config.compute.reclaim_instance_interval > 0,
        ),
        deeds=Deeds(database, quotas, wake, down_time, now),
        snapshots=Snapshots(database, quotas, images.images, wake, now),
        guests=Guests(
            database,
            ask,
            ConsoleSettings(
                config.vnc.novncproxy_base_url,
                dt.timedelta(seconds=config.consoleauth.token_ttl),
            ),
            now,
        ),
        interfaces=Interfaces(database, quotas, wake, now),
        migrations=Migrations(database),
        hosts=hosts,
        providers=Providers(database, hosts, scheduler_settings(config).ratios),
        aggregates=Aggregates(
            database, ImageLinks(api_url(config), keys.signing, now), prepare, now
        ),
        server_groups=ServerGroups(database, quotas, now),
        quotas=quotas,
        usages=Usages(database, now),
        external_events=ExternalEvents(database),
        metadata=Metadata(database, domain=config.network.dhcp_domain),
        metadefs=Metadefs(database, now, config.api.max_limit),
        registry=Registry(database, changed=catalog.forget),
        catalog=catalog,
        endpoint_filter=EndpointFilter(database, changed=catalog.forget),
        policies=Policies(database),
        domain_config=DomainConfig(database),
        unified_limits=limits,
    )


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
    keystone: object = None
    if config.api.auth_strategy == "keystone":
        # It brings half of OpenStack along, so only who asks for it has it.
        from nova_lite.api.keystone import Keystone

        keystone = Keystone(config, config.identity.cache_seconds)
    return load(
        paste,
        services,
        policy,
        config.api.public_endpoint,
        name,
        config.api.auth_strategy,
        keystone,
    )

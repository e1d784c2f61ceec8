"""Putting the image services together: stores, quotas, imports."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

from oslo_config import cfg

from nova_lite import config as options
from nova_lite.db.engine import Database
from nova_lite.images.files import FileStore, Locks
from nova_lite.images.web import Web, WebRules
from nova_lite.services.identity.unified_limits import UnifiedLimits
from nova_lite.services.image.data import ImageData
from nova_lite.services.image.images import Images, ImageSettings
from nova_lite.services.image.imports import ImageImports, ImportSettings
from nova_lite.services.image.members import ImageMembers
from nova_lite.services.image.quotas import ImageQuotas
from nova_lite.services.image.stores import Stores
from nova_lite.services.image.tasks import METHODS, ImageTasks

ONLY_STORE = "file"  # its name while none is given


@dataclass(frozen=True)
class ImageServices:
    """Members of nova_lite.services.Services."""

    images: Images
    image_data: ImageData
    image_members: ImageMembers
    image_quotas: ImageQuotas
    image_tasks: ImageTasks
    image_imports: ImageImports


def image_services(
    config: cfg.ConfigOpts,
    database: Database,
    signing_key: bytes,
    limits: UnifiedLimits,
    now: Callable[[], dt.datetime],
) -> ImageServices:
    """Raises ValueError for options that cannot be."""
    group = config.image
    stores, web = image_stores(config), Web(_web_rules(config))
    quotas = ImageQuotas(
        database,
        lambda session, project, resource: limits.limit_of(session, project, "image", resource),
    )
    images = Images(
        database,
        stores,
        quotas,
        ImageSettings(max_limit=config.api.max_limit),
        now,
    )
    imports = ImageImports(
        database,
        stores,
        web,
        ImportSettings(
            size_cap=group.image_size_cap,
            region=config.identity.region,
            extra_properties=tuple(group.import_extra_properties),
        ),
        now,
    )
    unknown = sorted(set(group.enabled_import_methods) - METHODS.keys())
    if unknown:
        raise ValueError(f"[image] enabled_import_methods: there is no {', '.join(unknown)}")
    return ImageServices(
        images=images,
        image_data=ImageData(database, stores, quotas, signing_key, group.image_size_cap, now),
        image_members=ImageMembers(database, now),
        image_quotas=quotas,
        image_tasks=ImageTasks(
            database, images, quotas, web, group.enabled_import_methods, imports.wake, now
        ),
        image_imports=imports,
    )


def image_stores(config: cfg.ConfigOpts) -> Stores:
    group = config.image
    directories = group.stores or {
        ONLY_STORE: group.filesystem_store_datadir or options.state(config, "images")
    }
    staging = Path(group.staging_dir or options.state(config, "staging"))
    return Stores(
        {
            name: FileStore(
                options.state(config, path), must_match=group.require_image_format_match
            )
            for name, path in directories.items()
        },
        FileStore(staging),
        Locks(staging / "locks"),
    )


def _web_rules(config: cfg.ConfigOpts) -> WebRules:
    group = config.image
    return WebRules(
        schemes=group.import_allowed_schemes,
        ports=group.import_allowed_ports,
        networks=[ip_network(text) for text in group.import_allowed_networks],
        seconds=group.import_timeout,
    )

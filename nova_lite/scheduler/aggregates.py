"""Rules an administrator writes on host aggregates, as their metadata.

A value may be several, with commas between them; a host that is in several
aggregates has what any of them says.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np

from nova_lite.domain.capacity import number
from nova_lite.scheduler.base import Placement, SchedulerSettings, counted
from nova_lite.scheduler.capabilities import CAPABILITIES, said, satisfies
from nova_lite.scheduler.fleet import Fleet, Mask
from nova_lite.scheduler.rule import ColumnFilter

SCOPE = "aggregate_instance_extra_specs:"


def _values(text: str) -> list[str]:
    return [value.strip() for value in text.split(",")]


def _told(
    fleet: Fleet, about: Callable[[str], bool], good: Callable[[Collection[str]], bool]
) -> tuple[Mask, Mask]:
    """Of which hosts an aggregate says anything `about` this, and of which something `good`."""
    spoken, fits = (np.zeros(len(fleet), dtype=np.bool_) for _ in range(2))
    for aggregate in fleet.aggregates:
        for key, text in aggregate.metadata.items():
            if about(key):
                here = fleet.in_aggregate(aggregate)
                spoken |= here
                if good(_values(text)):
                    fits |= here
    return spoken, fits


def specs_wanted(request: Placement) -> dict[str, str]:
    """Of the extra specs those about aggregates: scoped so, or without a scope and not a host's."""
    return {
        key.removeprefix(SCOPE): wanted
        for key, wanted in request.extra_specs.items()
        if key.startswith(SCOPE) or (":" not in key and key not in CAPABILITIES)
    }


def _has_specs(request: Placement, fleet: Fleet) -> Mask:
    mask = np.ones(len(fleet), dtype=np.bool_)
    spoken_of = {key for aggregate in fleet.aggregates for key in aggregate.metadata}
    for name, wanted in specs_wanted(request).items():
        if name not in spoken_of and SCOPE + name not in request.extra_specs:
            # Without a scope it may be about anything; here nobody has ever heard of it.
            continue
        _, fits = _told(
            fleet,
            lambda key, name=name: key == name,  # type: ignore[misc]
            lambda values, wanted=wanted: any(satisfies(v, wanted) for v in values),  # type: ignore[misc]
        )
        mask &= fits
    return mask


def _for_project(request: Placement, fleet: Fleet) -> Mask | None:
    if not fleet.aggregates:
        return None
    spoken, fits = _told(
        fleet,
        lambda key: key.startswith("filter_tenant_id"),
        lambda values: request.project_id in values,
    )
    return ~spoken | fits


def _for_flavor(request: Placement, fleet: Fleet) -> Mask | None:
    if not fleet.aggregates:
        return None
    spoken, fits = _told(
        fleet, lambda key: key == "instance_type", lambda values: request.flavor_name in values
    )
    return ~spoken | fits


def images_isolated(settings: SchedulerSettings) -> ColumnFilter:
    """A host in an aggregate that has a property takes images of that value, or without it."""
    namespace = settings.aggregate_image_properties_isolation_namespace
    prefix = namespace and namespace + settings.aggregate_image_properties_isolation_separator

    def keep(request: Placement, fleet: Fleet) -> Mask:
        mask = np.ones(len(fleet), dtype=np.bool_)
        for name, value in concerned(request).items():
            spoken, fits = _told(
                fleet,
                lambda key, name=name: key == name,  # type: ignore[misc]
                lambda values, value=value: value in values,  # type: ignore[misc]
            )
            mask &= ~spoken | fits
        return mask

    def concerned(request: Placement) -> dict[str, str]:
        properties = request.image_properties.items()
        return {name: str(value) for name, value in properties if name.startswith(prefix)}

    return ColumnFilter(
        lambda request: said(concerned(request)), keep, lambda request: bool(concerned(request))
    )


def fewer_instances(settings: SchedulerSettings) -> ColumnFilter:
    """At most so many guests; an aggregate's say goes before the configuration's."""
    default = settings.max_instances_per_host

    def keep(request: Placement, fleet: Fleet) -> Mask:
        most = np.full(len(fleet), np.inf)
        for aggregate in fleet.aggregates:
            limit = number(aggregate.metadata.get("max_instances_per_host", ""))
            if limit is not None:
                np.minimum(most, limit, out=most, where=fleet.in_aggregate(aggregate))
        return np.less(fleet.instances, np.where(np.isinf(most), default, most))

    return ColumnFilter(lambda request: f"fewer than {counted(default, 'instance')}", keep)


FILTERS = {
    "AggregateInstanceExtraSpecsFilter": ColumnFilter(
        lambda request: said(specs_wanted(request)),
        _has_specs,
        lambda request: bool(request.extra_specs and specs_wanted(request)),
    ),
    "AggregateMultiTenancyIsolation": ColumnFilter(
        lambda request: f"project {request.project_id}", _for_project
    ),
    "AggregateTypeAffinityFilter": ColumnFilter(
        lambda request: f"flavor {request.flavor_name}", _for_flavor
    ),
}

"""os-instance_usage_audit_log: which hosts have told in which period what their servers used.

No host is ever asked to: what was used is counted when somebody wants to know
(os-simple-tenant-usage).  So of every host it is said that it has not run.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from nova_lite.api.declare import Request, Resource
from nova_lite.domain.errors import Invalid

Json = dict[str, Any]
audit_log = Resource("/v2.1/os-instance_usage_audit_log")
POLICY = "os_compute_api:os-instance-usage-audit-log:"
FORMATS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f")


@audit_log.on("GET", policy=POLICY + "list")
def index(request: Request) -> Json:
    return {"instance_usage_audit_logs": _log(request, request.services.usages.now())}


@audit_log.on("GET", "/{before}", policy=POLICY + "show")
def show(request: Request, before: str) -> Json:
    return {"instance_usage_audit_log": _log(request, _time(before))}


def _time(text: str) -> dt.datetime:
    for format in FORMATS:
        try:
            return dt.datetime.strptime(text, format)
        except ValueError:
            continue  # the next may fit
    raise Invalid(f"Invalid timestamp for date {text[:64]}")


def _log(request: Request, before: dt.datetime) -> Json:
    """Of the last whole month before that time."""
    end = before.replace(day=1, hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    begin = end if end == dt.datetime.min else (end - dt.timedelta(days=1)).replace(day=1)
    computes = request.services.hosts.services(request.context, binary="nova-compute")
    hosts = sorted({service.host for service in computes})
    return {
        "period_beginning": str(begin),
        "period_ending": str(end),
        "num_hosts": len(hosts),
        "num_hosts_done": 0,
        "num_hosts_running": 0,
        "num_hosts_not_run": len(hosts),
        "hosts_not_run": hosts,
        "total_instances": 0,
        "total_errors": 0,
        "overall_status": f"0 of {len(hosts)} hosts done. 0 errors.",
        "log": {},
    }

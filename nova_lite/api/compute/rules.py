"""Policy rules of the compute API, by the names operators know, with their defaults.

Listing flavors has no rule in Nova; here it has one like everything else.
"""

from __future__ import annotations

_READ = ("index", "show")

READER = (
    *(f"os_compute_api:servers:{deed}" for deed in (*_READ, "detail")),
    *(f"os_compute_api:server-metadata:{deed}" for deed in _READ),
    *(f"os_compute_api:os-server-tags:{deed}" for deed in _READ),
    *(f"os_compute_api:ips:{deed}" for deed in _READ),
    *(f"os_compute_api:flavors:{deed}" for deed in _READ),
    *(f"os_compute_api:os-flavor-extra-specs:{deed}" for deed in _READ),
    *(f"os_compute_api:os-keypairs:{deed}" for deed in _READ),
    *(f"os_compute_api:os-quota-sets:{deed}" for deed in ("show", "detail", "defaults")),
    "os_compute_api:os-instance-actions:list",
    "os_compute_api:os-instance-actions:show",
    "os_compute_api:os-availability-zone:list",
    "os_compute_api:limits",
    "os_compute_api:extensions",
)
MEMBER = (
    *(
        f"os_compute_api:servers:{deed}"
        for deed in ("create", "update", "delete", "start", "stop", "reboot")
    ),
    *(
        f"os_compute_api:server-metadata:{deed}"
        for deed in ("create", "update", "update_all", "delete")
    ),
    *(
        f"os_compute_api:os-server-tags:{deed}"
        for deed in ("update", "update_all", "delete", "delete_all")
    ),
    "os_compute_api:os-lock-server:lock",
    "os_compute_api:os-lock-server:unlock",
    "os_compute_api:os-deferred-delete:force",
    "os_compute_api:os-console-output",
    "os_compute_api:os-keypairs:create",
    "os_compute_api:os-keypairs:delete",
)
ADMIN = (
    "os_compute_api:servers:index:get_all_tenants",
    "os_compute_api:servers:detail:get_all_tenants",
    "os_compute_api:servers:allow_all_filters",
    "os_compute_api:servers:create:forced_host",
    "os_compute_api:servers:show:host_status",
    "os_compute_api:os-extended-server-attributes",
    "os_compute_api:os-admin-actions:reset_state",
    "os_compute_api:os-instance-actions:events",
    "os_compute_api:os-flavor-manage:create",
    "os_compute_api:os-flavor-manage:delete",
    *(f"os_compute_api:os-flavor-extra-specs:{deed}" for deed in ("create", "update", "delete")),
    "os_compute_api:os-flavor-access",
    "os_compute_api:os-flavor-access:add_tenant_access",
    "os_compute_api:os-flavor-access:remove_tenant_access",
    "os_compute_api:limits:other_project",
    "os_compute_api:os-availability-zone:detail",
    *(f"os_compute_api:os-aggregates:{deed}" for deed in _READ),
    "os_compute_api:os-services:list",
    "os_compute_api:os-services:update",
    *(
        f"os_compute_api:os-hypervisors:{deed}"
        for deed in (
            "list",
            "list-detail",
            "show",
            "statistics",
            "uptime",
            "search",
            "servers",
        )
    ),
)

RULES: dict[str, str] = {
    **dict.fromkeys(READER, "role:reader"),
    **dict.fromkeys(MEMBER, "role:member"),
    **dict.fromkeys(ADMIN, "role:admin"),
}

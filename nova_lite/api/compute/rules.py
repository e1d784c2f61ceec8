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
    "os_compute_api:os-simple-tenant-usage:show",
    "os_compute_api:os-networks:list",
    "os_compute_api:os-networks:show",
    "os_compute_api:os-tenant-networks:list",
    "os_compute_api:os-tenant-networks:show",
    "os_compute_api:os-floating-ip-pools",
    "os_compute_api:os-floating-ips:list",
    "os_compute_api:os-floating-ips:show",
    "os_compute_api:os-security-groups:get",
    "os_compute_api:os-security-groups:show",
    "os_compute_api:os-attach-interfaces:list",
    "os_compute_api:os-attach-interfaces:show",
    "os_compute_api:os-security-groups:list",
    "os_compute_api:os-server-password:show",
    "compute:server:topology:index",
    "os_compute_api:os-instance-actions:list",
    "os_compute_api:os-instance-actions:show",
    "os_compute_api:os-availability-zone:list",
    "os_compute_api:os-server-groups:index",
    "os_compute_api:os-server-groups:show",
    "os_compute_api:limits",
    "os_compute_api:extensions",
)
MEMBER = (
    *(
        f"os_compute_api:servers:{deed}"
        for deed in (
            "create",
            "update",
            "delete",
            "start",
            "stop",
            "reboot",
            "resize",
            "confirm_resize",
            "revert_resize",
            "rebuild",
            "create_image",
            "trigger_crash_dump",
        )
    ),
    *(f"os_compute_api:os-pause-server:{deed}" for deed in ("pause", "unpause")),
    *(f"os_compute_api:os-suspend-server:{deed}" for deed in ("suspend", "resume")),
    *(f"os_compute_api:os-shelve:{deed}" for deed in ("shelve", "unshelve")),
    *(f"os_compute_api:os-attach-interfaces:{deed}" for deed in ("create", "delete")),
    *(f"os_compute_api:os-multinic:{deed}" for deed in ("add", "remove")),
    *(f"os_compute_api:os-security-groups:{deed}" for deed in ("add", "remove")),
    "os_compute_api:os-rescue",
    "os_compute_api:os-unrescue",
    "os_compute_api:os-create-backup",
    "os_compute_api:os-admin-password",
    "os_compute_api:os-server-password:clear",
    "os_compute_api:os-deferred-delete:restore",
    "os_compute_api:os-remote-consoles",
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
    *(f"os_compute_api:os-floating-ips:{deed}" for deed in ("create", "delete")),
    *(f"os_compute_api:os-security-groups:{deed}" for deed in ("create", "update", "delete")),
    *(f"os_compute_api:os-security-groups:rule:{deed}" for deed in ("create", "delete")),
    "os_compute_api:os-server-groups:create",
    "os_compute_api:os-server-groups:delete",
)
#: Who looks after a project's servers, without knowing the hosts.
MANAGER = (
    "os_compute_api:os-migrate-server:migrate",
    "os_compute_api:os-migrate-server:migrate_live",
    "os_compute_api:os-migrations:index",
    *(f"os_compute_api:servers:migrations:{deed}" for deed in (*_READ, "force_complete", "delete")),
)
ADMIN = (
    "os_compute_api:os-migrate-server:migrate:host",
    "os_compute_api:os-migrate-server:migrate_live:host",
    "os_compute_api:os-migrations:index:all_projects",
    "os_compute_api:os-migrations:index:host",
    "os_compute_api:servers:migrations:index:host",
    "os_compute_api:os-evacuate",
    "os_compute_api:os-shelve:shelve_offload",
    "os_compute_api:os-shelve:unshelve_to_host",
    "os_compute_api:os-admin-actions:inject_network_info",
    "os_compute_api:os-admin-actions:reset_network",
    "os_compute_api:os-server-diagnostics",
    "os_compute_api:os-console-auth-tokens",
    "os_compute_api:os-instance-actions:events:details",
    "os_compute_api:servers:index:get_all_tenants",
    "os_compute_api:servers:detail:get_all_tenants",
    "os_compute_api:servers:allow_all_filters",
    "os_compute_api:servers:create:forced_host",
    "os_compute_api:servers:show:host_status",
    "os_compute_api:os-extended-server-attributes",
    "os_compute_api:os-admin-actions:reset_state",
    "os_compute_api:os-instance-actions:events",
    *(f"os_compute_api:os-quota-sets:{deed}" for deed in ("update", "delete")),
    *(f"os_compute_api:os-quota-class-sets:{deed}" for deed in ("show", "update")),
    "os_compute_api:os-simple-tenant-usage:list",
    *(f"os_compute_api:os-instance-usage-audit-log:{deed}" for deed in ("list", "show")),
    "os_compute_api:os-flavor-manage:create",
    "os_compute_api:os-flavor-manage:update",
    "os_compute_api:os-flavor-manage:delete",
    *(f"os_compute_api:os-flavor-extra-specs:{deed}" for deed in ("create", "update", "delete")),
    "os_compute_api:os-flavor-access",
    "os_compute_api:os-flavor-access:add_tenant_access",
    "os_compute_api:os-flavor-access:remove_tenant_access",
    "os_compute_api:limits:other_project",
    "os_compute_api:os-availability-zone:detail",
    *(
        f"os_compute_api:os-aggregates:{deed}"
        for deed in (
            *_READ,
            "create",
            "update",
            "delete",
            "add_host",
            "remove_host",
            "set_metadata",
        )
    ),
    "compute:aggregates:images",
    *(
        f"os_compute_api:os-hosts:{deed}"
        for deed in ("list", "show", "update", "start", "shutdown", "reboot")
    ),
    *(f"os_compute_api:os-services:{deed}" for deed in ("list", "update", "delete")),
    "os_compute_api:os-server-groups:index:all_projects",
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
    **dict.fromkeys(MANAGER, "role:manager or role:admin"),
    **dict.fromkeys(ADMIN, "role:admin"),
    # Other services say so, with a role of their own.
    "os_compute_api:os-server-external-events:create": "role:service or role:admin",
    # Not a rule of Nova's: what is gone is gone for everybody.
    "os_compute_api:gone": "@",
}

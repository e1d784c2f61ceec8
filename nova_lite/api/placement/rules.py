"""Policy rules of the placement API, by the names operators know, with their defaults."""

from __future__ import annotations

#: Whoever carries out what others asked for, and who looks after all hosts.
ADMIN_OR_SERVICE = "role:admin or role:service"

RULES: dict[str, str] = {
    **{
        f"placement:{thing}": ADMIN_OR_SERVICE
        for thing in (
            "resource_providers:list",
            "resource_providers:show",
            "resource_providers:inventories:list",
            "resource_providers:inventories:show",
            "resource_providers:usages",
            "resource_providers:aggregates:list",
            "resource_providers:traits:list",
            "resource_providers:allocations:list",
            "resource_classes:list",
            "resource_classes:show",
            "traits:list",
            "traits:show",
            "allocations:list",
            "allocation_candidates:list",
        )
    },
    "placement:usages": "role:reader or role:service",
}

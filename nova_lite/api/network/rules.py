"""Policy rules of the network API, by the names operators know, with their defaults."""

from __future__ import annotations

RULES: dict[str, str] = {
    **{
        f"{deed}_{thing}": "role:reader" if deed == "get" else "role:member"
        for thing in ("network", "subnet", "port", "security_group", "security_group_rule")
        for deed in ("create", "get", "update", "delete")
        if (deed, thing) != ("update", "security_group_rule")
    },
    # Attributes of which one has to be an administrator to see or to set them.
    **{
        f"{deed}_network:{attribute}": "role:admin"
        for attribute in ("provider:network_type", "provider:physical_network")
        for deed in ("create", "get")
    },
    "get_network:provider:segmentation_id": "role:admin",
    "create_network:shared": "role:admin",
    "update_network:shared": "role:admin",
    "get_quota": "role:reader",
    "update_quota": "role:admin",
    "delete_quota": "role:admin",
    "get_agent": "role:admin",
    "get_availability_zone": "role:reader",
    "get_network_ip_availability": "role:admin",
    "get_rbac_policy": "role:reader",
    "get_extension": "@",
}

"""Policy rules of the network API, by the names operators know, with their defaults."""

from __future__ import annotations

RULES: dict[str, str] = {
    **{
        f"{deed}_{thing}": "role:reader" if deed == "get" else "role:member"
        for thing in ("network", "subnet", "port")
        for deed in ("create", "get", "update", "delete")
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
    "get_agent": "role:admin",
    "get_availability_zone": "role:reader",
    "get_extension": "@",
}

"""Policy rules of the image API, by the names operators know, with their defaults."""

from __future__ import annotations

RULES: dict[str, str] = {
    "get_image": "role:reader",
    "get_images": "role:reader",
    "download_image": "role:reader",
    "add_image": "role:member",
    "modify_image": "role:member",
    "delete_image": "role:member",
    "upload_image": "role:member",
    "deactivate": "role:member",
    "reactivate": "role:member",
    "communitize_image": "role:member",
    "publicize_image": "role:admin",
}

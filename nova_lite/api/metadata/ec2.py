"""The EC2 tree of the metadata service: plain text, one file per fact.

A tree is a table from path to content.  Directories are not kept anywhere:
they are what paths begin with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nova_lite.domain.ids import ec2_image_id, ec2_instance_id
from nova_lite.services.metadata import Guest

VERSIONS = (
    "1.0",
    "2007-01-19",
    "2007-03-01",
    "2007-08-29",
    "2007-10-10",
    "2007-12-15",
    "2008-02-01",
    "2008-09-01",
    "2009-04-04",
)

#: Path below meta-data, the first version that has it, and what it holds; None: it is not there.
LEAVES: tuple[tuple[str, str, Callable[[Guest], str | None]], ...] = (
    ("ami-id", "1.0", lambda guest: ec2_image_id(guest.image_id) if guest.image_id else None),
    ("ami-launch-index", "1.0", lambda guest: str(guest.launch_index)),
    ("ami-manifest-path", "1.0", lambda guest: "(unknown)"),  # as AWS says of what had none
    ("block-device-mapping/ami", "2007-12-15", lambda guest: "vda"),
    (
        "block-device-mapping/ephemeral0",
        "2007-12-15",
        lambda guest: "/dev/vdb" if guest.ephemeral_gb else None,
    ),
    ("block-device-mapping/root", "2007-12-15", lambda guest: "/dev/vda"),
    ("hostname", "1.0", lambda guest: guest.hostname),
    ("instance-action", "2008-09-01", lambda guest: "none"),
    ("instance-id", "1.0", lambda guest: ec2_instance_id(guest.number)),
    ("instance-type", "2007-08-29", lambda guest: guest.flavor_name),
    ("local-hostname", "2007-01-19", lambda guest: guest.hostname),
    ("local-ipv4", "1.0", lambda guest: guest.address),
    ("placement/availability-zone", "2008-02-01", lambda guest: guest.zone),
    ("public-hostname", "2007-01-19", lambda guest: guest.hostname),
    ("public-ipv4", "2007-01-19", lambda guest: ""),
    ("public-keys/0/openssh-key", "1.0", lambda guest: guest.public_key),
    ("reservation-id", "1.0", lambda guest: guest.reservation_id),
    ("security-groups", "1.0", lambda guest: ""),
)


def versions() -> str:
    return "\n".join((*VERSIONS, "latest"))


def find(guest: Guest, version: str, path: str) -> str | bytes | None:
    """The file at `path` of a version, or the list of a directory; None: there is neither.

    A directory may be named with or without its slash, a file only without.
    """
    if version != "latest" and version not in VERSIONS:
        return None
    files = tree(guest, VERSIONS[-1] if version == "latest" else version)
    content = files.get(path)
    return content if content is not None else listing(guest, files, path.removesuffix("/"))


def tree(guest: Guest, version: str) -> dict[str, str | bytes]:
    """Everything of one version, by its path."""
    at = VERSIONS.index(version)
    files: dict[str, str | bytes] = {}
    for path, since, value in LEAVES:
        if VERSIONS.index(since) <= at and (content := value(guest)) is not None:
            files[f"meta-data/{path}"] = content
    if guest.user_data is not None:
        files["user-data"] = guest.user_data
    return files


def listing(guest: Guest, files: Mapping[str, str | bytes], directory: str) -> str | None:
    inside = f"{directory}/" if directory else ""
    names = set()
    for path in files:
        if path.startswith(inside):
            name, slash, _ = path[len(inside) :].partition("/")
            names.add(name + slash)
    if directory == "meta-data/public-keys" and names:
        # Of all directories this one says what its members are called.
        return f"0={guest.key_name}"
    return "\n".join(sorted(names)) or None

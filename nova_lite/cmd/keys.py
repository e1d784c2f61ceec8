"""The secrets that API and schedulers share: files in `state_path`/keys, readable by us alone.

`fernet/` holds keys as Keystone's key repository does: numbered files, the
highest signs, all of them check.  Every host that runs an API needs a copy.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

# Where it is needed, cryptography is imported: the first process of nova-api
# only looks whether there are keys, and shall stay small.
if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet


@dataclass(frozen=True)
class Keys:
    fernet: MultiFernet
    signing: bytes  # of links to images


def create(directory: Path) -> None:
    """Make a first key unless there is one."""
    from cryptography.fernet import Fernet

    repository = directory / "fernet"
    repository.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not any(repository.iterdir()):
        _write(repository / "1", Fernet.generate_key())


def load(directory: Path) -> Keys:
    """The keys in `directory`.  Raises what `find` does, and ValueError for what is no key."""
    from cryptography.fernet import Fernet, MultiFernet
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    keys = [file.read_bytes().strip() for file in find(directory)]
    # The oldest is the one that all controllers have had for longest.
    signing = HKDF(hashes.SHA256(), 32, salt=None, info=b"nova_lite image links").derive(keys[-1])
    return Keys(MultiFernet([Fernet(key) for key in keys]), signing)


def find(directory: Path) -> list[Path]:
    """The files with keys, the newest first.

    Raises FileNotFoundError, with the remedy, when there is none.
    """
    repository = directory / "fernet"
    files = [f for f in repository.iterdir() if f.name.isdigit()] if repository.is_dir() else []
    if not files:
        raise FileNotFoundError(
            f"There is no key in {repository}: run `nova-manage bootstrap`, "
            "or copy the directory from another controller."
        )
    return sorted(files, key=lambda f: int(f.name), reverse=True)


def _write(path: Path, secret: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secret)

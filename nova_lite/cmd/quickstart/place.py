"""The state directory: where everything is that quickstart makes, and nothing else is.

A mark made first and removed last says that it is ours, so that --purge can
never empty a directory of somebody else's.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from nova_lite.cmd.quickstart.terminal import Refusal

#: What needs no quoting in any of the files it gets into.
PLAIN = re.compile(r"[A-Za-z0-9/._+@-]+")


class Place:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.mark = directory / "made-by-quickstart"
        self.config = directory / "nova.conf"
        self.password = directory / "admin-password"
        self.key = directory / "id_ed25519"
        self.openrc = directory / "openrc"
        self.clouds = directory / "clouds.yaml"
        self.ssh_config = directory / "ssh_config"
        self.log = directory / "nova-all.log"
        self.pid = directory / "nova-all.pid"
        self.guest = directory / "guest"
        self.libvirt = directory / "libvirt"
        self.started_libvirtd = directory / "started-libvirtd"

    @property
    def exists(self) -> bool:
        return self.mark.exists()

    def make(self) -> None:
        """The directory, which is ours afterwards.  Refuses one that holds something else."""
        if not PLAIN.fullmatch(str(self.directory)):
            raise Refusal(
                f"the name {self.directory} needs quoting",
                "use letters, digits and . _ + @ - / only",
            )
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            if not self.exists and any(self.directory.iterdir()):
                raise Refusal(f"{self.directory} holds something else", "use an empty --state-dir")
            self.mark.touch(mode=0o600)
            # QEMU and dnsmasq, as users of their own, pass through to their files.
            self.directory.chmod(0o711)
        except OSError as error:
            raise Refusal(
                f"{self.directory}: {error.strerror}", "use another --state-dir"
            ) from None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One quickstart at a time on this directory."""
        with open(self.mark, "rb") as mark:
            try:
                fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Refusal(
                    f"another quickstart is at work on {self.directory}", "wait for its end"
                ) from None
            yield

    def remove(self) -> None:
        """Everything, the mark last: whoever is killed on the way can say it again."""
        for entry in self.directory.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif entry != self.mark:
                entry.unlink()
        self.mark.unlink()
        self.directory.rmdir()

    def admin_password(self) -> str:
        if not self.password.exists():
            write(self.password, f"{secrets.token_urlsafe(18)}\n")
        return self.password.read_text().strip()

    def public_key(self) -> str:
        """The public half of the key pair, which is made at the first call; one line."""
        public = self.key.with_suffix(".pub")
        if not self.key.exists():
            pair = Ed25519PrivateKey.generate()
            line = pair.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
            write(public, f"{line.decode()} nova-lite quickstart\n")
            pem = pair.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
            write(self.key, pem.decode())
        return public.read_text().strip()


def write(path: Path, text: str) -> None:
    """A file that only we can read; whole, or as it was before."""
    beside = path.with_name(f"{path.name}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)

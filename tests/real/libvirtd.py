"""A libvirtd of the tests' own: it neither sees the host's guests nor disturbs its daemon.

It lives in namespaces (mounts, network, processes) with its own directories
under the usual paths, so everything it starts dies with it.  Files of guests
are where they are outside, and so is its socket.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nova_lite.domain.errors import HypervisorError
from nova_lite.virt.libvirt.connection import Connection

START = 60  # seconds; the first start asks QEMU for its abilities

CONFIG = {
    "libvirtd.conf": 'auth_unix_rw = "none"\n',
    "virtlogd.conf": "max_size = 65536\n",  # so that a log is full within seconds
    # Control groups belong to the host, and QEMU gets no /dev of its own because
    # libvirt cannot move the hidden /dev/kvm there; everything else is as installed.
    "qemu.conf": 'cgroup_controllers = []\nnamespaces = []\nstdio_handler = "{stdio_handler}"\n',
}

# bash is the first process of its namespace, so it also reaps what is orphaned.
INIT = """
set -e
mount -t proc proc /proc
for pair in etc:/etc/libvirt lib:/var/lib/libvirt log:/var/log/libvirt \
            cache:/var/cache/libvirt run:/run/libvirt; do
    mkdir -p "${pair#*:}"
    mount --bind "$0/${pair%%:*}" "${pair#*:}"
done
ip link set lo up
ip link add brtest type bridge
ip link set brtest up
# A /dev/kvm that root can open and QEMU's user cannot makes libvirt ask QEMU for
# its abilities again at each definition, which takes seconds: here is none.
if [ -e /dev/kvm ]; then
    touch "$0/no-kvm"
    mount --bind "$0/no-kvm" /dev/kvm
fi
virtlogd --pid-file /run/libvirt/virtlogd.pid &
set +e
while :; do
    libvirtd --pid-file /run/libvirt/libvirtd.pid &
    echo $! > "$0/libvirtd.pid"
    wait $!
done
"""


class Libvirtd:
    """A running daemon; `bridge` is a bridge that its guests can be plugged into."""

    bridge = "brtest"

    def __init__(self, directory: Path, *, stdio_handler: str = "logd") -> None:
        self.directory = directory
        self.uri = f"qemu+unix:///system?socket={directory}/run/libvirt-sock"
        for part in ("etc", "lib", "log", "cache", "run"):
            (directory / part).mkdir(mode=0o755, exist_ok=True)
        for name, text in CONFIG.items():
            (directory / "etc" / name).write_text(text.format(stdio_handler=stdio_handler))
        self._output = (directory / "output").open("wb")
        command = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child"]
        self._init = subprocess.Popen(
            [*command, "--propagation", "private", "bash", "-c", INIT, str(directory)],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    def wait(self) -> None:
        """Until it answers."""
        end = time.monotonic() + START
        while True:
            connection = Connection(self.uri)
            try:
                connection.run(lambda live: live.getVersion())
                return connection.close()
            except HypervisorError:
                if time.monotonic() > end or self._init.poll() is not None:
                    raise RuntimeError((self.directory / "output").read_text()) from None
                time.sleep(0.1)

    def inside(self, *command: str) -> str:
        """Run a command where the daemon lives."""
        children = Path(f"/proc/{self._init.pid}/task/{self._init.pid}/children").read_text()
        enter = ["nsenter", "--target", children.split()[0], "--mount", "--net", "--pid"]
        return subprocess.run(
            [*enter, "--", *command], check=True, capture_output=True, text=True
        ).stdout

    def restart(self) -> None:
        """Kill the daemon and wait for its successor; guests run on."""
        self.inside("kill", "-KILL", (self.directory / "libvirtd.pid").read_text().strip())
        self.wait()

    def stop(self) -> None:
        self._init.kill()  # and with it everything inside
        self._init.wait()
        self._output.close()


@contextmanager
def private_libvirtd(*, stdio_handler: str = "logd") -> Iterator[Libvirtd]:
    # Not pytest's directory: QEMU, as another user, could not get into that.
    with tempfile.TemporaryDirectory(prefix="nova-lite-libvirtd-", dir="/tmp") as name:
        directory = Path(name)
        directory.chmod(0o711)
        daemon = Libvirtd(directory, stdio_handler=stdio_handler)
        try:
            daemon.wait()
            yield daemon
        finally:
            daemon.stop()

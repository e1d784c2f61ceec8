"""What libvirt counts, in the words of the API."""

from __future__ import annotations

import os
from pathlib import Path

from nova_lite.domain.specs import Diagnostics, DiskUse, NicUse
from nova_lite.domain.states import PowerState
from nova_lite.virt.libvirt.usage import diagnostics

XML = """
<domain type='kvm'><memory unit='KiB'>524288</memory><vcpu>2</vcpu><devices>
  <disk><target dev='vda'/></disk><disk/>
  <interface><mac address='fa:16:3e:00:00:0a'/><target dev='tapa'/></interface>
  <interface type='hostdev'/>
  <interface><mac address='fa:16:3e:00:00:0b'/><target dev='tapb'/></interface>
  <channel type='unix'><source mode='bind' path='{socket}'/></channel>
  <channel type='unix'><source mode='bind'/></channel>
</devices></domain>"""

STATS = {
    "balloon.current": 262144,
    "vcpu.current": 2,
    "vcpu.0.time": 5_000_000_000,
    "vcpu.1.time": 7,
    "block.count": 1,
    "block.0.name": "vda",
    "block.0.rd.reqs": 1,
    "block.0.rd.bytes": 512,
    "block.0.wr.reqs": 2,
    "block.0.wr.bytes": 1024,
    "net.count": 2,
    "net.0.name": "tapb",
    "net.1.name": "tapa",
    "net.1.rx.bytes": 1,
    "net.1.rx.pkts": 2,
    "net.1.rx.errs": 3,
    "net.1.rx.drop": 4,
    "net.1.tx.bytes": 5,
    "net.1.tx.pkts": 6,
    "net.1.tx.errs": 7,
    "net.1.tx.drop": 8,
}


def test_each_counter_gets_to_whom_it_belongs(tmp_path: Path) -> None:
    socket = tmp_path / "agent"
    socket.touch()
    os.utime(socket, (1000, 1000))
    found = diagnostics(XML.format(socket=socket), STATS, PowerState.PAUSED, 1090.5)
    assert found == Diagnostics(
        power_state=PowerState.PAUSED,
        driver="libvirt",
        hypervisor="kvm",
        uptime_seconds=90,
        memory_mb=512,
        memory_used_mb=256,
        cpu_nanoseconds=(5_000_000_000, 7),
        disks=(DiskUse(512, 1, 1024, 2), DiskUse()),
        nics=(
            NicUse("fa:16:3e:00:00:0a", 1, 2, 3, 4, 5, 6, 7, 8),
            NicUse(""),
            NicUse("fa:16:3e:00:00:0b"),
        ),
    )


def test_what_is_not_counted_was_not_used() -> None:
    found = diagnostics(XML.format(socket="/nowhere/agent"), {}, PowerState.RUNNING, 1090.5)
    assert (found.memory_used_mb, found.cpu_nanoseconds) == (512, (0, 0))
    assert found.disks == (DiskUse(), DiskUse())
    assert found.uptime_seconds == 0, "its socket lies where we cannot see it"


def test_a_clock_that_was_set_back_makes_no_negative_time(tmp_path: Path) -> None:
    (tmp_path / "agent").touch()
    socket = tmp_path / "agent"
    assert diagnostics(XML.format(socket=socket), {}, PowerState.RUNNING, 5).uptime_seconds == 0

"""The words libvirt is spoken to in: pure functions from and to XML.

A definition of ours carries an element in our own namespace.  It marks the
guest as ours and holds what libvirt has no place for.  XML is only ever built
as a tree, so no name or path can become markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree as ET

from nova_lite.domain.specs import GuestSpec, Nic

VirtType = Literal["kvm", "qemu", "test"]  # test: libvirt's own mock hypervisor

NAMESPACE = "https://nova-lite.org/xmlns/libvirt/1"
ET.register_namespace("nova", NAMESPACE)

# QEMU grows its cache of translated code up to a quarter of the host's memory;
# a small guest then needs ten times its own.  Less than 32 slows booting.
TCG_CACHE_MIB = 32


@dataclass(frozen=True)
class DiskFile:
    """Where a disk of a guest lies: always qcow2, perhaps on top of a base that others share."""

    target: str
    path: Path
    base: Path | None = None
    base_format: str = "raw"
    boot: bool = False  # the guest starts from this one instead of the first


@dataclass(frozen=True)
class Definition:
    """What a definition says of a guest of ours."""

    vcpus: int
    memory_mb: int
    sequence: int
    disk_generation: int = 0  # guests defined by the first release have none


def domain_xml(
    spec: GuestSpec, disks: Iterable[DiskFile], *, console_log: Path, virt_type: VirtType
) -> str:
    disks = list(disks)
    domain = ET.Element("domain", type=virt_type)
    _add(domain, "name", spec.name)
    _add(domain, "uuid", str(spec.id))
    _metadata(domain, spec)
    _add(domain, "memory", str(spec.memory_mb), unit="MiB")
    _add(domain, "vcpu", str(spec.vcpus))
    _firmware(domain, spec, in_order=not any(disk.boot for disk in disks))
    features = _add(domain, "features")
    _add(features, "acpi")
    _add(features, "apic")
    if virt_type == "qemu":
        _add(_add(features, "tcg"), "tb-cache", str(TCG_CACHE_MIB), unit="MiB")
    if virt_type == "kvm":
        # Not host-passthrough: with it a guest can only move to an identical processor.
        _add(domain, "cpu", mode="host-model")
    clock = _add(domain, "clock", offset="utc")
    _add(clock, "timer", name="rtc", tickpolicy="catchup")
    _add(clock, "timer", name="pit", tickpolicy="delay")
    _add(clock, "timer", name="hpet", present="no")
    _add(domain, "on_poweroff", "destroy")
    _add(domain, "on_reboot", "restart")
    _add(domain, "on_crash", "destroy")
    devices = _add(domain, "devices")
    for disk in disks:
        _disk(devices, disk)
    for nic in spec.nics:
        _interface(devices, nic)
    _console(devices, console_log)
    _agent(devices)
    _add(devices, "graphics", type="vnc", autoport="yes", listen="127.0.0.1")
    _add(_add(devices, "video"), "model", type="vga")
    _add(devices, "memballoon", model="virtio")
    _add(_add(devices, "rng", model="virtio"), "backend", "/dev/urandom", model="random")
    ET.indent(domain)
    return ET.tostring(domain, encoding="unicode") + "\n"


def definition(xml: str) -> Definition | None:
    """What `xml` says of a guest; None when it is not one of ours."""
    domain = ET.fromstring(xml)
    ours = domain.find(f"metadata/{{{NAMESPACE}}}guest")
    if ours is None:
        return None
    return Definition(
        vcpus=int(domain.findtext("vcpu", "0")),
        memory_mb=int(domain.findtext("memory", "0")) // 1024,  # libvirt answers in KiB
        sequence=int(ours.get("sequence", "0")),
        disk_generation=int(ours.get("disk-generation", "0")),
    )


def interface_xml(nic: Nic) -> str:
    """A NIC by itself, to be plugged into a running guest."""
    return ET.tostring(_interface(ET.Element("devices"), nic), encoding="unicode")


def cpu_info(capabilities: str) -> dict[str, Any]:
    """The host's processor in the form that `os-hypervisors` shows."""
    cpu = ET.fromstring(capabilities).find("host/cpu")
    if cpu is None:
        return {}
    topology = cpu.find("topology")
    return {
        "arch": cpu.findtext("arch", ""),
        "model": cpu.findtext("model", ""),
        "vendor": cpu.findtext("vendor", ""),
        "topology": {} if topology is None else _numbers(topology),
        "features": sorted(feature.get("name", "") for feature in cpu.iter("feature")),
    }


def _numbers(topology: ET.Element) -> dict[str, int]:
    wanted = ("cells", "sockets", "dies", "cores", "threads")
    return {name: int(topology.get(name, "1")) for name in wanted}


def _metadata(domain: ET.Element, spec: GuestSpec) -> None:
    guest = _add(_add(domain, "metadata"), f"{{{NAMESPACE}}}guest")
    guest.set("sequence", str(spec.sequence))
    guest.set("disk-generation", str(spec.disk_generation))
    _add(guest, f"{{{NAMESPACE}}}name", spec.display_name)
    _add(guest, f"{{{NAMESPACE}}}project", spec.project_id)


def _firmware(domain: ET.Element, spec: GuestSpec, *, in_order: bool) -> None:
    os = _add(domain, "os")
    _add(os, "type", "hvm", arch="x86_64", machine="pc")
    if in_order:
        _add(os, "boot", dev="hd")
    _add(os, "smbios", mode="sysinfo")
    # cloud-init decides by the product's name whether it asks a metadata
    # service of OpenStack; with any other name it gives up early.
    system = _add(_add(domain, "sysinfo", type="smbios"), "system")
    for name, value in (
        ("manufacturer", "nova-lite"),
        ("product", "OpenStack Nova"),
        ("serial", str(spec.id)),
        ("uuid", str(spec.id)),
        ("family", "Virtual Machine"),
    ):
        _add(system, "entry", value, name=name)


def _disk(devices: ET.Element, file: DiskFile) -> None:
    disk = _add(devices, "disk", type="file", device="disk")
    _add(disk, "driver", name="qemu", type="qcow2", discard="unmap")
    _add(disk, "source", file=str(file.path))
    # The whole chain is spelled out, so that libvirt never looks into an image
    # to find out what lies below it.
    backing = _add(disk, "backingStore")
    if file.base:
        backing.set("type", "file")
        _add(backing, "format", type=file.base_format)
        source = _add(backing, "source", file=str(file.base))
        # All guests read the base and none may own it.
        _add(source, "seclabel", model="dac", relabel="no")
        _add(backing, "backingStore")
    _add(disk, "target", dev=file.target, bus="virtio")
    if file.boot:
        _add(disk, "boot", order="1")


def _interface(devices: ET.Element, nic: Nic) -> ET.Element:
    interface = _add(devices, "interface", type="bridge")
    _add(interface, "mac", address=nic.mac)
    _add(interface, "source", bridge=nic.link.bridge)
    _add(interface, "target", dev=nic.tap)
    _add(interface, "model", type="virtio")
    _add(interface, "mtu", size=str(nic.link.mtu))
    return interface


def _console(devices: ET.Element, log: Path) -> None:
    serial = _add(devices, "serial", type="file")
    # Appending, so that the log of the boot before this one is still there to be read.
    _add(serial, "source", path=str(log), append="on")
    _add(serial, "target", type="isa-serial", port="0")


def _agent(devices: ET.Element) -> None:
    """Where the agent inside the guest is spoken to, if it runs one."""
    channel = _add(devices, "channel", type="unix")
    _add(channel, "source", mode="bind")
    _add(channel, "target", type="virtio", name="org.qemu.guest_agent.0")


# Not one of these may stand in an XML document, escaped or not.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _add(parent: ET.Element, tag: str, text: str | None = None, **attributes: str) -> ET.Element:
    element = ET.SubElement(
        parent, tag, {name: _NOT_XML.sub("\ufffd", value) for name, value in attributes.items()}
    )
    if text is not None:
        element.text = _NOT_XML.sub("\ufffd", text)
    return element

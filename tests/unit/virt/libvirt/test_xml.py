"""What libvirt is told, word for word, and what is read out of its answers."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from uuid import UUID
from xml.etree import ElementTree as ET

import libvirt
import pytest

from nova_lite.domain.specs import Disk, GuestSpec, ImageSource, Link, Nic
from nova_lite.virt.libvirt.xml import (
    Definition,
    DiskFile,
    VirtType,
    cpu_info,
    definition,
    domain_xml,
    interface_xml,
)

GOLDEN = Path(__file__).parents[3] / "golden" / "domain"
DIRECTORY = Path("/var/lib/nova-lite/instances/5ca1ab1e-0000-4000-8000-00000000002a")
BASE = Path("/var/lib/nova-lite/instances/_base")

IMAGE = ImageSource(
    UUID("1a2b3c4d-0000-4000-8000-000000000001"), "http://x/?sig=secret", "qcow2", 1, "0"
)
LINK = Link(UUID("aaaaaaaa-0000-4000-8000-000000000001"), "br100", mtu=1450)
NIC = Nic(UUID("abcdef01-2345-4000-8000-000000000001"), "fa:16:3e:00:00:2a", LINK)
SPEC = GuestSpec(
    id=UUID("5ca1ab1e-0000-4000-8000-00000000002a"),
    name="instance-0000002a",
    display_name="web server",
    project_id="0123456789abcdef0123456789abcdef",
    vcpus=2,
    memory_mb=512,
    disks=(Disk("vda", 10, IMAGE),),
    nics=(NIC,),
    sequence=3,
)
ROOT = DiskFile("vda", DIRECTORY / "disk", BASE / str(IMAGE.id), "qcow2")
EMPTY = DiskFile("vdb", DIRECTORY / "disk.vdb")
RESCUE = DiskFile("vdr", DIRECTORY / "disk.vdr", BASE / str(IMAGE.id), "qcow2", boot=True)


def xml(spec: GuestSpec = SPEC, virt_type: VirtType = "qemu", *disks: DiskFile) -> str:
    return domain_xml(
        spec, disks or (ROOT,), console_log=DIRECTORY / "console.log", virt_type=virt_type
    )


CASES = {
    "qemu": xml(),
    "kvm": xml(SPEC, "kvm"),
    "no-nic": xml(replace(SPEC, nics=())),
    "two-disks": xml(SPEC, "kvm", ROOT, EMPTY),
    "rescue": xml(replace(SPEC, disk_generation=2), "qemu", ROOT, RESCUE),
}


@pytest.mark.parametrize("name", CASES)
def test_a_definition_is_word_for_word_the_reviewed_one(name: str) -> None:
    assert CASES[name] == (GOLDEN / f"{name}.xml").read_text()


@pytest.mark.parametrize("name", CASES)
def test_libvirt_finds_a_definition_valid(name: str) -> None:
    for_the_mock = re.sub('type="(kvm|qemu)">\n  <name>', 'type="test">\n  <name>', CASES[name])
    connection = libvirt.open("test:///default")
    try:
        domain = connection.defineXMLFlags(for_the_mock, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
        generation = 2 if name == "rescue" else 0
        assert definition(domain.XMLDesc()) == Definition(2, 512, 3, generation)
    finally:
        connection.close()


def test_no_signature_of_an_image_gets_into_a_definition() -> None:
    assert not [name for name, text in CASES.items() if "secret" in text]


HOSTILE = (
    "</name><devices><disk type='block'/></devices>",
    "'\"><x/>",
    "<!--",
    "]]><![CDATA[",
    "&xxe;",
    "<!DOCTYPE x>",
    "\x00\x01\x1b[31m\ufffe",
    "\ud800",
    "a\r\nb",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_names_cannot_become_markup(text: str) -> None:
    spec = replace(SPEC, name=text, display_name=text, project_id=text)
    tree = ET.fromstring(xml(spec).encode())
    assert _shape(tree) == _shape(ET.fromstring(xml()))


def _shape(element: ET.Element) -> list[object]:
    return [element.tag, sorted(element.attrib), [_shape(child) for child in element]]


def test_a_guest_of_others_is_not_ours() -> None:
    assert definition("<domain><name>instance-0000002a</name></domain>") is None
    foreign = '<domain><metadata><guest xmlns="urn:x" sequence="1"/></metadata></domain>'
    assert definition(foreign) is None


def test_a_guest_of_the_first_release_has_its_first_disks() -> None:
    old = xml().replace(' disk-generation="0"', "")
    found = definition(old)
    assert old != xml() and found and (found.sequence, found.disk_generation) == (3, 0)


def test_a_nic_is_plugged_as_it_is_defined() -> None:
    defined = ET.fromstring(xml()).find("devices/interface")
    assert defined is not None
    words = [(element.tag, element.attrib) for element in defined.iter()]
    plugged = ET.fromstring(interface_xml(NIC)).iter()
    assert [(element.tag, element.attrib) for element in plugged] == words


def test_a_processor_is_described_in_the_words_of_the_api() -> None:
    capabilities = """
        <capabilities><host><cpu><arch>x86_64</arch><model>EPYC</model><vendor>AMD</vendor>
          <topology sockets='2' dies='1' cores='8' threads='2'/>
          <feature name='svm'/><feature name='aes'/></cpu></host></capabilities>"""
    assert cpu_info(capabilities) == {
        "arch": "x86_64",
        "model": "EPYC",
        "vendor": "AMD",
        "topology": {"cells": 1, "sockets": 2, "dies": 1, "cores": 8, "threads": 2},
        "features": ["aes", "svm"],
    }


def test_a_host_that_tells_little_of_its_processor_is_no_error() -> None:
    assert cpu_info("<capabilities><host/></capabilities>") == {}
    little = cpu_info("<capabilities><host><cpu><arch>i686</arch></cpu></host></capabilities>")
    assert (little["arch"], little["model"], little["topology"]) == ("i686", "", {})

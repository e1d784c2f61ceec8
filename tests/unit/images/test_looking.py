"""A look at images without keeping them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from nova_lite.domain.errors import HypervisorError, ImageUnacceptable
from nova_lite.domain.specs import ImageSource
from nova_lite.images.looking import Looks

CONTENT = b"\x01" * 3000


class Web:
    def __init__(self) -> None:
        self.fetched = 0
        self.is_there = True

    def fetch(self, url: str) -> Iterator[bytes]:
        self.fetched += 1
        if not self.is_there:
            raise HypervisorError("transfer failed: ConnectionError")
        yield CONTENT[:1000]
        yield CONTENT[1000:]


def source(**other: Any) -> ImageSource:
    sha512 = hashlib.sha512(CONTENT).hexdigest()
    image = ImageSource(uuid4(), "http://api/?signature=secret", "raw", len(CONTENT), sha512)
    return replace(image, **other)


def test_a_good_image_is_looked_at_once() -> None:
    web = Web()
    looks, image = Looks(web.fetch), source()
    for _ in range(3):
        looks.look(image)
    assert web.fetched == 1
    looks.look(source())
    assert web.fetched == 2


@pytest.mark.parametrize(
    "wrong", [{"disk_format": "qcow2"}, {"size": 2999}, {"size": 3001}, {"sha512": "0" * 128}]
)
def test_a_bad_image_is_refused_each_time(wrong: dict[str, Any]) -> None:
    web = Web()
    looks, image = Looks(web.fetch), source(**wrong)
    for _ in range(2):
        with pytest.raises(ImageUnacceptable):
            looks.look(image)
    assert web.fetched == 2


def test_an_image_that_cannot_be_had_is_no_hindrance_but_looked_at_next_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    web = Web()
    looks, image = Looks(web.fetch), source()
    web.is_there = False
    looks.look(image)
    assert f"image {image.id} was not looked at" in caplog.text
    assert "secret" not in caplog.text
    web.is_there = True
    looks.look(image)
    looks.look(image)
    assert web.fetched == 2

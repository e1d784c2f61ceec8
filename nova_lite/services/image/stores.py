"""What image stores are to us: named places for bytes, and one where they wait."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol
from uuid import UUID

from nova_lite.domain.errors import Invalid, NotFound

CHUNK = 1 << 20


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Stored(Protocol):
    """What a store found out about the bytes of an image; sizes in bytes."""

    @property
    def size(self) -> int: ...
    @property
    def virtual_size(self) -> int | None: ...
    @property
    def md5(self) -> str: ...
    @property
    def sha512(self) -> str: ...


class Part(Protocol):
    """An image on its way into a store."""

    def fill(self, chunks: Iterable[bytes], disk_format: str | None) -> Stored:
        """Without a format they are not looked at.

        Raises ImageUnacceptable, NotFound when it is removed meanwhile, TooLarge.
        """

    def read(self) -> Iterator[bytes]: ...

    def keep(self) -> None:
        """From now on it can be opened."""


class Store(Protocol):
    """Where bytes are kept."""

    @property
    def type(self) -> str: ...
    @property
    def properties(self) -> dict[str, Any]: ...

    def incoming(self, id: UUID) -> AbstractContextManager[Part]:
        """Raises Conflict while another part of the same image is under way."""

    def open(self, id: UUID) -> BinaryIO:
        """Raises NotFound."""

    def remove(self, id: UUID) -> None:
        """Also ends an upload that is under way."""

    def ids(self) -> set[UUID]: ...

    def clean(self) -> None: ...


class Locks(Protocol):
    def hold(self, id: UUID) -> AbstractContextManager[None]:
        """Raises Conflict while somebody else holds it."""

    def clean(self) -> None: ...


@dataclass(frozen=True)
class Stores:
    """The stores of a site by name, the default first; `staging` keeps what is to be imported.

    Whoever brings, moves or removes bytes of an image that exists holds its lock.
    """

    named: Mapping[str, Store]
    staging: Store
    locks: Locks

    @property
    def default(self) -> str:
        return next(iter(self.named))

    def __getitem__(self, name: str) -> Store:
        """Raises Invalid."""
        if name not in self.named:
            raise Invalid(f"There is no store {name!r}; there are {', '.join(self.named)}.")
        return self.named[name]

    def open(self, id: UUID, names: Iterable[str]) -> BinaryIO:
        """The bytes of an image, of the first store that has them.  Raises NotFound."""
        for name in names:
            try:
                if name in self.named:
                    return self.named[name].open(id)
            except NotFound:
                continue  # another may
        raise NotFound(f"Image {id} has no data.")

    def remove(self, id: UUID) -> None:
        """No bytes of this image are left anywhere."""
        for store in (*self.named.values(), self.staging):
            store.remove(id)

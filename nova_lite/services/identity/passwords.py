"""Passwords as argon2id hashes, and checking them without telling who exists."""

from __future__ import annotations

import os
import secrets
import threading
from functools import cached_property

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError


def generated() -> str:
    """A password for somebody who did not choose one."""
    return secrets.token_urlsafe(12)


class Passwords:
    """`memory_kib` and `rounds` are what one check costs; a check is meant to be dear."""

    def __init__(self, memory_kib: int, rounds: int) -> None:
        self._hasher = PasswordHasher(time_cost=rounds, memory_cost=memory_kib, parallelism=1)
        # More at a time would only take memory: each check keeps one core busy.
        self._turns = threading.BoundedSemaphore(os.cpu_count() or 1)

    def hash(self, password: str) -> str:
        with self._turns:
            return self._hasher.hash(password)

    def verify(self, hash: str, password: str) -> bool:
        """Whether this is the password; with the hash "" it is not, and that takes as long."""
        # Made whoever asks first, so that the making of it tells nothing either.
        nobody = self._hash_of_nobody
        with self._turns:
            try:
                return self._hasher.verify(hash or nobody, password) and bool(hash)
            except (VerificationError, InvalidHashError):
                return False

    def is_outdated(self, hash: str) -> bool:
        """Whether a new hash of the same password would cost something else to check."""
        return self._hasher.check_needs_rehash(hash)

    @cached_property
    def _hash_of_nobody(self) -> str:
        return self.hash(secrets.token_urlsafe())

"""Giving memory back, and not looking for more of it than is worth it.

The C library's habits are for programs with few threads.

By default every thread gets an arena of its own, and once a large block was
freed blocks of that size are kept in it.  With 19 MiB per password check, a
nova-all that had a few logins stayed at 300 MB; like this it stays near 130.
"""

from __future__ import annotations

import ctypes
import gc

M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8  # <malloc.h> of glibc


def be_frugal() -> None:
    """Few arenas, and large blocks back to the kernel at once; nothing where there is no glibc."""
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(M_ARENA_MAX, 2)
    mallopt(M_MMAP_THRESHOLD, 1 << 20)


def settle() -> None:
    """What a program has once it is up, it has for good.

    The collector of cycles is told not to look through all of that, modules and
    tables, again and again: a list of a thousand servers made it do so several times.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)

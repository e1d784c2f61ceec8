"""Errors as libvirt raises them."""

from __future__ import annotations

import libvirt


def libvirt_error(code: int, message: str) -> libvirt.libvirtError:
    error = libvirt.libvirtError(message)
    # It prefers what libvirt itself said last in this thread, whoever asked.
    error.args = (message,)
    error.err = (code, 0, message, 2, "", "", "", 0, 0)
    return error

"""PJSIP's sockets, found among our descriptors: to be woken by them, and to tie them to an interface."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from typing import Final

_INTERNET: Final = frozenset({socket.AF_INET, socket.AF_INET6})


def bind_all(interface: str) -> None:
    """Tie every internet socket to this interface, whatever the kernel's route is; nothing for an empty name.

    PJSIP knows a source address but no interface, and a source alone does not choose the way. A connection whose
    SYN has left already by the wrong way follows with the next one, a second later. A socket that cannot be tied
    goes the kernel's way.
    """
    if not interface:
        return
    for descriptor, _ in all_of_us():
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as ours:
            if ours.family in _INTERNET and not ours.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).rstrip(
                b"\0"
            ):
                ours.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")


def all_of_us() -> Iterator[tuple[int, str]]:
    """Yield descriptor and inode of every socket of this process."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - descriptors, not files
        with contextlib.suppress(OSError):
            inode = os.readlink(f"/proc/self/fd/{name}")  # noqa: PTH115 - the same
            if inode.startswith("socket:"):
                yield int(name), inode


def is_internet(descriptor: int) -> bool:
    """Return whether this descriptor is a socket of IPv4 or IPv6; raises OSError when it is gone."""
    with socket.socket(fileno=os.dup(descriptor)) as probe:
        return probe.family in _INTERNET

"""The kernel's own record of what happened when: a netlink listener that shares nothing with the agent."""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from agent.lab.namespaces import in_namespace

GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400  # RTMGRP_LINK, IPV4_IFADDR, IPV4_ROUTE, IPV6_IFADDR, IPV6_ROUTE
RTM_NEWLINK, RTM_GETLINK = 16, 18
NLM_F_REQUEST, NLM_F_DUMP = 0x1, 0x300
BASELINE = 1
"""Sequence number of the one dump at the start: what carrier was before anything happened."""
NAMES = {16: "link", 17: "link gone", 20: "address", 21: "address gone", 24: "route", 25: "route gone"}
IFF_LOWER_UP = 1 << 16
RECEIVE_BUFFER = 8 << 20
"""Bytes: room for a flood."""


@dataclass(frozen=True, slots=True)
class KernelEvent:
    """One message of the kernel."""

    at: float
    """CLOCK_MONOTONIC seconds when it was read, well below a millisecond after the kernel sent it."""
    what: str
    """`carrier`, `no carrier`, `link`, `link gone`, `address`, `address gone`, `route`, `route gone`."""
    ifindex: int
    """0 for routes."""


class KernelEvents:
    """Records, on a thread of its own, what the kernel of one namespace says; a context manager."""

    def __init__(self, namespace: str) -> None:
        with in_namespace(namespace):
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        # SO_RCVBUFFORCE: root may go beyond rmem_max; in a user namespace it may not.
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, 33, RECEIVE_BUFFER)
        except PermissionError:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self._socket.bind((0, GROUPS))
        self._socket.send(struct.pack("=IHHIIB15x", 32, RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, BASELINE, 0, 0))
        self.overruns = 0
        """How often the kernel had to drop messages: beyond some 50,000 a second not everything is recorded."""
        self._stop_read, self._stop_write = os.pipe()
        self._changed = threading.Condition()
        self._events: list[KernelEvent] = []
        self._carrier: dict[int, bool] = {}
        self._thread = threading.Thread(target=self._read, name=f"kernel-events-{namespace}", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop recording; what was recorded stays readable."""
        if self._thread.is_alive():
            os.write(self._stop_write, b"x")
            self._thread.join()
            self._socket.close()
            os.close(self._stop_read)
            os.close(self._stop_write)

    def all(self) -> tuple[KernelEvent, ...]:
        """Everything so far, in the kernel's order."""
        with self._changed:
            return tuple(self._events)

    def clear(self) -> None:
        """Forget what was recorded."""
        with self._changed:
            self._events.clear()

    def wait(self, what: str, timeout: float = 5.0, *, after: float = 0.0) -> KernelEvent:
        """Return the first event called `what` at or after a monotonic time; raise TimeoutError if none comes."""

        def find() -> KernelEvent | None:
            return next((event for event in self._events if event.what == what and event.at >= after), None)

        with self._changed:
            found = self._changed.wait_for(find, timeout)
        if not found:
            raise TimeoutError(f"the kernel did not report {what!r} within {timeout} s")
        return found

    def _read(self) -> None:
        while True:
            ready, _, _ = select.select([self._socket.fileno(), self._stop_read], [], [])
            if self._stop_read in ready:
                return
            try:
                data = self._socket.recv(1 << 16)
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self.overruns += 1
                continue
            at = time.monotonic()
            with self._changed:
                self._record(data, at)
                self._changed.notify_all()

    def _record(self, data: bytes, at: float) -> None:
        offset = 0
        while offset + 16 <= len(data):
            length, kind, _, sequence = struct.unpack_from("=IHHI", data, offset)
            if sequence == BASELINE and kind == RTM_NEWLINK:
                index, flags = struct.unpack_from("=iI", data, offset + 20)
                self._carrier.setdefault(index, bool(flags & IFF_LOWER_UP))
            elif kind in NAMES:
                index = 0 if NAMES[kind].startswith("route") else struct.unpack_from("=i", data, offset + 20)[0]
                self._events.append(KernelEvent(at, NAMES[kind], index))
                if kind == RTM_NEWLINK:
                    self._record_carrier(index, struct.unpack_from("=I", data, offset + 24)[0], at)
            offset += max(16, (length + 3) & ~3)

    def _record_carrier(self, index: int, flags: int, at: float) -> None:
        carrier = bool(flags & IFF_LOWER_UP)
        if self._carrier.get(index) != carrier:
            self._carrier[index] = carrier
            self._events.append(KernelEvent(at, "carrier" if carrier else "no carrier", index))

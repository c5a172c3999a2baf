"""A tap on the wires of a namespace: every UDP and TCP packet over IPv4 with the kernel's own time of it."""

from __future__ import annotations

import contextlib
import itertools
import socket
import struct
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from agent.lab.namespaces import in_namespace

_ETH_P_ALL = 3
_SO_TIMESTAMPNS = 35
_TCP, _UDP = 6, 17
_KEPT = 64
"""Bytes of each payload that are kept: enough to know what it is."""
_ETHERNET = 14


@dataclass(frozen=True)
class Packet:
    """One packet; `at` is CLOCK_REALTIME in seconds, as the kernel stamped it."""

    at: float
    interface: str
    source: str
    target: str
    ports: tuple[int, int]
    payload: bytes

    @property
    def is_rtp(self) -> bool:
        """G.711 over RTP (RFC 3550 5.1)."""
        return len(self.payload) > 12 and self.payload[0] == 0x80 and self.payload[1] & 0x7F in {0, 8}

    def begins(self, method: str) -> bool:
        """Return whether it is a SIP request of this method."""
        return self.payload.startswith(method.encode() + b" ")


class Tap:
    """Listens on the named interfaces of a namespace while it is open; `packets` grows in order."""

    def __init__(self, namespace: str, *interfaces: str) -> None:
        self.packets: list[Packet] = []
        self._interfaces = interfaces
        with in_namespace(namespace):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
        self._socket.settimeout(0.2)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="tap", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while not self._over.is_set():
            with contextlib.suppress(TimeoutError):
                frame, ancillary, _, where = self._socket.recvmsg(2048, 64)
                if where[0] in self._interfaces:
                    self._take(frame, ancillary, where[0])

    def _take(self, frame: bytes, ancillary: list[tuple[int, int, bytes]], interface: str) -> None:
        packet = frame[_ETHERNET:]
        if len(packet) < 28 or packet[0] >> 4 != 4:
            return
        header = (packet[0] & 15) * 4
        if packet[9] not in {_TCP, _UDP}:
            return
        ports = struct.unpack_from("!HH", packet, header)
        start = header + (8 if packet[9] == _UDP else (packet[header + 12] >> 4) * 4)
        seconds, nanoseconds = struct.unpack("ll", ancillary[0][2][:16])
        source, target = socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20])
        at = seconds + nanoseconds / 1e9
        self.packets.append(Packet(at, interface, source, target, ports, packet[start : start + _KEPT]))


def longest_gap(times: list[float]) -> float:
    """Return the longest silence between two packets, in seconds."""
    return max((later - earlier for earlier, later in itertools.pairwise(times)), default=0.0)

"""Hears the sound of a call on the device's cable: when each RTP packet passed, by the kernel's clock."""

from __future__ import annotations

import select
import socket
import struct
import threading
from dataclasses import dataclass, field
from typing import Self

from agent.lab.stage import Stage

ETH_P_ALL = 0x0003
SO_TIMESTAMPNS = 35
"""asm-generic/socket.h: struct timespec of the reception, by the wall clock, with each packet."""
_ETHERNET, _UDP = 14, 17
_PAYLOADS = frozenset({0, 8})
"""G.711: what the lab speaks."""


@dataclass
class Direction:
    """One stream of packets."""

    packets: int = 0
    last: float = 0.0
    gaps: list[tuple[float, float]] = field(default_factory=list)
    """(seconds, until when) of the longest pauses; the longest first."""

    def take(self, at: float) -> None:
        if self.packets:
            self.gaps = sorted([*self.gaps, (at - self.last, at)], reverse=True)[:5]
        self.packets, self.last = self.packets + 1, at

    @property
    def longest(self) -> float:
        return self.gaps[0][0] if self.gaps else 0.0


class RtpTap:
    """Listens on the device's interface while in a `with`."""

    def __init__(self, stage: Stage, interface: str = "eth0") -> None:
        self.sent, self.heard = Direction(), Direction()
        with stage.lab.in_namespace("device"):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
            self._socket.bind((interface, 0))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="rtp tap")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while not self._over.is_set():
            if not select.select([self._socket], [], [], 0.1)[0]:
                continue
            data, extra, _, address = self._socket.recvmsg(2048, 64)
            if _is_rtp(data):
                stamps = [value for level, kind, value in extra if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS)]
                seconds, nanoseconds = struct.unpack("qq", stamps[0])
                outgoing = address[2] == socket.PACKET_OUTGOING
                (self.sent if outgoing else self.heard).take(seconds + nanoseconds / 1e9)


def _is_rtp(frame: bytes) -> bool:
    """Tell whether an Ethernet frame holds an RTP packet of a call (RFC 3550 5.1)."""
    packet = frame[_ETHERNET:]
    if frame[12:14] != b"\x08\x00" or len(packet) < 40 or packet[9] != _UDP:
        return False
    rtp = packet[(packet[0] & 15) * 4 + 8 :]
    return len(rtp) > 100 and rtp[0] >> 6 == 2 and rtp[1] & 0x7F in _PAYLOADS

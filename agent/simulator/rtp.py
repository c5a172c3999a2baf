"""RTP with PCMU, symmetric: sound goes to wherever sound comes from, so it passes any NAT (RFC 3550, RFC 4961)."""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import struct
from collections.abc import Callable

FRAME = 160
"""Bytes of PCMU in 20 ms."""
FRAME_SECONDS = 0.02
HEADER = 12
VERSION = 2
PCMU = 0


class RtpStream(asyncio.DatagramProtocol):
    """One call's socket; `start` opens it, `close` ends it."""

    def __init__(self, heard: Callable[[str, int], None]) -> None:
        """Take what to call with host and port at the first packet from a new source."""
        self._heard = heard
        self._transport: asyncio.DatagramTransport | None = None
        self._remote: tuple[str, int] | None = None
        self._latched: tuple[str, int] | None = None
        self._sequence = secrets.randbelow(0x8000)
        self._timestamp = secrets.randbelow(0x80000000)
        self._source = secrets.randbits(32)
        self.received = 0
        """Packets of PCMU."""
        self.sent = 0
        self.loud = 0
        """Received packets that were not plain silence."""
        self.last_heard = 0.0
        """Loop time of the last packet."""
        self.echo = False
        """Send back what comes in."""

    async def start(self, address: str) -> int:
        """Open a socket on this address and return its port."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(address, 0))
        self._transport = transport
        self.last_heard = loop.time()
        port: int = transport.get_extra_info("sockname")[1]
        return port

    def aim(self, host: str, port: int) -> None:
        """Take the other side's own idea of its address; what it sends from counts more."""
        self._remote = (host, port) if port and not ipaddress.ip_address(host).is_unspecified else None
        self._latched = None

    def send(self, payload: bytes, *, first: bool = False) -> None:
        """Send one frame of 160 bytes, if there is anywhere to send it to."""
        target = self._latched or self._remote
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp = (self._timestamp + len(payload)) & 0xFFFFFFFF
        if self._transport is None or target is None or self._transport.is_closing():
            return
        marker = 0x80 if first else 0
        header = struct.pack("!BBHII", VERSION << 6, marker | PCMU, self._sequence, self._timestamp, self._source)
        self._transport.sendto(header + payload, target)
        self.sent += 1

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Latch on to the source and count."""
        if len(data) < HEADER or data[0] >> 6 != VERSION or data[1] & 0x7F != PCMU:
            return
        source = (addr[0], addr[1])
        self.received += 1
        self.last_heard = asyncio.get_running_loop().time()
        payload = data[HEADER:]
        self.loud += payload.strip(b"\xff\x7f") != b""
        if source != self._latched:
            self._latched = source
            self._heard(*source)
        if self.echo:
            self.send(payload)

    def error_received(self, exc: Exception) -> None:
        """ICMP says that nobody is there yet: a private address from an SDP behind NAT."""

    def close(self) -> None:
        """Close the socket."""
        if self._transport is not None:
            self._transport.close()

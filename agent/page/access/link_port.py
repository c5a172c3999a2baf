"""Listening sockets on the link: who may not is closed out before a byte of theirs is read; how many may at once."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import weakref
from collections.abc import Callable

from agent.page.access.door import MAX_ON_LINK
from agent.runtime.tasks import end

BACKLOG = 64
HANDSHAKE = 5.0
"""Seconds for TLS: a phone on a bad Wi-Fi needs one."""
MAX_FROM_ONE = 8
"""Connections of one address: a browser uses six, however many windows it has."""
OUT_OF_FILES = 1.0
"""Seconds until the next connection is taken when none could be."""

log = logging.getLogger(__name__)


class Crowd:
    """All connections from the link, those that are still in their TLS handshake too."""

    def __init__(self, may: Callable[[str, str], bool]) -> None:
        """`may`: peer and our address it reached -> whether it is on the link."""
        self._may = may
        self._inside: list[tuple[str, socket.socket]] = []
        self._transports: weakref.WeakSet[asyncio.BaseTransport] = weakref.WeakSet()

    def admit(self, address: str, connected: socket.socket) -> bool:
        """Count a connection, unless it is not from the link or there are too many: of that address, or in all."""
        if not self._may(address, str(connected.getsockname()[0])):
            return False
        if self.inside() >= MAX_ON_LINK or sum(1 for other, _ in self._inside if other == address) >= MAX_FROM_ONE:
            return False
        self._inside.append((address, connected))
        return True

    def greeted(self, transport: asyncio.BaseTransport) -> None:
        """Know a connection whose handshake is over."""
        self._transports.add(transport)

    def end(self) -> None:
        """End every connection at once, without waiting for the goodbyes of TLS."""
        for transport in self._transports:
            if isinstance(transport, asyncio.Transport):
                transport.abort()

    def inside(self) -> int:
        """Return how many there are now."""
        # a transport closes its socket when the connection ends
        self._inside = [one for one in self._inside if one[1].fileno() >= 0]
        return len(self._inside)


class LinkPort:
    """One listening socket: who is not on its network is closed out before a byte of theirs is read."""

    def __init__(
        self,
        address: str,
        port: int,
        crowd: Crowd,
        factory: Callable[[], asyncio.BaseProtocol],
        context: ssl.SSLContext | None,
    ) -> None:
        """Listen; raises OSError."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._socket = socket.create_server((address, port), family=family, backlog=BACKLOG)
        self._socket.setblocking(False)  # noqa: FBT003 - the name says what
        self.asked = port
        """The number that was asked for; 0: any."""
        self.port: int = self._socket.getsockname()[1]
        self._crowd = crowd
        self._factory = factory
        self._context = context
        self._greeting: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._loop.add_reader(self._socket, self._accept)

    async def close(self) -> None:
        """Stop listening; connections that are open stay, and each of their requests is judged anew."""
        self.abandon()
        await end(*self._greeting)

    def abandon(self) -> None:
        """Stop at once; who is being greeted is not waited for."""
        self._loop.remove_reader(self._socket)
        if self._pause is not None:
            self._pause.cancel()
        self._socket.close()

    def _accept(self) -> None:
        """Take the next connection; by hand, for `sock_accept` loses one that comes while it is cancelled."""
        try:
            connected, peer = self._socket.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:  # no file left: others must get theirs first
            log.warning("a connection from the link could not be taken: %s", error.strerror)
            self._loop.remove_reader(self._socket)
            self._pause = self._loop.call_later(OUT_OF_FILES, self._loop.add_reader, self._socket, self._accept)
            return
        connected.setblocking(False)  # noqa: FBT003 - the name says what
        if not self._crowd.admit(str(peer[0]), connected):
            connected.close()
            return
        task = asyncio.create_task(self._greet(connected), name="page-link-greeting")
        self._greeting.add(task)
        task.add_done_callback(self._greeting.discard)

    async def _greet(self, connected: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        wait = None if self._context is None else HANDSHAKE
        try:
            transport, _ = await loop.connect_accepted_socket(
                self._factory, connected, ssl=self._context, ssl_handshake_timeout=wait, ssl_shutdown_timeout=wait
            )
            self._crowd.greeted(transport)
        except OSError as error:  # ssl.SSLError, a reset and a timeout too
            log.debug("a connection from the link failed: %s", error)
            connected.close()


class Redirect(asyncio.Protocol):
    """Plain HTTP on the link: whatever is asked, the answer is where HTTPS is; nothing of the question is repeated."""

    def __init__(self, url: str) -> None:
        self._answer = (
            f"HTTP/1.1 301 Moved Permanently\r\nLocation: {url}\r\nContent-Length: 0\r\n"
            "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
        ).encode()
        self._transport: asyncio.Transport | None = None
        self._late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the question, not for long."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
            self._late = asyncio.get_running_loop().call_later(HANDSHAKE, transport.abort)

    def data_received(self, _data: bytes) -> None:
        """Answer whatever it is."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(self._answer)
            self._transport.close()

    def connection_lost(self, _error: Exception | None) -> None:
        """Stop waiting."""
        if self._late is not None:
            self._late.cancel()

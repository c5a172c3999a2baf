"""The Unix socket of PROTOCOL.md: lines in, lines out, and nobody who does not read holds anybody up."""

from __future__ import annotations

import asyncio
import contextlib
import grp
import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Final

from agent.say import said, say
from agent.system_words import os_words
from agent.voice.log import log
from agent.voice.socket.protocol import LINE_LIMIT, Message, decode, encode

BACKLOG_LIMIT: Final = 256 * 1024
"""Bytes that a client may leave unread before it is dropped."""
CLIENT_LIMIT: Final = 64
"""Connections at a time."""
MODE: Final = 0o660


@dataclass(frozen=True, slots=True)
class Carried:
    """A connection on its way into a new life of the process."""

    descriptor: int
    role: str
    unread: bytes
    """What it said and nobody has taken yet."""
    torn: bool
    """A line to it may have been cut off."""


class Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, server: Server, carried: Carried | None = None) -> None:
        self.since = time.monotonic()
        self.role = carried.role if carried else ""
        """`agent`, `app`, or nothing before `hello`."""
        self._server = server
        self._carried = carried
        self._buffer = bytearray()
        self._too_long = False
        self._transport: asyncio.Transport | None = None

    def send(self, message: Message) -> None:
        """Queue a line; drop the client when it does not read."""
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(encode(message))
        if self._transport.get_write_buffer_size() > BACKLOG_LIMIT:
            self.drop("does not read")

    def drop(self, reason: str) -> None:
        """End the connection now."""
        log("client_dropped", "warning", role=self.role, reason=reason)
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """End the connection after what is queued."""
        if self._transport is not None:
            self._transport.close()

    def carry(self) -> Carried | None:
        """Return what a new life needs to go on with this connection, None when it is over."""
        if self._transport is None or self._transport.is_closing():
            return None
        descriptor = self._transport.get_extra_info("socket").fileno()
        torn = self._transport.get_write_buffer_size() > 0
        return Carried(descriptor, self.role, bytes(self._buffer), torn)

    # ------------------------------------------------------------------ asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a stream socket
        self._transport = transport
        self._server.came(self)
        if self._carried is not None:
            if self._carried.torn:
                transport.write(b"\n")
            asyncio.get_running_loop().call_soon(self.data_received, self._carried.unread)

    def data_received(self, data: bytes) -> None:
        """Take every whole line."""
        self._buffer += data
        while (end := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            self._server.take(self, b"" if self._too_long or len(line) > LINE_LIMIT else line)
            self._too_long = False
        if len(self._buffer) > LINE_LIMIT:
            self._too_long = True
            self._buffer.clear()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it; what was said before the end counts: a hang-up is not lost to a line that could not be written."""
        if exc is not None and self._transport is not None:
            descriptor = self._transport.get_extra_info("socket").fileno()
            for _ in range(2):  # the kernel tells of the reset first, then what came before it
                with contextlib.suppress(OSError):
                    self.data_received(os.read(descriptor, LINE_LIMIT))
        self._server.gone(self)


def _leave(listener: socket.socket) -> None:
    """Close a listening socket and its file."""
    FilePath(listener.getsockname()).unlink(missing_ok=True)
    listener.close()


def _importance(client: Client) -> tuple[bool, float]:
    return (client.role != "", client.since)


class Server:
    """Calls `on_message(client, message)`, which may raise ValueError with a sentence, and `on_gone(client)`."""

    def __init__(
        self, path: FilePath, on_message: Callable[[Client, Message], None], on_gone: Callable[[Client], None]
    ) -> None:
        self._path = path
        self._on_message = on_message
        self._on_gone = on_gone
        self._clients: set[Client] = set()
        self._server: asyncio.Server | None = None

    async def start(self, listener: int | None = None) -> None:
        """Listen, on a descriptor of an earlier life if there is one; a file left by a dead process is replaced.

        Raises OSError.
        """
        loop = asyncio.get_running_loop()
        ours = socket.socket(fileno=listener) if listener is not None else None
        if ours is not None and ours.getsockname() == str(self._path):
            self._server = await loop.create_unix_server(lambda: Client(self), sock=ours)
            return
        if ours is not None:  # the settings name another place
            _leave(ours)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        before = os.umask(0o777 & ~MODE)
        try:
            self._server = await loop.create_unix_server(lambda: Client(self), str(self._path))
        finally:
            os.umask(before)

    async def adopt(self, clients: Sequence[Carried]) -> list[Client]:
        """Go on with connections of an earlier life; what they said meanwhile is taken in the next turn of the loop."""
        adopted: list[Client] = []
        for carried in clients:
            with contextlib.suppress(OSError):
                client = Client(self, carried)
                ours = socket.socket(fileno=carried.descriptor)
                ours.setblocking(False)  # noqa: FBT003 - the socket's own signature
                await asyncio.get_running_loop().connect_accepted_socket(lambda one=client: one, ours)  # type: ignore[misc]
                adopted.append(client)
        return adopted

    def give_to_group(self, name: str) -> str | None:
        """Let the members of a group call; return a sentence when that cannot be."""
        try:
            os.chown(self._path, -1, grp.getgrnam(name).gr_gid)
        except KeyError:
            return say("There is no group {name}: its members cannot reach the phone line.", name=name)
        except OSError as error:
            return say(
                "The socket cannot be given to the group {name} ({why}): its members cannot call.",
                name=name,
                why=os_words(error),
            )
        return None

    async def stop(self) -> None:
        """Close every connection and the socket."""
        if self._server is not None:
            self._server.close()
        for client in list(self._clients):
            client.close()
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()

    def broadcast(self, message: Message) -> None:
        """Tell everybody who said hello."""
        for client in list(self._clients):
            if client.role:
                client.send(message)

    def carry(self) -> tuple[int | None, list[Carried]]:
        """Return the listening descriptor and the connections, for a new life; from any thread, as the main one hangs.

        The agent's connection stays behind: it comes back by itself and says everything anew.
        """
        listening = self._server.sockets if self._server is not None else ()
        carried = [client.carry() for client in list(self._clients) if client.role != "agent"]
        return (listening[0].fileno() if listening else None), [one for one in carried if one is not None]

    # ------------------------------------------------------------------ what clients say

    def came(self, client: Client) -> None:
        """Take a newcomer; in a crowd somebody makes room."""
        if len(self._clients) >= CLIENT_LIMIT:
            # The newcomer may be a 911 call: somebody who said nothing, or the oldest, makes room (S1).
            min((one for one in self._clients if one.role != "agent"), key=_importance).drop("makes room")
        self._clients.add(client)

    def gone(self, client: Client) -> None:
        """A connection ended."""
        self._clients.discard(client)
        self._on_gone(client)

    def take(self, client: Client, line: bytes) -> None:
        """Take a line; one that cannot be obeyed is answered."""
        request: object = None
        try:
            message = decode(line)
            request = message.get("req_id")
            if not isinstance(request, str | int | None):
                request = None
                raise ValueError("`req_id` must be a text or a whole number.")  # noqa: TRY004 - the line is wrong
            self._on_message(client, message)
        except ValueError as error:
            answer: Message = {"type": "error", "sentence": said(error)}
            client.send(answer | ({"req_id": request} if request is not None else {}))

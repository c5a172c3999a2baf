"""The Unix socket of PROTOCOL.md: lines in, lines out, and nobody who does not read holds anybody up."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path as FilePath
from typing import Final

from agent.voice.log import log
from agent.voice.protocol import LINE_LIMIT, Message, decode, encode

BACKLOG_LIMIT: Final = 256 * 1024
"""Bytes that a client may leave unread before it is dropped."""
CLIENT_LIMIT: Final = 64
"""Connections at a time."""
MODE: Final = 0o660


class Client:
    """One connection."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.since = time.monotonic()
        self.role = ""
        """`agent`, `app`, or nothing before `hello`."""
        self._writer = writer

    def send(self, message: Message) -> None:
        """Queue a line; drop the client when it does not read."""
        if self._writer.is_closing():
            return
        self._writer.write(encode(message))
        if self._writer.transport.get_write_buffer_size() > BACKLOG_LIMIT:
            self.drop("does not read")

    def drop(self, reason: str) -> None:
        """End the connection now."""
        log("client_dropped", "warning", role=self.role, reason=reason)
        self._writer.transport.abort()

    def close(self) -> None:
        """End the connection after what is queued."""
        self._writer.close()


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

    async def start(self) -> None:
        """Listen; a socket file left by a dead process is replaced. Raises OSError."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        before = os.umask(0o777 & ~MODE)
        try:
            self._server = await asyncio.start_unix_server(self._serve, str(self._path), limit=LINE_LIMIT)
        finally:
            os.umask(before)

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

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = Client(writer)
        if len(self._clients) >= CLIENT_LIMIT:
            # The newcomer may be a 911 call: somebody who said nothing, or the oldest, makes room (S1).
            min((one for one in self._clients if one.role != "agent"), key=_importance).drop("makes room")
        self._clients.add(client)
        try:
            with contextlib.suppress(ConnectionError):
                while line := await _read_line(reader):
                    self._take(client, line)
        finally:
            self._clients.discard(client)
            self._on_gone(client)
            writer.close()

    def _take(self, client: Client, line: bytes) -> None:
        request: object = None
        try:
            message = decode(line)
            request = message.get("req_id")
            if not isinstance(request, str | int | None):
                request = None
                raise ValueError("`req_id` must be a text or a whole number.")  # noqa: TRY004 - the line is wrong
            self._on_message(client, message)
        except ValueError as error:
            answer: Message = {"type": "error", "sentence": str(error)}
            client.send(answer | ({"req_id": request} if request is not None else {}))


async def _read_line(reader: asyncio.StreamReader) -> bytes:
    """Return the next line, empty at the end; one that is too long is returned as something that is not JSON."""
    try:
        return await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError as rest:
        return rest.partial
    except asyncio.LimitOverrunError as overrun:
        await reader.readexactly(overrun.consumed)
        while True:
            try:
                await reader.readuntil(b"\n")
            except asyncio.LimitOverrunError as more:
                await reader.readexactly(more.consumed)
            except asyncio.IncompleteReadError:
                return b""
            else:
                return b"too long\n"

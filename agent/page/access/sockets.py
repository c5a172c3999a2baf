"""The two listening sockets: loopback TCP, and a Unix socket that appears with its mode already right."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable
from pathlib import Path

from agent.errors import NeedsHuman
from agent.page.access.guard import is_loopback
from agent.say import say
from agent.system_words import os_words

MODE = 0o660
"""The owner and the group of the socket may use it: everybody else may only look."""

Factory = Callable[[], asyncio.Protocol]


async def listen_tcp(host: str, port: int, factory: Factory) -> asyncio.Server:
    """Listen on a loopback address; raises NeedsHuman that names the port."""
    if not is_loopback(host):
        raise NeedsHuman(
            say("page.listen = {host!r} is not an address of this device alone; the page stays closed.", host=host),
            todo=say("Set page.listen to 127.0.0.1."),
            code="page_not_loopback",
        )
    try:
        return await asyncio.get_running_loop().create_server(factory, host, port, reuse_address=True)
    except OSError as error:
        busy = error.errno == errno.EADDRINUSE
        why = say("another program uses that port") if busy else os_words(error)
        raise NeedsHuman(
            say("The page cannot be opened on {host} port {port}: {why}.", host=host, port=port, why=why),
            emergency=say("911 and 933 still go out, but staff cannot confirm an address on the screen."),
            todo=say("Stop the other program or set page.port; until then use `dialstack-agent confirm`."),
            code="page_port_in_use" if busy else "page_port_failed",
        ) from error


class UnixListener:
    """A listening Unix socket; removes its file when closed, unless another process has taken the name."""

    def __init__(self, path: Path, server: asyncio.Server) -> None:
        self._path = path
        self._server = server
        self._inode = path.stat().st_ino

    @classmethod
    async def open(cls, path: Path, factory: Factory) -> UnixListener:
        """Listen at `path`, replacing what a crash left there; raises NeedsHuman."""
        if _answers(path):
            raise NeedsHuman(
                say("Another agent already answers on {path}.", path=path),
                emergency=say("That one keeps the address bound; this one does nothing."),
                todo=say("Stop it first, or set page.socket."),
                code="socket_in_use",
            )
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        fresh = path.with_name(f".{path.name}.new")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh.unlink(missing_ok=True)
            listening.bind(str(fresh))
            fresh.chmod(MODE)
            listening.listen(64)
            fresh.replace(path)
        except OSError as error:
            listening.close()
            raise NeedsHuman(
                say("The socket {path} cannot be made: {detail}.", path=path, detail=os_words(error)),
                emergency=say("911 and 933 still go out, but page and command line cannot reach the agent."),
                todo=say("Correct page.socket or the rights of its folder."),
                code="socket_failed",
            ) from error
        listening.settimeout(0)
        return cls(path, await asyncio.get_running_loop().create_unix_server(factory, sock=listening))

    def close(self) -> None:
        """Stop listening."""
        self._server.close()
        with contextlib.suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True

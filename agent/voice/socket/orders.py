"""Orders of programs to `dialstack-voice`: one short connection of the role `app` for each, nothing kept in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from agent.model import CallView
from agent.voice.socket.client import PROMPT
from agent.voice.socket.protocol import LINE_LIMIT, VERSION, Message, encode, heard
from agent.voice.socket.views import call_view

_ORDER: Final = "order"
_DONE: Final = "done"


async def place(socket: Path, to: str, **options: str) -> CallView:
    """Place a call and return it as it is at first; it goes on after the connection is closed.

    Options are `record` and `play` of PROTOCOL.md. Raises OSError when the process cannot be reached, TimeoutError
    when it does not answer (the call may go out all the same), ValueError with its sentence when it refuses.
    """
    async with _conversation(socket, {"type": "call", "to": to, **options}) as answers:
        async for message in answers:
            if message["type"] == "call":
                return call_view(message)
    raise ConnectionResetError("The voice process went away.")


async def order(socket: Path, verb: str, **fields: Any) -> None:
    """Send `answer`, `reject`, `hangup`, `hold`, `resume` or `dtmf`; raises as `place` does.

    The process answers an order only when it cannot be obeyed, so its state is asked for behind it: lines are obeyed
    in their order, and that answer means that the one before was obeyed.
    """
    async with _conversation(socket, {"type": verb, **fields}, {"type": "status", "req_id": _DONE}) as answers:
        async for message in answers:
            if message.get("req_id") == _DONE:
                return
    raise ConnectionResetError("The voice process went away.")


async def calls(socket: Path) -> list[Message]:
    """Return the `call` lines of all calls that are up; raises as `place` does."""
    found: list[Message] = []
    asked = ({"type": "status"}, {"type": "status", "req_id": _DONE})
    async with _conversation(socket, *asked) as answers:
        async for message in answers:
            if message.get("req_id") == _DONE:
                return found
            if message["type"] == "call":
                found.append({name: value for name, value in message.items() if name != "req_id"})
    raise ConnectionResetError("The voice process went away.")


async def follow(socket: Path, on_line: Callable[[Message], None]) -> None:
    """Tell every `call` line, those of the calls that are up first, until cancelled; raises OSError at its end."""
    reader, writer = await asyncio.open_unix_connection(str(socket), limit=LINE_LIMIT)
    try:
        writer.write(encode({"type": "hello", "version": VERSION, "role": "app"}))
        while line := await reader.readline():
            message = heard(line)
            if message["type"] == "call":
                on_line(message)
    finally:
        writer.close()
    raise ConnectionResetError("The voice process went away.")


@asynccontextmanager
async def _conversation(socket: Path, *messages: Message) -> AsyncIterator[AsyncIterator[Message]]:
    """Say these lines and give the answers to them."""
    async with asyncio.timeout(PROMPT):
        reader, writer = await asyncio.open_unix_connection(str(socket), limit=LINE_LIMIT)
        try:
            writer.write(encode({"type": "hello", "version": VERSION, "role": "app"}))
            for message in messages:
                writer.write(encode({"req_id": _ORDER} | message))
            yield _answers(reader)
        finally:
            writer.close()


async def _answers(reader: asyncio.StreamReader) -> AsyncIterator[Message]:
    while line := await reader.readline():
        message = heard(line)
        if message.get("req_id") not in {_ORDER, _DONE}:
            continue
        if message["type"] == "error":
            raise ValueError(message.get("sentence"))
        yield message

"""The other side of the socket: the agent's instructions and what it hears, and a call for the command line."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path as FilePath
from typing import Any, Final

from agent.backoff import Backoff, Schedule
from agent.model import CallView, CivicAddress, VoiceInstruction, VoiceState
from agent.runtime.liveness import waiting
from agent.say import say, sentences
from agent.voice.socket.protocol import HEARTBEAT, LINE_LIMIT, VERSION, Message, encode, heard
from agent.voice.socket.views import call_view, registration, seconds

RECONNECT: Final = Schedule((0.05, 0.1, 0.2, 0.5, 1.0, 2.0))
"""Seconds between attempts to reach the voice process: a respawn takes 0.1 s, its death is another's to cure."""
PROMPT: Final = 3.0
"""Seconds for the voice process to take a call before `place_call` says that it does not answer."""
UNANSWERED: Final = 3
"""Heartbeats without any line from the voice process after which it counts as frozen: unknown is not connected."""


class VoiceClient:
    """Keeps `dialstack-voice` instructed; `on_change` hears the newest VoiceState at every change.

    `on_call` hears every `call` line, sound included and `ended` last, after `state` has taken it. A call that is up
    when the connection is lost never gets an `ended`: it is unknown until the process says it again. `on_settled` is
    called once a connection, when every call that is up has been told.

    Instructions are level-triggered: the newest one is sent at once when connected, and again after every
    reconnect. Nothing here raises because the voice process is away; `VoiceState.connected` says so.
    """

    def __init__(
        self,
        socket: FilePath,
        on_change: Callable[[VoiceState], None],
        rng: random.Random,
        on_call: Callable[[CallView], None] = lambda _: None,
        on_settled: Callable[[], None] = lambda: None,
    ) -> None:
        self.state = VoiceState(connected=False)
        self._socket = socket
        self._on_change = on_change
        self._on_call = on_call
        self._on_settled = on_settled
        self._settled = False
        self._life = ""
        """Tells this life of the voice process from every other of this boot."""
        self._backoff = Backoff(RECONNECT, rng)
        self._writer: asyncio.StreamWriter | None = None
        self._instruction: VoiceInstruction | None = None
        self._silence: Message | None = None
        self._location: Message | None = None
        self._problems: dict[str, str] = {}
        self._calls: dict[int, CallView] = {}
        self._silent = 0
        """Heartbeats sent since the last line was heard."""

    def instruct(self, instruction: VoiceInstruction) -> None:
        """Make this the newest instruction."""
        self._instruction, self._silence = instruction, None
        self._send(_path(instruction))

    def offline(self, generation: int) -> None:
        """Say that there is no usable path."""
        self._silence = {"type": "offline", "generation": generation}
        self._send(self._silence)

    def interrupted(self, generation: int) -> None:
        """Say that sight of the network is lost for a moment."""
        self._silence = {"type": "interrupted", "generation": generation}
        self._send(self._silence)

    def locate(self, generation: int, civic: CivicAddress | None, *, confirmed: bool) -> None:
        """Say where this phone is, for emergency calls that carry it; said again after every reconnect."""
        said = asdict(civic) if civic is not None else None
        message: Message = {"type": "location", "generation": generation, "confirmed": confirmed, "civic": said}
        if message != self._location:
            self._location = message
            self._send(message)

    def reload(self) -> None:
        """Say that the settings in the files changed; a process that is away reads them when it starts."""
        self._send({"type": "reload"})

    async def run(self) -> None:
        """Stay connected until cancelled."""
        while True:
            try:
                with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                    await self._connection()
            finally:  # whatever ended it: unknown is not connected (S12)
                if self.state.connected:
                    self._change(replace(self.state, connected=False, calls=()))
            with waiting():
                await asyncio.sleep(self._backoff.next(schedule=RECONNECT))

    async def _connection(self) -> None:
        reader, writer = await asyncio.open_unix_connection(str(self._socket), limit=LINE_LIMIT)
        self._writer = writer
        self._silent = 0
        beat = asyncio.create_task(self._heartbeat(writer), name="voice heartbeat")
        try:
            self._problems.clear()
            self._calls.clear()
            self._settled = False
            self._send({"type": "hello", "version": VERSION, "role": "agent"})
            self._send({"type": "heartbeat"})  # answered after the calls that are up
            if self._instruction is not None:
                self._send(_path(self._instruction))
            if self._silence is not None:
                self._send(self._silence)
            if self._location is not None:
                self._send(self._location)
            while line := await _heard(reader):
                self._silent = 0
                with contextlib.suppress(ValueError):
                    self._hear(heard(line))
        finally:
            beat.cancel()
            self._writer = None
            writer.close()

    async def _heartbeat(self, writer: asyncio.StreamWriter) -> None:
        """Ask for a sign of life; a process that is stopped or hung gives none, and the connection is ended (S12)."""
        while self._silent < UNANSWERED:
            await asyncio.sleep(HEARTBEAT)
            self._silent += 1
            self._send({"type": "heartbeat"})
        writer.transport.abort()

    def _send(self, message: Message) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(encode(message))

    def _hear(self, message: Message) -> None:
        match message["type"]:
            case "welcome":
                self._backoff.reset(RECONNECT)
                self._life = f"{message.get('pid')}-{message.get('started_at')}"
                self._change(replace(self.state, connected=True, calls=(), problem=None))
            case "registration":
                self._change(replace(self.state, registration=registration(message)))
            case "interlock":
                until = seconds(message.get("until"))
                self._change(replace(self.state, interlock=message.get("active") is True, interlock_until=until))
            case "call":
                self._hear_call(message)
            case "problem":
                self._problem(str(message.get("code")), message.get("sentence"))
            case "alive" if not self._settled:
                self._settled = True
                self._on_settled()

    def _hear_call(self, message: Message) -> None:
        number = message.get("call")
        view = call_view(message, self._calls.get(number) if isinstance(number, int) else None, self._life)
        if view.state == "ended":
            self._calls.pop(view.number, None)
        else:
            self._calls[view.number] = view
        self._change(replace(self.state, calls=tuple(self._calls.values())))
        self._on_call(view)

    def _problem(self, code: str, sentence: Any) -> None:
        if isinstance(sentence, str):
            self._problems[code] = sentence
        else:
            self._problems.pop(code, None)
        self._change(replace(self.state, problem=sentences(*self._problems.values()) or None))

    def _change(self, state: VoiceState) -> None:
        old, self.state = self.state, state  # what is not compared, sound, is kept too
        if state != old:
            self._on_change(state)


async def place_call(
    socket: FilePath,
    to: str,
    on_event: Callable[[Message], None],
    *,
    record: str | None = None,
    play: str | None = None,
    yields: bool = False,
) -> Message:
    """Call through `dialstack-voice`, agent or no agent; return the last `call` line, of state `ended`.

    `on_event` hears every `call` line of this call. Cancelling hangs up. Raises OSError when the process cannot
    be reached or goes away, TimeoutError when it does not answer, ValueError with its sentence when it refuses.
    """
    reader, writer = await asyncio.open_unix_connection(str(socket), limit=LINE_LIMIT)
    request = f"call-{id(writer)}"
    number: int | None = None
    try:
        writer.write(encode({"type": "hello", "version": VERSION, "role": "app"}))
        more = {name: value for name, value in (("record", record), ("play", play), ("yields", yields)) if value}
        writer.write(encode({"type": "call", "to": to, "req_id": request, **more}))
        while True:
            async with asyncio.timeout(PROMPT if number is None else None):
                line = await reader.readline()
            if not line:
                raise ConnectionResetError(say("The telephone program went away during the call."))
            message = heard(line)
            if message.get("req_id") != request:
                continue
            if message["type"] == "error":
                raise ValueError(message.get("sentence"))
            number = message.get("call")
            on_event(message)
            if message.get("state") == "ended":
                number = None
                return message
    except asyncio.CancelledError:
        if number is None:  # the call is up already, or about to be: nobody else would end it
            number = await _number(reader, request)
        raise
    finally:
        if number is not None and not writer.is_closing():
            writer.write(encode({"type": "hangup", "call": number}))
            with contextlib.suppress(OSError):
                await writer.drain()
        writer.close()


async def _number(reader: asyncio.StreamReader, request: str) -> int | None:
    """Return the number of the call that was asked for; None if it was refused or nobody answers."""
    with contextlib.suppress(OSError, TimeoutError, ValueError):
        async with asyncio.timeout(PROMPT):
            while line := await reader.readline():
                message = heard(line)
                if message.get("req_id") == request:
                    number = message.get("call") if message.get("state") != "ended" else None
                    return number if isinstance(number, int) else None
    return None


async def _heard(reader: asyncio.StreamReader) -> bytes:
    """Return the next line, however long it takes; the heartbeat ends a silence."""
    with waiting():
        return await reader.readline()


def _path(instruction: VoiceInstruction) -> Message:
    return {
        "type": "path",
        "generation": instruction.generation,
        "attempt": instruction.attempt,
        "interface": instruction.interface,
        "source": instruction.source,
        "destination": instruction.destination,
        "present_id": instruction.present_id,
    }

"""A telephone program that behaves, on a socket of its own, and a `Calling` that talks to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.callbook import CallBook
from agent.calling import Calling
from agent.config.settings import CallTestSettings
from agent.model import CivicAddress, VoiceState
from agent.refusals import Standing
from agent.say import say
from agent.storage.store import Store
from agent.testcall.evidence import Subject
from agent.testcall.shelf import Shelf
from agent.testcall.tester import CallTester
from agent.voice.socket.views import call_view
from tests.page.fake_control import NOON, OFFICE
from tests.testcall import sounds

Line = dict[str, Any]
NETWORK = say(
    "Connected by {interface} ({kind}) as {source}.", interface="eth0", kind=say("cable"), source="192.0.2.10"
)
HERE = Subject(3, "emerg_1", OFFICE, proven=True, network=NETWORK, place_id=1, anchor="192.0.2.10")
REFUSED = {"hello there": "This is neither a telephone number nor a SIP address."}


class StandingClock:
    """Stands at the tests' noon."""

    def monotonic(self) -> float:
        return 100.0

    def boottime(self) -> float:
        return 100.0

    def wall(self) -> float:
        return NOON


class FakeVoice:
    """Keeps calls, obeys orders as PROTOCOL.md says, and tells `hear` each line as the agent's connection would."""

    def __init__(self, socket: Path, hear: Callable[[Line], None]) -> None:
        self.orders: list[Line] = []
        self._socket, self._hear = socket, hear
        self._calls: dict[int, Line] = {}
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, str(self._socket))

    def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self._socket.unlink(missing_ok=True)

    def say(self, number: int, **changes: Any) -> Line:
        """Change a call and tell it."""
        line = self._calls.setdefault(
            number,
            {"type": "call", "call": number, "to": "", "direction": "out", "state": "calling", "code": 0, "reason": "",
             "emergency": False, "at": 100.0},
        )  # fmt: skip
        line |= changes
        if line["state"] == "confirmed":
            line.setdefault("answered_at", line["at"])
        if line["state"] == "ended":
            del self._calls[number]
        self._hear(dict(line))
        return line

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while raw := await reader.readline():
            message = json.loads(raw)
            for answer in self._obey(message):
                told = answer | ({"req_id": message["req_id"]} if message.get("req_id") else {})
                writer.write(json.dumps(told).encode() + b"\n")
        writer.close()

    def _obey(self, message: Line) -> list[Line]:
        kind, number = message["type"], message.get("call")
        if kind == "hello":
            return [{"type": "welcome", "version": 1}]
        if kind == "status":
            return [{"type": "registration"}, *self._calls.values()]
        self.orders.append({name: value for name, value in message.items() if name != "req_id"})
        if kind == "call":
            if message["to"] in REFUSED:
                return [{"type": "error", "sentence": REFUSED[message["to"]]}]
            emergency = message["to"] in {"911", "933"}
            return [self.say(len(self.orders), to=message["to"], emergency=emergency)]
        if number is not None and number not in self._calls:
            return [{"type": "error", "sentence": "There is no such call."}]
        if kind == "hangup":
            for one in [number] if number is not None else list(self._calls):
                self.say(one, state="ended", code=200, reason="OK", ended="Hung up here.")
        if kind == "answer":
            self.say(message["call"], state="confirmed", code=200)
        return []


class FakeWorld:
    """The agent around a test call; `standing` is what the binding is."""

    def __init__(self) -> None:
        self.subject = HERE
        self.state = VoiceState(connected=True)
        self.on_change: Callable[[], None] = lambda: None

    def tested(self) -> Subject:
        return self.subject

    def voice(self) -> VoiceState:
        return self.state

    def changed(self) -> None:
        self.on_change()

    def standing(self) -> Standing:
        return Standing(self.subject.proven, self.subject.civic)


class Parts:
    """Everything that a page needs for calls; `sound` is what 933 says, `over` lets it hang up."""

    def __init__(self, folder: Path) -> None:
        self.world = FakeWorld()
        self.sound: sounds.Sound | None = sounds.tone(440, seconds=2)
        self.over = asyncio.Event()
        self.over.set()
        tester = CallTester(
            world=self.world, shelf=Shelf(Store(None), folder, 5), place=self._place, recordings=folder,
            settings=CallTestSettings(), clock=StandingClock(),
        )  # fmt: skip
        self.calling = Calling(
            CallBook(self.world.standing, StandingClock()), tester, folder / "voice.sock", self.world.changed
        )
        self.voice = FakeVoice(folder / "voice.sock", lambda line: self.calling.on_call(call_view(line)))
        self.calling.on_voice(VoiceState(connected=True))

    async def _place(
        self, number: str, on_line: Callable[[Line], None], *, record: str | None = None, yields: bool
    ) -> Line:
        assert yields
        line = {"type": "call", "call": 7, "to": number, "emergency": True, "direction": "out", "reason": "OK"}
        on_line(line | {"state": "calling", "code": 0, "at": 100.0})
        on_line(line | {"state": "confirmed", "code": 200, "at": 100.4})
        if record is not None and self.sound is not None:
            sounds.write(Path(record), self.sound)
        await self.over.wait()
        last = line | {"state": "ended", "code": 200, "at": 114.0}
        on_line(last)
        return last


def elsewhere(world: FakeWorld, civic: CivicAddress | None) -> None:
    """Let nothing be proven, and this be presented."""
    world.subject = Subject(3, None, civic, proven=False, network=NETWORK, place_id=1)

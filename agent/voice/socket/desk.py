"""What the socket's clients ask for and hear: the verbs of PROTOCOL.md, and who the agent is."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from agent.model import Registration
from agent.say import said, say
from agent.voice.calls.dialing import emergency_number
from agent.voice.calls.values import Call, Interlock
from agent.voice.events import Wish
from agent.voice.log import log
from agent.voice.socket import files, protocol
from agent.voice.socket.protocol import Message
from agent.voice.socket.server import Carried, Client, Server

if TYPE_CHECKING:
    from agent.voice.service import Service

TEST_HOOKS: Final = "DIALSTACK_VOICE_TEST_HOOKS"
"""Environment: set to 1, `test_hang` blocks the main thread so that the watchdog can be tested."""
HANG_LIMIT: Final = 60


class Desk:
    """The front desk of the process: one agent at most, any number of apps."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._server = Server(service.settings.socket, self._on_message, self._on_gone)
        self._agent: Client | None = None
        self._agent_timer: asyncio.TimerHandle | None = None
        self._started_at = time.monotonic()
        self._logged: tuple[object, ...] = ()
        self._verbs: dict[str, Callable[[Client, Message], None]] = {
            "hello": self._hello,
            "path": self._path,
            "offline": self._offline,
            "interrupted": self._interrupted,
            "heartbeat": self._heartbeat,
            "reload": self._reload,
            "location": self._location,
            "call": self._call,
            "answer": self._answer,
            "reject": self._reject,
            "hangup": self._hangup,
            "hold": self._hold,
            "resume": self._resume,
            "dtmf": self._digits,
            "status": self._status,
        }
        if os.environ.get(TEST_HOOKS) == "1":
            self._verbs["test_hang"] = self._hang

    async def start(self, listener: int | None = None) -> None:
        """Open the socket; a socket that cannot be opened is said and survived: the line comes first."""
        settings = self._service.settings
        try:
            await self._server.start(listener)
        except OSError as error:
            log("socket", "error", path=settings.socket, reason=error)
            return
        if settings.socket_group:
            self._service.problems.set("socket_group", self._server.give_to_group(settings.socket_group))

    async def adopt(self, clients: Sequence[Carried], lost: Sequence[Message]) -> None:
        """Go on with the connections of an earlier life of the process, and tell them what was lost with it."""
        for client in await self._server.adopt(clients):
            if client.role:
                self._welcome(client)
                for line in lost:
                    client.send(line)

    def carry(self) -> tuple[int | None, list[Carried]]:
        """Return what a new life of the process needs to go on with the connections (from any thread)."""
        return self._server.carry()

    async def stop(self) -> None:
        """Close the socket."""
        if self._agent_timer is not None:
            self._agent_timer.cancel()
        await self._server.stop()

    # ------------------------------------------------------------------ what clients hear

    def registration(self, registration: Registration) -> None:
        """Tell everybody."""
        self._server.broadcast(protocol.registration_message(registration))

    def call(self, call: Call) -> None:
        """Tell everybody."""
        news = (call.number, call.state, call.code, call.reason)
        if news != self._logged:  # the sound of each second is none
            self._logged = news
            log(
                "call", call=call.number, to=call.to, state=call.state, code=call.code, reason=call.reason or None,
                emergency=call.emergency, ended=call.ended,
            )  # fmt: skip
        self._server.broadcast(protocol.call_message(call))

    def interlock(self, interlock: Interlock) -> None:
        """Tell everybody."""
        self._server.broadcast(protocol.interlock_message(interlock))

    def digit(self, call: int, digit: str) -> None:
        """Tell everybody."""
        self._server.broadcast({"type": "dtmf", "call": call, "digit": digit})

    def stopping(self, until: float | None, sentence: str) -> None:
        """Tell everybody."""
        self._server.broadcast({"type": "stopping", "until": until, "sentence": sentence})

    def problem(self, code: str, sentence: str | None) -> None:
        """Tell everybody."""
        self._server.broadcast({"type": "problem", "code": code, "sentence": sentence})

    # ------------------------------------------------------------------ what clients ask for

    def _on_message(self, client: Client, message: Message) -> None:
        verb = self._verbs.get(message["type"])
        if verb is None:
            return
        if not client.role and message["type"] != "hello":
            raise ValueError("The first line must be `hello`.")
        if client is self._agent:
            self._agent_lives()
        verb(client, message)

    def _on_gone(self, client: Client) -> None:
        if client is self._agent:
            self._agent = None
            self._agent_died("closed the connection")

    def _hello(self, client: Client, message: Message) -> None:
        if protocol.number(message, "version") != protocol.VERSION:
            raise ValueError(f"This process speaks version {protocol.VERSION}.")
        if message.get("role") not in {"agent", "app"}:
            raise ValueError('`role` must be "agent" or "app".')
        client.role = message["role"]
        self._welcome(client)
        if client.role == "agent":
            previous, self._agent = self._agent, client
            if previous is not None and previous is not client:
                previous.close()
            self._agent_lives()

    def _welcome(self, client: Client) -> None:
        client.send(
            {
                "type": "welcome",
                "version": protocol.VERSION,
                "features": list(protocol.FEATURES),
                "pid": os.getpid(),
                "stack": self._service.line.stack.version(),
                "started_at": self._started_at,
            }
        )
        self._status(client, {})
        for code, sentence in self._service.problems.open.items():
            client.send({"type": "problem", "code": code, "sentence": sentence})

    def _path(self, client: Client, message: Message) -> None:
        self._only_agent(client)
        self._service.instruct(protocol.instruction(message))

    def _offline(self, client: Client, message: Message) -> None:
        self._only_agent(client)
        generation = protocol.number(message, "generation")
        self._service.execute(self._service.machine.offline(generation, time.monotonic()))

    def _interrupted(self, client: Client, message: Message) -> None:
        self._only_agent(client)
        protocol.number(message, "generation")
        self._service.execute(self._service.machine.interrupted())

    def _heartbeat(self, client: Client, message: Message) -> None:  # noqa: ARG002
        """Any line of the agent is a sign of life; this one asks for ours."""
        client.send({"type": "alive"})

    def _reload(self, client: Client, message: Message) -> None:  # noqa: ARG002
        self._only_agent(client)
        self._service.reload.now()

    def _location(self, client: Client, message: Message) -> None:
        self._only_agent(client)
        self._service.wardrobe.locate(protocol.location(message))

    def _call(self, client: Client, message: Message) -> None:  # noqa: ARG002
        settings, now = self._service.settings, time.monotonic()
        to, req_id = message.get("to"), message.get("req_id")
        number = emergency_number(to, settings.emergency_numbers) if isinstance(to, str) else None
        if isinstance(to, str) and number is not None:
            yields = number == "933" and message.get("yields") is True
            if yields and (self._service.calls.up or self._service.calls.interlock.active):
                raise ValueError(say("There is a call, or 911 may call back; this test call gives way to that."))
            if yields:
                files.tidy(settings.recordings)
            try:
                wish = replace(self._wish(message), yields=yields)
                self._service.calls.place(to, now, req_id, wish)
            except ValueError as error:  # nothing that stands beside the number holds an emergency call up (S1)
                self._service.calls.place(to, now, req_id, problem=said(error))
        else:
            self._service.calls.place(protocol.text(message, "to"), now, req_id, self._wish(message))
        self._service.occupied()

    def _wish(self, message: Message) -> Wish:
        settings, found = self._service.settings, Wish()
        if message.get("record") is not None:
            found = replace(found, record=files.recording(settings.recordings, protocol.text(message, "record")))
        if message.get("play") is not None:
            found = replace(found, play=files.sound(settings.sounds, protocol.text(message, "play")))
        return found

    def _answer(self, client: Client, message: Message) -> None:  # noqa: ARG002
        number, wish = protocol.number(message, "call"), None
        if message.get("record") is not None or message.get("play") is not None:
            wish = self._wish(message)
        self._service.calls.answer(number, time.monotonic(), wish)
        self._service.pump.hurry()

    def _reject(self, client: Client, message: Message) -> None:  # noqa: ARG002
        self._service.calls.reject(protocol.number(message, "call"), busy=protocol.flag(message, "busy"))
        self._service.pump.hurry()

    def _hangup(self, client: Client, message: Message) -> None:  # noqa: ARG002
        number = protocol.number(message, "call") if message.get("call") is not None else None
        self._service.calls.hangup(number, time.monotonic())
        self._service.lives.note()
        self._service.pump.hurry()

    def _hold(self, client: Client, message: Message) -> None:  # noqa: ARG002
        self._service.calls.hold(protocol.number(message, "call"), time.monotonic(), on=True)
        self._service.occupied()
        self._service.pump.hurry()

    def _resume(self, client: Client, message: Message) -> None:  # noqa: ARG002
        self._service.calls.hold(protocol.number(message, "call"), time.monotonic(), on=False)
        self._service.occupied()
        self._service.pump.hurry()

    def _digits(self, client: Client, message: Message) -> None:  # noqa: ARG002
        self._service.calls.digits(protocol.number(message, "call"), protocol.digits(message))
        self._service.pump.hurry()

    def _status(self, client: Client, message: Message) -> None:
        request = {"req_id": message["req_id"]} if message.get("req_id") is not None else {}
        client.send(protocol.registration_message(self._service.last) | request)
        client.send(protocol.interlock_message(self._service.calls.interlock) | request)
        for call in self._service.calls.up:
            client.send(protocol.call_message(call) | request)

    def _hang(self, client: Client, message: Message) -> None:  # noqa: ARG002
        time.sleep(min(protocol.number(message, "seconds"), HANG_LIMIT))

    # ------------------------------------------------------------------ the agent's life

    def _only_agent(self, client: Client) -> None:
        if client is not self._agent:
            raise ValueError("Only the agent may say this.")

    def _agent_lives(self) -> None:
        if self._agent_timer is not None:
            self._agent_timer.cancel()
        loop = asyncio.get_running_loop()
        self._agent_timer = loop.call_later(protocol.AGENT_TIMEOUT, self._agent_died, "is silent")
        self._service.execute(self._service.machine.agent_alive())

    def _agent_died(self, why: str) -> None:
        if self._agent_timer is not None:
            self._agent_timer.cancel()
            self._agent_timer = None
        log("agent_dead", "warning", reason=why)
        self._service.execute(self._service.machine.agent_dead(time.monotonic()))
        self._service.look()

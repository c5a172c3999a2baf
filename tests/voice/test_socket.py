"""The socket: what it answers to nonsense, whom it drops, and what the agent's side makes of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.model import RegistrationKind, VoiceInstruction, VoiceState
from agent.voice.socket.client import VoiceClient, place_call
from agent.voice.socket.server import Client, Server

from .harness import Registrar, Voice, run_async
from .wire import until

Start = Callable[..., Registrar]
Speak = Callable[..., Voice]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b"garbage\n", "This line is not JSON."),
        (b"[" * 3000 + b"\n", "This line is not JSON."),
        (b"\xff\xfe\n", "This line is not JSON."),
        (b'"hello"\n', "A line must be an object with a `type`."),
        (b"x" * 200_000 + b"\n", "This line is not JSON."),
        (b'{"type":"call"}\n', "`to` must be a text of at most 256 characters."),
        (b'{"type":"call","to":"hi there"}\n', "This is neither a telephone number nor a SIP address."),
        (b'{"type":"call","to":"sip:a\\r\\nX: y@z"}\n', "`to` must be a text of at most 256 characters."),
        (b'{"type":"hangup","call":"one"}\n', "`call` must be a whole number."),
        (b'{"type":"hangup","call":77}\n', "There is no such call."),
        (b'{"type":"path","generation":1}\n', "Only the agent may say this."),
        (b'{"type":"hello","version":2,"role":"app"}\n', "This process speaks version 1."),
    ],
)
@pytest.mark.sip
def test_what_cannot_be_obeyed_is_answered_in_a_sentence(voice: Speak, line: bytes, sentence: str) -> None:
    there = voice(None).client()
    there.raw(line)
    assert there.hear(type="error")["sentence"] == sentence
    there.say(type="status", req_id="still here")
    there.hear(type="registration", req_id="still here")


@pytest.mark.sip
def test_instructions_are_checked_before_anything_changes(voice: Speak) -> None:
    agent = voice(None).client("agent")
    for wrong in (
        {"present_id": "a\r\nVia: x"},
        {"present_id": 7},
        {"source": "somewhere"},
        {"destination": ""},
        {"generation": True},
    ):
        good: dict[str, Any] = {"generation": 1, "attempt": 0, "interface": "lo", "present_id": None}
        agent.say(type="path", **(good | {"source": "127.0.0.1", "destination": "127.0.0.1"} | wrong))
        agent.hear(type="error")


@pytest.mark.sip
def test_unknown_types_are_ignored_and_the_socket_is_for_the_group_only(voice: Speak) -> None:
    phone = voice(None)
    line = phone.client()
    line.say(type="from the future")
    line.say(type="status", req_id=1)
    line.hear(type="registration", req_id=1)
    assert stat.S_IMODE(phone.socket.stat().st_mode) == 0o660
    assert "error" not in {message["type"] for message in line.heard}


def test_a_client_that_does_not_read_is_dropped_and_nobody_waits_for_it(folder: Path) -> None:
    async def check() -> None:
        gone = asyncio.Event()
        server = Server(folder / "s", lambda client, _: _speaks(client), lambda _: gone.set())
        await server.start()
        reader, writer = await asyncio.open_unix_connection(str(folder / "s"))
        writer.write(b'{"type":"hello"}\n')
        other_reader, other = await asyncio.open_unix_connection(str(folder / "s"))
        other.write(b'{"type":"hello"}\n')
        reading = asyncio.create_task(_drain(other_reader))
        while not gone.is_set():
            server.broadcast({"type": "problem", "sentence": "x" * 1000})
            await asyncio.sleep(0)
        assert not other_reader.at_eof()
        del reader
        writer.close()
        other.close()
        await server.stop()
        await asyncio.gather(reading, return_exceptions=True)

    run_async(check())


def _speaks(client: Client) -> None:
    client.role = "app"


async def _drain(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionError):
        while await reader.read(65536):
            pass


@pytest.mark.sip
def test_the_client_sends_its_last_instruction_again_after_the_process_died(registrar: Start, voice: Speak) -> None:
    there = registrar()
    phone = voice(there)
    changed = asyncio.Event()

    async def reached(client: VoiceClient, holds: Callable[[VoiceState], bool]) -> None:
        while not holds(client.state):
            changed.clear()
            await changed.wait()

    async def check() -> None:
        client = VoiceClient(phone.socket, lambda _: changed.set(), random.Random(1))
        client.instruct(VoiceInstruction(5, 1, "lo", "127.0.0.1", "127.0.0.1", "emerg_one"))
        task = asyncio.create_task(client.run())
        await reached(client, lambda state: state.registration.presented_id == "emerg_one")
        os.kill(phone.process.pid, 9)  # type: ignore[union-attr]
        await reached(client, lambda state: not state.connected)
        phone.process.wait()  # type: ignore[union-attr]
        phone.start()
        await reached(
            client,
            lambda state: (
                state.connected
                and state.registration.kind is RegistrationKind.REGISTERED
                and state.registration.presented_id == "emerg_one"
                and state.registration.generation == 5
            ),
        )
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run_async(check())
    until(lambda: len(there.bindings()) == 1)


def test_place_call_says_at_once_when_there_is_nobody(folder: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        run_async(place_call(folder / "nobody", "933", print))


@pytest.mark.sip
def test_place_call_passes_a_refusal_on(registrar: Start, voice: Speak) -> None:
    phone = voice(registrar())
    with pytest.raises(ValueError, match="neither a telephone number"):
        run_async(place_call(phone.socket, "hello there", print))


def test_s1_a_crowd_of_silent_clients_does_not_keep_a_911_call_out(folder: Path) -> None:
    async def main() -> None:
        heard = asyncio.Event()
        server = Server(folder / "voice.sock", lambda _, message: _hears(message, heard), lambda _: None)
        await server.start()
        crowd = [await asyncio.open_unix_connection(str(folder / "voice.sock")) for _ in range(64)]
        _, caller = await asyncio.open_unix_connection(str(folder / "voice.sock"))
        caller.write(b'{"type":"call","to":"911"}\n')
        async with asyncio.timeout(10):
            assert await crowd[0][0].read() == b"", "the first of the crowd made room"
            await heard.wait()
        for _, writer in [*crowd, (None, caller)]:
            writer.close()
        await server.stop()

    run_async(main())


def _hears(message: dict[str, Any], heard: asyncio.Event) -> None:
    assert message["to"] == "911"
    heard.set()


def test_a_hang_up_counts_although_its_sender_is_gone_and_cannot_be_written_to(folder: Path) -> None:
    async def scenario() -> list[str]:
        heard: list[str] = []
        clients: list[Client] = []
        gone, greeted = asyncio.Event(), asyncio.Event()

        def take(client: Client, message: dict[str, Any]) -> None:
            heard.append(message["type"])
            clients.append(client)
            greeted.set()

        server = Server(folder / "s", take, lambda _: gone.set())
        await server.start()
        with socket.socket(socket.AF_UNIX) as sender:
            sender.connect(str(folder / "s"))
            sender.sendall(b'{"type": "hello"}\n')
            await greeted.wait()
            clients[0].send({"type": "call", "state": "calling"})  # never read
            sender.sendall(b'{"type": "hangup", "call": 1}\n')
        clients[0].send({"type": "call", "state": "ringing"})  # finds nobody
        await gone.wait()
        await server.stop()
        return heard

    assert run_async(scenario()) == ["hello", "hangup"]

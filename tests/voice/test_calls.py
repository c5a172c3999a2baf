"""Emergency calls through the real stack to a real far end: in every state, with sound, and never disturbed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.voice.socket.client import place_call

from .harness import Registrar, Uas, Voice, run_async
from .wire import Line, until

pytestmark = pytest.mark.sip

Start = Callable[..., Registrar]
Speak = Callable[..., Voice]
FarEnd = Callable[..., Uas]


def _sounds(line: Line, number: int) -> dict[str, Any]:
    while True:
        call = line.hear(type="call", call=number)
        sound = call.get("sound")
        if sound and sound["rx_packets"] > 10 and sound["tx_packets"] > 10:
            return call


def _frames(path: Path) -> int:
    with contextlib.suppress(wave.Error, OSError), wave.open(str(path)) as file:
        return int(file.getnframes())
    return 0


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_s1_933_goes_out_with_sound_both_ways_and_no_agent(
    registrar: Start, voice: Speak, uas: FarEnd, transport: str
) -> None:
    there = registrar(transport=transport)
    uas(there)
    line = voice(there).client()
    line.hear(type="registration", kind="registered")
    line.say(type="call", to="933", req_id="me")
    line.hear(type="interlock", active=True)
    number = line.hear(type="call", req_id="me", state="calling")["call"]
    line.hear(type="call", call=number, state="confirmed", emergency=True)
    _sounds(line, number)
    line.say(type="hangup", call=number)
    line.hear(type="call", call=number, state="ended")
    line.hear(type="interlock", active=False)


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_a_far_end_without_record_route_gets_its_ack_and_does_not_abort_the_stack(
    registrar: Start, voice: Speak, uas: FarEnd, transport: str
) -> None:
    there = registrar(transport=transport)
    far = uas(there, builtin=True)
    line = voice(there).client()
    line.hear(type="registration", kind="registered")
    line.say(type="call", to="933")
    number = line.hear(type="call", state="confirmed")["call"]
    _sounds(line, number)
    line.say(type="hangup", call=number)
    assert far.finished()


def test_s1_933_goes_out_while_the_registrar_refuses_to_register(registrar: Start, voice: Speak, uas: FarEnd) -> None:
    there = registrar()
    there.mode(code="503", retry_after="600")
    uas(there)
    line = voice(there).client()
    line.hear(type="registration", kind="failed")
    line.say(type="call", to="tel:933")
    line.hear(type="call", state="confirmed")


def test_s1_933_goes_out_while_a_register_is_in_flight(registrar: Start, voice: Speak, uas: FarEnd) -> None:
    there = registrar()
    there.mode(code="drop")
    uas(there)
    line = voice(there).client()
    line.hear(type="registration", kind="registering")
    line.say(type="call", to="sip:933@anywhere.test")
    line.hear(type="call", state="confirmed")


def test_s1_933_goes_out_with_half_a_configuration(registrar: Start, voice: Speak, uas: FarEnd) -> None:
    there = registrar()
    uas(there)
    phone = voice(there, username=None, password_file=None, expires="many")
    line = phone.client()
    problem = line.hear(type="problem", code="configuration")
    assert "Emergency calls are still attempted." in problem["sentence"]
    line.say(type="call", to="933")
    line.hear(type="call", state="confirmed")


def test_s1_an_emergency_call_is_dialed_again_until_the_far_end_is_there(
    registrar: Start, voice: Speak, uas: FarEnd
) -> None:
    there = registrar()
    there.rpc("htable.sets", "mode", "code", "none")
    phone = voice(there)
    line = phone.client()
    line.hear(type="registration", kind="registered")
    there.stop()
    line.say(type="call", to="933")
    line.hear(type="call", state="calling")
    there.start()
    uas(there)
    line.hear(type="call", state="confirmed", patience=40)


def test_s4_a_new_id_waits_for_the_end_of_the_callback_window(registrar: Start, voice: Speak, uas: FarEnd) -> None:
    there = registrar()
    uas(there)
    agent = voice(there, callback_window=2.0).client("agent")
    agent.path("emerg_one")
    agent.hear(type="registration", kind="registered", generation=1)
    # The code never dials 911 by itself; this far end is SIPp on loopback.
    agent.say(type="call", to="911")
    agent.hear(type="call", state="confirmed")
    before = len(there.registers())
    agent.path("emerg_two", attempt=1)
    agent.say(type="hangup")
    agent.hear(type="call", state="ended")
    window = agent.hear(type="interlock", active=True)
    assert window["until"] is not None
    agent.hear(type="interlock", active=False)
    assert len(there.registers()) == before
    assert agent.hear(type="registration", kind="registered")["presented_id"] == "emerg_two"


def test_s4_an_instruction_in_the_same_breath_as_the_call_does_not_build_the_line_anew_under_it(
    registrar: Start, voice: Speak, uas: FarEnd
) -> None:
    there = registrar()
    uas(there)
    agent = voice(there).client("agent")
    agent.path("emerg_one")
    agent.hear(type="registration", kind="registered", generation=1)
    for attempt in range(1, 6):
        place = {"interface": "lo", "source": "127.0.0.1", "destination": "127.0.0.1", "present_id": "emerg_two"}
        said = (
            {"type": "call", "to": "933", "req_id": attempt},
            {"type": "path", "generation": 1, "attempt": attempt, **place},
        )
        agent.raw(b"".join(json.dumps(one).encode() + b"\n" for one in said))
        up = agent.hear(type="call", req_id=attempt, state="confirmed")
        assert up["attempt"] == 1, "one INVITE was enough"
        agent.say(type="hangup")
        assert agent.hear(type="call", req_id=attempt, state="ended")["ended"] == "Ended here."


def test_an_ordinary_call_yields_to_an_emergency_call_and_waits_its_turn(
    registrar: Start, voice: Speak, uas: FarEnd
) -> None:
    there = registrar()
    uas(there)
    line = voice(there).client()
    line.hear(type="registration", kind="registered")
    line.say(type="call", to="100")
    ordinary = line.hear(type="call", state="confirmed")["call"]
    line.say(type="call", to="933")
    line.hear(type="call", call=ordinary, state="ended")
    line.hear(type="call", to="933", state="confirmed")
    line.say(type="call", to="100", req_id=7)
    assert line.hear(type="error", req_id=7)["sentence"] == (
        "An emergency call is in progress; other calls have to wait."
    )


def test_a_new_id_during_an_ordinary_call_is_presented_and_the_call_lives(
    registrar: Start, voice: Speak, uas: FarEnd
) -> None:
    there = registrar()
    uas(there)
    agent = voice(there).client("agent")
    agent.path("emerg_one")
    agent.hear(type="registration", kind="registered", generation=1)
    agent.say(type="call", to="100")
    number = agent.hear(type="call", state="confirmed")["call"]
    agent.path("emerg_two", attempt=1)
    assert agent.hear(type="registration", kind="registered", attempt=1)["presented_id"] == "emerg_two"
    assert [shown for shown, _, expires in there.registers("ACCEPTED") if expires][-1] == "emerg_two"
    assert len(there.bindings()) == 1
    _sounds(agent, number)


def test_a_call_for_the_command_line_is_recorded_and_told_to_its_end(
    registrar: Start, voice: Speak, uas: FarEnd, folder: Path
) -> None:
    there = registrar()
    uas(there)
    phone = voice(there, recordings=str(folder))
    phone.client().hear(type="registration", kind="registered")
    heard: list[dict[str, Any]] = []
    sound = folder / "call.wav"

    enough = asyncio.Event()

    def hear(event: dict[str, Any]) -> None:
        heard.append(event)
        if event.get("sound", {}).get("rx_packets", 0) > 60:
            enough.set()

    async def call() -> None:
        task = asyncio.create_task(place_call(phone.socket, "933", hear, record=str(sound)))
        await enough.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run_async(call())
    assert [event["state"] for event in heard][:1] == ["calling"]
    until(lambda: "state=ended" in phone.log())
    until(lambda: _frames(sound) > 8000 * 0.5)


def test_an_incoming_call_rings_and_can_be_answered(registrar: Start, voice: Speak) -> None:
    there = registrar()
    phone = voice(there)
    line = phone.client()
    line.hear(type="registration", kind="registered")
    other = voice(there, username="bob").client()
    other.hear(type="registration", kind="registered")
    other.say(type="call", to="sip:alice@voice.test")
    ringing = line.hear(type="call", state="ringing", direction="in")
    line.say(type="answer", call=ringing["call"])
    other.hear(type="call", state="confirmed")
    _sounds(line, ringing["call"])

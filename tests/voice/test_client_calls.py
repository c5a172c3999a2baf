"""What the agent learns of calls: every line, robust against the unknown, and nothing is invented while it is blind."""

from __future__ import annotations

import asyncio
import json
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.model import CallSound, CallView, CivicAddress, VoiceInstruction, VoiceState
from agent.voice.socket.client import VoiceClient, place_call
from agent.voice.socket.views import call_view

from .harness import Registrar, Voice, run_async
from .wire import until

WELCOME = {"type": "welcome", "version": 1, "pid": 1, "stack": "x", "started_at": 0.0}
LINE: dict[str, Any] = {
    "type": "call", "call": 3, "to": "933", "direction": "out", "state": "calling", "code": 0, "reason": "",
    "emergency": True, "at": 10.0,
}  # fmt: skip


def told(*steps: dict[str, Any]) -> CallView:
    """Return what is known of a call after these lines."""
    view: CallView | None = None
    for step in steps:
        view = call_view(LINE | step, view)
    assert view is not None
    return view


def test_a_call_keeps_when_it_began_and_when_it_was_answered() -> None:
    view = told({}, {"state": "ringing", "at": 11.0}, {"state": "confirmed", "at": 12.5, "code": 200}, {"at": 13.5})
    assert (view.started_at, view.answered_at) == (10.0, 12.5)
    assert told({}, {"state": "ended", "at": 12.0}).answered_at is None


def test_times_of_the_voice_process_itself_outweigh_what_was_seen() -> None:
    view = told({"state": "confirmed", "at": 99.0, "started_at": 90.0, "answered_at": 91.0})
    assert (view.started_at, view.answered_at) == (90.0, 91.0)


def test_what_is_said_of_the_end_is_kept() -> None:
    view = told({}, {"state": "ended", "code": 480, "ended": "The far end did not answer.", "refused": "announcement"})
    assert (view.ended, view.refused) == ("The far end did not answer.", "announcement")


def test_a_call_that_was_cut_off_says_so_until_it_is_answered_again() -> None:
    lost = told({"to": "911", "state": "confirmed"}, {"to": "911", "again": "It was cut off."})
    assert (lost.state, lost.again) == ("calling", "It was cut off.")
    assert told({"again": "It was cut off."}, {"state": "confirmed"}).again is None


def test_only_an_emergency_call_to_933_is_a_test() -> None:
    assert told({}).test
    assert not told({"to": "911"}).test
    assert not told({"emergency": False}).test, "somebody's extension 933"


def test_sound_is_kept_and_is_no_difference() -> None:
    one = told({"sound": {"rx_packets": 5, "tx_packets": 6}}, {"at": 11.0})
    assert one.sound == CallSound(5, 6)
    assert one == told({}), "nobody decides anew because of a packet"


@pytest.mark.parametrize(
    "odd",
    [
        {"to": None, "code": "200", "reason": 7, "direction": "sideways", "at": "now", "sound": "loud"},
        {"from_the_future": {"x": [1]}, "state": "transferring"},
        {"sound": {"rx_packets": None}, "emergency": "yes", "started_at": True},
        {"code": float("inf"), "at": float("nan")},
        {"code": 10**400},
    ],
)
def test_a_line_with_unknown_fields_and_types_is_still_a_call(odd: dict[str, Any]) -> None:
    view = call_view(LINE | odd)
    assert view.number == 3
    assert view.state == odd.get("state", "calling")


@pytest.mark.parametrize("no_call", [{"call": None}, {"call": True}, {"call": "3"}, {"state": None}])
def test_a_line_without_number_or_state_is_no_call(no_call: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no call"):
        call_view(LINE | no_call)


class FakeVoice:
    """Says the lines of one scene to each connection in turn; the next scene follows when a connection ended."""

    def __init__(self, *scenes: list[dict[str, Any]]) -> None:
        self._scenes = list(scenes)
        self.cut = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        for line in [WELCOME, *self._scenes.pop(0)]:
            writer.write(json.dumps(line).encode() + b"\n")
        if self._scenes:
            await self.cut.wait()
        else:
            await reader.read()
        writer.close()


def test_s12_calls_are_unknown_not_ended_while_voice_is_away_and_read_again(folder: Path) -> None:
    heard: list[tuple[int, str]] = []
    states: list[VoiceState] = []

    async def check() -> None:
        voice = FakeVoice(
            [LINE, {"type": "call"}, LINE | {"call": 4, "to": "+14155550123", "emergency": False}],
            [LINE | {"state": "confirmed", "at": 20.0}, {"type": "alive"}, LINE | {"call": 9, "state": "ended"}],
        )
        server = await asyncio.start_unix_server(voice.serve, str(folder / "v"))
        over = asyncio.Event()

        def hear(view: CallView) -> None:
            heard.append((view.number, view.state))
            if view.number == 4:
                voice.cut.set()
            if view.number == 9:
                over.set()

        client = VoiceClient(folder / "v", states.append, random.Random(1), hear)
        task = asyncio.create_task(client.run())
        async with asyncio.timeout(20):
            await over.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        server.close()

    run_async(check())
    assert heard == [(3, "calling"), (4, "calling"), (3, "confirmed"), (9, "ended")], "no `ended` was made up"
    lost = states.index(next(state for state in states[1:] if not state.connected))
    assert [view.number for view in states[lost - 1].calls] == [3, 4]
    assert states[lost].calls == ()
    (view,) = [state for state in states if state.connected][-1].calls
    assert (view.number, view.answered_at) == (3, 20.0)


@pytest.mark.sip
def test_an_address_that_the_agent_says_is_confirmed_goes_with_an_emergency_call_even_after_a_restart(
    registrar: Callable[..., Registrar], voice: Callable[..., Voice]
) -> None:
    there = registrar()
    phone = voice(there, geolocation=True)
    changed = asyncio.Event()

    async def registered(client: VoiceClient) -> None:
        while client.state.registration.generation != 3 or client.state.registration.kind != "registered":
            changed.clear()
            await changed.wait()

    async def check() -> None:
        client = VoiceClient(phone.socket, lambda _: changed.set(), random.Random(1))
        client.instruct(VoiceInstruction(3, 0, "lo", "127.0.0.1", "127.0.0.1", None))
        client.locate(3, CivicAddress("123", "Main St", "San Francisco", "CA", "94105"), confirmed=True)
        task = asyncio.create_task(client.run())
        await registered(client)
        phone.stop(signal.SIGKILL)
        phone.start()
        while client.state.registration.generation == 3:
            changed.clear()
            await changed.wait()
        await registered(client)
        await asyncio.to_thread(phone.client().say, type="call", to="933")
        await asyncio.to_thread(until, there.invites)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run_async(check())
    assert "<ca:RD>Main St</ca:RD><ca:HNO>123</ca:HNO>" in there.invites()[0].body


def test_a_call_that_is_cancelled_before_it_has_a_number_is_hung_up_all_the_same(folder: Path) -> None:
    async def scenario() -> list[dict[str, Any]]:
        asked, orders = asyncio.Event(), asyncio.Queue[dict[str, Any]]()

        async def voice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            request = None
            while line := await reader.readline():
                message = json.loads(line)
                if message["type"] == "call":
                    request = message["req_id"]
                    asked.set()
                    await cancelled.wait()
                    writer.write(json.dumps(LINE | {"req_id": request}).encode() + b"\n")
                else:
                    orders.put_nowait(message)
            writer.close()

        cancelled = asyncio.Event()
        async with await asyncio.start_unix_server(voice, folder / "voice.sock"):
            caller = asyncio.create_task(place_call(folder / "voice.sock", "911", lambda _: None))
            await asked.wait()
            caller.cancel()
            cancelled.set()
            with pytest.raises(asyncio.CancelledError):
                await caller
            return [await orders.get(), await orders.get()]

    hello, hangup = run_async(scenario())
    assert hello["type"] == "hello"
    assert hangup == {"type": "hangup", "call": LINE["call"]}

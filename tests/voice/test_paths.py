"""Paths that change under the phone, in real network namespaces: with an agent, without one, and in a call."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from agent.lab.namespaces import in_namespace
from agent.voice import watch

from .harness import Registrar, Uas, Voice
from .two_links import TwoLinks
from .wire import Line, until

pytestmark = [pytest.mark.sip, pytest.mark.netns, pytest.mark.usefixtures("network")]

Start = Callable[..., Registrar]
Speak = Callable[..., Voice]
FarEnd = Callable[..., Uas]
LINKS = TwoLinks(77)
PHONE, NET, SERVER = LINKS.phone, LINKS.net, LINKS.server
plug, pull, instruct = LINKS.plug, LINKS.pull, LINKS.instruct


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_s3_a_source_change_without_an_agent_registers_again_without_an_id(
    registrar: Start, voice: Speak, transport: str
) -> None:
    there = registrar(transport=transport, address=SERVER, netns=NET)
    phone = voice(there, netns=PHONE)
    agent = phone.client("agent")
    instruct(agent, 1, "emerg_one", 1)
    assert agent.hear(type="registration", kind="registered", generation=1)["via_received"] == "10.77.1.2"
    agent.close()
    app = phone.client()
    pull(1)
    plug(2)
    done = app.hear(type="registration", kind="registered", generation=0)
    assert (done["presented_id"], done["via_received"]) == (None, "10.77.2.2")
    shown = [(name, source.partition(":")[0]) for name, source, _ in there.registers("ACCEPTED")]
    assert ("emerg_one", "10.77.2.2") not in shown


def test_the_path_is_seen_in_a_namespace_whose_sysfs_is_not_there() -> None:
    with in_namespace(PHONE):  # sysfs stays that of the namespace in which it was mounted
        seen = watch.look(SERVER)
        assert seen is not None
        assert (seen.interface, seen.source) == ("eth1", "10.77.1.2")
        assert watch.has_carrier("eth1")
        pull(1)
        assert not watch.has_carrier("eth1")
        assert watch.look(SERVER) is None
        plug(1)
        back = watch.look(SERVER)
        assert back is not None
        assert back.carrier_changes > seen.carrier_changes


def test_s3_a_carrier_loss_without_an_agent_gives_up_the_id(registrar: Start, voice: Speak) -> None:
    there = registrar(address=SERVER, netns=NET)
    phone = voice(there, netns=PHONE)
    agent = phone.client("agent")
    instruct(agent, 1, "emerg_one", 1)
    agent.hear(type="registration", kind="registered", generation=1)
    agent.close()
    app = phone.client()
    LINKS.cut(1)
    app.hear(type="registration", kind="offline")
    LINKS.cut(1, on=False)
    assert app.hear(type="registration", kind="registered", generation=0)["presented_id"] is None


def test_a_living_agent_is_given_time_before_voice_follows_a_change_alone(registrar: Start, voice: Speak) -> None:
    there = registrar(address=SERVER, netns=NET)
    agent = voice(there, netns=PHONE).client("agent")
    instruct(agent, 1, "emerg_one", 1)
    agent.hear(type="registration", kind="registered", generation=1)
    agent.say(type="interrupted", generation=2)
    pull(1)
    plug(2)
    instruct(agent, 2, "emerg_two", 3)
    done = agent.hear(type="registration", kind="registered")
    assert (done["generation"], done["presented_id"]) == (3, "emerg_two")
    assert all(name for name, source, _ in there.registers() if source.startswith("10.77.2."))


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_s4_an_emergency_call_is_carried_over_to_the_new_path(
    registrar: Start, voice: Speak, uas: FarEnd, transport: str
) -> None:
    there = registrar(transport=transport, address=SERVER, netns=NET)
    far = uas(there)
    agent = voice(there, netns=PHONE).client("agent")
    instruct(agent, 1, "emerg_one", 1)
    agent.hear(type="registration", kind="registered", generation=1)
    agent.say(type="call", to="933")
    number = agent.hear(type="call", state="confirmed")["call"]
    pull(1)
    plug(2)
    instruct(agent, 2, None, 2)
    done = agent.hear(type="registration", kind="registered", generation=2)
    assert done["presented_id"] is None
    until(lambda: far.contacts()[-1] == "10.77.2.2")  # there the dispatcher hangs up
    _sound_moves(agent, number)
    shown = [(name, source.partition(":")[0]) for name, source, expires in there.registers("ACCEPTED") if expires]
    assert ("emerg_one", "10.77.2.2") not in shown
    with contextlib.suppress(AssertionError):
        agent.hear(type="call", call=number, state="ended", patience=0.5)
        pytest.fail("the call did not live")


def test_s1_an_emergency_call_goes_out_on_a_path_nobody_has_told_of(
    registrar: Start, voice: Speak, uas: FarEnd
) -> None:
    there = registrar(address=SERVER, netns=NET)
    uas(there)
    phone = voice(there, netns=PHONE)
    agent = phone.client("agent")
    instruct(agent, 1, "emerg_one", 1)
    agent.hear(type="registration", kind="registered", generation=1)
    agent.say(type="offline", generation=2)
    pull(1)
    plug(2)
    agent.say(type="call", to="933")
    agent.hear(type="call", state="confirmed")
    assert "event=emergency_life attempt=0 source=10.77.2.2" in phone.log()
    assert "attempt=1 source" not in phone.log()


def test_a_ringing_call_that_the_change_kills_is_dialed_again(registrar: Start, voice: Speak, uas: FarEnd) -> None:
    there = registrar(address=SERVER, netns=NET)
    uas(there)
    agent = voice(there, netns=PHONE).client("agent")
    instruct(agent, 1, None, 1)
    agent.hear(type="registration", kind="registered", generation=1)
    there.mode(code="none")
    LINKS.cut(1)
    agent.say(type="call", to="933")
    agent.hear(type="call", state="calling")
    pull(1)
    plug(2)
    instruct(agent, 2, None, 2)
    agent.hear(type="call", state="confirmed", patience=30)


def _sound_moves(line: Line, number: int) -> None:
    """Statistics start anew with the re-INVITE; they must grow both ways afterwards."""
    counts: list[dict[str, Any]] = []
    while True:
        sound = line.hear(type="call", call=number).get("sound")
        if sound:
            counts.append(sound)
        if len(counts) > 2 and all(counts[-1][way] > counts[-2][way] > 0 for way in ("rx_packets", "tx_packets")):
            return

"""Two ways out at once: an emergency call takes the other one when the first is silent, and stays on it (S1, S4)."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from .harness import ROOT, Registrar, Uas, Voice, ip
from .two_links import TwoLinks
from .wire import Line

pytestmark = [pytest.mark.sip, pytest.mark.netns, pytest.mark.usefixtures("network")]

Start = Callable[..., Registrar]
Speak = Callable[..., Voice]
FarEnd = Callable[..., Uas]
LINKS = TwoLinks(78, both=True)
PHONE, NET, SERVER = LINKS.phone, LINKS.net, LINKS.server


def silence() -> None:
    """Let nothing that comes over the first link be answered."""
    LINKS.silence(1)


def instruct(agent: Line, generation: int = 1, present_id: str | None = "emerg_one") -> None:
    """Speak as the agent does about the first link."""
    LINKS.instruct(agent, 1, present_id, generation)


def ways() -> list[tuple[str, str, bool]]:
    """Return interface, source and whether sockets must be tied to it, as a process on the phone sees them."""
    program = (
        "import json; from agent.voice import watch; "
        f"print(json.dumps([(w.seen.interface, w.seen.source, w.tied) for w in watch.ways('{SERVER}')]))"
    )
    command = ["ip", "netns", "exec", PHONE, sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [(interface, source, tied) for interface, source, tied in json.loads(done.stdout)]


def flowing(line: Line, number: int) -> None:
    """Wait for sound in both directions, more than a second of it."""
    while True:
        sound = line.hear(type="call", call=number).get("sound")
        if sound and min(sound["rx_packets"], sound["tx_packets"]) > 60:
            return


def test_every_way_is_found_the_kernels_own_first() -> None:
    assert ways() == [("eth1", "10.78.1.2", False), ("eth2", "10.78.2.2", True)]
    ip("-n", PHONE, "route", "add", f"{SERVER}/32", "via", "10.78.2.1", "metric", "900")
    assert ways() == [("eth2", "10.78.2.2", False), ("eth1", "10.78.1.2", True)]
    ip("-n", PHONE, "route", "del", f"{SERVER}/32")
    ip("-n", PHONE, "route", "del", "default", "metric", "100")
    ip("-n", PHONE, "route", "del", "default", "metric", "200")
    hops = ["nexthop", "via", "10.78.1.1", "nexthop", "via", "10.78.2.1"]
    ip("-n", PHONE, "route", "add", "default", *hops)
    assert {interface for interface, _, _ in ways()} == {"eth1", "eth2"}


def test_failure_3_a_way_without_carrier_is_none_although_the_kernel_would_take_it() -> None:
    LINKS.cut(1)
    assert ways() == [("eth2", "10.78.2.2", True)]


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_s1_the_other_way_is_taken_when_the_first_is_silent_and_the_call_has_sound(
    registrar: Start, voice: Speak, uas: FarEnd, transport: str
) -> None:
    there = registrar(transport=transport, address=SERVER, netns=NET)
    uas(there)
    agent = voice(there, netns=PHONE).client("agent")
    instruct(agent)
    agent.hear(type="registration", kind="registered", generation=1)
    silence()
    began = time.monotonic()
    agent.say(type="call", to="933")
    up = agent.hear(type="call", state="confirmed", patience=30)
    assert up["attempt"] == 2
    assert up["presented_id"] is None
    assert up["answered_at"] - began > 2.5, "the first way was given its chance"
    flowing(agent, up["call"])
    assert there.invites()[-1].source.partition(":")[0] == "10.78.2.2"
    assert there.invites()[-1].sound_to == "10.78.2.2"


def test_s1_a_way_without_carrier_is_not_tried_first(registrar: Start, voice: Speak, uas: FarEnd) -> None:
    there = registrar(address=SERVER, netns=NET)
    uas(there)
    agent = voice(there, netns=PHONE).client("agent")
    instruct(agent)
    agent.hear(type="registration", kind="registered", generation=1)
    agent.say(type="offline", generation=2)
    LINKS.cut(1)
    agent.say(type="call", to="933")
    up = agent.hear(type="call", state="confirmed")
    assert up["attempt"] == 1
    assert {invite.source.partition(":")[0] for invite in there.invites()} == {"10.78.2.2"}


def test_s1_a_way_on_which_nobody_answered_the_register_comes_last(registrar: Start, voice: Speak, uas: FarEnd) -> None:
    there = registrar(address=SERVER, netns=NET)
    uas(there)
    silence()
    line = voice(there, netns=PHONE).client()
    line.hear(type="registration", kind="failed", code=408)
    line.say(type="call", to="933")
    up = line.hear(type="call", state="confirmed")
    assert up["attempt"] == 1
    flowing(line, up["call"])


def test_s3_s4_a_call_on_another_way_is_registered_there_without_an_id_and_not_moved_by_an_instruction(
    registrar: Start, voice: Speak, uas: FarEnd
) -> None:
    there = registrar(address=SERVER, netns=NET)
    uas(there)
    agent = voice(there, netns=PHONE, callback_window=2.0).client("agent")
    instruct(agent)
    agent.hear(type="registration", kind="registered", generation=1)
    silence()
    agent.say(type="call", to="911")
    number = agent.hear(type="call", state="confirmed", patience=30)["call"]
    done = agent.hear(type="registration", kind="registered")
    assert (done["generation"], done["presented_id"], done["via_received"]) == (0, None, "10.78.2.2")
    instruct(agent)
    instruct(agent, generation=2, present_id="emerg_two")
    flowing(agent, number)
    with contextlib.suppress(AssertionError):
        agent.hear(type="call", call=number, state="ended", patience=1.0)
        pytest.fail("the call was moved off its way")
    shown = {(name, source.partition(":")[0]) for name, source, _ in there.registers("ACCEPTED")}
    assert shown == {("", "10.78.1.2"), ("emerg_one", "10.78.1.2"), ("", "10.78.2.2")}
    LINKS.silence(1, on=False)
    agent.say(type="hangup", call=number)
    agent.hear(type="interlock", active=False)
    done = agent.hear(type="registration", kind="registered")
    assert (done["generation"], done["presented_id"], done["via_received"]) == (2, "emerg_two", "10.78.1.2")


def test_s4_a_call_follows_the_kernel_when_its_own_way_goes(registrar: Start, voice: Speak, uas: FarEnd) -> None:
    there = registrar(address=SERVER, netns=NET)
    uas(there)
    agent = voice(there, netns=PHONE).client("agent")
    instruct(agent)
    agent.hear(type="registration", kind="registered", generation=1)
    silence()
    agent.say(type="call", to="933")
    number = agent.hear(type="call", state="confirmed", patience=30)["call"]
    flowing(agent, number)
    LINKS.silence(1, on=False)
    LINKS.pull(2)
    while agent.hear(type="registration", kind="registered")["via_received"] != "10.78.1.2":
        pass
    flowing(agent, number)

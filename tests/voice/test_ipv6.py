"""The line over IPv6, against Kamailio and SIPp: registration, 911 with sound, two ways, dual stack."""

from __future__ import annotations

from collections.abc import Callable

import pjsua2
import pytest

from .harness import Registrar, Uas, Voice
from .two_links import TwoLinks
from .wire import Line

pytestmark = pytest.mark.sip

Start = Callable[..., Registrar]
Speak = Callable[..., Voice]
FarEnd = Callable[..., Uas]
WITHOUT = hasattr(pjsua2, "__path__")
"""The wheel, which has no IPv6."""
LINKS = TwoLinks(79, both=True, six=True)
HERE = {"interface": "lo", "source": "::1", "destination": "::1"}


def flowing(line: Line, number: int) -> None:
    """Wait for sound in both directions."""
    while True:
        sound = line.hear(type="call", call=number).get("sound")
        if sound and min(sound["rx_packets"], sound["tx_packets"]) > 20:
            return


def says_that_it_cannot(phone: Voice) -> None:
    """A build without IPv6 lives on and says so, for 911 too; with IPv4 it would be a telephone."""
    line = phone.client()
    words = "This build of PJSIP cannot use IPv6; the registrar needs an IPv4 address"
    assert line.hear(type="registration", kind="failed")["reason"] == words
    line.say(type="call", to="933")
    assert line.hear(type="call", code=503)["reason"].endswith(words)
    assert phone.process is not None
    assert phone.process.poll() is None


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_s1_s7_over_ipv6_it_registers_with_its_id_and_calls_with_sound(
    registrar: Start, voice: Speak, uas: FarEnd, transport: str
) -> None:
    there = registrar(address="::1", transport=transport)
    if WITHOUT:
        says_that_it_cannot(voice(there))
        return
    uas(there)
    agent = voice(there).client("agent")
    assert agent.hear(type="registration", kind="registered", generation=0)["via_received"] == "::1"
    agent.path("emerg_one", where=HERE)
    done = agent.hear(type="registration", kind="registered", generation=1)
    assert (done["presented_id"], done["via_received"]) == ("emerg_one", "::1")
    assert all(contact.startswith("sip:alice@[::1]:") for contact in there.bindings())
    agent.say(type="call", to="911")
    up = agent.hear(type="call", state="confirmed")
    assert up["presented_id"] == "emerg_one"
    flowing(agent, up["call"])
    agent.say(type="hangup", call=up["call"])
    agent.hear(type="call", call=up["call"], state="ended", ended="Ended here.")


@pytest.mark.netns
@pytest.mark.usefixtures("network")
def test_s1_s4_without_any_ipv4_an_emergency_call_finds_the_other_way(
    registrar: Start, voice: Speak, uas: FarEnd
) -> None:
    there = registrar(address=LINKS.server, netns=LINKS.net)
    if WITHOUT:
        says_that_it_cannot(voice(there, netns=LINKS.phone))
        return
    uas(there)
    agent = voice(there, netns=LINKS.phone).client("agent")
    LINKS.instruct(agent, 1, "emerg_one")
    done = agent.hear(type="registration", kind="registered", generation=1)
    assert done["via_received"] == LINKS.source(1)
    LINKS.silence(1)
    agent.say(type="call", to="911")
    up = agent.hear(type="call", state="confirmed", patience=30)
    assert (up["attempt"], up["presented_id"]) == (2, None)
    assert there.invites()[-1].source.startswith(f"{LINKS.source(2)}:")
    assert there.invites()[-1].sound_to == LINKS.source(2)
    flowing(agent, up["call"])

"""What stands around an emergency number never stops it: a failure there costs the decoration alone (S1)."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest

from agent.config.settings import SipSettings
from agent.model import CivicAddress
from agent.voice.calls import dress
from agent.voice.calls.calls import Calls
from agent.voice.calls.dialer import BREATH, CROWD, PATIENCE, PATIENCE_IF_OTHERS, TRYING_PATIENCE
from agent.voice.calls.dress import Wardrobe
from agent.voice.calls.leg import REDIALS
from agent.voice.calls.location import Location, location_body
from agent.voice.calls.values import Call
from agent.voice.events import CallEvent, Dial, StackError, Trying

CIVIC = CivicAddress("123", "Main St", "San Francisco", "CA", "94105", 'Suite "4" & <5>')


class Part:
    """Anything that answers everything."""

    def __init__(self, **answers: Any) -> None:
        self.__dict__.update(answers)


class Phone:
    """A stack that dials, counts, and refuses what has a body if it is told to."""

    def __init__(self) -> None:
        self.dials: list[Dial] = []
        self.hung: list[int] = []
        self.fussy = False

    def call(self, dial: Dial) -> int:
        self.dials.append(dial)
        if self.fussy and (dial.headers or dial.body):
            raise StackError("too large")
        return len(self.dials)

    def hangup(self, call: int, code: int = 0) -> None:
        del code
        self.hung.append(call)

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


def calls(line: Phone, *, others: bool = False, **more: Any) -> Calls:
    one: Any = line
    return Calls(one, domain=lambda: "x", prepare=lambda _: others, tell=lambda _: None, callback_window=300, **more)


def wardrobe(**machine: Any) -> Wardrobe:
    known: Any = Part(presents=lambda _: "emerg_one", holds=lambda *_: True, wanted=None, **machine)
    line: Any = Part(stack=Part(plan=None), domain="x.test")
    found = Wardrobe(SipSettings(geolocation=True, username="kiosk"), line, known)
    found.locate(Location(1, CIVIC, confirmed=True))
    return found


def test_s1_a_place_that_cannot_be_written_down_costs_the_place_and_not_the_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    call = Call(1, "911", "out", emergency=True)
    assert wardrobe().dress(call, "sip:911@x").body is not None

    def fails(*_: object, **__: object) -> None:
        raise UnicodeError("no such letter")

    monkeypatch.setattr(dress, "location_body", fails)
    assert wardrobe().dress(call, "sip:911@x") == Dial("sip:911@x")


def test_s1_an_emergency_invite_that_is_refused_for_what_it_carries_goes_without_it() -> None:
    line = Phone()
    line.fussy = True
    phone = calls(line, dress=lambda _, uri: Dial(uri, (("X", "emerg_one"),), None, "emerg_one"))
    assert phone.place("911", 0.0).presented_id is None
    assert line.dials[-1] == Dial("sip:911@x")
    with_header = len(line.dials)
    phone = calls(line, dress=lambda _, uri: Dial(uri, (("X", "emerg_one"),)))
    phone.place("100", 0.0)
    assert len(line.dials) == with_header + 1, "an ordinary call does not pretend"


def test_s1_only_the_first_invite_carries_the_place() -> None:
    second = Call(1, "911", "out", emergency=True, attempt=1)
    assert wardrobe().dress(second, "sip:911@x").body is None


def test_the_place_is_well_formed_whatever_is_in_it() -> None:
    body = location_body(CIVIC, entity="pres:a&b@x", content_id="c@x", wall=0.0)
    root = ET.fromstring(body.text.encode())  # noqa: S314 - our own text
    found = {element.tag.rpartition("}")[2]: element.text for element in root.iter()}
    assert (found["UNIT"], found["HNO"], found["A1"], found["A3"]) == (CIVIC.unit, "123", "CA", "San Francisco")
    assert (root.get("entity"), found["timestamp"]) == ("pres:a&b@x", "1970-01-01T00:00:00Z")
    assert len(body.text) < 1000, "with its SDP it must not be much larger than 1300 bytes"


@pytest.mark.parametrize(("others", "patience"), [(False, PATIENCE), (True, PATIENCE_IF_OTHERS)])
def test_s1_silence_is_dialed_again_and_the_silent_call_taken_back(others: bool, patience: float) -> None:  # noqa: FBT001
    line = Phone()
    phone = calls(line, others=others)
    phone.place("911", 0.0)
    phone.tick(patience - 0.1)
    assert len(line.dials) == 1
    phone.tick(patience)
    assert (len(line.dials), line.hung) == (2, [1])


def test_s1_a_network_that_says_trying_is_given_time() -> None:
    line = Phone()
    phone = calls(line)
    phone.place("911", 0.0)
    phone.on_event(Trying(1), 1.0)
    phone.tick(1.0 + TRYING_PATIENCE - 0.1)
    assert len(line.dials) == 1
    phone.tick(1.0 + TRYING_PATIENCE)
    assert len(line.dials) == 2


def test_s1_a_way_that_appears_is_used_at_once() -> None:
    line = Phone()
    phone = calls(line)
    phone.place("911", 0.0)
    for at, wait in enumerate(REDIALS[:4]):
        phone.on_event(CallEvent(at + 1, "ended", "out", 503, "No"), 1.0)
        if wait:
            phone.kick(1.0)
        phone.tick(1.0)
        assert len(line.dials) == at + 2


def test_a_program_that_dials_too_fast_waits_for_its_turn() -> None:
    line = Phone()
    phone = calls(line)
    for _ in range(CROWD + 1):
        number = phone.place("911", 0.0).number
        if len(line.dials) <= CROWD and phone.stack_calls():
            phone.hangup(number, 0.0)
            phone.on_event(CallEvent(len(line.dials), "ended", "out", 487, ""), 0.0)
    assert len(line.dials) == CROWD
    phone.tick(BREATH)
    assert len(line.dials) == CROWD + 1

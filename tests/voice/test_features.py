"""What a phone does with calls, against real far ends: refuse, hold, digits, early sound, several calls, files."""

from __future__ import annotations

import contextlib
import itertools
import math
import struct
import subprocess
import sys
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .harness import ROOT, Registrar, Uas, Voice
from .wire import Line, until

pytestmark = pytest.mark.sip

Start = Callable[..., Registrar]
Speak = Callable[..., Voice]
FarEnd = Callable[..., Uas]


def pair(there: Registrar, voice: Speak, **alice: Any) -> tuple[Line, Line]:
    """Return two phones that are registered: alice and bob."""
    lines = voice(there, **alice).client(), voice(there, username="bob").client()
    for line in lines:
        line.hear(type="registration", kind="registered")
    return lines


def ring(caller: Line, callee: Line, to: str = "sip:bob@voice.test", **more: object) -> tuple[int, int]:
    """Call until it rings; return the number of the call on both sides."""
    caller.say(type="call", to=to, req_id="ring", **more)
    out = caller.hear(type="call", state="ringing", req_id="ring")["call"]
    return out, callee.hear(type="call", state="ringing", direction="in")["call"]


def talk(caller: Line, callee: Line, to: str = "sip:bob@voice.test", **more: object) -> tuple[int, int]:
    """Call and answer."""
    out, back = ring(caller, callee, to, **more)
    callee.say(type="answer", call=back)
    caller.hear(type="call", call=out, state="confirmed")
    callee.hear(type="call", call=back, state="confirmed")
    return out, back


def flowing(line: Line, number: int, more_than: int = 20) -> None:
    """Wait for sound in both directions."""
    while True:
        sound = line.hear(type="call", call=number).get("sound")
        if sound and min(sound["rx_packets"], sound["tx_packets"]) > more_than:
            return


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({}, (603, "declined", "The other side declined the call (603 Decline).")),
        ({"busy": True}, (486, "busy", "The other side is busy (486 Busy Here).")),
    ],
)
def test_an_incoming_call_can_be_refused_and_both_sides_are_told(
    registrar: Start, voice: Speak, how: dict[str, object], told: tuple[int, str, str]
) -> None:
    alice, bob = pair(registrar(), voice)
    out, back = ring(alice, bob)
    bob.say(type="reject", call=back, **how)
    assert bob.hear(type="call", call=back, state="ended")["ended"] == "Refused here."
    over = alice.hear(type="call", call=out, state="ended")
    assert (over["code"], over["refused"], over["ended"]) == told


def test_a_call_is_held_and_resumed_and_the_other_side_knows(registrar: Start, voice: Speak) -> None:
    alice, bob = pair(registrar(), voice)
    out, back = talk(alice, bob)
    flowing(alice, out)
    alice.say(type="hold", call=out)
    alice.hear(type="call", call=out, held=True)
    bob.hear(type="call", call=back, held_by_peer=True)
    alice.say(type="resume", call=out)
    alice.hear(type="call", call=out, held=False)
    bob.hear(type="call", call=back, held_by_peer=False)
    flowing(alice, out)
    flowing(bob, back)


def test_the_newest_wish_to_hold_or_resume_follows_the_slow_answer_to_the_one_before(
    registrar: Start, voice: Speak, uas: FarEnd
) -> None:
    there = registrar()
    far = uas(there, scenario_file="uas_hold.xml", calls=1)
    line = voice(there).client()
    line.hear(type="registration", kind="registered")
    line.say(type="call", to="100")
    number = line.hear(type="call", state="confirmed")["call"]
    for verb in ("hold", "resume", "hold", "resume"):
        line.say(type=verb, call=number, req_id=verb)
    line.hear(type="call", call=number, held=True)
    line.hear(type="call", call=number, held=False)
    assert not [heard for heard in line.heard if heard["type"] == "error"]
    until(lambda: far.heard("ACK") > 2)
    line.say(type="hangup", call=number)
    line.hear(type="call", call=number, state="ended")
    assert far.finished(), "one re-INVITE held, one resumed, and there was no third"


def test_a_far_end_that_refuses_to_be_held_is_told_and_the_call_goes_on(
    registrar: Start, voice: Speak, uas: FarEnd
) -> None:
    there = registrar()
    far = uas(there, scenario_file="uas_unheld.xml", calls=1)
    line = voice(there).client()
    line.hear(type="registration", kind="registered")
    line.say(type="call", to="100")
    number = line.hear(type="call", state="confirmed")["call"]
    line.say(type="hold", call=number)
    line.hear(type="call", call=number, held=True)
    refused = line.hear(type="call", call=number, held=False)
    assert refused["sound_problem"] == "The call could not be put on hold. (488 Not Acceptable Here)"
    line.say(type="hangup", call=number)
    line.hear(type="call", call=number, state="ended")
    assert far.finished()


def test_digits_arrive_within_the_sound(registrar: Start, voice: Speak) -> None:
    alice, bob = pair(registrar(), voice)
    out, back = talk(alice, bob)
    flowing(alice, out)
    alice.say(type="dtmf", call=out, digits="9#a")
    assert [bob.hear(type="dtmf", call=back)["digit"] for _ in range(3)] == ["9", "#", "A"]
    alice.say(type="dtmf", call=out, digits="12x", req_id=1)
    assert alice.hear(type="error", req_id=1)["sentence"] == "`digits` must be 1 to 32 of 0-9, *, #, A-D."


def test_digits_go_with_info_to_a_far_end_that_takes_them_no_other_way(
    registrar: Start, voice: Speak, uas: FarEnd
) -> None:
    there = registrar()
    far = uas(there, scenario_file="uas_info.xml", calls=1)
    line = voice(there).client()
    line.hear(type="registration", kind="registered")
    line.say(type="call", to="100")
    number = line.hear(type="call", state="confirmed")["call"]
    line.say(type="dtmf", call=number, digits="5")
    until(lambda: far.heard("INFO"))
    line.say(type="hangup", call=number)
    assert far.finished()


def test_ringing_is_told_from_early_sound_and_a_refusal_after_it_from_others(
    registrar: Start, voice: Speak, uas: FarEnd, folder: Path
) -> None:
    there = registrar()
    uas(there, scenario_file="uas_early.xml")
    line = voice(there, recordings=str(folder)).client()
    line.hear(type="registration", kind="registered")
    line.say(type="call", to="100", record="announcement.wav")
    ringing = line.hear(type="call", state="ringing")
    assert ringing["code"] == 180
    line.hear(type="call", state="early", code=183)
    over = line.hear(type="call", state="ended")
    assert (over["code"], over["refused"], over["answered_at"]) == (480, "announcement", None)
    assert over["ended"] == "The network said something and ended the call (480 Temporarily Unavailable)."
    assert over["record"] == "announcement.wav"
    assert len(samples(folder / "announcement.wav")) > 8000


def test_one_call_is_active_and_the_others_are_held(registrar: Start, voice: Speak, uas: FarEnd) -> None:
    there = registrar()
    uas(there)
    alice, bob = pair(there, voice)
    first, back = talk(alice, bob)
    alice.say(type="call", to="100", req_id=2)
    second = alice.hear(type="call", state="confirmed", to="100")["call"]
    assert {line["call"]: line["held"] for line in now(alice)} == {first: True, second: False}
    bob.hear(type="call", call=back, held_by_peer=True)
    alice.say(type="resume", call=first)
    alice.hear(type="call", call=first, held=False)
    assert {line["call"]: line["held"] for line in now(alice)} == {first: False, second: True}


def now(line: Line) -> list[dict[str, Any]]:
    """Return the calls that are up."""
    line.say(type="status", req_id="now")
    line.hear(type="interlock", req_id="now")
    line.say(type="status", req_id="then")
    line.hear(type="registration", req_id="then")
    return [heard for heard in line.heard if heard.get("req_id") == "now" and heard["type"] == "call"][-2:]


def test_s1_the_last_line_is_kept_for_an_emergency(registrar: Start, voice: Speak, uas: FarEnd) -> None:
    there = registrar()
    uas(there)
    alice = voice(there).client()
    alice.hear(type="registration", kind="registered")
    for at in range(3):
        alice.say(type="call", to="100", req_id=at)
        alice.hear(type="call", state="confirmed", req_id=at)
    alice.say(type="call", to="100", req_id="fourth")
    assert alice.hear(type="error", req_id="fourth")["sentence"] == "There are 3 calls already; end one of them first."
    bob = voice(there, username="bob").client()
    bob.hear(type="registration", kind="registered")
    bob.say(type="call", to="sip:alice@voice.test")
    assert bob.hear(type="call", state="ended")["refused"] == "busy"
    assert alice.hear(type="call", state="ended")["ended"] == "Refused here: all lines are taken."
    alice.say(type="call", to="933")
    yielded = [alice.hear(type="call", state="ended") for _ in range(3)]
    assert {line["ended"] for line in yielded} == {"Ended for an emergency call."}
    alice.hear(type="call", to="933", state="confirmed")


def test_s1_the_same_emergency_number_again_joins_the_call_and_dials_no_second_one(
    registrar: Start, voice: Speak, uas: FarEnd
) -> None:
    there = registrar()
    uas(there)
    phone = voice(there)
    line, other = phone.client(), phone.client()
    line.say(type="call", to="933", req_id="one")
    first = line.hear(type="call", req_id="one")
    other.say(type="call", to="9-933", req_id="two")
    assert other.hear(type="call", req_id="two")["call"] == first["call"]
    assert other.hear(type="call", state="confirmed")["call"] == first["call"]
    assert [invite.to for invite in there.invites()] == ["933"]


def test_s1_a_program_that_dials_100_times_a_second_neither_ends_the_process_nor_keeps_a_911_call_out(
    registrar: Start, voice: Speak, uas: FarEnd
) -> None:
    there = registrar()
    uas(there)
    phone = voice(there)
    mad, line = phone.client(), phone.client()
    mad.hear(type="registration", kind="registered")
    for at in range(60):
        mad.say(type="call", to="100", req_id=at)
        number = mad.hear(type="call", req_id=at)["call"]
        mad.say(type="hangup", call=number)
        mad.hear(type="call", req_id=at, state="ended")
    line.say(type="call", to="933")
    line.hear(type="call", state="confirmed", to="933")
    assert phone.process is not None
    assert phone.process.poll() is None


def test_s4_an_emergency_call_is_never_held(registrar: Start, voice: Speak, uas: FarEnd) -> None:
    there = registrar()
    uas(there)
    line = voice(there).client()
    line.say(type="call", to="933")
    number = line.hear(type="call", state="confirmed")["call"]
    line.say(type="hold", call=number)
    assert line.hear(type="error")["sentence"] == "An emergency call is never put on hold."


def test_a_call_says_all_about_itself(registrar: Start, voice: Speak, uas: FarEnd) -> None:
    there = registrar()
    uas(there)
    line = voice(there).client()
    line.say(type="call", to="9 9-3-3", req_id="me")
    up = line.hear(type="call", state="confirmed")
    assert (up["to"], up["emergency"], up["test"], up["callback"], up["direction"]) == ("933", True, True, False, "out")
    assert up["started_at"] <= up["answered_at"] <= up["at"]
    assert abs(up["started_wall"] - there.now()) < 60
    assert (up["attempt"], up["held"], up["presented_id"], up["sound_problem"]) == (1, False, None, None)
    line.say(type="hangup", call=up["call"])
    over = line.hear(type="call", state="ended")
    assert (over["ended"], over.get("refused")) == ("Ended here.", None)
    line.say(type="call", to="sip:nobody@voice.test")
    over = line.hear(type="call", state="ended")
    assert (over["refused"], over["ended"]) == ("not_found", "Nobody has this number (404 Nobody).")


# ------------------------------------------------------------------ files


def tone(path: Path, seconds: float = 1.0, pitch: float = 440.0) -> None:
    """Write a WAV file of 8 kHz with one tone."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        values = (round(12000 * math.sin(2 * math.pi * pitch * at / 8000)) for at in range(round(8000 * seconds)))
        file.writeframes(b"".join(struct.pack("<h", value) for value in values))


def samples(path: Path) -> list[int]:
    """Return the samples of a recording of 16 bits; its header is written a moment after the call."""

    def read() -> list[int]:
        with contextlib.suppress(wave.Error, EOFError), wave.open(str(path)) as file:
            return list(memoryview(file.readframes(file.getnframes())).cast("h"))
        return []

    found: list[int] = until(read)
    return found


def test_a_file_is_played_in_place_of_the_microphone_and_recorded_at_the_other_end(
    registrar: Start, voice: Speak, folder: Path
) -> None:
    there = registrar()
    sounds, recordings = folder / "sounds", folder / "recordings"
    sounds.mkdir()
    recordings.mkdir()
    tone(sounds / "hello.wav", seconds=2.0)
    alice = voice(there, sounds=str(sounds)).client()
    bob = voice(there, username="bob", recordings=str(recordings)).client()
    for line in (alice, bob):
        line.hear(type="registration", kind="registered")
    out, back = ring(alice, bob, play="hello.wav")
    bob.say(type="answer", call=back, record="heard.wav")
    flowing(alice, out, 60)
    bob.say(type="hangup", call=back)
    bob.hear(type="call", call=back, state="ended", record="heard.wav")
    heard = samples(recordings / "heard.wav")
    loud = [at for at, value in enumerate(heard) if abs(value) > 6000]
    assert len(loud) > 4000
    voiced = heard[loud[0] : loud[0] + 4000]
    crossings = sum(one < 0 <= two for one, two in itertools.pairwise(voiced))
    assert abs(crossings * 8000 / len(voiced) - 440) < 20


@pytest.mark.parametrize(
    "name",
    ["../escape.wav", "/etc/escape.wav", "a/b.wav", ".hidden.wav", "x.txt", "x.wav/", "x\u202e.wav", "-x.wav"],
)
def test_a_recording_goes_into_its_folder_and_nowhere_else(voice: Speak, folder: Path, name: str) -> None:
    inside = folder / "in"
    inside.mkdir()
    line = voice(None, registrar="127.0.0.1", recordings=str(inside)).client()
    line.say(type="call", to="100", record=name, req_id=1)
    sentence = line.hear(type="error", req_id=1)["sentence"]
    assert sentence in {
        "The name of a recording must be letters, digits, dots and dashes and end in .wav.",
        "`record` must be a text of at most 256 characters.",
    }
    assert list(inside.iterdir()) == []


def test_s1_whatever_is_wrong_with_the_files_an_emergency_call_goes_out_and_nothing_is_overwritten(
    registrar: Start, voice: Speak, uas: FarEnd, folder: Path
) -> None:
    there = registrar()
    uas(there)
    (folder / "kept.wav").write_text("evidence")
    (folder / "link.wav").symlink_to(folder / "outside.wav")
    line = voice(there, recordings=str(folder)).client()
    for record, play, words in (
        ("/etc/passwd", None, "The name of a recording must be letters, digits, dots and dashes and end in .wav."),
        ("kept.wav", None, "There is a recording named kept.wav already; this call is not recorded."),
        ("link.wav", None, "There is a recording named link.wav already; this call is not recorded."),
        (7, None, "`record` must be a text of at most 256 characters."),
        (None, "x.wav", "No file can be played here: no folder for them is configured (sip.sounds)."),
    ):
        line.say(type="call", to="933", record=record, play=play)
        number = line.hear(type="call", state="confirmed")["call"]
        assert said(line, number) == words
        line.say(type="hangup", call=number)
        line.hear(type="call", call=number, state="ended")
    assert (folder / "kept.wav").read_text() == "evidence"
    assert not (folder / "outside.wav").exists()


def said(line: Line, number: int) -> str:
    """Return what a call says about its files."""
    while True:
        problem = line.hear(type="call", call=number)["sound_problem"]
        if problem:
            return str(problem)


# ------------------------------------------------------------------ what the INVITE carries


def test_codecs_are_offered_in_the_configured_order(registrar: Start, voice: Speak) -> None:
    there = registrar()
    voice(there).client().say(type="call", to="933")
    until(there.invites)
    default = there.invites()[0].codecs
    assert default[:3] == ["PCMU", "PCMA", "G722"]
    assert "opus" not in default or default[3] == "opus"
    voice(there, codecs=["PCMA", "nothing", "GSM"]).client().say(type="call", to="933")
    until(lambda: len(there.invites()) > 1)
    assert there.invites()[-1].codecs[:2] == ["PCMA", "GSM"]


def test_s3_the_invite_carries_the_id_of_the_registration_in_force_and_no_other(
    registrar: Start, voice: Speak, uas: FarEnd
) -> None:
    there = registrar()
    uas(there)
    agent = voice(there).client("agent")

    def dial(expected: str | None) -> None:
        before = len(there.invites())
        agent.say(type="call", to="933", req_id=before)
        up = agent.hear(type="call", state="confirmed", req_id=before)
        assert up["presented_id"] == expected
        agent.say(type="hangup", call=up["call"])
        agent.hear(type="call", call=up["call"], state="ended")
        assert there.invites()[before].presented == (expected or "")

    agent.hear(type="registration", kind="registered", generation=0)
    dial(None)
    agent.path("emerg_one")
    agent.hear(type="registration", kind="registered", generation=1)
    dial("emerg_one")
    agent.say(type="interrupted", generation=2)
    dial(None)
    agent.path("emerg_one")
    agent.hear(type="registration", kind="registered", generation=1)
    dial("emerg_one")
    there.mode(code="503", retry_after="60")
    agent.path("emerg_two", attempt=1)
    agent.hear(type="registration", kind="failed", attempt=1)
    dial(None)


CIVIC = {
    "address_number": "123", "street": "Main & <High> St", "unit": "Suite 400", "city": "San Francisco", "state": "CA",
    "postal_code": "94105", "country": "US",
}  # fmt: skip


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_confirmed_address_goes_with_the_emergency_call_and_no_other(
    registrar: Start, voice: Speak, uas: FarEnd, transport: str
) -> None:
    there = registrar(transport=transport)
    uas(there)
    agent = voice(there, geolocation=True).client("agent")
    agent.path("emerg_one")
    agent.hear(type="registration", kind="registered", generation=1)

    def dial(to: str = "933") -> Any:
        before = len(there.invites())
        agent.say(type="call", to=to, req_id=before)
        number = agent.hear(type="call", state="confirmed", req_id=before)["call"]
        agent.say(type="hangup", call=number)
        agent.hear(type="call", call=number, state="ended")
        return there.invites()[before]

    assert dial().geolocation == ""
    agent.say(type="location", generation=1, confirmed=False, civic=CIVIC)
    assert dial().geolocation == ""
    agent.say(type="location", generation=1, confirmed=True, civic=CIVIC)
    invite = dial()
    assert invite.proto == transport
    assert invite.geolocation.startswith("<cid:")
    name = invite.geolocation.removeprefix("<cid:").removesuffix(">")
    assert f"Content-ID: <{name}>" in invite.body
    assert "Content-Type: application/pidf+xml" in invite.body
    assert "<ca:RD>Main &amp; &lt;High&gt; St</ca:RD><ca:HNO>123</ca:HNO><ca:UNIT>Suite 400</ca:UNIT>" in invite.body
    assert "m=audio" in invite.body
    assert dial("100").geolocation == ""
    agent.say(type="location", generation=2, confirmed=True, civic=CIVIC)
    assert dial().geolocation == "", "an address of another place must not travel"
    agent.say(type="location", generation=1, confirmed=True, civic=CIVIC)
    agent.say(type="location", generation=1, confirmed=True, civic=None)
    assert dial().geolocation == ""
    agent.say(type="location", generation=1, confirmed=True, civic={"street": 7})
    agent.hear(type="error")


def test_s1_a_slow_gateway_is_waited_for_and_not_dialed_twice(registrar: Start, voice: Speak, uas: FarEnd) -> None:
    there = registrar()
    uas(there, scenario_file="uas_slow.xml")
    line = voice(there).client()
    line.hear(type="registration", kind="registered")
    line.say(type="call", to="933")
    up = line.hear(type="call", state="confirmed")
    assert up["attempt"] == 1
    assert len(there.invites()) == 1


# ------------------------------------------------------------------ sound cards


def test_without_a_sound_card_calls_are_silent_and_it_is_said(registrar: Start, voice: Speak, uas: FarEnd) -> None:
    there = registrar()
    uas(there)
    line = voice(there, audio="alsa", playback_device="no such card").client()
    problem = line.hear(type="problem", code="sound")["sentence"]
    assert problem.startswith("There is no sound card")
    assert problem.endswith("Calls are silent on this side, 911 too.")
    line.say(type="call", to="933")
    number = line.hear(type="call", state="confirmed")["call"]
    flowing(line, number)


def test_the_sound_cards_are_listed_and_nothing_else_is_printed() -> None:
    command = [sys.executable, "-m", "agent.voice", "--list-audio"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        assert line.startswith("There are no sound cards") or line.endswith(" out)")
    assert done.stdout

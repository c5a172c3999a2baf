"""A stack that hangs is started anew, and whoever asked for help meanwhile gets it (S1, failure 14)."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agent.voice.calls import handover
from agent.voice.calls.values import Pending
from agent.voice.socket.server import Carried

from .harness import PASSWORD, Registrar, Uas, Voice
from .stalling import STALL
from .wire import Line, until

pytestmark = pytest.mark.sip

Start = Callable[..., Registrar]
Speak = Callable[..., Voice]
FarEnd = Callable[..., Uas]
HOOKS = {"DIALSTACK_VOICE_TEST_HOOKS": "1"}


def hang(line: Line) -> None:
    """Let the main thread hang for far longer than the watchdog bears."""
    line.say(type="test_hang", seconds=60)


def test_s1_a_911_call_asked_for_while_the_stack_hangs_goes_out_on_the_same_connection(
    registrar: Start, voice: Speak, uas: FarEnd
) -> None:
    there = registrar()
    uas(there)
    phone = voice(there, environment=HOOKS)
    line = phone.client()
    line.hear(type="registration", kind="registered")
    hang(line)
    line.say(type="call", to="911", req_id="help")
    line.hear(type="welcome")  # of the new life
    line.hear(type="call", state="confirmed", req_id="help", to="911")
    assert phone.process is not None
    assert phone.process.poll() is None, "the same process id"


def test_s1_a_911_call_in_the_same_breath_as_the_hang_is_not_lost(registrar: Start, voice: Speak, uas: FarEnd) -> None:
    there = registrar()
    uas(there)
    line = voice(there, environment=HOOKS).client()
    line.hear(type="registration", kind="registered")
    said = ({"type": "test_hang", "seconds": 60}, {"type": "call", "to": "911", "req_id": "help"})
    line.raw(b"".join(json.dumps(one).encode() + b"\n" for one in said) + b'{"type":"status","req')
    line.hear(type="call", state="confirmed", req_id="help")
    line.raw(b'_id":"rest"}\n')
    line.hear(type="interlock", req_id="rest", active=True)


def test_s1_somebody_who_connects_while_the_stack_hangs_is_heard(registrar: Start, voice: Speak, uas: FarEnd) -> None:
    there = registrar()
    uas(there)
    phone = voice(there, environment=HOOKS)
    first = phone.client()
    first.hear(type="registration", kind="registered")
    hang(first)
    late = phone.client()
    late.say(type="call", to="933")
    late.hear(type="call", state="confirmed")


def test_s1_an_emergency_call_that_is_being_dialed_when_the_stack_hangs_is_dialed_again(
    registrar: Start, voice: Speak, uas: FarEnd
) -> None:
    there = registrar()
    phone = voice(there, environment=HOOKS)
    line, other = phone.client(), phone.client()
    line.hear(type="registration", kind="registered")
    there.stop()
    line.say(type="call", to="933", req_id="help")
    number = line.hear(type="call", state="calling", req_id="help")["call"]
    hang(other)
    there.start()
    uas(there)
    again = line.hear(type="call", state="confirmed", req_id="help")
    assert again["call"] == number


def test_s1_a_911_call_whose_invite_stalls_in_the_stack_is_dialed_by_a_new_life_and_nobody_is_forgotten(
    registrar: Start, voice: Speak, uas: FarEnd, folder: Path
) -> None:
    there = registrar()
    uas(there)
    stall = folder / "stall"
    phone = voice(there, module="tests.voice.stalling", environment={STALL: str(stall)})
    line, other = phone.client(), phone.client()
    line.hear(type="registration", kind="registered")
    other.hear(type="registration", kind="registered")
    line.say(type="call", to="100")
    line.hear(type="call", to="100", state="confirmed")
    stall.touch()
    line.say(type="call", to="911", req_id="help")
    number = line.hear(type="call", to="911", state="calling", req_id="help")["call"]
    until(lambda: not stall.exists())
    stall.touch()  # the INVITE of the next life stalls as well: everybody goes along once more
    again = line.hear(type="call", to="911", state="confirmed", req_id="help")
    assert again["call"] == number
    assert other.hear(type="call", to="911", state="confirmed")["call"] == number
    assert "event=hung" in phone.log()


def test_s1_an_answered_911_call_that_is_lost_with_a_hang_is_dialed_again_and_says_so(
    registrar: Start, voice: Speak, uas: FarEnd
) -> None:
    there = registrar()
    far = uas(there)
    line = voice(there, module="tests.voice.stalling", environment=HOOKS).client()
    line.hear(type="registration", kind="registered")
    line.say(type="call", to="911", req_id="help")
    number = line.hear(type="call", state="confirmed", req_id="help")["call"]
    far.pause(on=True)
    hang(line)
    line.hear(type="welcome")
    again = line.hear(type="call", call=number, req_id="help")
    assert (again["state"], again["again"]) == (
        "calling", "The call was cut off on this side; 911 is being dialed again. Stay on the phone.",
    )  # fmt: skip
    far.pause(on=False)
    up = line.hear(type="call", call=number, state="confirmed", attempt=2)
    assert "again" not in up
    assert [invite.to for invite in there.invites()] == ["911", "911"]
    line.say(type="hangup", call=number)
    line.hear(type="call", call=number, state="ended", ended="Ended here.")


def test_an_ordinary_call_that_is_lost_with_a_hang_is_told_as_ended(
    registrar: Start, voice: Speak, uas: FarEnd
) -> None:
    there = registrar()
    uas(there)
    line = voice(there, module="tests.voice.stalling", environment=HOOKS).client()
    line.hear(type="registration", kind="registered")
    line.say(type="call", to="100")
    number = line.hear(type="call", state="confirmed")["call"]
    hang(line)
    over = line.hear(type="call", state="ended", call=number, patience=30)
    assert over["ended"] == (
        "The phone line hung and was started anew; the call is lost. Dial again, or use another phone."
    )
    line.say(type="call", to="100")
    assert line.hear(type="call", state="calling")["call"] > number


def test_what_is_handed_over_comes_out_as_it_went_in_and_damage_is_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    listener, other = os.pipe()
    given = handover.Handover(
        listener, [Carried(other, "app", b'{"type":"call"\xff', torn=True)], [Pending(3, "911", 1.5, 2.5, "x")],
        [{"type": "call", "call": 2}], 7.5,
    )  # fmt: skip
    kept = handover.give(given)
    assert {listener, other} < set(kept)
    assert handover.receive() == given
    assert handover.receive() == handover.Handover()
    for damage in ("99999", "x"):
        monkeypatch.setenv(handover.HANDOVER, damage)
        assert handover.receive() == handover.Handover()
    os.close(listener)
    os.close(other)


@pytest.mark.parametrize("answered", [True, False], ids=["answered", "dialed"])
def test_s1_a_911_call_that_a_crash_took_away_is_dialed_again_by_the_next_process(
    registrar: Start, voice: Speak, uas: FarEnd, *, answered: bool
) -> None:
    there = registrar()
    far = uas(there)
    far.pause(on=not answered)
    phone = voice(there)
    line = phone.client()
    line.hear(type="registration", kind="registered")
    line.say(type="call", to="911", req_id="help")
    before = line.hear(type="call", state="confirmed" if answered else "calling", attempt=1)
    until(lambda: _noted(phone, answered=answered))
    crash(phone)
    far.pause(on=False)
    phone.start()
    after = phone.client().hear(type="call", state="confirmed")
    assert [after[name] for name in ("call", "to", "started_at", "req_id")] == [
        before[name] for name in ("call", "to", "started_at", "req_id")
    ]


def test_s1_a_911_call_that_was_hung_up_is_not_dialed_again_after_a_crash(
    registrar: Start, voice: Speak, uas: FarEnd
) -> None:
    there = registrar()
    far = uas(there)
    phone = voice(there)
    line = phone.client()
    line.say(type="call", to="911")
    line.hear(type="call", state="confirmed")
    until(lambda: _noted(phone, answered=True))
    far.pause(on=True)  # the BYE gets no answer
    line.say(type="hangup")
    until(lambda: '"pending": []' in (phone.folder / "voice.state").read_text())
    crash(phone)
    far.pause(on=False)
    line = phone.start().client()
    line.hear(type="registration", kind="registered")
    line.say(type="status", req_id="now")
    assert line.hear(type="interlock", req_id="now")["active"], "they may call back"
    assert len(there.invites()) == 1


def crash(phone: Voice) -> None:
    """Let the process die as PJSIP's own abort would."""
    assert phone.process is not None
    os.kill(phone.process.pid, signal.SIGKILL)
    phone.process.wait()


def _noted(phone: Voice, *, answered: bool) -> bool:
    with contextlib.suppress(FileNotFoundError):
        pending = json.loads((phone.folder / "voice.state").read_text())["pending"]
        return [one["answered"] for one in pending] == [answered]
    return False


# ------------------------------------------------------------------ killed, again and again


def kill_and_start(phone: Voice, times: int) -> None:
    """Kill in every state: just started, instructed or not, registered or not, dialing."""
    state = phone.folder / "voice.state"
    for at in range(times):
        assert phone.process is not None
        line = Line(phone.socket, "agent" if at % 2 else "app")
        if at % 2:
            line.path(f"emerg_{at}", generation=at)
        if at % 3:
            line.hear(type="registration", kind="registered")
        if at % 5 == 0:
            line.say(type="call", to="933")
        os.kill(phone.process.pid, signal.SIGKILL)
        phone.process.wait()
        line.close()
        if state.exists():
            json.loads(state.read_text())
        phone.start()


def test_voice_killed_200_times_comes_back_registered_with_one_binding_and_a_whole_state(
    registrar: Start, voice: Speak
) -> None:
    there = registrar()
    phones = [voice(there, expires=60), voice(there, expires=60, username="bob")]
    with ThreadPoolExecutor(len(phones)) as pool:
        list(pool.map(lambda phone: kill_and_start(phone, 100), phones))
    for phone in phones:
        line = phone.client()
        done = line.hear(type="registration", kind="registered")
        assert (done["generation"], done["presented_id"], done["expires"]) == (0, None, 60)
        state = phone.folder / "voice.state"
        assert PASSWORD not in state.read_text()
        left = [path.name for path in phone.folder.iterdir() if path.name.endswith(".new")]
        assert left in ([], ["voice.state.new"])
        line.say(type="call", to="933", req_id="still")
        line.hear(type="call", req_id="still")
    contacts = {contact.partition(";")[0] for contact in there.bindings()}
    assert len(contacts) == len(phones), "a second one would stay for the granted 60 s"
    until(lambda: there.invites()[-1].to == "933")


def test_the_folder_of_a_killed_process_is_not_in_the_way(voice: Speak) -> None:
    phone = voice(None)
    assert phone.process is not None
    os.kill(phone.process.pid, signal.SIGKILL)
    phone.process.wait()
    assert Path(phone.socket).exists(), "left behind"
    phone.start()
    phone.client().hear(type="welcome")

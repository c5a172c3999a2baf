"""A stop waits for a call, says why, and leaves nothing behind (S4)."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.voice.calls.values import Call, Interlock
from agent.voice.stopping import Limits, wait

from .harness import Registrar, Uas, Voice
from .wire import Line, until

Start = Callable[..., Registrar]
Speak = Callable[..., Voice]
FarEnd = Callable[..., Uas]


class Manager:
    """The service manager's end of sd_notify."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(0.05)
        self.heard: list[dict[str, str]] = []

    def hear(self, **wanted: str) -> dict[str, str]:
        """Wait for a word in which every wanted field begins like that, now or before."""

        def found() -> dict[str, str] | None:
            self._listen()
            return next((word for word in self.heard if _fits(word, wanted)), None)

        word: dict[str, str] = until(found)
        return word

    def _listen(self) -> None:
        try:
            text = self._socket.recv(4096).decode()
        except TimeoutError:
            return
        self.heard.append(dict(line.split("=", 1) for line in text.splitlines()))

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()


def _fits(word: dict[str, str], wanted: dict[str, str]) -> bool:
    return all(word.get(name, "").startswith(value) for name, value in wanted.items())


@pytest.fixture
def manager(folder: Path) -> Iterator[Manager]:
    """The manager's socket."""
    one = Manager(folder / "notify")
    yield one
    one.close()


def ask(phone: Voice) -> None:
    """Send SIGTERM."""
    assert phone.process is not None
    phone.process.send_signal(signal.SIGTERM)


def runs(phone: Voice) -> bool:
    """Return whether it still runs."""
    assert phone.process is not None
    return phone.process.poll() is None


def call(phone: Voice, to: str) -> tuple[Line, int]:
    """Call until somebody answers."""
    line = phone.client()
    line.hear(type="registration", kind="registered")
    line.say(type="call", to=to)
    return line, line.hear(type="call", state="confirmed")["call"]


@pytest.mark.sip
def test_s4_a_stop_waits_for_a_911_call_and_its_window_and_says_why(
    registrar: Start, voice: Speak, uas: FarEnd, manager: Manager
) -> None:
    there = registrar()
    uas(there)
    phone = voice(there, callback_window=2.0, environment={"NOTIFY_SOCKET": str(manager.path)})
    manager.hear(READY="1")
    line, number = call(phone, "911")
    manager.hear(STATUS="Not to be disturbed: emergency call to 911. Registered.")
    ask(phone)
    told = line.hear(type="stopping")
    assert told["sentence"] == (
        "The phone line was told to stop and waits for an emergency call to 911, for 3600 s at most."
    )
    assert told["until"] > time.monotonic() + 3000
    word = manager.hear(STOPPING="1")
    assert word["STATUS"].startswith(told["sentence"])
    assert word["EXTEND_TIMEOUT_USEC"] == "30000000"
    ask(phone)
    line.say(type="call", to="100", req_id=1)
    line.hear(type="error", req_id=1)
    line.say(type="status", req_id="alive")
    line.hear(type="call", req_id="alive", state="confirmed")
    line.say(type="hangup", call=number)
    line.hear(type="call", call=number, state="ended")
    manager.hear(STATUS="The phone line was told to stop and waits for the callback window of an emergency call")
    line.say(type="call", to="100", req_id=2)
    assert line.hear(type="error", req_id=2)["sentence"] == (
        "The phone line is about to stop; only emergency calls are placed now."
    )
    assert runs(phone)
    assert phone.process is not None
    assert phone.process.wait(15) == 0
    assert there.bindings() == [], "the registration was given back"


@pytest.mark.sip
def test_s1_while_a_stop_waits_an_emergency_call_goes_out_and_is_waited_for(
    registrar: Start, voice: Speak, uas: FarEnd
) -> None:
    there = registrar()
    uas(there)
    phone = voice(there, callback_window=0)
    line, ordinary = call(phone, "100")
    ask(phone)
    assert "waits for a call, for 60 s at most" in line.hear(type="stopping")["sentence"]
    line.say(type="call", to="911")
    line.hear(type="call", call=ordinary, state="ended")
    number = line.hear(type="call", to="911", state="confirmed")["call"]
    while "an emergency call to 911" not in line.hear(type="stopping")["sentence"]:
        pass
    assert runs(phone)
    line.say(type="hangup", call=number)
    assert phone.process is not None
    assert phone.process.wait(15) == 0


@pytest.mark.sip
def test_a_stop_waits_for_an_ordinary_call_up_to_its_limit_and_then_hangs_up(
    registrar: Start, voice: Speak, uas: FarEnd
) -> None:
    there = registrar()
    uas(there)
    phone = voice(there, stop_wait_ordinary=1.0)
    line, number = call(phone, "100")
    ask(phone)
    line.hear(type="stopping")
    assert line.hear(type="call", call=number, state="ended")["ended"] == "Ended here."
    assert phone.process is not None
    assert phone.process.wait(15) == 0
    assert there.bindings() == []


@pytest.mark.sip
def test_an_idle_phone_stops_at_once_and_a_dead_registrar_holds_nobody_up(registrar: Start, voice: Speak) -> None:
    there = registrar()
    phone = voice(there)
    phone.client().hear(type="registration", kind="registered")
    there.stop()
    ask(phone)
    assert phone.process is not None
    assert phone.process.wait(15) == 0
    assert not phone.socket.exists()


@pytest.mark.sip
def test_the_manager_hears_that_the_line_lives_for_as_long_as_it_does(voice: Speak, manager: Manager) -> None:
    environment = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "200000"}
    voice(None, environment=environment)
    manager.hear(WATCHDOG="1")
    manager.heard.clear()
    manager.hear(WATCHDOG="1")


@pytest.mark.netns  # root, that is: nobody else gives a file to a group of somebody else's
@pytest.mark.sip
def test_the_socket_belongs_to_the_configured_group_and_a_wrong_one_is_said(voice: Speak) -> None:
    assert voice(None, socket_group="daemon").socket.stat().st_gid == 1
    wrong = voice(None, socket_group="nobody-has-this").client()
    assert wrong.hear(type="problem", code="socket_group")["sentence"] == (
        "There is no group nobody-has-this: its members cannot reach the phone line."
    )


LIMITS = Limits(emergency=100.0, ordinary=10.0)
CALL = (Call(1, "100", "out"),)
EMERGENCY = Interlock(active=True, until=None, why="emergency call to 911")
WINDOW = Interlock(active=True, until=500.0, why="callback window")


@pytest.mark.parametrize(
    ("now", "calls", "interlock", "until"),
    [
        (0.0, (), Interlock(), None),
        (0.0, CALL, Interlock(), 10.0),
        (9.9, CALL, Interlock(), 10.0),
        (10.0, CALL, Interlock(), None),
        (50.0, CALL, EMERGENCY, 100.0),
        (50.0, (), WINDOW, 100.0),
        (100.0, CALL, EMERGENCY, None),
    ],
)
def test_s4_what_a_stop_waits_for_and_until_when(
    now: float, calls: tuple[Call, ...], interlock: Interlock, until: float | None
) -> None:
    found = wait(0.0, now, calls, interlock, LIMITS)
    assert (found.until if found else None) == until

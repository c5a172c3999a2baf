"""Registration of the real process at a real registrar: what it promises, over UDP, TCP and TLS."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest

from .harness import PASSWORD, Registrar, Voice
from .wire import until

pytestmark = pytest.mark.sip

Start = Callable[..., Registrar]
Speak = Callable[..., Voice]


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_s7_registers_at_once_without_an_id_when_there_is_no_agent(
    registrar: Start, voice: Speak, transport: str
) -> None:
    there = registrar(transport=transport)
    phone = voice(there)
    line = phone.client()
    report = line.hear(type="registration", kind="registered")
    assert report["presented_id"] is None
    assert report["generation"] == 0
    assert report["via_received"] == "127.0.0.1"
    assert len(there.bindings()) == 1
    assert PASSWORD not in phone.log()
    assert "response=" not in phone.log()


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_the_presented_id_arrives_and_is_reported_as_sent(registrar: Start, voice: Speak, transport: str) -> None:
    there = registrar(transport=transport)
    agent = voice(there).client("agent")
    agent.path("emerg_one", generation=7, attempt=2)
    sending = agent.hear(type="registration", kind="registering", generation=7)
    assert (sending["presented_id"], sending["sent_at"] is not None) == ("emerg_one", True)
    done = agent.hear(type="registration", kind="registered", generation=7)
    assert (done["presented_id"], done["attempt"], done["code"], done["expires"]) == ("emerg_one", 2, 200, 120)
    assert there.registers("ACCEPTED")[-1][0] == "emerg_one"


def test_tls_to_a_name_is_verified_by_that_name_without_pjsip_resolving_it(registrar: Start, voice: Speak) -> None:
    there = registrar(transport="tls", tls_name="localhost")
    line = voice(there, registrar="localhost").client()
    assert line.hear(type="registration", kind="registered")["code"] == 200


def test_changing_the_id_50_times_over_udp_leaves_one_binding_with_the_newest_id(
    registrar: Start, voice: Speak
) -> None:
    there = registrar()
    agent = voice(there).client("agent")
    for number in range(50):
        agent.path(f"emerg_{number}", generation=1, attempt=number)
        done = agent.hear(type="registration", kind="registered", generation=1, attempt=number)
        assert done["presented_id"] == f"emerg_{number}"
        assert len(there.bindings()) == 1
        assert there.registers("ACCEPTED")[-1][0] == f"emerg_{number}"
    assert all(expires > 0 for _, _, expires in there.registers())


def test_a_wrong_password_is_one_attempt_a_long_backoff_and_a_problem_in_words(registrar: Start, voice: Speak) -> None:
    there = registrar()
    phone = voice(there, password_file=str(there.folder / "k.pid"))
    line = phone.client()
    failed = line.hear(type="registration", kind="failed")
    assert failed["code"] == 401
    assert failed["retry_in"] >= 30
    line.close()
    problem = phone.client().hear(type="problem", code="registration")
    assert problem["sentence"] == (
        "The SIP password is not accepted by the registrar. Emergency calls are still attempted."
    )
    assert len(there.registers()) == 2  # the challenge and its answer


def test_503_with_retry_after_is_obeyed(registrar: Start, voice: Speak) -> None:
    there = registrar()
    there.mode(code="503", retry_after="7")
    line = voice(there).client("agent")
    failed = line.hear(type="registration", kind="failed")
    assert failed["code"] == 503
    assert 7 <= failed["retry_in"] <= 7.7
    seen = len(there.registers())
    line.path("emerg_later")  # same path: the registrar's word outweighs it
    there.mode(code="none")
    done = line.hear(type="registration", kind="registered")
    assert done["at"] - failed["at"] >= 7
    assert done["presented_id"] == "emerg_later"
    assert len(there.registers()) == seen + 2


def test_the_granted_time_counts_not_the_one_asked_for(registrar: Start, voice: Speak) -> None:
    there = registrar()
    there.mode(code="short", expires="3")
    line = voice(there).client()
    first = line.hear(type="registration", kind="registered")
    assert first["expires"] == 3
    second = line.hear(type="registration", kind="registered", patience=5)
    assert 0.8 * 3 <= second["sent_at"] - first["at"] < 3, "a refresh: before the end, and never reported as lost"


def test_killed_and_started_again_leaves_one_binding(registrar: Start, voice: Speak) -> None:
    there = registrar()
    phone = voice(there)
    phone.client().hear(type="registration", kind="registered")
    phone.stop(signal.SIGKILL)
    phone.start()
    phone.client().hear(type="registration", kind="registered")
    assert len(there.bindings()) == 1


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_a_closed_connection_is_noticed_and_registered_anew(registrar: Start, voice: Speak, transport: str) -> None:
    there = registrar(transport=transport)
    agent = voice(there).client("agent")
    agent.path("emerg_one")
    agent.hear(type="registration", kind="registered", generation=1)
    there.stop()
    agent.hear(type="registration", kind="failed")
    there.start()
    agent.hear(type="registration", kind="registered", presented_id="emerg_one")
    assert len(there.bindings()) == 1


def test_the_newest_instruction_wins_while_a_register_is_in_flight(registrar: Start, voice: Speak) -> None:
    there = registrar()
    agent = voice(there).client("agent")
    agent.hear(type="registration", kind="registered")
    there.mode(code="drop")
    agent.path("emerg_old", attempt=1)
    agent.hear(type="registration", kind="registering", attempt=1)
    for attempt in range(2, 6):
        agent.path(f"emerg_{attempt}", attempt=attempt)
    there.mode(code="none")
    done = agent.hear(type="registration", kind="registered")
    if done["attempt"] == 1:  # it got through in between: then the newest follows
        done = agent.hear(type="registration", kind="registered")
    assert (done["presented_id"], done["attempt"]) == ("emerg_5", 5)
    ids = {shown for shown, _, _ in there.registers("ACCEPTED")}
    assert ids <= {"", "emerg_old", "emerg_5"}


def test_interrupted_then_the_same_instruction_goes_on_without_a_register(registrar: Start, voice: Speak) -> None:
    there = registrar()
    agent = voice(there).client("agent")
    agent.path("emerg_one", generation=4)
    agent.hear(type="registration", kind="registered", generation=4)
    before = len(there.registers())
    agent.say(type="interrupted", generation=5)
    agent.path("emerg_one", generation=4)
    resumed = agent.hear(type="registration")
    assert (resumed["kind"], resumed["presented_id"], resumed["generation"]) == ("registered", "emerg_one", 4)
    agent.say(type="offline", generation=6)
    assert agent.hear(type="registration", kind="offline")["generation"] == 6
    assert len(there.registers()) == before


def test_the_agent_dies_and_the_registration_stays(registrar: Start, voice: Speak) -> None:
    there = registrar()
    there.mode(code="short", expires="3")
    phone = voice(there)
    agent = phone.client("agent")
    agent.path("emerg_one")
    agent.hear(type="registration", kind="registered", generation=1)
    before = len(there.registers())
    agent.close()
    app = phone.client()
    now = app.hear(type="registration")
    again = app.hear(type="registration")
    assert (now["kind"], again["kind"]) == ("registered", "registered"), "a refresh is not a loss"
    assert again["sent_at"] > now["sent_at"]
    assert again["presented_id"] == "emerg_one"
    assert len(there.registers()) > before


def test_a_hung_stack_is_started_anew_and_takes_up_the_instruction(registrar: Start, voice: Speak) -> None:
    there = registrar()
    phone = voice(there, environment={"DIALSTACK_VOICE_TEST_HOOKS": "1"})
    agent = phone.client("agent")
    agent.path("emerg_one", generation=9)
    agent.hear(type="registration", kind="registered", generation=9)
    assert phone.process is not None
    pid = phone.process.pid
    hung_at = time.monotonic()
    agent.say(type="test_hang", seconds=60)
    until(lambda: "event=resumed" in phone.log())
    again = phone.client()
    assert again.hear(type="welcome")["pid"] == pid
    done = again.hear(type="registration", kind="registered", patience=5)
    assert (done["presented_id"], done["generation"]) == ("emerg_one", 9)
    assert done["at"] - hung_at < 8
    assert len(there.bindings()) == 1

"""The registration machine, by table: pure, so every promise can be told in time."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from agent.model import Registration, RegistrationKind, VoiceInstruction
from agent.voice.events import RegisterResult
from agent.voice.registration.machine import Machine
from agent.voice.registration.moves import Action, CarryOver, Phase, Register, Report, Seen, Unregister
from agent.voice.registration.retry import AGENT_FIRST, ATTEMPT_DEADLINE, LOOK_AGAIN

ONE = VoiceInstruction(1, 0, "eth0", "192.0.2.10", "198.51.100.5", "emerg_one")
HERE = Seen("eth0", "192.0.2.10", "198.51.100.5", 3)
THERE = Seen("eth1", "203.0.113.7", "198.51.100.5", 1)
OK = RegisterResult(200, "OK", 120, "192.0.2.10")


def machine(seed: int = 1) -> Machine:
    return Machine(random.Random(seed))


def registers(actions: list[Action]) -> list[Register]:
    return [action for action in actions if isinstance(action, Register)]


def report(actions: list[Action]) -> Registration:
    return [action.registration for action in actions if isinstance(action, Report)][-1]


def registered(instruction: VoiceInstruction = ONE, seen: Seen = HERE) -> Machine:
    subject = machine()
    subject.instruct(instruction, 0.0, seen)
    subject.sent(0.0)
    subject.result(OK, 0.01)
    assert subject.phase is Phase.REGISTERED
    return subject


def test_an_instruction_is_registered_in_a_fresh_life_and_the_id_is_latched() -> None:
    subject = machine()
    assert registers(subject.instruct(ONE, 0.0, HERE)) == [Register(ONE, "fresh")]
    assert report(subject.sent(0.5)).sent_at == 0.5
    subject.instruct(replace(ONE, attempt=1, present_id="emerg_two"), 0.6, HERE)
    done = report(subject.result(OK, 0.7)[:1])
    assert (done.presented_id, done.attempt, done.kind) == ("emerg_one", 0, RegistrationKind.REGISTERED)


def test_the_newest_of_several_instructions_follows_the_one_in_flight() -> None:
    subject = machine()
    subject.instruct(ONE, 0.0, HERE)
    for attempt in (1, 2, 3):
        assert registers(subject.instruct(replace(ONE, attempt=attempt), 0.1, HERE)) == []
    assert registers(subject.result(OK, 0.2)) == [Register(replace(ONE, attempt=3), "fresh")]


def test_another_path_does_not_wait_for_an_attempt_on_the_old_one() -> None:
    subject = machine()
    subject.instruct(ONE, 0.0, HERE)
    two = replace(ONE, generation=2, interface="eth1", source="203.0.113.7")
    assert registers(subject.instruct(two, 0.1, THERE)) == [Register(two, "fresh")]


def test_repeating_an_instruction_does_nothing() -> None:
    assert registered().instruct(ONE, 1.0, HERE) == []


def test_the_granted_time_is_renewed_between_85_and_90_percent() -> None:
    for seed in range(20):
        subject = machine(seed)
        subject.instruct(ONE, 0.0, HERE)
        subject.result(replace(OK, expires=60), 0.0)
        due = subject.next_due()
        assert due is not None
        assert 51 <= due <= 54
        assert registers(subject.tick(due)) == [Register(ONE, "refresh")]


def test_s2_a_refresh_does_not_shake_the_registration_in_force() -> None:
    subject = registered()
    assert subject.due is not None
    assert registers(subject.tick(subject.due)) == [Register(ONE, "refresh")]
    assert subject.sent(110.0) == []
    assert subject.registration.kind is RegistrationKind.REGISTERED
    assert report(subject.result(RegisterResult(503, "No"), 110.1)).kind is RegistrationKind.FAILED


def test_a_200_that_grants_nothing_is_no_success() -> None:
    subject = machine()
    subject.instruct(ONE, 0.0, HERE)
    assert report(subject.result(replace(OK, expires=0), 0.1)).kind is RegistrationKind.FAILED


def test_failure_12_silence_is_a_failure_after_the_deadline_and_is_tried_again() -> None:
    subject = machine()
    subject.instruct(ONE, 0.0, HERE)
    failed = report(subject.tick(ATTEMPT_DEADLINE))
    assert (failed.kind, failed.code) == (RegistrationKind.FAILED, 408)
    assert failed.retry_in is not None
    assert registers(subject.tick(ATTEMPT_DEADLINE + failed.retry_in)) == [Register(ONE, "fresh")]


@pytest.mark.parametrize(
    ("code", "retry_after", "low", "high"),
    [
        (401, None, 30, 60),
        (403, None, 30, 60),
        (404, None, 150, 300),
        (408, None, 0.5, 1),
        (500, None, 0.5, 1),
        (503, 120.0, 120, 132),
        (503, None, 0.5, 1),
        (0, None, 0.5, 1),
    ],
)
def test_failure_16_how_long_each_answer_keeps_us_away(
    code: int, retry_after: float | None, low: float, high: float
) -> None:
    subject = machine()
    subject.instruct(ONE, 0.0, HERE)
    wait = report(subject.result(RegisterResult(code, "", retry_after=retry_after), 0.0)).retry_in
    assert wait is not None
    assert low <= wait <= high


def test_a_kick_beats_a_backoff() -> None:
    subject = machine()
    subject.instruct(ONE, 0.0, HERE)
    subject.result(RegisterResult(500, ""), 0.1)
    kick = replace(ONE, attempt=1)
    assert registers(subject.instruct(kick, 0.2, HERE)) == [Register(kick, "fresh")]


def test_a_kick_does_not_hammer_refused_credentials() -> None:
    subject = machine()
    subject.instruct(ONE, 0.0, HERE)
    subject.result(RegisterResult(401, ""), 0.0)
    sent = 0
    for second in range(1, 61):
        sent += len(registers(subject.instruct(replace(ONE, attempt=second), float(second), HERE)))
        sent += len(registers(subject.tick(float(second))))
        sent += 0 if subject.phase is not Phase.IN_FLIGHT else len(subject.result(RegisterResult(401, ""), second)) * 0
    assert sent <= 6


def test_retry_after_outweighs_a_kick_on_the_same_path_only() -> None:
    subject = machine()
    subject.instruct(ONE, 0.0, HERE)
    subject.result(RegisterResult(503, "", retry_after=60.0), 0.0)
    assert registers(subject.instruct(replace(ONE, attempt=1), 1.0, HERE)) == []
    moved = replace(ONE, generation=2, source="203.0.113.7", interface="eth1")
    assert registers(subject.instruct(moved, 2.0, THERE)) == [Register(moved, "fresh")]


def test_interrupted_sends_nothing_and_the_same_instruction_resumes_without_a_register() -> None:
    subject = registered()
    subject.interrupted()
    assert registers(subject.tick(1000.0)) == []
    resumed = subject.instruct(replace(ONE), 1000.1, HERE)
    assert registers(resumed) == [Register(ONE, "refresh")]  # its time had run out meanwhile
    subject = registered()
    subject.interrupted()
    assert [type(action) for action in subject.instruct(ONE, 1.0, HERE)] == [Report]


def test_offline_is_reported_and_the_registration_is_remembered() -> None:
    subject = registered()
    assert report(subject.offline(2, 1.0)).kind is RegistrationKind.OFFLINE
    assert report(subject.instruct(ONE, 2.0, HERE)).kind is RegistrationKind.REGISTERED


def test_s7_without_an_agent_it_registers_without_an_id() -> None:
    subject = machine()
    (action,) = registers(subject.path(HERE, 0.0))
    assert action.target == VoiceInstruction(0, 0, "eth0", "192.0.2.10", "198.51.100.5", None)


@pytest.mark.parametrize("seen", [THERE, replace(HERE, carrier_changes=5), replace(HERE, source="192.0.2.99")])
def test_s3_a_change_without_an_agent_drops_the_id_at_once(seen: Seen) -> None:
    subject = registered()
    subject.agent_dead(1.0)
    (action,) = registers(subject.path(seen, 2.0))
    assert action.target.present_id is None
    assert action.target.source == seen.source


def test_a_living_agent_has_250_ms_to_answer_a_change() -> None:
    subject = registered()
    assert registers(subject.path(THERE, 1.0)) == []
    assert registers(subject.tick(1.0 + AGENT_FIRST - 0.01)) == []
    (action,) = registers(subject.tick(1.0 + AGENT_FIRST))
    assert action.target.present_id is None


def test_s12_a_path_that_seems_gone_is_looked_for_again_and_the_same_one_resumes() -> None:
    subject = registered()
    assert subject.path(None, 1.0) == []
    assert not subject.must_look(1.0)
    assert subject.must_look(1.0 + AGENT_FIRST), "what was seen is old by now"
    assert report(subject.tick(1.0 + AGENT_FIRST)).kind is RegistrationKind.OFFLINE
    again = 1.0 + AGENT_FIRST + LOOK_AGAIN
    assert subject.next_due() == again, "nobody else may ever hint at it"
    assert subject.must_look(again)
    assert subject.path(None, again) == []
    assert subject.tick(again) == [], "said once"
    assert report(subject.path(HERE, again + LOOK_AGAIN)).kind is RegistrationKind.REGISTERED
    assert not subject.must_look(again + LOOK_AGAIN)


def test_s3_another_network_after_a_loss_is_followed_soon_and_never_shown_the_old_id() -> None:
    subject = registered()
    subject.path(None, 1.0)
    subject.tick(1.0 + AGENT_FIRST)
    renewal = subject.due
    assert renewal is not None
    subject.path(None, renewal - 0.2)
    subject.tick(renewal - 0.2)
    subject.path(THERE, renewal - 0.1)
    assert registers(subject.tick(renewal)) == []
    (followed,) = registers(subject.tick(renewal - 0.1 + AGENT_FIRST))
    assert followed.target.present_id is None


def test_a_change_while_the_agent_is_given_time_never_renews_the_old_id() -> None:
    subject = registered()
    due = subject.next_due()
    assert due is not None
    subject.path(THERE, due - 0.1)
    assert registers(subject.tick(due)) == []
    (action,) = registers(subject.tick(due + AGENT_FIRST))
    assert action.target.present_id is None


def test_an_agent_that_dies_while_interrupted_leaves_no_id_behind() -> None:
    subject = registered()
    subject.interrupted()
    (action,) = registers(subject.agent_dead(5.0))
    assert action.target.present_id is None


def test_s11_a_link_flapping_for_10_minutes_without_an_agent_costs_10_registers() -> None:
    subject = registered()
    subject.agent_dead(0.0)
    sent = 0
    for second in range(600):
        now = float(second)
        actions = subject.path(THERE if second % 2 else HERE, now) + subject.tick(now)
        sent += len(registers(actions))
        if subject.phase is Phase.IN_FLIGHT:
            sent += len(registers(subject.result(replace(OK, expires=3600), now)))
    assert sent <= 10


def test_s4_another_id_waits_for_the_end_of_the_interlock() -> None:
    subject = registered()
    subject.calls(1, 1.0, interlock=True)
    two = replace(ONE, attempt=1, present_id="emerg_two")
    assert subject.instruct(two, 2.0, HERE) == []
    assert registers(subject.calls(0, 3.0, interlock=True)) == []
    assert registers(subject.calls(0, 4.0, interlock=False)) == [Register(two, "fresh")]


def test_s4_another_path_carries_the_call_over_and_never_starts_a_fresh_life() -> None:
    subject = registered()
    subject.calls(1, 1.0, interlock=True)
    two = replace(ONE, generation=2, source="203.0.113.7", interface="eth1", present_id=None)
    assert [type(action) for action in subject.instruct(two, 2.0, THERE)] == [CarryOver, Unregister]
    assert registers(subject.result(replace(OK, expires=0), 2.1)) == [Register(two, "reheader")]


@pytest.mark.parametrize("interlock", [True, False])
@pytest.mark.parametrize("shown", ["emerg_one", None])
def test_s4_another_network_with_the_same_source_address_carries_the_call_over_once(
    interlock: bool,  # noqa: FBT001 - a parameter of the test
    shown: str | None,
) -> None:
    subject = registered()
    subject.calls(1, 1.0, interlock=interlock)
    there = replace(ONE, generation=2, present_id=shown)
    assert subject.instruct(there, 2.0, replace(HERE, carrier_changes=5))[0] == CarryOver()
    subject.result(OK, 2.1)
    later = [*subject.instruct(replace(there, attempt=1), 3.0), *subject.result(OK, 3.1)]
    assert CarryOver() not in later


def test_s4_a_refresh_goes_on_during_the_interlock() -> None:
    subject = registered()
    subject.calls(1, 1.0, interlock=True)
    due = subject.next_due()
    assert due is not None
    assert registers(subject.tick(due)) == [Register(ONE, "refresh")]


def test_s4_the_registration_is_renewed_during_the_interlock_although_another_id_waits() -> None:
    subject = registered()
    subject.calls(1, 1.0, interlock=True)
    assert subject.instruct(replace(ONE, attempt=1, present_id="emerg_two"), 2.0, HERE) == []
    assert subject.due is not None
    assert registers(subject.tick(subject.due)) == [Register(ONE, "refresh")], (
        "the dispatcher must be able to call back"
    )
    subject.result(OK, 110.0)
    assert subject.due is not None, "and again before that grant ends"
    assert registers(subject.calls(0, 400.0, interlock=False)) == [
        Register(replace(ONE, attempt=1, present_id="emerg_two"), "fresh")
    ]

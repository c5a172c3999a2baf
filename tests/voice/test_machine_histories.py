"""The registration machine under generated histories: what holds in any order of events."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agent.model import Registration, RegistrationKind, VoiceInstruction
from agent.voice.events import RegisterResult
from agent.voice.registration.machine import Machine
from agent.voice.registration.moves import Action, Phase, Register, Report, Seen

HERE = Seen("eth0", "192.0.2.10", "198.51.100.5", 3)
THERE = Seen("eth1", "203.0.113.7", "198.51.100.5", 1)


class Histories(RuleBasedStateMachine):
    """Any history: bounded effort, latched ids, no id that nobody asked for, no fresh life during a call."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.subject = Machine(random.Random(1))
        self.instructed: set[tuple[str, str | None]] = set()
        self.in_flight: Register | None = None
        self.reported: Registration | None = None
        self.sheltered = False
        self.sent_at: list[float] = []
        self.newest: VoiceInstruction | None = None

    def take(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Report):
                self.reported = action.registration
                if action.registration.kind is RegistrationKind.REGISTERED and self.in_flight is not None:
                    assert action.registration.presented_id == self.in_flight.target.present_id
            elif isinstance(action, Register):
                assert not (self.sheltered and action.how == "fresh" and self.calls), "a call would be killed"
                self.in_flight = action
                self.sent_at.append(self.now)
                target = action.target
                assert target.present_id is None or (target.source, target.present_id) in self.instructed
                self.take(self.subject.sent(self.now))

    calls = 0

    @rule(seconds=st.sampled_from([0.05, 0.3, 1.0, 10.0, 120.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        due = self.subject.next_due()
        if due is not None and due <= self.now:
            self.take(self.subject.tick(self.now))

    @rule(
        source=st.sampled_from([HERE, THERE]),
        present_id=st.sampled_from([None, "emerg_a", "emerg_b"]),
        generation=st.integers(1, 4),
        attempt=st.integers(0, 3),
    )
    def agent_instructs(self, source: Seen, present_id: str | None, generation: int, attempt: int) -> None:
        new = VoiceInstruction(generation, attempt, source.interface, source.source, source.destination, present_id)
        self.instructed.add((source.source, present_id))
        self.newest = new
        self.take(self.subject.instruct(new, self.now, source))
        assert self.subject.wanted == new

    @rule(seen=st.sampled_from([None, HERE, THERE, replace(HERE, carrier_changes=9)]))
    def path_is_seen(self, seen: Seen | None) -> None:
        self.take(self.subject.path(seen, self.now))

    @rule(word=st.sampled_from(["interrupted", "offline", "dead", "alive"]))
    def agent_says(self, word: str) -> None:
        actions = {
            "interrupted": self.subject.interrupted,
            "offline": lambda: self.subject.offline(9, self.now),
            "dead": lambda: self.subject.agent_dead(self.now),
            "alive": self.subject.agent_alive,
        }[word]()
        if word in {"interrupted", "offline", "alive"}:
            assert not any(isinstance(action, Register) for action in actions)
        self.take(actions)

    @precondition(lambda self: self.subject.phase in {Phase.IN_FLIGHT, Phase.UNREGISTERING})
    @rule(code=st.sampled_from([200, 200, 200, 401, 408, 503, 0]), retry_after=st.sampled_from([None, 5.0]))
    def registrar_answers(self, code: int, retry_after: float | None) -> None:
        expires = 120 if code == 200 and self.subject.phase is Phase.IN_FLIGHT else 0
        self.take(self.subject.result(RegisterResult(code, "", expires, None, retry_after), self.now))

    @rule(number=st.integers(0, 2), interlock=st.booleans())
    def calls_change(self, number: int, interlock: bool) -> None:  # noqa: FBT001
        self.calls, self.sheltered = number, number > 0 or interlock
        self.take(self.subject.calls(number, self.now, interlock=interlock))

    @rule()
    def connection_drops(self) -> None:
        self.take(self.subject.connection_lost("closed", self.now))

    @invariant()
    def something_is_always_due_unless_silent_or_nothing_is_wanted(self) -> None:
        if self.subject.phase in {Phase.IN_FLIGHT, Phase.UNREGISTERING, Phase.WAITING}:
            assert self.subject.next_due() is not None or self.subject._overdue


Histories.TestCase.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
TestHistories = Histories.TestCase

"""Which notices calls make, what each channel sends next, and when nobody acknowledged for too long."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.notify import core
from agent.notify.core import MAX_ATTEMPTS, Choice, Kind
from agent.notify.notice import Call, Conveyed, Event, Notice, Now, Progress, Where

from .samples import HOME, NOW, PROVEN, call, later, notice

USUAL, LATE, NO_TESTS = Kind(), Kind(escalation=True), Kind(tests=False)


DAY = 24 * 3600.0


def test_whoever_sets_a_channel_up_is_not_told_of_last_months_emergencies() -> None:
    fresh, begun = Progress(), Progress(attempts=3, error="It is dead.")
    assert not core.is_stale(notice(), fresh, later(DAY - 1))
    assert core.is_stale(notice(), fresh, later(DAY + 1))
    assert not core.is_stale(notice(), begun, later(DAY + 1)), "what was begun is tried to its end"
    other_boot = replace(later(30 * DAY), boot="another")
    assert core.is_stale(notice(), fresh, other_boot)
    assert not core.is_stale(notice(), fresh, replace(other_boot, wall=NOW.wall + 60))


def test_failure_11_a_late_clock_makes_no_notice_stale() -> None:
    """Dialed at a boot without a clock, which is set a moment later; or before the clock was set back."""
    assert not core.is_stale(notice(), Progress(), replace(later(60), wall=NOW.wall + 3650 * DAY))
    undated = replace(notice(), dialed_at=100.0)
    assert not core.is_stale(undated, Progress(), replace(later(60), boot="another"))
    assert not core.is_stale(notice(), Progress(), replace(later(60), boot="another", wall=200.0))


def never() -> Notice:
    raise AssertionError("no notice is due")


# ------------------------------------------------------------------ what calls make of notices


def test_the_first_line_of_an_emergency_call_makes_a_notice_at_once() -> None:
    assert core.heard(None, call("calling"), NOW, notice) == notice()
    assert core.heard(None, call("confirmed"), NOW, notice) == notice(), "seen for the first time after a restart"


@pytest.mark.parametrize("line", [call(emergency=False), call("ended"), call(incoming=True)])
def test_ordinary_calls_calls_that_are_over_and_incoming_ones_make_none(line: Call) -> None:
    assert core.heard(None, line, NOW, never) is None


def test_each_change_of_a_call_is_told_once() -> None:
    first: Notice | None = notice()
    for state in ("calling", "ringing", "early", "confirmed", "confirmed", "calling", "confirmed"):
        first = core.heard(first, call(state), later(5), never)
    assert first is not None
    assert (first.events, first.answered_at) == ((Event.DIALED, Event.ANSWERED), NOW.wall + 5)
    over = core.heard(first, call("ended", reason="Normal call clearing"), later(65), never)
    assert over is not None
    assert over.events[-1] is Event.ENDED
    assert (over.seconds, over.ended_at, over.outcome) == (60.0, NOW.wall + 65, "Normal call clearing")
    assert core.heard(over, call("ended"), later(70), never) == over


def test_an_answer_before_the_agents_start_counts_from_then() -> None:
    answered = core.heard(notice(), call("confirmed", answered_ago=30.0), later(40), never)
    assert answered is not None
    assert answered.answered_at == NOW.wall + 10


def test_a_call_that_nobody_answered_has_no_seconds_of_talk() -> None:
    over = core.heard(notice(), call("ended"), later(20), never)
    assert over is not None
    assert over.seconds == 0.0


def test_a_callback_is_told_once_and_not_for_ever() -> None:
    told = notice()
    for number in (1, 1, 2):
        told = core.called_back(told, call(name=f"in {number}", incoming=True), later(number))
    assert told.events == (Event.DIALED, Event.CALLBACK, Event.CALLBACK)
    for number in range(50):
        told = core.called_back(told, call(name=f"again {number}", incoming=True), later(9))
    assert len(told.callbacks) == core.MAX_CALLBACKS


def test_s3_the_location_as_conveyed_is_latched_and_only_an_unknown_one_is_made_good() -> None:
    elsewhere = replace(PROVEN, told=HOME)
    assert core.located(notice(), elsewhere) == notice()
    blind = notice(where=Where())
    assert core.located(blind, Where()) == blind
    known = core.located(blind, PROVEN)
    assert (known.where, known.events[-1]) == (PROVEN, Event.LOCATION)
    none = notice(where=Where(conveyed=Conveyed.NONE))
    assert core.located(none, PROVEN) == none, "nothing was conveyed, whatever is proven afterwards"


def test_the_first_person_who_acknowledges_counts() -> None:
    taken = core.acknowledged(notice(), "local screen", later(3))
    assert (taken.acknowledged_by, taken.acknowledged_at, taken.is_open) == ("local screen", NOW.wall + 3, False)
    assert core.acknowledged(taken, "cli", later(4)) == taken


# ------------------------------------------------------------------ escalation


@pytest.mark.parametrize(
    ("given_notice", "after", "seconds", "left"),
    [
        (notice(), 120.0, 20.0, 100.0),
        (notice(), 120.0, 120.0, 0.0),
        (notice(), 120.0, 500.0, 0.0),
        (notice(), 0.0, 500.0, None),
        (notice(acknowledged_at=NOW.wall), 120.0, 500.0, None),
        (notice(escalated_at=NOW.wall), 120.0, 500.0, None),
        (notice(test=True), 120.0, 500.0, None),
        (notice(boot="the boot before"), 120.0, 1.0, 0.0),
        (notice(ended_at=NOW.wall), 120.0, 20.0, 100.0),
    ],
)
def test_a_call_escalates_when_nobody_took_it_in_time(
    given_notice: Notice, after: float, seconds: float, left: float | None
) -> None:
    assert core.escalates_in(given_notice, after, later(seconds)) == left


def test_failure_11_a_step_of_the_wall_clock_moves_no_deadline() -> None:
    stepped = replace(later(20), wall=0.0)
    assert core.escalates_in(notice(), 120.0, stepped) == 100.0


# ------------------------------------------------------------------ what a channel sends next


def choose(*notices: Notice, kind: Kind = USUAL, now: float = 0.0, **progress: Progress) -> Choice:
    return core.choose(notices, progress, {"late": 7.0}, kind, now)


def test_a_channel_sends_what_it_has_not_told() -> None:
    assert choose(notice()).notice == notice()
    assert choose(notice(), n1=Progress(sent=1)) == Choice()
    answered = core.with_event(notice(), Event.ANSWERED)
    assert choose(answered, n1=Progress(sent=1)).notice == answered
    assert core.news(answered, Progress(sent=1)) == (Event.ANSWERED,)
    assert core.news(answered, Progress()) == (Event.DIALED, Event.ANSWERED)


def test_real_calls_come_before_tests_and_new_calls_before_changes() -> None:
    test = notice(uid="t", test=True, dialed_at=1.0)
    told = core.with_event(notice(uid="told", dialed_at=2.0), Event.ANSWERED)
    first, second = notice(uid="a", dialed_at=3.0), notice(uid="b", dialed_at=4.0)
    everything = [test, told, second, first]
    order = []
    progress = {"told": Progress(sent=1)}
    while (choice := core.choose(everything, progress, {}, USUAL, 0.0)).notice is not None:
        order.append(choice.notice.uid)
        progress[choice.notice.uid] = Progress(sent=choice.notice.version)
    assert order == ["a", "b", "told", "t"]


def test_a_retry_waits_and_holds_up_nothing_else() -> None:
    late, other = notice(uid="late"), notice(uid="other", dialed_at=NOW.wall + 1)
    assert choose(late) == Choice(wait=7.0)
    assert choose(late, now=7.0).notice == late
    assert choose(late, other).notice == other


def test_escalation_channels_are_silent_until_nobody_took_it() -> None:
    assert choose(notice(), kind=LATE) == Choice()
    assert choose(core.escalated(notice(), later(120)), kind=LATE).notice is not None


def test_test_calls_reach_only_channels_that_want_them() -> None:
    assert choose(notice(test=True), kind=NO_TESTS) == Choice()
    assert choose(notice(test=True), kind=USUAL).notice is not None


def test_s11_retries_are_jittered_grow_and_end() -> None:
    progress = Progress()
    waits = []
    for _ in range(MAX_ATTEMPTS):
        progress = core.failed(progress, "dead")
        waits.append((core.pause(progress, 1.0), core.pause(progress, 0.0)))
    assert waits[:4] == [(0.5, 1.0), (1.0, 2.0), (2.0, 4.0), (4.0, 8.0)]
    assert waits[-1] == (300.0, 600.0)
    assert choose(notice(), n1=progress) == Choice()
    assert core.gave_up(notice(), progress)


def test_retry_after_is_honored_within_reason() -> None:
    failed = core.failed(Progress(), "busy")
    assert core.pause(failed, 0.0, 30.0) == 30.0
    assert core.pause(failed, 0.0, 1e9) == 600.0
    assert core.pause(failed, 0.0, 0.0) == 1.0


# ------------------------------------------------------------------ generated histories


@dataclass
class World:
    """One device with one channel in virtual time; what the receiver got is kept, whatever happens to the agent."""

    works: bool = True
    now: Now = NOW
    notices: dict[str, Notice] = field(default_factory=dict)
    disk: dict[str, Progress] = field(default_factory=dict)
    not_before: dict[str, float] = field(default_factory=dict)
    got: list[tuple[str, int]] = field(default_factory=list)
    attempts: dict[str, int] = field(default_factory=dict)
    crashes: int = 0

    def hear(self, name: str, state: str) -> None:
        line = call(state, name=name)
        known = self.notices.get(name)
        told = core.heard(known, line, self.now, lambda: notice(uid=name, call=name, dialed_at=self.now.wall))
        if told is not None:
            self.notices[name] = told

    def attempt(self, *, crash: bool = False) -> bool:
        """Do what a worker does once; a crash comes after the receiver got it and before that is known."""
        choice = core.choose(self.notices.values(), self.disk, self.not_before, USUAL, self.now.boottime)
        if choice.notice is None:
            return False
        uid, before = choice.notice.uid, self.disk.get(choice.notice.uid, Progress())
        self.disk[uid] = core.failed(before, "did not end")
        self.attempts[uid] = self.attempts.get(uid, 0) + 1
        if self.works:
            self.got.append((uid, choice.notice.version))
        if crash:
            self.crashes += 1
            self.not_before.clear()  # the next start tries at once
        elif self.works:
            self.disk[uid] = core.delivered(before, choice.notice.version, self.now)
        else:
            self.not_before[uid] = self.now.boottime + core.pause(self.disk[uid], 0.5)
        return True


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("hear"), st.sampled_from(["1", "2"]), st.sampled_from(["calling", "confirmed", "ended"])),
        st.tuples(st.just("try"), st.just(""), st.sampled_from(["", "crash"])),
        st.tuples(st.just("net"), st.just(""), st.sampled_from(["up", "down"])),
        st.tuples(st.just("wait"), st.just(""), st.sampled_from(["1", "30", "600"])),
    ),
    max_size=60,
)


@given(STEPS)
@settings(max_examples=300, deadline=None)
def test_every_notice_is_delivered_at_least_once_and_more_often_only_after_a_crash(
    steps: list[tuple[str, str, str]],
) -> None:
    world = World()
    for what, name, how in steps:
        if what == "hear":
            world.hear(name, how)
        elif what == "try":
            world.attempt(crash=how == "crash")
        elif what == "net":
            world.works = how == "up"
        else:
            world.now = later(float(how), world.now)
        assert {uid for uid, _ in world.got} <= set(world.notices), "never before dialing"
    world.works = True
    for _ in range(10):
        world.now = later(600, world.now)
        while world.attempt():
            pass
    assert {uid for uid, _ in world.got} == set(world.notices)
    for uid, told in world.notices.items():
        assert (uid, told.version) in world.got, "the newest version got there"
    assert len(world.got) - len(set(world.got)) <= world.crashes


@given(st.lists(st.sampled_from(["try", "crash", "wait"]), max_size=400))
@settings(max_examples=60, deadline=None)
def test_s11_a_dead_receiver_is_tried_a_bounded_number_of_times(steps: list[str]) -> None:
    world = World(works=False)
    world.hear("1", "calling")
    for step in steps:
        if step == "wait":
            world.now = later(600, world.now)
        else:
            world.attempt(crash=step == "crash")
    for _ in range(2 * MAX_ATTEMPTS):
        world.now = later(600, world.now)
        world.attempt()
    assert world.attempts.get("1", 0) == MAX_ATTEMPTS
    assert core.gave_up(world.notices["1"], world.disk["1"])

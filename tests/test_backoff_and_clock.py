"""Retry schedules, the write budget and the clocks (S11, S12, failures 10, 11, 16)."""

from __future__ import annotations

import itertools
import random
import time

import pytest

from agent.backoff import CREDENTIALS, REFUSED, TRANSIENT, Backoff, Schedule
from agent.clock import SleepDetector, SystemClock
from agent.effort import Budget
from agent.errors import Backoff as BackoffError
from tests.dialstack.bench import Clock


class Extreme(random.Random):
    """Always the same number."""

    def __init__(self, value: float) -> None:
        super().__init__(0)
        self.value = value

    def random(self) -> float:
        return self.value


@pytest.mark.parametrize("schedule", [TRANSIENT, CREDENTIALS, REFUSED])
@pytest.mark.parametrize(("rng", "share"), [(0.0, 1.0), (0.5, 0.75), (1.0, 0.5)])
def test_s11_each_step_is_jittered_downwards_and_the_last_one_repeats(
    schedule: Schedule, rng: float, share: float
) -> None:
    backoff = Backoff(schedule, Extreme(rng))
    found = [backoff.next() for _ in range(len(schedule.steps) + 3)]
    assert found == [step * share for step in (*schedule.steps, *[schedule.steps[-1]] * 3)]


def test_s11_a_fleet_does_not_come_back_in_step() -> None:
    first = {Backoff(TRANSIENT, random.Random(seed)).next() for seed in range(100)}
    assert len(first) == 100
    assert all(0.5 <= delay <= 1.0 for delay in first)


@pytest.mark.parametrize(
    ("asked", "low", "high"),
    [(None, 0.5, 1.0), (0.0, 0.5, 1.0), (-5.0, 0.5, 1.0), (7.0, 7.0, 7.7),
     (3600.0, 3600.0, 3960.0), (1e20, 3600.0, 3960.0)],
)  # fmt: skip
def test_s11_retry_after_is_obeyed_and_bounded(asked: float | None, low: float, high: float) -> None:
    for seed in range(50):
        assert low <= Backoff(TRANSIENT, random.Random(seed)).next(asked) <= high


def test_a_retry_after_shorter_than_the_step_does_not_shorten_it() -> None:
    backoff = Backoff(TRANSIENT, Extreme(0.0))
    backoff.failures = 5
    assert backoff.next(1.0) == 30.0


def test_credentials_go_to_long_waits_at_once() -> None:
    backoff = Backoff(TRANSIENT, Extreme(0.0))
    assert [backoff.next(), backoff.next()] == [1.0, 2.0]
    assert [backoff.next(schedule=CREDENTIALS), backoff.next(schedule=CREDENTIALS)] == [60.0, 300.0]
    assert backoff.next(schedule=TRANSIENT) == 1.0
    backoff.reset()
    assert (backoff.next(), backoff.schedule, backoff.failures) == (1.0, TRANSIENT, 1)


def test_s11_the_budget_is_spent_and_comes_back() -> None:
    clock = Clock()
    budget = Budget(clock, limit=3, window=600.0)
    for _ in range(3):
        budget.spend()
        clock.advance(10)
    with pytest.raises(BackoffError) as caught:
        budget.spend()
    assert (caught.value.retry_after, caught.value.code) == (570.0, "effort_limit")
    clock.advance(570)
    budget.spend()
    with pytest.raises(BackoffError):
        budget.spend()
    budget.reset()
    budget.spend()


# ------------------------------------------------------------------ clocks


@pytest.mark.parametrize(
    ("mono", "boot", "wall", "asleep", "step"),
    [
        (60.0, 60.0, 60.0, 0.0, 0.0),
        (60.0, 61.9, 61.9, 0.0, 0.0),
        (60.0, 62.0, 62.0, 2.0, 0.0),
        (0.0, 90000.0, 90000.0, 90000.0, 0.0),
        (60.0, 60.0, 64.9, 0.0, 0.0),
        (60.0, 60.0, 65.0, 0.0, 5.0),
        (60.0, 60.0, -3540.0, 0.0, -3600.0),
        (60.0, 60.0, 1e9, 0.0, 1e9 - 60.0),
        (60.0, 3660.0, 60.0, 3600.0, -3600.0),
    ],
)
def test_s12_a_step_is_not_a_sleep(mono: float, boot: float, wall: float, asleep: float, step: float) -> None:
    clock = Clock()
    clock.mono, clock.boot, clock.unix = 0.0, 0.0, 0.0
    detector = SleepDetector(clock)
    for times in range(1, 3):  # it is told once, and the next one again
        clock.mono, clock.boot, clock.unix = mono * times, boot * times, wall * times
        assert detector.check() == pytest.approx((asleep, step))
        assert detector.check() == (0.0, 0.0)


def test_the_kernels_clocks() -> None:
    clock = SystemClock()
    before = time.time()
    assert before <= clock.wall() <= time.time()
    for read in (clock.monotonic, clock.boottime):
        found = [read() for _ in range(100)]
        assert all(later >= earlier for earlier, later in itertools.pairwise(found))
    assert clock.boottime() >= clock.monotonic() - 0.001

"""Each step of the work says since when it runs and how long it took, by clocks that do not jump."""

from __future__ import annotations

import pytest

from agent.control import Step
from agent.light.progress import Progress


class Clocks:
    """Boottime and wall clock, moved by the test."""

    boot = 100.0
    day = 1_795_500_000.0

    def monotonic(self) -> float:
        return self.boot

    def boottime(self) -> float:
        return self.boot

    def wall(self) -> float:
        return self.day


def steps(*states: str) -> tuple[Step, ...]:
    return tuple(Step(f"step {number}", "", state) for number, state in enumerate(states))


def test_a_step_takes_the_time_since_the_one_before_it_and_a_clock_step_does_not_count() -> None:
    clock = Clocks()
    progress = Progress(clock)
    progress.follow("move", steps("done", "running", "waiting"))
    assert [(one.since, one.seconds) for one in progress.steps] == [(None, None), (clock.day, None), (None, None)]
    clock.boot += 0.4
    clock.day -= 86400
    progress.follow("move", steps("done", "done", "running"))
    assert [one.seconds for one in progress.steps] == [None, pytest.approx(0.4), None]
    assert progress.steps[2].since == clock.day
    clock.boot += 2
    progress.follow("move", steps("done", "done", "failed"))
    clock.boot += 1
    progress.follow("move", steps("done", "done", "done"))
    assert progress.steps[2].seconds == 3
    clock.boot += 60
    progress.follow("move", steps("done", "done", "done"))
    assert progress.steps[2].seconds == 3


def test_other_work_is_timed_from_its_own_beginning() -> None:
    clock = Clocks()
    progress = Progress(clock)
    progress.follow("one", steps("running"))
    clock.boot += 5
    progress.follow("two", steps("running"))
    clock.boot += 1
    progress.follow("two", steps("done"))
    assert progress.steps[0].seconds == 1

"""When each step of the work under way began and how long it took, for people who wait."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from agent.clock import Clock
from agent.control import Step


class Progress:
    """Follows the steps of one piece of work after the other."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.steps: tuple[Step, ...] = ()
        """The newest steps, with their times."""
        self._work: object = None
        self._turn = 0.0
        """Boottime of the last step that was done, or of the beginning."""

    def clock_set(self, step: float) -> None:
        """Move since when a step runs along with the clock."""
        self.steps = tuple(one if one.since is None else replace(one, since=one.since + step) for one in self.steps)

    def follow(self, work: object, steps: Sequence[Step]) -> None:
        """Take the steps as they are now; other `work` (compared with `==`) begins anew.

        A step that is done when the work begins took no time of it. One that is undone again is timed from then on.
        """
        now, wall = self._clock.boottime(), self._clock.wall()
        before = {step.name: step for step in self.steps} if work == self._work else {}
        if not before:
            self._work, self._turn = work, now
        timed = []
        for step in steps:
            old = before.get(step.name)
            if old is not None and old.state == step.state:
                timed.append(replace(step, since=old.since, seconds=old.seconds))
            elif step.state == "done":
                timed.append(replace(step, seconds=now - self._turn if old is not None else None))
                self._turn = now
            else:
                timed.append(replace(step, since=None if step.state == "waiting" else wall))
        self.steps = tuple(timed)

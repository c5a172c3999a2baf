"""Sleep, clock steps and a watcher that died, on this machine's own loopback."""

from __future__ import annotations

import asyncio

import pytest

from agent.clock import SystemClock
from agent.config.settings import NetworkSettings
from agent.model import Gap, NetworkState
from agent.network.netlink import Reader
from agent.network.watch import NetworkWatcher


class SteppedClock(SystemClock):
    """The kernel's clocks, pushed by hand."""

    def __init__(self) -> None:
        self.slept = 0.0
        self.stepped = 0.0

    def boottime(self) -> float:
        return super().boottime() + self.slept

    def wall(self) -> float:
        return super().wall() + self.slept + self.stepped


class Bench:
    """A watcher of the path to 127.0.0.1, and what it said."""

    def __init__(self) -> None:
        self.clock = SteppedClock()
        self.states: list[NetworkState] = []
        self.gaps: list[Gap] = []
        self.watcher = NetworkWatcher(
            NetworkSettings(), "127.0.0.1", "127.0.0.1", self.clock, self.states.append, self.gaps.append
        )

    async def audit_after(self, change: str, seconds: float) -> None:
        """Run the watcher, change a clock, and wait until it has looked."""
        task = asyncio.create_task(self.watcher.run())
        await self.watcher.audit()
        setattr(self.clock, change, seconds)
        await self.watcher.audit()
        task.cancel()
        await asyncio.wait([task])


def test_failure_10_a_suspend_is_a_gap_and_a_new_generation() -> None:
    bench = Bench()
    asyncio.run(bench.audit_after("slept", 3600.0))
    assert [(gap.kind, round(gap.seconds)) for gap in bench.gaps] == [("suspend", 3600)]
    assert [(state.generation, state.cause) for state in bench.states] == [(1, "start"), (2, "woke from suspend")]


@pytest.mark.parametrize("step", [-86_400.0, 86_400.0])
def test_failure_11_a_clock_step_is_a_gap_and_not_a_sleep(step: float) -> None:
    bench = Bench()
    asyncio.run(bench.audit_after("stepped", step))
    assert [(gap.kind, round(gap.seconds)) for gap in bench.gaps] == [("clock_step", 86_400)]
    assert [state.generation for state in bench.states] == [1]


def test_a_watcher_that_failed_raises_and_records_its_blindness_when_it_runs_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()

    async def fail(*_: object) -> None:
        raise OSError(9, "Bad file descriptor")

    async def main() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Reader, "read", fail)
            with pytest.raises(OSError, match="Bad file descriptor"):
                await bench.watcher.run()
        await bench.audit_after("slept", 0.0)

    asyncio.run(main())
    assert [gap.kind for gap in bench.gaps] == ["dead_worker"]
    assert [state.cause for state in bench.states] == ["start"]

"""The real watcher on a thread inside the lab's device namespace, and a way to wait for what it says."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from agent.clock import SystemClock
from agent.config.settings import NetworkSettings
from agent.lab.lab import Lab
from agent.lab.namespaces import setns
from agent.lab.topology import PLATFORM
from agent.model import Gap, NetworkState
from agent.network.lldp.ear import Ear
from agent.network.penalty import Pace
from agent.network.watch import NetworkWatcher
from agent.runtime.tasks import end

PATIENCE = 15.0
"""Seconds until a test gives up; no expectation about speed."""


class Rig:
    """Runs a `NetworkWatcher` in a lab; a context manager that raises what the watcher raised."""

    def __init__(
        self,
        lab: Lab,
        settings: NetworkSettings | None = None,
        *,
        host: str = PLATFORM,
        pace: Pace | None = None,
        ear: Ear | None = None,
    ) -> None:
        self._lab = lab
        self._settings = settings or NetworkSettings()
        self._host = host
        self._pace = pace
        self.ear = ear
        self._changed = threading.Condition()
        self.states: list[NetworkState] = []
        self.seen_at: list[float] = []
        """Monotonic seconds at which each state was published."""
        self.gaps: list[Gap] = []
        self.watcher: NetworkWatcher
        self.loop: asyncio.AbstractEventLoop
        self._task: asyncio.Task[None]
        self._failure: BaseException | None = None
        self._ready = threading.Event()
        self._busy = threading.Event()
        self._thread = threading.Thread(target=self._body, name="watcher")

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait(PATIENCE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join()
        if self._failure:
            raise self._failure

    @property
    def last(self) -> NetworkState:
        """The newest state."""
        with self._changed:
            return self.states[-1]

    def wait(self, predicate: Callable[[NetworkState], bool]) -> NetworkState:
        """Return the newest state as soon as it satisfies the predicate."""
        with self._changed:
            if not self._changed.wait_for(lambda: bool(self.states) and predicate(self.states[-1]), PATIENCE):
                raise AssertionError(f"did not happen; the watcher said {self.states}")
            return self.states[-1]

    def wait_any(self, predicate: Callable[[NetworkState], bool], start: int = 0) -> tuple[int, NetworkState]:
        """Return index and value of the first state from `start` on that satisfies the predicate."""

        def find() -> tuple[int, NetworkState] | None:
            return next(((n, one) for n, one in enumerate(self.states) if n >= start and predicate(one)), None)

        with self._changed:
            found = self._changed.wait_for(find, PATIENCE)
        if not found:
            raise AssertionError(f"did not happen; the watcher said {self.states[start:]}")
        return found

    def audit(self) -> None:
        """Make the watcher read everything and wait for it: afterwards all that happened before is known."""
        asyncio.run_coroutine_threadsafe(self.watcher.audit(), self.loop).result(PATIENCE)

    def deafen(self) -> None:
        """Make the watcher's buffer small and keep its loop busy until `hear_again`."""
        self.audit()
        self._busy.clear()
        blocked = threading.Event()

        def block() -> None:
            hints = self.watcher.hints
            assert hints is not None
            hints.shrink(4096)
            blocked.set()
            self._busy.wait(PATIENCE)

        self.loop.call_soon_threadsafe(block)
        blocked.wait(PATIENCE)

    def hear_again(self) -> None:
        """Let the watcher's loop go on."""
        self._busy.set()

    def _on_state(self, state: NetworkState) -> None:
        with self._changed:
            self.states.append(state)
            self.seen_at.append(time.monotonic())
            self._changed.notify_all()

    def _on_gap(self, gap: Gap) -> None:
        with self._changed:
            self.gaps.append(gap)
            self._changed.notify_all()

    def _body(self) -> None:
        try:
            setns(self._lab.namespace("device"))
            asyncio.run(self._main())
        except asyncio.CancelledError:
            pass
        except BaseException as failure:  # noqa: BLE001 - handed to the test
            self._failure = failure
        finally:
            self._ready.set()

    async def _main(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.watcher = NetworkWatcher(
            self._settings, self._host, self._host, SystemClock(), self._on_state, self._on_gap, pace=self._pace,
            ear=self.ear,
        )  # fmt: skip
        self._task = self.loop.create_task(self.watcher.run())
        listening = self.loop.create_task(self.ear.run()) if self.ear else None
        self._ready.set()
        try:
            await self._task
        finally:
            if listening is not None:
                await end(listening)

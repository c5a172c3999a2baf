"""The watchdog of the service manager is fed only while every worker makes progress."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from agent.app import App
from agent.runtime.liveness import LIMIT, Liveness, part, waiting

WORKERS = 10
"""The agent has more than so many."""


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def boottime(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now


def test_who_works_too_long_without_a_wait_is_stuck() -> None:
    clock = Hand()
    progress = Liveness(clock)
    with progress.section("binding"):
        clock.now += LIMIT
        assert progress.stuck() == []
        clock.now += 1
        assert progress.stuck() == ["binding"]
    assert progress.stuck() == []


def test_who_waits_on_purpose_may_wait_for_ever_and_begins_anew_afterwards() -> None:
    clock = Hand()
    progress = Liveness(clock)
    with progress.section("network"):
        with waiting():
            clock.now += 100 * LIMIT
            assert progress.stuck() == []
        clock.now += LIMIT
        assert progress.stuck() == []
        clock.now += 1
        assert progress.stuck() == ["network"]


def test_a_stuck_part_is_seen_although_the_worker_around_it_waits_for_it() -> None:
    clock = Hand()
    progress = Liveness(clock)

    async def attempt(begun: asyncio.Event) -> None:
        with part("attempt"):
            begun.set()
            await asyncio.Event().wait()  # a wake-up that was lost

    async def story() -> list[str]:
        begun = asyncio.Event()
        with progress.section("binding"):
            work = asyncio.create_task(attempt(begun))
            with waiting():
                await begun.wait()
                clock.now += LIMIT + 1
                found = progress.stuck()
        work.cancel()
        return found

    assert asyncio.run(story()) == ["binding attempt"]


def test_a_stuck_worker_starves_the_watchdog_and_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "2000")
    config = tmp_path / "agent.toml"
    config.write_text(f'[paths]\nstate = "{tmp_path}"\n')
    clock, fed, named = Hand(), asyncio.Event(), asyncio.Event()
    said: list[dict[str, str]] = []

    def trace(event: str, **fields: str) -> None:
        if event == "stuck":
            said.append(fields)
            (named.set if len(said) == 3 else fed.clear)()  # three turns, and not one of them has fed

    monkeypatch.setattr("agent.app.notify", lambda **_: fed.set())
    monkeypatch.setattr("agent.app.trace", trace)

    async def story() -> None:
        app = App(config)
        app.liveness = Liveness(clock)
        with app.liveness.section("binding"):
            feeding = asyncio.create_task(app._feed_watchdog())
            await fed.wait()
            clock.now += LIMIT + 1
            await named.wait()
        feeding.cancel()
        await app.platform.rest.close()
        app.store.close()

    asyncio.run(story())
    assert not fed.is_set()
    assert said[-1]["workers"] == "binding"


def test_every_worker_of_an_agent_with_nothing_to_do_waits_on_purpose(tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    config.write_text(
        f'[paths]\nstate = "{tmp_path}"\n[page]\nport = 0\nsocket = "{tmp_path}/agent.sock"\n'
        f'[sip]\nsocket = "{tmp_path}/voice.sock"\n[notify_command]\nrun = ["/bin/true"]\n'
    )

    async def story() -> list[str]:
        app = App(config)
        clock = Hand()
        app.liveness = Liveness(clock)
        running = asyncio.create_task(app.run())
        stuck = ["not looked yet"]
        for _ in range(500):
            if len(app.liveness._sections) <= WORKERS:
                await asyncio.sleep(0.01)
                continue
            clock.now += 2 * LIMIT
            if not (stuck := app.liveness.stuck()):
                break
            await asyncio.sleep(0.01)  # whoever is at work just now finds a wait soon
        assert len(app.liveness._sections) > WORKERS
        os.kill(os.getpid(), signal.SIGTERM)
        await running
        return stuck

    assert asyncio.run(story()) == []

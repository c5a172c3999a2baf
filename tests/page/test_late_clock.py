"""A wall clock that is late or stepped, and a night in suspend, end no session early, forgive no PIN, change no key."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from agent.clock import SANE_WALL
from agent.config.settings import PageSettings
from agent.page.access import certificate
from agent.page.access.attempts import FIRST_DELAY, FREE
from agent.page.access.sessions import IDLE
from agent.page.routes import Role
from tests.clocks import Clocks
from tests.page.link_world import STAFF_PIN, TECHNICIAN_PIN, World, link_world, sign_in

YEAR = 365 * 86400.0
STEPS = [-50 * YEAR, -3600.0, 3600.0, 50 * YEAR]


async def with_clock(folder: Path, clock: Clocks, scenario: Callable[[World], Awaitable[None]]) -> None:
    async with link_world(folder) as world:
        world.server._clock = world.access._clock = clock
        await scenario(world)


async def is_in(browser: aiohttp.ClientSession) -> bool:
    async with browser.get("/", allow_redirects=False) as answer:
        return answer.status == 200


@pytest.mark.parametrize("step", STEPS)
def test_failure_11_a_step_of_the_clock_ends_no_session_and_keeps_none(tmp_path: Path, step: float) -> None:
    clock = Clocks()

    async def scenario(world: World) -> None:
        browser = await world.browser()
        assert (await sign_in(browser, STAFF_PIN))[0] == 303
        clock.now += step
        clock.boot += IDLE[Role.STAFF] - 1
        assert await is_in(browser)
        clock.now -= step
        clock.boot += IDLE[Role.STAFF] + 1
        assert not await is_in(browser)

    asyncio.run(with_clock(tmp_path, clock, scenario))


def test_a_session_does_not_sleep_through_the_night(tmp_path: Path) -> None:
    """The monotonic clock stands still in suspend; whoever wakes the device in the morning gives the PIN again."""
    clock = Clocks()

    async def scenario(world: World) -> None:
        browser = await world.browser()
        assert (await sign_in(browser, TECHNICIAN_PIN))[0] == 303
        clock.boot += 9 * 3600.0
        clock.now += 9 * 3600.0
        assert not await is_in(browser)

    asyncio.run(with_clock(tmp_path, clock, scenario))


@pytest.mark.parametrize("step", STEPS)
def test_failure_11_a_step_of_the_clock_forgives_no_wrong_pin_and_locks_nobody_out(tmp_path: Path, step: float) -> None:
    clock = Clocks()

    async def wrong(browser: aiohttp.ClientSession) -> int:
        return (await sign_in(browser, "000111222"))[0]

    async def scenario(world: World) -> None:
        browser = await world.browser()
        assert [await wrong(browser) for _ in range(FREE)] == [403] * FREE
        clock.now += step
        assert await wrong(browser) == 429, "the wall clock forgives nothing"
        clock.boot += FIRST_DELAY + 1
        assert (await sign_in(browser, STAFF_PIN))[0] == 303

    asyncio.run(with_clock(tmp_path, clock, scenario))


def test_failure_11_a_boot_without_a_clock_changes_no_certificate_and_a_late_one_is_made_good(tmp_path: Path) -> None:
    names, now = ("front-desk",), SANE_WALL + YEAR
    first = certificate.device_made(tmp_path, names, now).fingerprint
    assert certificate.device_made(tmp_path, names, 60.0).fingerprint == first, "staff compare it with what they see"
    assert certificate.device_made(tmp_path, names, now + 86400).fingerprint == first
    assert certificate.device_made(tmp_path, names, now - 86400).fingerprint != first, "it would not be valid yet"
    (tmp_path / "page-cert.json").write_text('{"at": 60.0, "names": ["front-desk"]}')  # made without a clock
    late = certificate.device_made(tmp_path, names, 70.0).fingerprint
    assert certificate.device_made(tmp_path, names, now).fingerprint != late


def test_failure_11_a_clock_that_is_set_makes_the_link_look_at_its_certificate_at_once(tmp_path: Path) -> None:
    clock = Clocks(now=60.0)

    async def scenario(world: World) -> None:
        link = world.server.link
        assert link is not None
        link._clock = clock
        about = tmp_path / "page-cert.json"
        about.write_text(json.dumps(json.loads(about.read_text()) | {"at": 50.0}))  # made without a clock
        late = link.fingerprint
        clock.now = SANE_WALL + YEAR
        world.server.clock_set()
        for _ in range(4000):
            if link.fingerprint != late:
                return
            await asyncio.sleep(0.005)
        raise AssertionError("the certificate was not looked at")

    asyncio.run(with_clock(tmp_path, clock, scenario))


def test_settings_that_change_end_no_session(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        browser = await world.browser()
        assert (await sign_in(browser, STAFF_PIN))[0] == 303
        changed = PageSettings(listen="link", port=0, https_port=0, announce=False, socket=tmp_path / "agent.sock")
        await world.server.configure(changed)
        assert await is_in(browser)

    asyncio.run(with_clock(tmp_path, Clocks(), scenario))

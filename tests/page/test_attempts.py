"""Guessing PINs is hopeless, and cannot lock out who stands in front of the phone."""

from __future__ import annotations

import asyncio
from pathlib import Path

from agent.page.access import attempts as policy
from agent.page.access.attempts import Attempts
from tests.page.client import post, text_of
from tests.page.link_world import (
    LAPTOP,
    OTHER_LAPTOP,
    STAFF_PIN,
    TECHNICIAN_PIN,
    HandClock,
    World,
    play_link,
    sign_in,
)


def test_five_wrong_pins_cost_nothing_then_the_pauses_double_up_to_an_hour() -> None:
    tries, now, waits = Attempts(), 0.0, []
    for _ in range(16):
        waits.append(tries.wait("192.0.2.7", now))
        now += waits[-1]
        assert tries.begin("192.0.2.7", now)
        now += 3600.0  # so that the common budget is not what is seen here
        tries._records["192.0.2.7"] = policy.Record(tries._records["192.0.2.7"].wrong, now)
    assert waits == [0, 0, 0, 0, 0, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600]
    assert tries.wait("192.0.2.7", now + policy.FORGET_AFTER + 1) == 0


def test_a_right_pin_takes_the_wrong_ones_back() -> None:
    tries = Attempts()
    for _ in range(4):
        assert tries.begin("192.0.2.7", 0.0)
    assert tries.left("192.0.2.7", 0.0) == 1
    assert tries.begin("192.0.2.7", 0.0)
    tries.right("192.0.2.7")
    assert tries.left("192.0.2.7", 0.0) == 5


def test_an_ipv6_neighbor_gets_no_new_tries_with_a_new_address() -> None:
    tries = Attempts()
    for number in range(5):
        assert tries.begin(f"2001:db8::{number}", 0.0)
    assert tries.wait("2001:db8::ffff", 0.0) > 0
    assert tries.wait("2001:db8:0:1::1", 0.0) == 0


def test_s9_10000_guesses_from_200_addresses_are_looked_at_no_faster_than_the_policy_says() -> None:
    """A guess a second for almost three hours, each from another address: the whole link has one budget."""
    tries, clock = Attempts(), HandClock(0.0)
    looked_at = []
    for number in range(10_000):
        clock.now = float(number)
        if tries.begin(f"192.0.2.{number % 200}", clock.now):
            looked_at.append(clock.now)
    for since, at in enumerate(looked_at):
        assert since < policy.BUDGET + at / policy.REFILL, "never faster than the policy"
    assert len(looked_at) == policy.BUDGET + int(9_999 / policy.REFILL)
    assert len(tries._records) <= policy.MAX_ADDRESSES
    per_day = 86_400 / policy.REFILL
    assert 1_000_000 / per_day > 9 * 365, "nine years for every PIN of six digits"


def test_s9_10000_guesses_at_once_do_not_open_the_page_although_the_right_pin_is_among_them(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        browsers = [await world.browser(f"127.0.0.{number}") for number in range(20, 30)]
        answers: dict[int, int] = {}
        pages = [await text_of(browser, "/login") for browser in browsers]

        async def guess(which: int, count: int) -> None:
            for number in range(count):
                pin = STAFF_PIN if number >= 5 else f"{200_000 + 7 * (number + 100 * which):06}"
                status, _, _ = await post(browsers[which], "/login", pages[which], pin=pin)
                answers[status] = answers.get(status, 0) + 1

        await asyncio.gather(*(guess(which, 100) for which in range(10)))
        assert answers == {403: policy.BUDGET, 429: 1000 - policy.BUDGET}
        for number in range(9_000):  # the rest without HTTP, at the same gate
            assert not world.access._on_link.begin(f"127.0.0.{number % 250}", world.clock.now)
        world.clock.now += policy.REFILL
        status, page = await sign_in(browsers[0], STAFF_PIN)
        assert status == 303, page

    play_link(tmp_path, scenario)


def test_s9_the_local_screen_is_never_locked_out(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        for number in range(20, 28):
            attacker = await world.browser(f"127.0.0.{number}")
            for _ in range(6):
                await sign_in(attacker, "999998")
        assert (await sign_in(await world.browser(), STAFF_PIN))[0] == 429, "the link as a whole has to wait"
        screen = await world.screen()
        page = await text_of(screen, "/addresses")
        assert (await post(screen, "/confirm", page, address_id="emerg_1"))[0] == 303
        assert (await sign_in(screen, TECHNICIAN_PIN))[0] == 303, "guesses on the link do not count here"
        await post(screen, "/logout", await text_of(screen, "/addresses"))
        for _ in range(40):
            await sign_in(screen, "999998")
        status, said = await sign_in(screen, TECHNICIAN_PIN)
        assert (status, "Too many wrong PINs were tried." in said) == (429, True)
        page = await text_of(screen, "/addresses")
        assert (await post(screen, "/confirm", page, address_id="emerg_2"))[0] == 303, "staff need no PIN here"
        world.clock.now += max(policy.MAX_SCREEN_DELAY, policy.REFILL)
        assert (await sign_in(screen, TECHNICIAN_PIN))[0] == 303, "a technician waits five minutes at most"
        assert (await sign_in(await world.browser(OTHER_LAPTOP), STAFF_PIN))[0] == 303, "and nobody on the link does"

    play_link(tmp_path, scenario)


def test_the_page_says_what_is_left_and_how_long_to_wait(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        browser = await world.browser(LAPTOP)
        assert "5 PINs can be tried before a pause." in await text_of(browser, "/login")
        said = [(await sign_in(browser, "999998"))[1] for _ in range(5)]
        assert "That PIN is not right. Try again: 4 more can be tried before a pause." in said[0]
        assert "That PIN is not right. Try again in 30 seconds." in said[4]
        assert "Wait 30 seconds." in await text_of(browser, "/login")
        page = await text_of(browser, "/login")
        async with browser.get("/login") as response:
            assert response.status == 200
        status, _, body = await post(browser, "/login", page, pin=STAFF_PIN)
        assert status == 429
        assert "The next one can be tried in 30 seconds. Or answer on the phone&#39;s own screen." in body
        world.clock.now += 30
        assert (await sign_in(browser, "999998"))[0] == 403
        assert "Wait 60 seconds." in await text_of(browser, "/login")

    play_link(tmp_path, scenario)

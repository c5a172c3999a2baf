"""The check-up: stages one after the other, the checks of a stage beside each other, each with a deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace

from agent import __version__
from agent.doctor import network, phone, platform, switch
from agent.doctor.result import GOES_OUT, TITLES, Finding, Report, Result, fail
from agent.doctor.world import World
from agent.say import say

DEADLINE = 15.0
"""Seconds for one check; the slowest waits 10 s for a registration in progress."""
SIDE_BY_SIDE = 4
"""Checks at the same time: the device has other things to do."""

Check = Callable[[World], Awaitable[Result]]
Heard = Callable[[tuple[Result, ...]], None]
"""Hears all results so far, the missing ones as RUNNING."""

STAGES: tuple[dict[str, Check], ...] = (
    {"link": network.link, "address": network.address, "disk": phone.disk, "audio": phone.audio},
    {"gateway": network.gateway, "switch": switch.switch, "dns": network.dns, "processes": phone.processes},
    {"api": platform.api},
    {"clock": platform.clock, "token": platform.token, "signalling": platform.signalling, "sip": phone.sip},
    {"binding": phone.binding},
)
ALL = tuple(TITLES)


async def examine(
    world: World, *, only: Iterable[str] = ALL, on_result: Heard | None = None, by: str = "agent"
) -> Report:
    """Make the checks named in `only`, in the order of the layers; never raises but when cancelled."""
    wanted = frozenset(only)
    results = {name: Result(name, Finding.RUNNING, say("Being tested.")) for name in ALL if name in wanted}
    room = asyncio.Semaphore(SIDE_BY_SIDE)

    async def one(name: str, check: Check) -> None:
        async with room:
            results[name] = await _in_time(name, check, world)
        if on_result is not None:
            on_result(tuple(results.values()))

    await _look(world)
    for stage in STAGES:
        if "dns" in stage and "dns" not in wanted and wanted & {"api", "token", "signalling", "clock"}:
            await network.dns(world)
        async with asyncio.TaskGroup() as group:
            for name, check in stage.items():
                if name in wanted:
                    group.create_task(one(name, check), name=f"check {name}")
        if "dns" in stage:
            await _look(world)  # the ways to the hosts whose names are known now
    return Report(world.clock.wall(), by, __version__, tuple(results.values()))


async def _look(world: World) -> None:
    try:
        await network.look(world)
    except (OSError, TimeoutError):
        world.online = False


async def _in_time(name: str, check: Check, world: World) -> Result:
    began = time.monotonic()
    try:
        async with asyncio.timeout(DEADLINE):
            result = await check(world)
    except TimeoutError:
        text = say("This was not answered within {seconds} s.", seconds=round(DEADLINE))
        result = fail(name, text, GOES_OUT, say("Run the check-up again; if it stays, report it."), "timeout")
    except Exception as error:  # noqa: BLE001 - the supervisor of checks: one that breaks must not hide the others
        text = say("This check itself failed: {error}.", error=f"{type(error).__name__}: {error}")
        result = fail(name, text, GOES_OUT, say("Report this: it is a defect."), "defect")
    return replace(result, seconds=round(time.monotonic() - began, 3))

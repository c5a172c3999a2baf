"""What technicians' pages need: a real configuration on disk, and check-ups that find the same every time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import cast

from agent.clock import SystemClock
from agent.config.current import Configuration
from agent.doctor.checkup import CheckUp
from agent.doctor.result import TITLES, Finding, Report, Result
from agent.doctor.world import World
from agent.page.workshop import Workshop
from agent.say import say
from tests.page.fake_control import NOON

PACKAGED = """
[sip]
registrar = "sip.example.com"
username = "demo"
[paths]
state = "{state}"
"""
FOUND = {
    "dns": Result(
        "dns",
        Finding.FAIL,
        say("The platform's host name {host} cannot be looked up.", host="api.example.com"),
        say("911 goes out, but without a proven location."),
        say("Check platform.api in the configuration."),
        "dns",
        0.2,
    ),
    "clock": Result("clock", Finding.WARN, say("Please answer again."), todo=say("Try again in a few minutes.")),
    "sip": Result("sip", Finding.SKIP, say("No network.")),
}
"""One result of each kind; all other checks are well."""


async def _examine(_world: World, *, only: Iterable[str], on_result: Callable[[tuple[Result, ...]], None]) -> Report:
    chosen = tuple(only)
    results = tuple(
        FOUND.get(name, Result(name, Finding.OK, say("Nothing to do."))) for name in TITLES if name in chosen
    )
    on_result(results)
    return Report(NOON - 60, "agent", "0.1.0", results)


async def _bundle(_report: Report) -> dict[str, str]:
    return {"report.txt": "all is well"}


def make_workshop(folder: Path, packaged: str | None = None) -> Workshop:
    """Return a workshop whose settings are kept in that folder, with that packaged file."""
    path = folder / "agent.toml"
    path.write_text(packaged or PACKAGED.format(state=folder / "state"))
    checkup = CheckUp(lambda: cast("World", None), _examine)
    return Workshop(
        Configuration(path, SystemClock()),
        checkup,
        SystemClock(),
        _bundle,
        lambda: frozenset({"paths.state"}),
        lambda: None,
    )

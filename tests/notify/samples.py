"""Calls and notices to test with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from agent.model import CivicAddress
from agent.notify.notice import Call, Certainty, Conveyed, Notice, Now, Where

OFFICE = CivicAddress("123", "Main St", "San Francisco", "CA", "94105", "Suite 400")
HOME = CivicAddress("500", "Elm St", "San Francisco", "CA", "94105")
NOON = 1_795_500_000.0
NOW = Now(NOON, 1000.0, "boot-1")
PROVEN = Where(OFFICE, Certainty.CONFIRMED, OFFICE, Conveyed.PROVEN)


def call(state: str = "calling", **changes: Any) -> Call:
    """Return a line about a 911 call."""
    return replace(Call("1@5.000", "911", incoming=False, emergency=True, state=state), **changes)


def notice(**changes: Any) -> Notice:
    """Return the first version of a notice."""
    first = Notice(
        uid="n1", call="1@5.000", number="911", test=False, dialed_at=NOON, boot="boot-1", boot_at=1000.0,
        device="Lobby kiosk", callback_number="+14155550100", where=PROVEN,
    )  # fmt: skip
    return replace(first, **changes)


def later(seconds: float, now: Now = NOW) -> Now:
    """Return the clocks after so many seconds."""
    return replace(now, wall=now.wall + seconds, boottime=now.boottime + seconds)

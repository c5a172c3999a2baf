"""When a test call is made by itself: only where it is enabled, proven, due, at a good hour, and disturbs nobody."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest

from agent.config.settings import CallTestSettings
from agent.model import CivicAddress
from agent.testcall.evidence import Evidence, Result, Subject
from agent.testcall.schedule import SETTLE, Moment, against, within

TUESDAY = datetime(2026, 11, 24, 10, 0, tzinfo=UTC).timestamp()
HOUR = 3600.0
ON = CallTestSettings(automatic=True)
OFFICE = CivicAddress("123", "Main St", "San Francisco", "CA", "94105", unit="Suite 400")
HERE = Subject(3, "emerg_1", OFFICE, proven=True, network="eth0", place_id=1, anchor="198.51.100.10")
DUE = Moment(TUESDAY, SETTLE, HERE, 0, interlock=False, connected=True, past=())


def past(hours_ago: float, **changes: object) -> Evidence:
    """Return a test call that heard the address at this binding."""
    return msgspec.structs.replace(Evidence(1, TUESDAY - hours_ago * HOUR, "cli", Result.SPEECH, HERE), **changes)


def test_a_proven_binding_that_was_never_tested_is_due() -> None:
    assert against(DUE, ON, UTC) is None


@pytest.mark.parametrize(
    ("moment", "reason"),
    [
        (replace(DUE, proven_for=None), "not_proven"),
        (replace(DUE, tested=msgspec.structs.replace(HERE, civic=None)), "not_proven"),
        (replace(DUE, proven_for=SETTLE - 1), "settling"),
        (replace(DUE, calls=1), "busy"),
        (replace(DUE, interlock=True), "busy"),
        (replace(DUE, connected=False), "busy"),
        (replace(DUE, past=(past(100),)), "tested"),
        (replace(DUE, past=(past(5, result=Result.SILENCE),)), "too_soon"),
        (replace(DUE, past=(past(100, result=Result.SILENCE),), since_last=HOUR), "too_soon"),
        (replace(DUE, wall=TUESDAY + 8 * HOUR), "not_now"),
        (replace(DUE, wall=TUESDAY + 4 * 24 * HOUR), "not_now"),
    ],
)
def test_everything_else_keeps_it_from_being_made(moment: Moment, reason: str) -> None:
    assert against(moment, ON, UTC) == reason


def test_it_is_off_unless_enabled() -> None:
    assert against(DUE, CallTestSettings(), UTC) == "off"


@pytest.mark.parametrize(
    "one",
    [
        past(100, tested=msgspec.structs.replace(HERE, address_id="emerg_2")),
        past(100, tested=msgspec.structs.replace(HERE, place_id=2)),
        past(100, tested=msgspec.structs.replace(HERE, anchor="203.0.113.20")),
        past(100, tested=msgspec.structs.replace(HERE, proven=False)),
        past(100, moved=True),
        past(100, result=Result.UNHEARD),
    ],
)
def test_a_test_of_another_binding_or_one_that_told_nothing_does_not_count(one: Evidence) -> None:
    assert against(replace(DUE, past=(one,)), ON, UTC) is None


def test_a_clock_that_was_set_back_does_not_silence_it_for_years() -> None:
    failed = past(-1000, result=Result.NOT_ANSWERED)
    assert against(replace(DUE, past=(failed,), since_last=7 * HOUR), ON, UTC) is None


@pytest.mark.parametrize(
    ("hour", "day", "hours", "days", "inside"),
    [
        (8, 24, "08:00-18:00", ("tue",), True),
        (18, 24, "08:00-18:00", ("tue",), False),
        (23, 24, "22:00-06:00", ("tue",), True),
        (5, 25, "22:00-06:00", ("tue",), True),
        (5, 24, "22:00-06:00", ("tue",), False),
        (23, 24, "18:00-24:00", ("tue",), True),
        (12, 24, "08:00-18:00", (), False),
    ],
)
def test_hours_and_days_are_local_and_may_span_midnight(
    *, hour: int, day: int, hours: str, days: tuple[str, ...], inside: bool
) -> None:
    zone = timezone(timedelta(hours=-8))
    at = datetime(2026, 11, day, hour, 0, tzinfo=zone).timestamp()
    assert within(at, hours, days, zone) is inside

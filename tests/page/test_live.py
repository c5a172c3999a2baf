"""Server-sent events: newest wins, signs of life, bounded; and how times are said."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from agent.model import StatusKind
from agent.page import words
from agent.page.api import live
from tests.page.client import Client, next_event, play, text_of
from tests.page.fake_control import NOON, FakeControl, overview


def test_events_carry_the_newest_parts_and_slow_readers_skip(tmp_path: Path) -> None:
    async def scenario(control: FakeControl, client: Client) -> None:
        async with client.get("/events") as response:
            assert response.content_type == "text/event-stream"
            name, data = await next_event(response)
            assert name == "parts"
            assert 'data-part="status" class="light good"' in data
            for number in range(500):
                control.show(replace(overview(StatusKind.OFFLINE), phone=f"line {number}"))
            name, data = await next_event(response)
            assert 'class="light off"' in data
            assert "line 499" in data

    play(tmp_path, scenario)


def test_a_reader_that_was_away_gets_the_newest_only() -> None:
    async def inside() -> None:
        box = live.Mailbox()
        for number in range(3):
            box.put(replace(overview(), phone=f"line {number}"))
        newest = await box.get(5)
        assert newest is not None
        assert newest.phone == "line 2"
        assert await box.get(0.001) is None

    asyncio.run(inside())


def test_a_quiet_stream_gives_signs_of_life_and_a_left_one_stops_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "BEAT", 0.01)

    async def scenario(control: FakeControl, client: Client) -> None:
        async with client.get("/events") as response:
            assert (await next_event(response))[0] == "parts"
            assert await next_event(response) == ("beat", "")
            assert control.readers == 1
        async with asyncio.timeout(5):
            await control.left.wait()
        assert control.readers == 0

    play(tmp_path, scenario)


def test_streams_are_bounded(tmp_path: Path) -> None:
    async def scenario(_control: FakeControl, client: Client) -> None:
        opened = []
        for _ in range(live.MAX_STREAMS):
            response = await client.get("/api/v1/events")
            assert (await next_event(response))[0] == "status"
            opened.append(response)
        async with client.get("/events") as refused:
            assert refused.status == 503
            assert refused.headers["Retry-After"] == "5"
            assert "Too many windows" in await refused.text()
        await text_of(client, "/")
        for response in opened:
            response.close()

    play(tmp_path, scenario)


@pytest.mark.parametrize(
    ("ago", "shown"),
    [
        (60, "05:59"),
        (86400, "yesterday 06:00"),
        (3 * 86400, "26 Dec 06:00"),
        (400 * 86400, "24 Nov 2026 06:00"),
        (1000 * 86400, "before the clock was set"),
    ],
)
def test_times_are_said_as_people_say_them(ago: float, shown: str) -> None:
    from datetime import UTC

    now = NOON + 400 * 86400
    assert words.clock_time(now - ago, now, UTC) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.2, "less than 1 s"),
        (12, "12 s"),
        (185, "3 min 5 s"),
        (7440, "2 h 4 min"),
        (187200, "2 days 4 h"),
        (3605, "1 h"),
    ],
)
def test_durations_are_said_in_two_units(seconds: float, shown: str) -> None:
    assert words.duration(seconds) == shown

"""An emergency call on the page: what to read aloud, never a guess shown as certain, and who takes care of it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from agent.control import Delivery, Emergency, NoticeRecord
from agent.voice.calls.outcome import cut_off
from tests.page.client import Client, next_event, play, post, text_of
from tests.page.fake_control import NOON, OFFICE, FakeControl, emergency, notice

ALOUD = r'class="aloud[^"]*"><span>123 Main St, Suite 400</span> <span>San Francisco, CA 94105'


def call(control: FakeControl, shown: Emergency, *alerts: NoticeRecord) -> None:
    """Show a call with these alerts."""
    control.told = alerts
    control.show(replace(control.now, interlock=True, emergency=shown, alerts=alerts))


def test_during_an_emergency_call_the_address_is_there_to_be_read_and_nothing_is_asked(tmp_path: Path) -> None:
    async def scenario(control: FakeControl, client: Client) -> None:
        control.ask_place()
        call(control, emergency())
        page = await text_of(client, "/")
        assert "EMERGENCY CALL 911" in page
        assert "If they ask where you are, read this aloud:" in page
        assert re.search(ALOUD, page)
        assert "Staff confirmed that this phone is here." in page
        assert "911 was given this address." in page
        assert re.search(r'data-elapsed="65">1:05<', page)
        assert "+1 415 555 0100" in page
        assert 'http-equiv="refresh" content="3"' in page
        assert "/confirm" not in page

    play(tmp_path, scenario)


@pytest.mark.parametrize(
    ("shown", "said", "unsaid"),
    [
        (
            emergency(certainty="unconfirmed", conveyed="provisional"),
            ("CHECK FIRST: nobody has confirmed", 'class="aloud unsure"><span>123 Main St', "nobody has confirmed it."),
            ("read this aloud", "Staff confirmed"),
        ),
        (
            emergency(here=None, certainty="unknown", conveyed="none"),
            ('class="aloud">Say where you are.', "does not have an address from this phone: say it."),
            ("<span>123 Main St", "Staff confirmed", "911 was given this address"),
        ),
        (
            emergency(conveyed="unproven"),
            ("Staff confirmed", "It is not proven that 911 sees this address: say it."),
            ("911 was given this address",),
        ),
        (
            emergency(conveyed="proven", differs=True),
            ("911 was given ANOTHER address: say where you are.",),
            ("911 was given this address",),
        ),
        (
            emergency(number="933", test=True),
            ("TEST CALL 933 - not an emergency", 'class="emergency testing"'),
            ("EMERGENCY CALL",),
        ),
        (
            emergency(phase="window", until=NOON + 240),
            ("The 911 call is over. They may call back: stay near and keep the phone free.", "until 06:04"),
            ("data-elapsed",),
        ),
        (
            emergency(again=cut_off("911")),
            ("The call was cut off on this side; 911 is being dialed again.", "EMERGENCY CALL 911"),
            (),
        ),
        (emergency(), ("EMERGENCY CALL 911",), ("cut off",)),
        (emergency(phase="callback"), ("it may be the dispatcher. Answer.",), ()),
    ],
)
def test_s2_s3_what_is_not_certain_is_never_shown_as_certain(
    tmp_path: Path, shown: Emergency, said: tuple[str, ...], unsaid: tuple[str, ...]
) -> None:
    async def scenario(control: FakeControl, client: Client) -> None:
        call(control, shown)
        page = await text_of(client, "/")
        aloud = page[page.index('data-part="interlock"') : page.index('data-part="alerts"')]
        assert [text for text in said if text not in aloud] == []
        assert [text for text in unsaid if text in aloud] == []

    play(tmp_path, scenario)


def test_every_open_page_shows_a_call_until_somebody_takes_it(tmp_path: Path) -> None:
    async def scenario(control: FakeControl, client: Client) -> None:
        call(control, emergency(), notice())
        for path in ("/", "/addresses", "/history", "/notices", "/addresses/new"):
            page = await text_of(client, path)
            assert "911 was dialed from front desk." in page, path
            assert 'name="id" value="notice1"' in page, path
        page = await text_of(client, "/addresses")
        assert '<noscript><meta http-equiv="refresh" content="15"></noscript>' in page
        assert "refresh" not in await text_of(client, "/addresses/new"), "what is being typed is not thrown away"
        status, where, _ = await post(client, "/notices/acknowledge", page, id="notice1")
        assert (status, where) == (303, "/")
        assert control.told[0].acknowledged_by == "local screen"
        after = await text_of(client, "/")
        assert "Acknowledged. Go and help." in after
        assert "911 was dialed from front desk." not in after

    play(tmp_path, scenario)


def test_a_call_reaches_open_pages_by_itself(tmp_path: Path) -> None:
    async def scenario(control: FakeControl, client: Client) -> None:
        await text_of(client, "/")
        async with client.get("/events") as stream:
            await next_event(stream)
            call(control, emergency(), notice(escalated_at=NOON))
            name, data = await next_event(stream)
            assert name == "parts"
            assert re.search(ALOUD, data)
            assert 'class="alert loud"' in data
            assert "Nobody has acknowledged this call. Go and look." in data

    play(tmp_path, scenario)


def test_s9_an_acknowledgement_needs_our_own_form(tmp_path: Path) -> None:
    async def scenario(control: FakeControl, client: Client) -> None:
        call(control, emergency(), notice())
        await text_of(client, "/")
        async with client.post("/notices/acknowledge", data={"id": "notice1", "csrf": "x" * 43}) as response:
            assert response.status == 403
        page = await text_of(client, "/")
        assert (await post(client, "/notices/acknowledge", page))[0] == 400
        assert (await post(client, "/notices/acknowledge", page, id="another"))[0] == 409
        assert control.told[0].open

    play(tmp_path, scenario)


def test_who_was_told_stands_in_the_list_with_what_failed(tmp_path: Path) -> None:
    async def scenario(control: FakeControl, client: Client) -> None:
        ways = (
            Delivery("webhook", delivered=True, detail=""),
            Delivery("email", delivered=False, detail="mail.example answered 550"),
        )
        control.told = (
            notice(
                deliveries=ways, ended_at=NOON, seconds=61.0, outcome="the caller hung up", open=False,
                acknowledged_at=NOON, acknowledged_by="cli", late=True,
            ),
            notice(id="t", test=True, number="933", headline="TEST: 933 was dialed.", open=False),
        )  # fmt: skip
        page = await text_of(client, "/notices")
        for text in (
            "Acknowledged 06:00 by cli", "mail.example answered 550", "Over since 06:00, 1 min 1 s of talk.",
            "the caller hung up", "This program was not running when it was dialed.", "TEST: 933 was dialed.",
        ):  # fmt: skip
            assert text in page
        control.tested = ways
        _, _, tested = await post(client, "/notices/test", page)
        assert "The test notice" in tested

    play(tmp_path, scenario)


def test_the_api_lists_acknowledges_and_tests(tmp_path: Path) -> None:
    async def scenario(control: FakeControl, client: Client) -> None:
        call(control, emergency(), notice())
        control.tested = (Delivery("command", delivered=True, detail="beep ended with status 0"),)
        async with client.get("/api/v1/status") as response:
            seen = await response.json()
            assert (seen["emergency"]["here"]["street"], seen["alerts"][0]["open"]) == (OFFICE.street, True)
        async with client.get("/api/v1/notices?limit=1") as response:
            assert [one["id"] for one in (await response.json())["notices"]] == ["notice1"]
        async with client.get("/api/v1/notices?limit=0") as response:
            assert response.status == 400
        await text_of(client, "/")
        cookies = {one.key: one.value for one in client.cookie_jar}
        headers = {"X-CSRF-Token": cookies["dialstack_csrf"]}
        async with client.post("/api/v1/notices/notice1/acknowledge", json={}) as response:
            assert response.status == 403
        async with client.post("/api/v1/notices/notice1/acknowledge", json={}, headers=headers) as response:
            assert (await response.json())["acknowledged_by"] == "local screen"
        async with client.post("/api/v1/notices/none/acknowledge", json={}, headers=headers) as response:
            assert (response.status, (await response.json())["error"]["code"]) == (409, "no_such_notice")
        async with client.post("/api/v1/notices/test", json={}, headers=headers) as response:
            assert (await response.json())["deliveries"][0]["channel"] == "command"

    play(tmp_path, scenario)

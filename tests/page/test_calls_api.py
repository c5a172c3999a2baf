"""Calls over HTTP: a thin front of the voice socket, from the device only, live, and never in front of 911."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from agent.callbook import CallList
from agent.refusals import PEER_HUNG_UP
from tests.page.calling import HERE, Parts, elsewhere
from tests.page.client import next_event
from tests.page.fake_control import NOON, OFFICE, FakeControl
from tests.page.link_world import LAPTOP, TECHNICIAN_PIN, World, play_link, sign_in
from tests.page.serving import make_server

Scenario = Callable[[Parts, aiohttp.ClientSession], Awaitable[None]]
JSON = {"Content-Type": "application/json"}


def play(folder: Path, scenario: Scenario, *, voice: bool = True) -> None:
    """Run a scenario on the Unix socket of a page with a telephone program behind it."""

    async def inside() -> None:
        parts = Parts(folder)
        if voice:
            await parts.voice.start()
        server = make_server(FakeControl(), folder, calling=parts.calling)
        await server.start()
        connector = aiohttp.UnixConnector(str(folder / "agent.sock"))
        try:
            async with aiohttp.ClientSession("http://localhost", connector=connector) as session:
                await scenario(parts, session)
        finally:
            await server.stop()
            parts.voice.stop()

    asyncio.run(inside())


async def post(session: aiohttp.ClientSession, path: str, body: object = None) -> tuple[int, Any]:
    async with session.post(f"/api/v1/calls{path}", data=json.dumps(body or {}), headers=JSON) as response:
        return response.status, await response.json()


async def listed(session: aiohttp.ClientSession) -> Any:
    async with session.get("/api/v1/calls") as response:
        return await response.json()


def test_a_call_is_placed_and_goes_on_by_itself(tmp_path: Path) -> None:
    async def scenario(parts: Parts, session: aiohttp.ClientSession) -> None:
        status, call = await post(session, "", {"to": "+14155550123", "record": "a.wav"})
        assert (status, call["number"], call["to"], call["state"]) == (201, 1, "+14155550123", "calling")
        (up,) = (await listed(session))["calls"]
        assert (up["call"], up["started_at"], up["answered_at"]) == (1, NOON, None)
        assert parts.voice.orders == [{"type": "call", "to": "+14155550123", "record": "a.wav"}]

    play(tmp_path, scenario)


@pytest.mark.parametrize("odd", [{"record": 5}, {"play": ["x"]}, {"from_the_future": {}}, {"record": None}])
def test_s1_nothing_odd_beside_the_number_stops_a_911_call(tmp_path: Path, odd: dict[str, Any]) -> None:
    async def scenario(parts: Parts, session: aiohttp.ClientSession) -> None:
        assert (await post(session, "", {"to": "911"} | odd))[0] == 201
        assert parts.voice.orders == [{"type": "call", "to": "911"}]

    play(tmp_path, scenario)


def test_s1_a_911_call_goes_out_while_the_agent_knows_nothing_of_the_telephone_program(tmp_path: Path) -> None:
    async def scenario(parts: Parts, session: aiohttp.ClientSession) -> None:
        parts.calling.book.on_voice(connected=False)
        assert (await post(session, "", {"to": "911"}))[0] == 201

    play(tmp_path, scenario)


def test_orders_reach_the_call_and_refusals_come_back_in_words(tmp_path: Path) -> None:
    async def scenario(parts: Parts, session: aiohttp.ClientSession) -> None:
        parts.voice.say(1, to="sip:+14155550123@example.com", direction="in", state="ringing")
        for path, body in (
            ("/1/answer", None), ("/1/hold", None), ("/1/resume", None), ("/1/dtmf", {"digits": "12#"}),
            ("/1/reject", {"busy": True}), ("/1/hangup", None), ("/hangup", None),
        ):  # fmt: skip
            assert await post(session, path, body) == (200, {"done": True})
        assert parts.voice.orders == [
            {"type": "answer", "call": 1}, {"type": "hold", "call": 1}, {"type": "resume", "call": 1},
            {"type": "dtmf", "call": 1, "digits": "12#"}, {"type": "reject", "call": 1, "busy": True},
            {"type": "hangup", "call": 1}, {"type": "hangup"},
        ]  # fmt: skip
        status, error = await post(session, "/1/answer")
        assert (status, error["error"]["code"]) == (409, "call_refused")
        assert "There is no such call." in error["error"]["happened"]
        status, error = await post(session, "", {"to": "hello there"})
        assert "neither a telephone number" in error["error"]["happened"]
        assert (await post(session, "", {"to": ""}))[0] == 400

    play(tmp_path, scenario)


def test_without_the_telephone_program_it_says_that_911_does_not_go_out(tmp_path: Path) -> None:
    async def scenario(_parts: Parts, session: aiohttp.ClientSession) -> None:
        status, error = await post(session, "", {"to": "911"})
        assert (status, error["error"]["code"]) == (503, "voice_not_running")
        assert "911 neither" in error["error"]["emergency"]

    play(tmp_path, scenario, voice=False)


def test_events_begin_with_all_calls_and_tell_each_change(tmp_path: Path) -> None:
    async def scenario(parts: Parts, session: aiohttp.ClientSession) -> None:
        parts.voice.say(1, to="933", emergency=True)
        async with session.get("/api/v1/calls/events") as stream:
            name, data = await next_event(stream)
            assert name == "calls"
            assert [one["to"] for one in json.loads(data)["calls"]] == ["933"]
            parts.voice.say(1, state="confirmed", code=200, sound={"rx_packets": 5, "tx_packets": 4})
            name, data = await next_event(stream)
            call = json.loads(data)
            assert (name, call["state"], call["test"], call["sound"]["rx_packets"]) == ("call", "confirmed", True, 5)
            parts.calling.book.on_voice(connected=False)
            name, data = await next_event(stream)
            assert (name, json.loads(data)["connected"], json.loads(data)["calls"]) == ("calls", False, [])

    play(tmp_path, scenario)


def test_a_reader_that_falls_behind_is_told_everything_anew(tmp_path: Path) -> None:
    async def inside() -> None:
        parts = Parts(tmp_path)
        changes = parts.calling.book.changes()
        await anext(changes)
        for packets in range(500):
            parts.voice.say(1, to="933", sound={"rx_packets": packets, "tx_packets": 0})
        first = await anext(changes)
        assert isinstance(first, CallList), "not the hundreds of changes that it missed"
        rest = [await anext(changes) for _ in range(500 % 101)]
        assert not any(isinstance(one, CallList) for one in rest)

    asyncio.run(inside())


def test_a_refused_call_tells_the_truth_on_the_api_and_the_page(tmp_path: Path) -> None:
    async def scenario(parts: Parts, session: aiohttp.ClientSession) -> None:
        elsewhere(parts.world, None)
        parts.voice.say(1, to="+14155550123", state="confirmed", code=200)
        parts.voice.say(1, state="ended", at=109.0, ended=PEER_HUNG_UP)
        (over,) = (await listed(session))["ended"]
        assert over["refusal"]["code"] == "no_address"
        assert "most likely because no emergency address is registered on this network" in over["refusal"]["happened"]
        assert "Say where this phone is" in over["refusal"]["todo"]
        (notice,) = parts.calling.notices()
        assert "most likely because no emergency address" in notice
        elsewhere(parts.world, OFFICE)
        parts.voice.say(2, to="+14155550123", state="ended", code=403)
        assert "123 Main St, Suite 400" in (await listed(session))["ended"][0]["refusal"]["happened"]
        parts.world.subject = HERE
        assert parts.calling.notices() == (), "the reason is gone"

    play(tmp_path, scenario)


def test_s9_from_the_link_nobody_calls_but_staff_make_the_test_call(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        browser = await world.browser()
        assert (await sign_in(browser, TECHNICIAN_PIN))[0] == 303
        async with browser.get("/api/v1/csrf") as response:
            token = (await response.json())["token"]
        headers = JSON | {"X-CSRF-Token": token}
        for method, path in (("POST", ""), ("GET", ""), ("GET", "/events"), ("POST", "/hangup"), ("POST", "/1/answer")):
            async with browser.request(
                method, f"/api/v1/calls{path}", data='{"to": "+14155550123"}', headers=headers
            ) as response:
                assert (response.status, (await response.json())["error"]["code"]) == (403, "calls_from_link"), path
        assert world.parts.voice.orders == []
        async with browser.post("/api/v1/test-calls", data="{}", headers=headers) as response:
            assert response.status == 202
            assert (await response.json())["running"]["who"] == f"technician at {LAPTOP}"

    play_link(tmp_path, scenario)


def test_a_script_on_the_page_gets_its_token_and_no_other_origin_does(tmp_path: Path) -> None:
    async def inside() -> None:
        parts = Parts(tmp_path)
        await parts.voice.start()
        server = make_server(FakeControl(), tmp_path, calling=parts.calling)
        await server.start()
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}", cookie_jar=jar) as session:
            async with session.get("/api/v1/csrf") as response:
                token = (await response.json())["token"]
                assert "Access-Control-Allow-Origin" not in response.headers
            for headers, status in ((JSON, 403), (JSON | {"X-CSRF-Token": token}, 201)):
                async with session.post("/api/v1/calls", data='{"to": "933"}', headers=headers) as response:
                    assert response.status == status
        await server.stop()
        parts.voice.stop()

    asyncio.run(inside())

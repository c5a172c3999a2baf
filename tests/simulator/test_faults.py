"""Faults on demand: each hits as many requests as it was told to, then things are as before."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from agent.simulator.core import SECRET_KEY
from tests.simulator.world import ADDRESSES, MAIN_STREET, World, run, world


async def _order(w: World, **fault: Any) -> None:
    answer = await w.rest("POST", "/control/faults", fault, base="control")
    assert answer.status == 201, answer


def test_a_429_carries_retry_after_and_does_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            token = await w.token()
            await _order(w, kind="status", path=f"POST {ADDRESSES}", status=429, retry_after=7)
            answer = await w.rest("POST", ADDRESSES, MAIN_STREET, key=token)
            assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
            assert answer.body == {"error": "Too many requests"}
            assert w.platform.addresses.of("user_1") == []
            assert (await w.rest("POST", ADDRESSES, MAIN_STREET, key=token)).status == 201

    run(main())


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_5xx_hits_exactly_the_requests_that_it_was_ordered_for(tmp_path: Path, status: int) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            token = await w.token()
            await _order(w, kind="status", path="* /v1/me/*", status=status, count=2)
            seen = [(await w.rest("GET", ADDRESSES, key=token)).status for _ in range(3)]
            assert seen == [status, status, 200]
            assert w.platform.log.count("fault", fault="status") == 2

    run(main())


@pytest.mark.parametrize("status", [200, 502])
def test_html_is_a_captive_portal_or_the_edge(tmp_path: Path, status: int) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            await _order(w, kind="html", path="GET *", status=status)
            answer = await w.rest("GET", ADDRESSES, key=await w.token())
            assert answer.status == status
            assert answer.headers["Content-Type"].startswith("text/html")
            assert "Guest Wi-Fi" in answer.body

    run(main())


def test_a_dropped_reply_leaves_its_effect(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            token = await w.token()
            await _order(w, kind="drop_reply", path=f"POST {ADDRESSES}")
            with pytest.raises(aiohttp.ClientConnectionError):
                await w.rest("POST", ADDRESSES, MAIN_STREET, key=token)
            assert len(w.platform.addresses.of("user_1")) == 1

    run(main())


def test_a_dropped_request_leaves_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            token = await w.token()
            await _order(w, kind="drop_request", path=f"POST {ADDRESSES}")
            with pytest.raises(aiohttp.ClientConnectionError):
                await w.rest("POST", ADDRESSES, MAIN_STREET, key=token)
            assert w.platform.addresses.of("user_1") == []

    run(main())


def test_a_hanging_request_gets_no_answer_and_is_cut_at_the_end(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            token = await w.token()
            await _order(w, kind="hang", path=f"POST {ADDRESSES}", seconds=0.2)
            before = w.platform.clock.monotonic()
            with pytest.raises(aiohttp.ClientConnectionError):
                await w.rest("POST", ADDRESSES, MAIN_STREET, key=token)
            assert w.platform.clock.monotonic() - before >= 0.2
            assert w.platform.addresses.of("user_1") == []

    run(main())


def test_latency_delays_and_combines_with_another_fault(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            token = await w.token()
            await _order(w, kind="status", path="GET *", status=503)
            await _order(w, kind="latency", path="GET *", seconds=0.2)
            before = w.platform.clock.monotonic()
            assert (await w.rest("GET", ADDRESSES, key=token)).status == 503
            assert w.platform.clock.monotonic() - before >= 0.2
            assert w.platform.faults.rows() == []

    run(main())


def test_the_token_endpoint_can_fail(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            await _order(w, kind="status", path="POST /v1/user_sessions", status=500)
            body = {"user": "user_1"}
            assert (await w.rest("POST", "/v1/user_sessions", body, key=SECRET_KEY)).status == 500
            assert (await w.rest("POST", "/v1/user_sessions", body, key=SECRET_KEY)).status == 201

    run(main())


def test_the_upgrade_can_fail(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            await _order(w, kind="html", path="WS upgrade", status=200)
            assert (await w.rest("GET", "/v1/webrtc")).body.startswith("<!DOCTYPE html>")

    run(main())


def test_one_network_changed_can_be_missing_and_the_next_late(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            await _order(w, kind="missing", path="WS network.changed")
            first = await w.session("emerg_unknown")
            assert await first.types_until_pong() == []
            await _order(w, kind="latency", path="WS network.changed", seconds=0.2)
            second = await w.session("emerg_unknown")
            assert await second.types_until_pong() == []
            assert await second.frame() == {"type": "network.changed"}

    run(main())


def test_other_frames_can_be_missing_too(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            await _order(w, kind="missing", path="WS authenticated")
            phone = await w.connect()
            await phone.send(type="ping")
            assert (await phone.frame())["type"] == "pong"

    run(main())


def test_faults_without_a_count_stay_until_they_are_cleared(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            await _order(w, kind="status", path="GET *", count=None)
            token = await w.token()
            assert {(await w.rest("GET", ADDRESSES, key=token)).status for _ in range(5)} == {503}
            (fault,) = (await w.rest("GET", "/control/faults", base="control")).body
            gone = await w.rest("DELETE", f"/control/faults/{fault['id']}", base="control")
            assert gone.status == 204
            assert (await w.rest("GET", ADDRESSES, key=token)).status == 200

    run(main())


def test_an_unknown_kind_of_fault_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            answer = await w.rest("POST", "/control/faults", {"kind": "earthquake"}, base="control")
            assert (answer.status, answer.body["error"]) == (400, "'earthquake' is not a valid FaultKind")
            answer = await w.rest("POST", "/control/faults", {"kind": "html", "where": "x"}, base="control")
            assert answer.status == 400

    run(main())


def test_requests_are_served_while_another_one_waits(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            token = await w.token()
            await _order(w, kind="latency", path="GET *", seconds=0.5)
            slow = asyncio.create_task(w.rest("GET", ADDRESSES, key=token))
            await w.happened("fault")
            assert (await w.rest("GET", ADDRESSES, key=token)).status == 200
            assert not slow.done()
            assert (await slow).status == 200

    run(main())

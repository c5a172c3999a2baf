"""WebSocketSignalling against a scripted platform: frames that the simulator never sends (platform.md 4.1)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web

from agent.dialstack.ports import Closed, Denied, Ended, Token
from agent.dialstack.signalling import SUBPROTOCOL
from agent.errors import Backoff, NeedsHuman, Retry
from tests.dialstack.bench import Line, client, refused, serving, session, talking
from tests.simulator.world import run

TOKEN = "sesame-open-sesame"
NOISE: list[str] = [
    "",
    "null",
    "[]",
    "5",
    "{",
    "{}",
    '{"type": 5}',
    '{"type": ["network.changed"]}',
    '{"type": null}',
    '{"type": "call.incoming", "call_id": "c", "from": "+14155550100"}',
    '{"type": "sdp.offer", "sdp": {}}',
    '{"type": "presence.snapshot"}',
    '{"type": "network.changed.soon"}',
    '{"type": "authenticated", "req_id": "somebody else", "user_id": "user_9"}',
    '{"type": "error", "code": "call_failed", "message": "x"}',
    '{"type": "error", "code": "auth_failed", "req_id": "somebody else"}',
    "[" * 5000,
]


@pytest.mark.parametrize("noise", NOISE, ids=lambda text: text[:40])
def test_what_is_not_for_us_is_ignored(noise: str) -> None:
    async def script(line: Line) -> None:
        request = await line.hear()
        await line.socket.send_str(noise)
        await line.socket.send_bytes(b"\x00\xff")
        await line.say(type="authenticated", user_id="user_1", req_id=request["req_id"])
        await line.socket.send_str(noise)
        while True:
            ping = await line.hear()
            await line.socket.send_str(noise)
            await line.say(type="pong", req_id=ping["req_id"])

    async def main() -> None:
        async with talking(script) as served, client(served.url, TOKEN) as rest, session(rest, TOKEN, "e_1") as opened:
            assert await opened.check()
            assert await opened.check()
            assert (opened.user_id, opened.alive, opened.denied) == ("user_1", True, False)
            first = {"type": "authenticate", "req_id": "req_1", "token": TOKEN, "emergency_address_id": "e_1"}
            assert served.frames[0] == first

    run(main())


@pytest.mark.parametrize(
    "more",
    [{}, {"req_id": None}, {"req_id": "req_2"}, {"req_id": "x"}, {"req_id": 5}, {"code": None}, {"fatal": "no"},
     {"message": 1, "user_id": []}],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("early", [True, False])
def test_s6_network_changed_is_heard_whatever_else_stands_in_it(more: dict[str, Any], *, early: bool) -> None:
    """`req_2` is the request that is under way when it comes."""

    async def script(line: Line) -> None:
        await line.hear()
        if early:
            await line.say(type="network.changed", **more)
        await line.say(type="authenticated", user_id="user_1")
        await line.hear()
        if not early:
            await line.say(type="network.changed", **more)
        await line.say(type="auth.refreshed")
        await line.silence()

    async def main() -> None:
        async with talking(script) as served, client(served.url, TOKEN) as rest, session(rest, TOKEN, "e_1") as opened:
            assert opened.denied == early
            await opened.refresh(Token("fresh", None, None))
            assert opened.denied
            assert await anext(aiter(opened.events())) == Denied()

    run(main())


@pytest.mark.parametrize("req_id", ["req_2", None, "x"])
def test_a_fatal_error_during_a_refresh_ends_the_session_by_its_code(req_id: str | None) -> None:
    async def script(line: Line) -> None:
        await line.hear()
        await line.say(type="authenticated", user_id="user_1")
        await line.hear()
        await line.say(type="error", code="auth_expired", message="Too late.", fatal=True, req_id=req_id)

    async def main() -> None:
        async with talking(script) as served, client(served.url, TOKEN) as rest, session(rest, TOKEN) as opened:
            error = await refused(opened.refresh(Token("fresh", None, None)))
            assert (type(error), error.code) == (NeedsHuman, "token_refused")
            assert [event async for event in opened.events()] == [Closed(Ended.TOKEN, "auth_expired: Too late.")]

    run(main())


def test_the_connection_ends_during_a_refresh() -> None:
    async def script(line: Line) -> None:
        await line.hear()
        await line.say(type="authenticated", user_id="user_1")
        await line.hear()

    async def main() -> None:
        async with talking(script) as served, client(served.url, TOKEN) as rest, session(rest, TOKEN) as opened:
            error = await refused(opened.refresh(Token("fresh", None, None)))
            assert (type(error), error.code) == (Retry, "connection_lost")

    run(main())


@pytest.mark.parametrize(
    ("frame", "kind", "code"),
    [
        ({"code": "auth_failed"}, NeedsHuman, "token_refused"),
        ({"code": "auth_expired", "fatal": True}, NeedsHuman, "token_refused"),
        ({"code": "session_revoked", "fatal": True, "req_id": "x"}, NeedsHuman, "token_refused"),
        ({"code": "invalid_message"}, NeedsHuman, "present_refused"),
        ({"code": "emergency_address_required"}, NeedsHuman, "present_refused"),
        ({"code": "session_replaced", "fatal": True}, NeedsHuman, "session_replaced"),
        ({"code": "session_limit", "fatal": True}, Backoff, "session_limit"),
        ({"code": "rate_limited"}, Backoff, "rate_limited"),
        ({"code": "internal_error", "fatal": True}, Backoff, "internal_error"),
        ({"fatal": True}, Backoff, "signalling_error"),
    ],
    ids=str,
)
def test_each_error_during_the_sign_in(frame: dict[str, Any], kind: type[Exception], code: str) -> None:
    async def script(line: Line) -> None:
        await line.hear()
        await line.say(type="error", **{"message": "Because.", **frame})
        await line.silence()

    async def main() -> None:
        async with talking(script) as served, client(served.url, TOKEN) as rest:
            error = await refused(session(rest, TOKEN, "e_1").__aenter__())
            assert (type(error), error.code) == (kind, code)

    run(main())


def test_a_close_during_the_sign_in_is_a_lost_connection() -> None:
    async def script(line: Line) -> None:
        await line.hear()

    async def main() -> None:
        async with talking(script) as served, client(served.url, TOKEN) as rest:
            assert (await refused(session(rest, TOKEN).__aenter__())).code == "connection_lost"

    run(main())


def test_a_cancelled_sign_in_leaves_nothing_behind() -> None:
    ended = asyncio.Event()
    begun = asyncio.Event()

    async def script(line: Line) -> None:
        await line.hear()
        begun.set()
        await line.silence()
        ended.set()

    async def main() -> None:
        async with talking(script) as served, client(served.url, TOKEN) as rest:
            opening = asyncio.ensure_future(session(rest, TOKEN).__aenter__())
            await begun.wait()
            opening.cancel()
            await asyncio.wait({opening})
            assert opening.cancelled()
            await ended.wait()

    run(main())


@pytest.mark.parametrize("status", [301, 302, 307])
def test_s10_a_redirected_upgrade_is_not_followed_and_the_token_stays(status: int) -> None:
    async def script(line: Line) -> None:
        await line.hear()
        await line.say(type="authenticated", user_id="user_1")
        await line.silence()

    async def main() -> None:
        async with talking(script) as portal:

            async def answer(_: web.Request) -> web.StreamResponse:
                return web.Response(status=status, headers={"Location": portal.url + "/v1/webrtc"})

            async with serving(answer) as served, client(served.url, TOKEN) as rest:
                error = await refused(session(rest, TOKEN).__aenter__())
                assert error.code == "captive_portal"
                assert (portal.requests, portal.frames) == ([], [])

    run(main())


def test_the_upgrade_names_protocol_and_program() -> None:
    async def script(line: Line) -> None:
        await line.hear()
        await line.say(type="authenticated", user_id="user_1")
        await line.silence()

    async def main() -> None:
        async with talking(script) as served, client(served.url, TOKEN) as rest, session(rest, TOKEN):
            [request] = served.requests
            assert request.path == "/v1/webrtc"
            assert request.headers["Sec-WebSocket-Protocol"] == SUBPROTOCOL == "dialstack.webrtc.v1"
            assert request.headers["User-Agent"].startswith("dialstack-agent/")
            assert served.secrets() == []

    run(main())

"""Platform.md 4.1 to 4.5, case by case, over a real WebSocket."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest

from agent.simulator.core import Platform
from tests.simulator.world import SUBPROTOCOL, FakeClock, Phone, run, world

UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


def test_platform_4_1_the_subprotocol_is_required_and_confirmed(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            refused = await w.rest(
                "GET", "/v1/webrtc", headers=UPGRADE | {"Sec-WebSocket-Protocol": "dialstack.webrtc.v2"}
            )
            assert refused.status == 400
            assert refused.body == {"error": "The subprotocol dialstack.webrtc.v1 is required"}
            client, url = await w.client(), w.simulator.urls["signalling"]
            socket = await client.ws_connect(url, protocols=("dialstack.webrtc.v2", SUBPROTOCOL))
            assert socket.protocol == SUBPROTOCOL

    run(main())


def test_platform_4_1_a_handshake_without_user_agent_is_403(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            headers = UPGRADE | {"Sec-WebSocket-Protocol": SUBPROTOCOL}
            assert (await w.rest("GET", "/v1/webrtc", headers=headers | {"User-Agent": ""})).status == 403

    run(main())


def test_platform_4_1_a_plain_get_is_no_upgrade(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            answer = await w.rest("GET", "/v1/webrtc", headers={"Sec-WebSocket-Protocol": SUBPROTOCOL})
            assert (answer.status, answer.body) == (426, {"error": "A WebSocket upgrade is required"})

    run(main())


def test_platform_4_1_the_first_frame_must_be_authenticate(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            phone = await w.open()
            await phone.send(type="ping", req_id="r")
            frame = await phone.frame()
            assert (frame["type"], frame["code"], frame["fatal"]) == ("error", "auth_failed", True)
            assert await phone.frame() == {"type": "closed", "code": 1000}

    run(main())


def test_platform_4_2_authenticated_names_user_and_account_and_echoes_the_req_id(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            phone = await w.connect(user="user_2")
            assert await phone.frame() == {
                "type": "authenticated",
                "user_id": "user_2",
                "account_id": "acct_2",
                "reconnected": False,
                "req_id": "req_1",
            }

    run(main())


def test_platform_4_2_replies_may_lack_the_req_id(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, behavior={"echo_req_id": False}) as w:
            phone = await w.connect()
            assert "req_id" not in await phone.frame()
            await phone.send(type="ping", req_id="p")
            assert await phone.frame() == {"type": "pong"}

    run(main())


def test_platform_4_2_ping_is_answered_with_pong_and_unknown_types_with_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            phone = await w.session()
            await phone.send(type="presence.subscribe", req_id="x")
            await phone.send(type="ping", req_id="p")
            assert await phone.frame() == {"type": "pong", "req_id": "p"}

    run(main())


@pytest.mark.parametrize("text", ["{", "[]", '{"no": "type"}', '{"type": 4}'])
def test_platform_4_3_nonsense_is_a_non_fatal_invalid_message(tmp_path: Path, text: str) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            phone = await w.session()
            await phone.socket.send_str(text)
            frame = await phone.frame()
            assert (frame["code"], frame.get("fatal")) == ("invalid_message", None)
            assert await phone.types_until_pong() == []

    run(main())


def test_platform_4_3_a_bad_token_is_auth_failed_then_the_server_closes(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, behavior={"close_code": 4001}) as w:
            phone = await w.open()
            await phone.send(type="authenticate", req_id="a", token="a.b.c")
            frame = await phone.frame()
            assert (frame["code"], frame["fatal"], frame["req_id"]) == ("auth_failed", True, "a")
            assert await phone.frame() == {"type": "closed", "code": 4001}

    run(main())


def test_platform_4_3_a_revoked_token_is_session_revoked(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            token = await w.token()
            w.platform.revoke("user_1")
            phone = await w.open()
            await phone.send(type="authenticate", token=token)
            assert (await phone.frame())["code"] == "session_revoked"

    run(main())


def test_platform_1_2_revocation_tears_a_socket_down_at_its_next_call_event(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            phone = await w.session()
            await w.rest("POST", "/control/revoke", {"user": "user_1"}, base="control")
            assert await phone.types_until_pong() == []
            await phone.send(type="call.create", destination="933", sdp="")
            frame = await phone.frame()
            assert (frame["code"], frame["fatal"]) == ("session_revoked", True)

    run(main())


def test_platform_1_2_revocation_may_tear_sockets_down_at_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, behavior={"revoke_at_once": True}) as w:
            phone, other = await w.session(), await w.session(user="user_2")
            await w.rest("POST", "/control/revoke", {"user": "user_1"}, base="control")
            assert (await phone.frame())["code"] == "session_revoked"
            assert await other.types_until_pong() == []

    run(main())


def test_platform_4_3_a_second_authenticate_is_an_invalid_message(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            phone = await w.session()
            await phone.send(type="authenticate", req_id="again", token=await w.token())
            frame = await phone.frame()
            assert (frame["code"], frame["req_id"]) == ("invalid_message", "again")

    run(main())


def test_platform_4_3_at_the_cap_the_oldest_session_is_replaced(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, behavior={"session_cap": 2}) as w:
            first, second = await w.session(), await w.session()
            third = await w.session()
            frame = await first.frame()
            assert (frame["code"], frame["fatal"]) == ("session_replaced", True)
            assert (await first.frame())["type"] == "closed"
            assert await second.types_until_pong() == []
            assert await third.types_until_pong() == []
            await w.session(user="user_2")

    run(main())


def test_platform_4_3_at_the_cap_the_new_session_may_be_refused(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, behavior={"session_cap": 1, "at_cap": "refuse"}) as w:
            first = await w.session()
            number = await w.address()
            second = await w.connect(number)
            frame = await second.frame()
            assert (frame["code"], frame["fatal"]) == ("session_limit", True)
            assert await first.types_until_pong() == []
            assert await w.anchor(number) is None

    run(main())


def test_platform_4_3_going_away_is_fatal(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            phone = await w.session()
            await w.rest("POST", "/control/push", {"user": "user_1", "what": "going_away"}, base="control")
            frame = await phone.frame()
            assert (frame["code"], frame["fatal"]) == ("going_away", True)

    run(main())


def test_platform_4_4_the_server_pings_and_a_silent_peer_gets_idle_timeout(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, ping_interval=0.05, pong_wait=0.1) as w:
            client = await w.client()
            url = w.simulator.urls["signalling"]
            socket = await client.ws_connect(url, protocols=(SUBPROTOCOL,), autoping=False)
            assert (await socket.receive(timeout=5)).type is aiohttp.WSMsgType.PING
            phone = Phone(socket)
            message = await socket.receive(timeout=5)
            assert message.json()["code"] == "idle_timeout"
            assert message.json()["fatal"] is True
            assert (await phone.frame())["type"] == "closed"

    run(main())


def test_platform_4_4_a_peer_that_answers_pings_stays(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, ping_interval=0.02, pong_wait=1.0) as w:
            client = await w.client()
            socket = await client.ws_connect(w.simulator.urls["signalling"], protocols=(SUBPROTOCOL,), autoping=False)
            for _ in range(5):
                message = await socket.receive(timeout=5)
                assert message.type is aiohttp.WSMsgType.PING
                await socket.pong(message.data)

    run(main())


def test_platform_4_4_every_reconnect_is_a_new_verdict(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            number = await w.address()
            for _ in range(3):
                await (await w.session(number)).close()
            assert w.platform.log.count("present", address=number) == 3

    run(main())


def test_platform_4_5_auth_refresh_adopts_the_new_token_and_does_not_bind_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            number = await w.address()
            phone = await w.session(number)
            await phone.send(type="auth.refresh", req_id="r", token=await w.token(ttl_seconds=604_800))
            assert await phone.frame() == {"type": "auth.refreshed", "req_id": "r"}
            assert w.platform.log.count("present") == 1

    run(main())


def test_platform_4_5_a_refused_refresh_is_not_fatal(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            phone = await w.session()
            for token in ("a.b.c", await w.token("user_2")):
                await phone.send(type="auth.refresh", req_id="r", token=token)
                frame = await phone.frame()
                assert (frame["code"], frame["req_id"], frame.get("fatal")) == ("auth_failed", "r", None)
            assert await phone.types_until_pong() == []

    run(main())


def test_platform_4_5_a_missed_refresh_is_a_fatal_auth_expired() -> None:
    clock = FakeClock()
    platform = Platform(clock)
    platform.add_user("user_1")
    session = platform.signalling.open("203.0.113.7")
    token = platform.mint({"user": "user_1", "ttl_seconds": 60})["client_secret"]
    assert platform.signalling.receive(session.id, {"type": "authenticate", "token": token})[0].close is False
    clock.now += 30
    fresh = platform.mint({"user": "user_1", "ttl_seconds": 60})["client_secret"]
    platform.signalling.receive(session.id, {"type": "auth.refresh", "token": fresh})
    clock.now += 45
    assert platform.tick() == []
    clock.now += 16
    (send,) = platform.tick()
    assert (send.frame["code"], send.frame["fatal"], send.close) == ("auth_expired", True, True)
    assert platform.signalling.live() == []


def test_platform_4_2_an_idle_socket_rings(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            phone = await w.session()
            await w.rest("POST", "/control/push", {"user": "user_1", "what": "call.incoming"}, base="control")
            frame = await phone.frame()
            assert (frame["type"], frame["from"], frame["to"]) == ("call.incoming", "+14155550100", "user_1")
            await phone.send(type="call.reject", call_id=frame["call_id"], reason="busy")
            assert await phone.types_until_pong() == []

    run(main())


def test_platform_4_4_a_cut_socket_ends_the_session_without_a_goodbye(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            phone = await w.session()
            await w.rest("POST", "/control/cut", {"user": "user_1"}, base="control")
            assert await phone.frame() == {"type": "closed", "code": 1006}
            await w.happened("session", what="close", why="transport_closed")
            await asyncio.sleep(0)
            assert w.platform.signalling.live() == []

    run(main())


@pytest.mark.parametrize(("scope", "allowed"), [("user", True), ("channel", False)])
def test_platform_5_the_gate_looks_at_the_user_or_at_the_channel(tmp_path: Path, scope: str, *, allowed: bool) -> None:
    async def main() -> None:
        async with world(tmp_path, behavior={"gate_scope": scope}) as w:
            await w.session(await w.address())
            assert w.platform.may_call("user_1", "4155550100", "127.0.0.1", "sip") is allowed
            assert w.platform.may_call("user_1", "4155550100", "127.0.0.1", "signalling")
            assert not w.platform.may_call("user_1", "4155550100", "127.0.7.2", "signalling")
            assert not w.platform.may_call("user_2", "4155550100", "127.0.0.1", "signalling")

    run(main())

"""Platform.md 1.2 and 1.3, case by case, over real HTTP."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from pathlib import Path

import pytest

from agent.simulator.core import SECRET_KEY
from tests.simulator.world import ADDRESSES, FakeClock, run, world


def _claims(token: str) -> dict[str, object]:
    body = token.split(".")[1]
    claims: dict[str, object] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return claims


def test_platform_1_2_mint_answers_201_with_a_jwt_whose_sub_and_exp_are_right(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            answer = await w.rest("POST", "/v1/user_sessions", {"user": "user_1", "ttl_seconds": 600}, key=SECRET_KEY)
            assert answer.status == 201
            assert answer.body["user"] == "user_1"
            assert answer.body["account"] == "acct_1"
            claims = _claims(answer.body["client_secret"])
            expires = datetime.fromisoformat(answer.body["expires_at"]).timestamp()
            assert answer.body["expires_at"].endswith("Z")
            assert claims["sub"] == "user_1"
            assert claims["exp"] == pytest.approx(expires, abs=0.01)
            assert expires == pytest.approx(w.platform.clock.wall() + 600, abs=5)

    run(main())


def test_platform_1_2_ttl_defaults_to_a_day(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            claims = _claims(await w.token())
            assert claims["exp"] == pytest.approx(w.platform.clock.wall() + 86_400, abs=5)

    run(main())


@pytest.mark.parametrize("status", [400, 422])
def test_platform_1_2_ttl_above_seven_days_is_rejected_with_the_status_of_behavior(tmp_path: Path, status: int) -> None:
    async def main() -> None:
        async with world(tmp_path, behavior={"ttl_status": status, "refusal_shape": "documented"}) as w:
            body = {"user": "user_1", "ttl_seconds": 604_801}
            answer = await w.rest("POST", "/v1/user_sessions", body, key=SECRET_KEY)
            assert answer.status == status
            assert answer.body["details"] == {"ttl_seconds": "must be at most 604800"}
            week = await w.rest("POST", "/v1/user_sessions", body | {"ttl_seconds": 604_800}, key=SECRET_KEY)
            assert week.status == 201

    run(main())


def test_platform_1_2_unknown_user_is_404_user_not_found(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            answer = await w.rest("POST", "/v1/user_sessions", {"user": "user_9"}, key=SECRET_KEY)
            assert (answer.status, answer.body) == (404, {"error": "User not found"})

    run(main())


def test_platform_1_2_minting_needs_the_secret_key(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            body = {"user": "user_1"}
            assert (await w.rest("POST", "/v1/user_sessions", body)).status == 401
            assert (await w.rest("POST", "/v1/user_sessions", body, key="sk_test_wrong")).status == 401
            assert (await w.rest("POST", "/v1/user_sessions", body, key=await w.token())).status == 403

    run(main())


def test_platform_1_2_revocation_kills_every_token_minted_before_it_and_none_after(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            old, other = await w.token(), await w.token("user_2")
            answer = await w.rest("POST", "/v1/users/user_1/revoke_sessions", {}, key=SECRET_KEY)
            assert answer.status == 200
            assert answer.body["user"] == "user_1"
            assert answer.body["sessions_revoked_at"].endswith("Z")
            assert (await w.rest("GET", ADDRESSES, key=old)).status == 401
            assert (await w.rest("GET", ADDRESSES, key=other)).status == 200
            assert (await w.rest("GET", ADDRESSES, key=await w.token())).status == 200

    run(main())


def test_platform_1_2_revoking_an_unknown_user_is_404(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            answer = await w.rest("POST", "/v1/users/user_9/revoke_sessions", {}, key=SECRET_KEY)
            assert answer.status == 404

    run(main())


def test_platform_1_2_an_expired_token_is_401() -> None:
    from agent.simulator.core import Platform
    from agent.simulator.refusal import Refusal

    clock = FakeClock()
    platform = Platform(clock)
    platform.add_user("user_1")
    token = platform.mint({"user": "user_1", "ttl_seconds": 60})["client_secret"]
    clock.now += 59.9
    assert platform.claims(token).user == "user_1"
    clock.now += 0.2
    with pytest.raises(Refusal, match=r"^The token has expired\.$") as caught:
        platform.claims(token)
    assert caught.value.status == 401


def test_platform_1_2_a_forged_token_is_401(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            head, _, signature = (await w.token()).split(".")
            forged = base64.urlsafe_b64encode(b'{"sub":"user_2","account":"a","exp":9e9,"jti":9}').decode().rstrip("=")
            answer = await w.rest("GET", ADDRESSES, key=f"{head}.{forged}.{signature}")
            assert (answer.status, answer.body) == (401, {"error": "The token is not valid."})

    run(main())


def test_platform_1_3_every_answer_carries_a_fresh_request_id(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            first = await w.rest("GET", ADDRESSES)
            second = await w.rest("GET", "/v1/nowhere")
            assert first.headers["X-Request-Id"].startswith("req_")
            assert first.headers["X-Request-Id"] != second.headers["X-Request-Id"]
            assert (second.status, second.body) == (404, {"error": "Not Found"})

    run(main())


def test_platform_1_1_a_secret_key_has_no_access_to_me(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            assert (await w.rest("GET", ADDRESSES, key=SECRET_KEY)).status == 403

    run(main())


def test_platform_4_2_ice_servers_need_a_user_token(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            answer = await w.rest("GET", "/v1/webrtc/ice-servers", key=await w.token())
            assert answer.status == 200
            assert answer.body["ice_servers"]
            assert answer.body["expires_at"].endswith("Z")
            assert (await w.rest("GET", "/v1/webrtc/ice-servers")).status == 401

    run(main())

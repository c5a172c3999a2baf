"""Tokens from a file, a command and an endpoint, in time on clocks that step (platform.md 1.2, failures 11, 24)."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from agent.config.settings import PlatformSettings, TokenSettings
from agent.dialstack import tokens as module
from agent.dialstack.ports import Token
from agent.dialstack.rest import RestClient
from agent.dialstack.tokens import EARLY, Tokens, parse
from agent.errors import AgentError, NeedsHuman, Retry
from tests.dialstack.bench import Clock, Served, jwt, refused, serving
from tests.simulator.world import ADDRESSES, run, world


async def _no_post(url: str, secret: str | None) -> tuple[Mapping[str, str], bytes]:
    raise AssertionError(f"{url} {secret}")


def from_file(path: Path, clock: Clock | None = None, user: str = "") -> Tokens:
    return Tokens(TokenSettings(source="file", file=path, user=user), clock or Clock(), _no_post)


def from_command(*command: str, clock: Clock | None = None) -> Tokens:
    return Tokens(TokenSettings(source="command", command=command), clock or Clock(), _no_post)


def python(code: str) -> tuple[str, str, str]:
    return (sys.executable, "-c", code)


# ------------------------------------------------------------------ parse


def test_the_lifetime_of_a_token_is_the_most_trustworthy_one() -> None:
    clock = Clock()
    wall, boot = int(clock.unix), clock.boot
    dated = {"Date": "Tue, 24 Nov 2026 01:00:00 GMT"}
    minted = json.dumps({"client_secret": "opaque", "expires_at": "2026-11-24T01:10:00.000Z"})
    later = json.dumps({"client_secret": "opaque", "expires_at": "2026-05-28T21:26:40Z"})
    cases: list[tuple[str, Mapping[str, str] | None, float | None]] = [
        ("opaque", None, None),
        ("a.b.c", None, None),
        (jwt(sub="user_1"), None, None),
        (jwt(exp=wall + 900), None, 900.0),
        (jwt(exp=wall + 900, iat=wall - 900), None, 900.0),
        (minted, dated, 600.0),
        (later, None, 1_780_003_600.0 - clock.unix),
        (json.dumps({"client_secret": jwt(exp=wall + 900), "expires_at": "nonsense"}), dated, 900.0),
        (json.dumps({"client_secret": "opaque", "expires_at": "nonsense"}), dated, None),
        (json.dumps({"client_secret": "opaque", "expires_at": "2026-11-24T01:10:00"}), dated, None),
    ]
    for text, headers, lifetime in cases:
        expected = None if lifetime is None else boot + lifetime
        assert parse(f" {text}\n", clock, headers).expires_at == expected, text


def test_without_a_clock_a_new_token_lives_as_long_as_it_was_minted_for() -> None:
    clock = Clock()
    clock.unix = 1000.0  # 1970: no clock was set yet
    assert parse(jwt(exp=5_000_000_900, iat=5_000_000_000), clock).expires_at == clock.boot + 900
    assert parse(jwt(exp=5_000_000_900), clock).expires_at is None


@pytest.mark.parametrize(
    ("claims", "user"), [({"sub": "user_7"}, "user_7"), ({"sub": "acct_7"}, None), ({"sub": 7}, None), ({}, None)]
)
def test_the_user_of_a_token(claims: dict[str, Any], user: str | None) -> None:
    assert parse(jwt(**claims), Clock()).user == user


@pytest.mark.parametrize(
    "text", ["", " \n", "{}", "{", '{"client_secret": 5}', "two words", "tök.en", "a\x00b", "a\nb"]
)
def test_what_is_no_token_is_told_and_tried_again(text: str) -> None:
    with pytest.raises(Retry) as caught:
        parse(text, Clock())
    assert caught.value.code == "token_source"


def test_s10_a_token_is_never_shown() -> None:
    token = Token("sesame", "user_1", 5.0)
    assert f"{token} {token!r} {[token]}" == "Token(user='user_1', expires_at=5.0) " * 2 + "[" + repr(token) + "]"


# ------------------------------------------------------------------ file


def test_a_token_is_read_once_and_again_before_it_expires(tmp_path: Path) -> None:
    async def main() -> None:
        clock, path = Clock(), tmp_path / "token"
        tokens = from_file(path, clock)
        first, second = jwt(exp=clock.unix + 900), jwt(exp=clock.unix + 9000)
        path.write_text(first + "\n")
        assert (await tokens.get()).secret == first
        path.write_text(second)
        clock.advance(900 - EARLY - 1)
        assert (await tokens.get()).secret == first
        clock.advance(1)
        assert (await tokens.get()).secret == second

    asyncio.run(main())


@pytest.mark.parametrize("step", [-86400.0 * 365, 86400.0 * 365])
def test_a_clock_step_neither_expires_nor_prolongs_a_token(tmp_path: Path, step: float) -> None:
    async def main() -> None:
        clock, path = Clock(), tmp_path / "token"
        tokens = from_file(path, clock)
        first = jwt(exp=clock.unix + 900)
        path.write_text(first)
        await tokens.get()
        path.write_text("second")
        clock.unix += step
        assert (await tokens.get()).secret == first
        clock.mono -= 50  # and what counts is the clock that runs through a suspend
        clock.boot += 900 - EARLY
        assert (await tokens.get()).secret == "second"

    asyncio.run(main())


def test_a_token_that_is_still_good_outlives_its_source(tmp_path: Path) -> None:
    async def main() -> None:
        clock, path = Clock(), tmp_path / "token"
        tokens = from_file(path, clock)
        first = jwt(exp=clock.unix + 900)
        path.write_text(first)
        await tokens.get()
        path.unlink()
        clock.advance(900 - EARLY)
        assert (await tokens.get()).secret == first
        clock.advance(EARLY)
        assert (await refused(tokens.get())).code == "secret_missing"

    asyncio.run(main())


def test_a_missing_then_an_expired_then_a_good_file(tmp_path: Path) -> None:
    async def main() -> None:
        clock, path = Clock(), tmp_path / "token"
        tokens = from_file(path, clock)
        error = await refused(tokens.get())
        assert (type(error), error.code) == (NeedsHuman, "secret_missing")
        assert error.happened == f"The secret token is missing: {path} is not there or empty."
        path.write_text(jwt(exp=clock.unix - 1))
        error = await refused(tokens.get())
        assert (type(error), error.code, error.happened) == (NeedsHuman, "token_expired", "The token has expired.")
        path.write_bytes(b"\xff\xfe")
        assert (await refused(tokens.get())).code == "secret_unreadable"
        path.write_text(jwt(exp=clock.unix + 900))
        assert (await tokens.get()).expires_at == clock.boot + 900

    asyncio.run(main())


def test_a_refused_token_is_read_again_and_the_same_one_is_an_answer(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "token"
        tokens = from_file(path)
        path.write_text("first")
        first = await tokens.get()
        path.write_text("second")
        second = await tokens.renew(first)
        assert second.secret == "second"
        assert (await tokens.renew(first)).secret == "second"  # a follower shares what was read
        error = await refused(tokens.renew(second))
        assert (type(error), error.code) == (NeedsHuman, "token_expired")
        assert error.happened == "The platform refused the token, and its source gives no other one."
        path.write_text("third")
        assert (await tokens.get()).secret == "third"

    asyncio.run(main())


def test_s11_a_token_that_was_refused_is_not_offered_again_at_once(tmp_path: Path) -> None:
    """Failure 16: looking at the file is free, offering the same token again is hammering."""

    async def main() -> None:
        clock, path = Clock(), tmp_path / "token"
        async with world(tmp_path) as here:
            path.write_text(await here.token())
            here.platform.revoke("user_1")
            rest = RestClient(PlatformSettings(api=here.simulator.urls["api"]), from_file(path, clock))
            for _ in range(6):
                assert (await refused(rest.list())).code == "token_expired"
                clock.advance(module.REFUSED_HOLD / 6)
            assert here.platform.log.count("request", path=ADDRESSES) == 1
            assert (await refused(rest.list())).code == "token_expired"  # the 401 may have been a mistake
            assert here.platform.log.count("request", path=ADDRESSES) == 2
            path.write_text(await here.token())
            assert await rest.list() == ()  # a new one is taken at once
            await rest.close()

    run(main())


def test_the_token_of_another_user_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "token"
        path.write_text(jwt(sub="user_2"))
        error = await refused(from_file(path, user="user_1").get())
        assert (type(error), error.code) == (NeedsHuman, "token_other_user")
        assert error.happened == "The token belongs to user_2, but this device is user_1."
        path.write_text("opaque")
        assert (await from_file(path, user="user_1").get()).user is None

    asyncio.run(main())


# ------------------------------------------------------------------ command


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("import sys; print('x'); sys.exit(3)", "ended with status 3"),
        ("import os; os.abort()", "ended with status -6"),
        ("print('x' * 10_000_000)", "printed more than 64 KiB"),
        ("while True: print('x' * 65536)", "printed more than 64 KiB"),
    ],
)
def test_a_command_that_fails_is_told(code: str, what: str) -> None:
    async def main() -> None:
        error = await refused(from_command(*python(code)).get())
        assert (type(error), error.code) == (Retry, "token_source")
        assert error.happened == f"The token command {sys.executable} {what}."

    run(main())


def test_a_command_that_is_not_there() -> None:
    error = asyncio.run(refused(from_command("/nonexistent/mint").get()))
    assert error.happened == "The token command /nonexistent/mint cannot be started: No such file or directory."


def test_a_command_that_hangs_is_ended_with_its_children(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "COMMAND_TIMEOUT", 0.5)
    pipe = tmp_path / "held"

    async def main() -> None:
        os.mkfifo(pipe)
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        gone = asyncio.Event()
        error = await refused(from_command("sh", "-c", f"sleep 1000 > {pipe} & sleep 1000 > {pipe}; :").get())
        assert error.happened == "The token command sh did not end within 0.5 s."
        asyncio.get_running_loop().add_reader(reader, gone.set)  # readable: nobody holds its other end any more
        async with asyncio.timeout(5):
            await gone.wait()
        asyncio.get_running_loop().remove_reader(reader)
        os.close(reader)

    run(main())


def test_a_command_may_print_its_token_in_pieces() -> None:
    code = "import os; [os.write(1, b'abc') for _ in range(3)]; os.write(1, b'x' * 5000); os.fsync"
    secret = asyncio.run(from_command(*python(code)).get()).secret
    assert secret == "abc" * 3 + "x" * 5000


def test_a_command_may_take_a_breath() -> None:
    code = "import os, threading; os.write(1, b'abc'); threading.Event().wait(0.2); os.write(1, b'def')"
    assert asyncio.run(from_command(*python(code)).get()).secret == "abcdef"


# ------------------------------------------------------------------ endpoint


def _endpoint(served: Served, tmp_path: Path, clock: Clock | None = None) -> tuple[Tokens, RestClient]:
    secret = tmp_path / "endpoint-secret"
    secret.write_text("sesame\n")
    rest = RestClient(PlatformSettings(api="http://127.0.0.1:9", timeout=1.0), None)
    settings = TokenSettings(source="endpoint", endpoint=f"{served.url}/mint", endpoint_secret_file=secret)
    return Tokens(settings, clock or Clock(), rest.post_for_token), rest


def test_an_endpoint_is_asked_once_by_many_and_its_date_counts(tmp_path: Path) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        body = {"client_secret": "minted", "user": "user_1", "expires_at": "2026-11-24T02:00:00Z"}
        return web.json_response(body, status=201, headers={"Date": "Tue, 24 Nov 2026 01:00:00 GMT"})

    async def main() -> None:
        clock = Clock()
        async with serving(answer) as served:
            tokens, rest = _endpoint(served, tmp_path, clock)
            found = await asyncio.gather(*(tokens.get() for _ in range(5)))
            assert {(token.secret, token.expires_at) for token in found} == {("minted", clock.boot + 3600)}
            assert (len(served.requests), served.secrets()) == (1, ["Bearer sesame"])
            await rest.close()

    run(main())


def test_s11_a_token_that_lives_shorter_than_the_lead_is_not_minted_for_each_request(tmp_path: Path) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        body = {"client_secret": f"minted{len(served[0].requests)}", "expires_at": "2026-11-24T01:00:50Z"}
        return web.json_response(body, headers={"Date": "Tue, 24 Nov 2026 01:00:00 GMT"})

    served: list[Served] = []

    async def main() -> None:
        clock = Clock()
        async with serving(answer) as here:
            served.append(here)
            tokens, rest = _endpoint(here, tmp_path, clock)
            for _ in range(20):
                await tokens.get()
            assert len(here.requests) == 1
            clock.advance(49)
            assert (await tokens.get()).secret == "minted2"
            await rest.close()

    run(main())


@pytest.mark.parametrize(
    ("status", "text", "kind", "code"),
    [
        (200, "<html>sign in</html>", "text/html", "token_source"),
        (200, "{}", "application/json", "token_source"),
        (404, "{}", "application/json", "token_source"),
        (401, "{}", "application/json", "token_source"),
        (422, '{"error": "no"}', "application/json", "token_source"),
        (503, "", "text/plain", "server_error"),
        (302, "", "text/plain", "captive_portal"),
    ],
)
def test_an_endpoint_that_fails(tmp_path: Path, status: int, text: str, kind: str, code: str) -> None:
    """An endpoint's 401 is no verdict on the phone's token, its 404 none on an address."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=text, content_type=kind)

    async def main() -> None:
        async with serving(answer) as served:
            tokens, rest = _endpoint(served, tmp_path)
            error: AgentError = await refused(tokens.get())
            assert error.code == code
            assert "sesame" not in str(error)
            await rest.close()

    run(main())

"""WebSocketSignalling against the simulator: the id, the verdict, the token, the end (platform.md 4)."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from agent.config.settings import PlatformSettings
from agent.dialstack import signalling as module
from agent.dialstack.ports import Closed, Denied, Ended, Token
from agent.dialstack.signalling import WebSocketSession, signalling_url
from agent.errors import AgentError, Backoff, NeedsHuman, Retry
from tests.dialstack.bench import client, refused, session
from tests.simulator.world import HOME, World, run, world


@pytest.mark.parametrize(
    ("api", "signalling", "url"),
    [
        ("https://api.dialstack.ai", "", "wss://webrtc.dialstack.ai/v1/webrtc"),
        ("https://api.dev.dialstack.ai", "", "wss://webrtc.dev.dialstack.ai/v1/webrtc"),
        ("https://api.dialstack.ai:8443", "", "wss://webrtc.dialstack.ai:8443/v1/webrtc"),
        ("https://api.dialstack.ai/base", "", "wss://webrtc.dialstack.ai/base/v1/webrtc"),
        ("https://api.dialstack.ai/base/", "", "wss://webrtc.dialstack.ai/base/v1/webrtc"),
        ("https://api.dialstack.ai/v1/webrtc", "", "wss://webrtc.dialstack.ai/v1/webrtc"),
        ("https://dialstack.ai", "", "wss://dialstack.ai/v1/webrtc"),
        ("https://myapi.dialstack.ai", "", "wss://myapi.dialstack.ai/v1/webrtc"),
        ("https://api", "", "wss://api/v1/webrtc"),
        ("http://127.0.0.1:8080", "", "ws://127.0.0.1:8080/v1/webrtc"),
        ("http://[::1]:8080", "", "ws://[::1]:8080/v1/webrtc"),
        ("https://API.dialstack.ai", "", "wss://webrtc.dialstack.ai/v1/webrtc"),
        ("https://api.dialstack.ai", "wss://elsewhere/x", "wss://elsewhere/x"),
    ],
)
def test_the_url_is_derived_from_the_apis(api: str, signalling: str, url: str) -> None:
    assert signalling_url(PlatformSettings(api=api, signalling=signalling)) == url


async def events_until_closed(opened: WebSocketSession) -> list[Denied | Closed]:
    return [event async for event in opened.events()]


async def next_event(opened: WebSocketSession) -> Denied | Closed:
    return await anext(aiter(opened.events()))


def deliver_network_changed(here: World) -> None:
    here.simulator.hub.deliver(here.platform.push_network_changed("user_1"))


# ------------------------------------------------------------------ presenting


def test_the_id_is_presented_and_latched(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as here, client(here.simulator.urls["api"], "unused") as rest:
            number = await here.address()
            async with session(rest, await here.token(), number) as opened:
                assert (opened.presented_id, opened.user_id) == (number, "user_1")
                assert (opened.alive, opened.denied, await opened.check()) == (True, False, True)
                assert await here.anchor(number) == "127.0.0.1"
                [live] = here.platform.signalling.live("user_1")
                assert (live.presented, live.bound) == (number, number)
            await here.happened("session", what="close")
            assert not opened.alive

    run(main())


def test_presenting_nothing_binds_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            world(tmp_path) as here,
            client(here.simulator.urls["api"], "unused") as rest,
            session(rest, await here.token()) as opened,
        ):
            assert opened.presented_id is None
            [live] = here.platform.signalling.live("user_1")
            assert (live.presented, live.bound) == (None, None)

    run(main())


@pytest.mark.parametrize("first", [True, False], ids=["before authenticated", "after authenticated"])
@pytest.mark.parametrize("delay", [0.0, 0.1])
@pytest.mark.parametrize("echo", [True, False], ids=["req_id", "no req_id"])
def test_s6_network_changed_is_heard_whenever_it_comes(
    tmp_path: Path, *, first: bool, delay: float, echo: bool
) -> None:
    behavior = {"network_changed_first": first, "network_changed_delay": delay, "echo_req_id": echo}

    async def main() -> None:
        async with world(tmp_path, behavior=behavior) as here, client(here.simulator.urls["api"], "unused") as rest:
            number = await here.address()
            await here.session(number, source=HOME)  # anchored at home
            async with session(rest, await here.token(), number) as opened:
                if first and not delay:
                    assert opened.denied
                assert await next_event(opened) == Denied()
                assert (opened.denied, opened.alive, opened.presented_id) == (True, True, number)

    run(main())


def test_s6_network_changed_is_heard_at_any_later_time(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as here, client(here.simulator.urls["api"], "unused") as rest:
            number = await here.address()
            async with session(rest, await here.token(), number) as opened:
                assert await opened.check()
                assert not opened.denied
                deliver_network_changed(here)
                assert await next_event(opened) == Denied()
                assert opened.denied

    run(main())


def test_a_verdict_that_never_comes_leaves_the_session_undenied(tmp_path: Path) -> None:
    """Which is why an undenied session alone proves nothing (S2)."""

    async def main() -> None:
        async with world(tmp_path, behavior={"network_changed_missing": True}) as here:
            number = await here.address()
            await here.session(number, source=HOME)
            async with (
                client(here.simulator.urls["api"], "unused") as rest,
                session(rest, await here.token(), number) as opened,
            ):
                assert await opened.check()
                assert not opened.denied
                assert await here.anchor(number) == HOME

    run(main())


@pytest.mark.parametrize("echo", [True, False])
@pytest.mark.parametrize("answer", ["error", "fatal"])
def test_an_address_that_the_platform_refuses_by_an_error(tmp_path: Path, answer: str, *, echo: bool) -> None:
    async def main() -> None:
        async with (
            world(tmp_path, behavior={"deleted_id": answer, "echo_req_id": echo}) as here,
            client(here.simulator.urls["api"], "unused") as rest,
        ):
            token = await here.token()
            error = await refused(session(rest, token, "emerg_gone").__aenter__())
            assert (type(error), error.code) == (NeedsHuman, "present_refused")
            assert error.happened == "The platform refused the address (invalid_message: bad address)."
            assert token not in str(error)

    run(main())


# ------------------------------------------------------------------ signing in


@pytest.mark.parametrize("echo", [True, False])
def test_a_token_that_is_refused(tmp_path: Path, *, echo: bool) -> None:
    async def main() -> None:
        async with world(tmp_path, behavior={"echo_req_id": echo}) as here:
            revoked = await here.token()
            here.platform.revoke("user_1")
            async with client(here.simulator.urls["api"], "unused") as rest:
                for secret, code in (("nonsense", "auth_failed"), (revoked, "session_revoked")):
                    error = await refused(session(rest, secret).__aenter__())
                    assert (type(error), error.code) == (NeedsHuman, "token_refused")
                    assert code in error.happened
                    assert secret not in str(error)

    run(main())


def test_no_room_for_another_session_is_tried_again_later(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, behavior={"session_cap": 1, "at_cap": "refuse"}) as here:
            await here.session()
            async with client(here.simulator.urls["api"], "unused") as rest:
                error = await refused(session(rest, await here.token()).__aenter__())
                assert (type(error), error.code) == (Backoff, "session_limit")

    run(main())


def test_a_sign_in_without_an_answer_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AUTHENTICATED_WAIT", 0.1)

    async def main() -> None:
        async with world(tmp_path) as here, client(here.simulator.urls["api"], "unused") as rest:
            here.platform.faults.set("missing", "WS authenticated")
            error = await refused(session(rest, await here.token()).__aenter__())
            assert (type(error), error.code) == (Retry, "timeout")
            await here.happened("session", what="close")  # and leaves no session behind

    run(main())


UPGRADES: list[tuple[str, dict[str, object], type[AgentError], str, float | None]] = [
    ("status", {"status": 429, "retry_after": 7}, Backoff, "server_error", 7.0),
    ("status", {"status": 503, "retry_after": 9}, Backoff, "server_error", 9.0),
    ("status", {"status": 500}, Backoff, "server_error", None),
    ("status", {"status": 403}, Backoff, "request_refused", None),
    ("html", {"status": 200}, Retry, "captive_portal", None),
    ("html", {"status": 502}, Backoff, "server_error", None),
    ("drop_request", {}, Retry, "connection_lost", None),
    ("hang", {"seconds": 30.0}, Retry, "timeout", None),
]


@pytest.mark.parametrize(("kind", "fields", "error_type", "code", "wait"), UPGRADES)
def test_an_upgrade_that_fails(  # noqa: PLR0917 - one row of the table
    tmp_path: Path, kind: str, fields: dict[str, object], error_type: type[AgentError], code: str, wait: float | None
) -> None:
    async def main() -> None:
        async with world(tmp_path) as here, client(here.simulator.urls["api"], "unused", timeout=0.3) as rest:
            here.platform.faults.set(kind, "WS upgrade", count=None, **fields)  # type: ignore[arg-type]
            error = await refused(session(rest, await here.token()).__aenter__())
            assert (type(error), error.code) == (error_type, code)
            assert getattr(error, "retry_after", None) == wait
            here.platform.faults.clear()
            async with session(rest, await here.token()) as opened:
                assert opened.alive

    run(main())


# ------------------------------------------------------------------ the end

ENDS = {
    "auth_failed": Ended.TOKEN,
    "auth_expired": Ended.TOKEN,
    "session_revoked": Ended.TOKEN,
    "session_replaced": Ended.REPLACED,
    "idle_timeout": Ended.LOST,
    "session_limit": Ended.LOST,
    "slow_consumer": Ended.LOST,
    "going_away": Ended.LOST,
    "internal_error": Ended.LOST,
    "something_new": Ended.LOST,
}


@pytest.mark.parametrize("code", ENDS)
def test_a_fatal_error_ends_the_session_by_its_code(tmp_path: Path, code: str) -> None:
    async def main() -> None:
        async with (
            world(tmp_path) as here,
            client(here.simulator.urls["api"], "unused") as rest,
            session(rest, await here.token()) as opened,
        ):
            [live] = here.platform.signalling.live("user_1")
            here.simulator.hub.deliver(here.platform.signalling.end(live.id, code, "Ordered."))
            assert await events_until_closed(opened) == [Closed(ENDS[code], f"{code}: Ordered.")]
            assert (opened.alive, await opened.check()) == (False, False)
            error = await refused(opened.refresh(Token("fresh", None, None)))
            assert error.code == "connection_lost"

    run(main())


def test_a_newer_session_takes_the_slot(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            world(tmp_path, behavior={"session_cap": 1}) as here,
            client(here.simulator.urls["api"], "unused") as rest,
            session(rest, await here.token()) as first,
            session(rest, await here.token()) as second,
        ):
            [end] = await events_until_closed(first)
            assert isinstance(end, Closed)
            assert end.how is Ended.REPLACED
            assert second.alive

    run(main())


def test_a_cut_connection_is_lost(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            world(tmp_path) as here,
            client(here.simulator.urls["api"], "unused") as rest,
            session(rest, await here.token()) as opened,
        ):
            here.simulator.hub.abort([live.id for live in here.platform.signalling.live("user_1")])
            assert await events_until_closed(opened) == [Closed(Ended.LOST, "the connection was lost")]

    run(main())


def test_closing_is_heard_by_the_platform_and_twice_is_fine(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            world(tmp_path) as here,
            client(here.simulator.urls["api"], "unused") as rest,
            session(rest, await here.token()) as opened,
        ):
            await opened.close()
            await opened.close()
            assert await events_until_closed(opened) == [Closed(Ended.LOST, "closed here")]
            await here.happened("session", what="close")

    run(main())


# ------------------------------------------------------------------ the token in-band


@pytest.mark.parametrize("echo", [True, False])
def test_a_new_token_is_handed_over_without_a_new_verdict(tmp_path: Path, *, echo: bool) -> None:
    async def main() -> None:
        async with world(tmp_path, behavior={"echo_req_id": echo}) as here:
            number = await here.address()
            async with (
                client(here.simulator.urls["api"], "unused") as rest,
                session(rest, await here.token(), number) as opened,
            ):
                await opened.refresh(Token(await here.token(), None, None))
                assert here.platform.log.count("present") == 1
                for secret in ("nonsense", await here.token("user_2")):
                    error = await refused(opened.refresh(Token(secret, None, None)))
                    assert (type(error), error.code) == (NeedsHuman, "token_refused")
                    assert secret not in str(error)
                assert await opened.check()  # the session lives on with the token it has

    run(main())


def test_a_new_token_without_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REFRESH_WAIT", 0.1)

    async def main() -> None:
        async with (
            world(tmp_path) as here,
            client(here.simulator.urls["api"], "unused") as rest,
            session(rest, await here.token()) as opened,
        ):
            here.platform.faults.set("missing", "WS auth.refreshed")
            error = await refused(opened.refresh(Token(await here.token(), None, None)))
            assert (type(error), error.code) == (Retry, "timeout")
            assert opened.alive

    run(main())


# ------------------------------------------------------------------ alive


def test_silence_after_a_ping_is_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIVENESS", 0.1)

    async def main() -> None:
        async with (
            world(tmp_path) as here,
            client(here.simulator.urls["api"], "unused") as rest,
            session(rest, await here.token(), ping_interval=0.05) as opened,
        ):
            pinged = await here.happened("send", type="pong")
            here.platform.faults.set("missing", "WS pong", count=None)
            expected = Closed(Ended.LOST, "nothing was heard from the platform")
            assert await events_until_closed(opened) == [expected]
            assert pinged is not None

    run(main())


def test_any_frame_is_a_sign_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIVENESS", 0.2)

    async def main() -> None:
        async with (
            world(tmp_path) as here,
            client(here.simulator.urls["api"], "unused") as rest,
            session(rest, await here.token()) as opened,
        ):
            here.platform.faults.set("missing", "WS pong", count=None)
            assert not await opened.check()
            checking = asyncio.ensure_future(opened.check())
            await here.happened("frame", type="ping")
            call = {"call_id": "call_1", "from": "+14155550100", "from_name": "Noise", "to": "user_1"}
            while not checking.done():
                here.simulator.hub.deliver(here.platform.signalling.incoming("user_1", call))
                await asyncio.sleep(0)
            assert await checking
            assert not opened.denied

    run(main())


def test_s10_the_token_is_in_no_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def main() -> None:
        async with world(tmp_path) as here, client(here.simulator.urls["api"], "unused") as rest:
            first, second = await here.token(), await here.token()
            caplog.clear()
            async with session(rest, first) as opened:
                await opened.refresh(Token(second, None, None))
            assert first not in caplog.text
            assert second not in caplog.text
            assert first not in repr(opened.__dict__)

    run(main())

"""What becomes of REST answers that are none, of refused tokens, and of secrets (platform.md 2.4, S10)."""

from __future__ import annotations

import asyncio
import logging
import socket
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from agent.dialstack.rest import RestClient
from agent.errors import AddressGone, AgentError, Backoff, NeedsHuman, Retry
from tests.dialstack.bench import CIVIC, client, refused, serving
from tests.simulator.world import ADDRESSES, run, world

SECRET = "sesame-open-sesame"


FAULTS: list[tuple[dict[str, Any], type[AgentError], str]] = [
    ({"kind": "status", "status": 429, "retry_after": 7}, Backoff, "rate_limited"),
    ({"kind": "status", "status": 429}, Backoff, "rate_limited"),
    ({"kind": "status", "status": 500}, Backoff, "server_error"),
    ({"kind": "status", "status": 502}, Backoff, "server_error"),
    ({"kind": "status", "status": 503, "retry_after": 7}, Backoff, "server_error"),
    ({"kind": "status", "status": 409}, NeedsHuman, "request_refused"),
    ({"kind": "status", "status": 404}, AddressGone, "address_gone"),
    ({"kind": "html", "status": 200}, Retry, "captive_portal"),
    ({"kind": "html", "status": 502}, Backoff, "server_error"),
    ({"kind": "html", "status": 403}, Retry, "bad_answer"),
    ({"kind": "html", "status": 404}, Retry, "bad_answer"),
    ({"kind": "drop_request"}, Retry, "connection_lost"),
    ({"kind": "drop_reply"}, Retry, "connection_lost"),
    ({"kind": "hang", "seconds": 30}, Retry, "timeout"),
]


@pytest.mark.parametrize(("fault", "kind", "code"), FAULTS, ids=str)
def test_each_fault_has_its_kind_of_error(
    tmp_path: Path, fault: dict[str, Any], kind: type[AgentError], code: str
) -> None:
    async def main() -> None:
        async with world(tmp_path) as here:
            number = await here.address()
            patience = 0.3 if code == "timeout" else 30.0
            async with client(here.simulator.urls["api"], await here.token(), timeout=patience) as rest:
                here.platform.faults.set(path=f"GET {ADDRESSES}/*", count=None, **fault)
                error = await refused(rest.get(number))
                here.platform.faults.clear()
                assert (type(error), error.code) == (kind, code)
                if isinstance(error, Backoff):
                    assert error.retry_after == fault.get("retry_after")
                assert (await rest.get(number)).id == number  # and the client is as good as new

    run(main())


def test_a_sign_in_page_is_named_as_one(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as here, client(here.simulator.urls["api"], await here.token()) as rest:
            here.platform.faults.set("html", "GET *", status=200)
            assert str(await refused(rest.list())) == (
                "This network shows a sign-in page instead of letting the phone reach the platform. 911 calls may not "
                "get through this network either. Sign the device in to this network, or plug it into another one."
            )

    run(main())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_the_token_stays(status: int) -> None:
    async def other(_: web.Request) -> web.StreamResponse:
        return web.json_response({"data": []})

    async def main() -> None:
        async with serving(other) as portal:

            async def answer(_: web.Request) -> web.StreamResponse:
                return web.Response(status=status, headers={"Location": portal.url + "/login"})

            async with serving(answer) as served, client(served.url, SECRET) as rest:
                assert (await refused(rest.list())).code == "captive_portal"
                assert portal.requests == []

    run(main())


def test_a_closed_port_is_unreachable() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    async def main() -> None:
        async with client(f"http://127.0.0.1:{port}", SECRET) as rest:
            error = await refused(rest.list())
            assert (type(error), error.code) == (Retry, "unreachable")
            assert error.happened.startswith("The platform at 127.0.0.1 cannot be reached: ")

    run(main())


@pytest.mark.parametrize(
    "failure",
    [
        socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
        socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
        socket.gaierror(socket.EAI_NODATA, "No address associated with hostname"),
    ],
)
def test_a_name_that_cannot_be_looked_up_is_told_apart(
    monkeypatch: pytest.MonkeyPatch, failure: socket.gaierror
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise failure

    async def main() -> None:
        async with client("http://api.dialstack.test", SECRET) as rest:
            monkeypatch.setattr(socket, "getaddrinfo", fail)
            error = await refused(rest.list())
            assert (type(error), error.code) == (Retry, "dns")
            assert error.happened == "The platform's host name api.dialstack.test cannot be looked up."

    run(main())


def test_a_new_path_leaves_from_its_own_address(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as here, client(here.simulator.urls["api"], await here.token()) as rest:
            for source in ("127.0.0.1", "127.0.7.2"):
                await rest.use_path(source)
                await rest.list()
                assert here.platform.log.entries("request")[-1].fields["source"] == source

    run(main())


# ------------------------------------------------------------------ tokens


def test_a_refused_token_is_renewed_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as here:
            old = await here.token()
            here.platform.revoke("user_1")
            async with client(here.simulator.urls["api"], old, await here.token()) as rest:
                assert await rest.list() == ()
                codes = [entry.fields["status"] for entry in here.platform.log.entries("request", path=ADDRESSES)]
                assert codes == [401, 200]

    run(main())


@pytest.mark.parametrize("status", [401, 403])
def test_a_second_refusal_is_an_answer(tmp_path: Path, status: int) -> None:
    async def main() -> None:
        async with (
            world(tmp_path) as here,
            client(here.simulator.urls["api"], await here.token(), await here.token(), "third") as rest,
        ):
            here.platform.faults.set("status", f"GET {ADDRESSES}", status=status, count=None)
            error = await refused(rest.list())
            assert (type(error), error.code) == (NeedsHuman, "token_refused")
            assert here.platform.log.count("request", path=ADDRESSES) == 2

    run(main())


def test_without_a_token_source_nothing_is_sent(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as here, client(here.simulator.urls["api"], SECRET) as rest:
            rest.tokens = None
            assert (await refused(rest.list())).code == "no_token_source"
            assert here.platform.log.count("request") == 0

    run(main())


async def _everything(rest: RestClient) -> list[AgentError]:
    works = [rest.list(), rest.get("emerg_1"), rest.ensure(CIVIC), rest.delete("emerg_1"), rest.clear("emerg_1")]
    return [error for error in await asyncio.gather(*works, return_exceptions=True) if isinstance(error, AgentError)]


@pytest.mark.parametrize("fault", [fault for fault, *_ in FAULTS[:-1]], ids=str)
def test_s10_the_token_is_in_no_text_and_no_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, fault: dict[str, Any]
) -> None:
    caplog.set_level(logging.DEBUG)

    async def main() -> None:
        async with world(tmp_path) as here:
            token = await here.token()
            caplog.clear()
            async with client(here.simulator.urls["api"], token) as rest:
                here.platform.faults.set(count=None, **fault)
                errors: list[BaseException | None] = [*await _everything(rest)]
                assert errors
                while error := errors.pop():
                    assert token not in f"{error!s} {error!r} {getattr(error, '__dict__', '')}"
                    errors = [*errors, error.__cause__] if error.__cause__ else errors or [None]
            assert token not in caplog.text

    run(main())

"""Clients that misbehave and sockets that are taken cannot disturb."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from agent.config.settings import PageSettings
from agent.errors import NeedsHuman
from agent.page.access import door, guard
from agent.page.access.sockets import listen_tcp
from tests.page.client import Client, play, post, text_of, token_in
from tests.page.fake_control import FakeControl
from tests.page.serving import make_server, serving


def test_an_oversized_body_gets_a_sentence(tmp_path: Path) -> None:
    async def scenario(_control: FakeControl, client: Client) -> None:
        page = await text_of(client, "/addresses/new")
        status, _, body = await post(client, "/addresses/new", page, street="x" * 20_000)
        assert status == 413
        assert "larger than 16 KiB" in body

        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(30):
                yield b"x" * 1000

        async with client.post(
            "/confirm", data=chunks(), headers={"Content-Type": "application/x-www-form-urlencoded"}
        ) as response:
            assert response.status == 413

    play(tmp_path, scenario)


@pytest.mark.parametrize("body", [b"\xff=1", b"csrf=%ff", b"&".join(b"a=1" for _ in range(99))])
def test_malformed_forms_get_a_sentence(body: bytes, tmp_path: Path) -> None:
    async def scenario(_control: FakeControl, client: Client) -> None:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        async with client.post("/confirm", data=body, headers=headers) as response:
            assert response.status == 400
            assert "The form is malformed." in await response.text()
        async with client.post("/confirm", data=b"{}", headers={"Content-Type": "text/plain"}) as response:
            assert response.status == 415

    play(tmp_path, scenario)


def test_an_unexpected_exception_is_a_page_with_a_sentence_and_no_details(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(control: FakeControl, client: Client) -> None:
        control.log = [None]  # type: ignore[list-item]
        page = await text_of(client, "/history", 500)
        assert "911 and 933 still go out." in page
        assert "Traceback" not in page
        await text_of(client, "/")

    play(tmp_path, scenario)
    assert "request failed: GET /history" in caplog.text


def test_a_silent_client_is_dropped_and_too_many_are_turned_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "FIRST_REQUEST", 0.05)
    monkeypatch.setattr(door, "MAX_CONNECTIONS", 3)

    async def inside() -> None:
        async with serving(FakeControl(), tmp_path) as (server, _):
            silent = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(3)]
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            assert (await reader.readline()).startswith(b"HTTP/1.1 503")
            writer.close()
            await writer.wait_closed()
            for reader, writer in silent:
                async with asyncio.timeout(5):
                    assert await reader.read() == b""
                writer.close()
                await writer.wait_closed()

    asyncio.run(inside())


def test_a_slow_body_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "BODY_TIMEOUT", 0.05)

    async def inside() -> None:
        async with serving(FakeControl(), tmp_path) as (server, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(
                b"POST /confirm HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n"
                b"Content-Type: application/x-www-form-urlencoded\r\n\r\nslow"
            )
            assert (await reader.readline()).startswith(b"HTTP/1.1 408")
            writer.close()
            await writer.wait_closed()

    asyncio.run(inside())


def test_a_port_in_use_is_said_clearly_and_the_unix_socket_works(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def inside() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            server = make_server(FakeControl(), tmp_path, port)
            await server.start()
            assert server.port is None
            assert server.problem is not None
            assert f"127.0.0.1 port {port}: another program uses that port." in server.problem.happened
            connector = aiohttp.UnixConnector(str(tmp_path / "agent.sock"))
            async with (
                aiohttp.ClientSession(connector=connector) as client,
                client.get("http://localhost/api/v1/status") as response,
            ):
                assert response.status == 200
            await server.stop()
            await server.stop()

    asyncio.run(inside())
    assert "another program uses that port" in caplog.text


def test_the_unix_socket_has_its_mode_replaces_a_dead_one_and_never_a_living_one(tmp_path: Path) -> None:
    async def inside() -> None:
        path = tmp_path / "agent.sock"
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
        server, second = make_server(FakeControl(), tmp_path), make_server(FakeControl(), tmp_path)
        await server.start()
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        with pytest.raises(NeedsHuman, match="Another agent already answers"):
            await second.start()
        await server.stop()
        assert not path.exists()

    asyncio.run(inside())


def test_the_page_opens_on_loopback_only() -> None:
    assert PageSettings().listen == "127.0.0.1"
    with pytest.raises(NeedsHuman, match="not an address of this device alone"):
        asyncio.run(listen_tcp("0.0.0.0", 0, asyncio.Protocol))


def test_requests_far_ahead_of_their_answers_end_the_connection(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Debian's aiohttp keeps any number of them: a neighbor without a PIN could take all memory."""

    async def inside() -> None:
        async with serving(FakeControl(), tmp_path) as (server, client):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            request = b"GET /static/page.css HTTP/1.1\r\nHost: localhost\r\n\r\n"
            writer.write(request * 3)
            heard = await reader.readuntil(b"\r\n\r\n")
            assert heard.startswith(b"HTTP/1.1 200"), "a few are answered, one after the other"
            for _ in range(3):
                writer.write(request * 1000)
                with contextlib.suppress(ConnectionError):
                    while await reader.read(65536):
                        pass
                writer.close()
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.close()
            await text_of(client, "/")

    asyncio.run(inside())
    assert caplog.text.count("sent more than 8 requests at once: it was ended") == 1, "not once for each"


def test_a_packed_body_is_not_unpacked(tmp_path: Path) -> None:
    """300 KB of it would be 300 MB."""

    async def scenario(_control: FakeControl, client: Client) -> None:
        page = await text_of(client, "/addresses/new")
        packed = gzip.compress(b"csrf=" + token_in(page).encode())
        for kind in ("gzip", "deflate", "br", "zstd"):
            headers = {"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": kind}
            async with client.post("/confirm", data=packed, headers=headers) as response:
                assert response.status == 400
                assert "The form is malformed." in await response.text()

    play(tmp_path, scenario)


@pytest.mark.parametrize("body", [b"ZZ\r\nabc\r\n", b"5\r\nabc", b"-1\r\n\r\n", b"5;\x00\r\nabcdefgh\r\n"])
def test_a_body_in_broken_chunks_gets_a_sentence_and_no_traceback(
    body: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def inside() -> None:
        async with serving(FakeControl(), tmp_path) as (server, client):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(
                b"POST /confirm HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
                b"Content-Type: application/x-www-form-urlencoded\r\n\r\n" + body
            )
            writer.write_eof()
            heard = await reader.read(65536)
            assert heard == b"" or heard.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4")), heard[:80]
            writer.close()
            await text_of(client, "/")

    asyncio.run(inside())
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("path", ["/events", "/api/v1/events", "/api/v1/calls/events"])
def test_a_stream_has_no_head(path: str, tmp_path: Path) -> None:
    async def scenario(_control: FakeControl, client: Client) -> None:
        async with client.head(path) as response:
            assert response.status == 405

    play(tmp_path, scenario)

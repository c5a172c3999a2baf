"""RestClient against the simulator over loopback, with its faults (platform.md 2)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from agent.errors import AddressGone, AddressRefused, NeedsHuman, Retry
from agent.simulator.log import Entry
from tests.dialstack.bench import CIVIC, ELSEWHERE, client, refused, serving
from tests.simulator.world import ADDRESSES, World, run, world

SECRET = "sesame-open-sesame"
GONE = "911 goes out without a location until an address is confirmed."


def creations(here: World) -> int:
    return here.platform.log.count("write", what="create")


def posts(here: World) -> list[Entry]:
    return here.platform.log.entries("request", method="POST", path=ADDRESSES)


# ------------------------------------------------------------------ list


@pytest.mark.parametrize("count", [0, 25, 250])
def test_all_pages_of_the_saved_addresses_are_read(tmp_path: Path, count: int) -> None:
    async def main() -> None:
        async with world(tmp_path) as here, client(here.simulator.urls["api"], await here.token()) as rest:
            body = {"street": "Main St", "city": "San Francisco", "state": "CA", "postal_code": "94105"}
            for number in range(1, count + 1):
                here.platform.create_address("user_1", body | {"address_number": str(number)})
            found = await rest.list()
            assert [item.civic.address_number for item in found] == [str(n) for n in range(count, 0, -1)]
            assert len({item.id for item in found}) == count

    run(main())


def test_an_answer_that_arrives_in_pieces_is_read_to_its_end() -> None:
    item = {"id": "emerg_1", "address": {"city": "x" * 4000, "state": "CA", "postal_code": "94105"}}
    body = msgspec.json.encode({"data": [item] * 150, "next_page_url": None})
    assert len(body) > 512 * 1024  # more than the kernel hands over at once

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type="application/json")

    async def main() -> None:
        async with serving(answer) as served, client(served.url, SECRET) as rest:
            assert len(await rest.list()) == 150

    run(main())


def test_an_answer_without_end_is_not_read_without_end() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        try:
            while True:
                await response.write(b" " * 65536)
        except ConnectionError:
            return response

    async def main() -> None:
        async with serving(answer) as served, client(served.url, SECRET, timeout=5.0) as rest:
            error = await refused(rest.list())
            assert (type(error), error.code) == (Retry, "bad_answer")

    run(main())


@pytest.mark.parametrize(
    "form", ["{other}/v1/next", "//{netloc}/v1/next", "https://{netloc}/v1/next", "http://x@{own}/"]
)
def test_a_list_that_continues_on_another_host_is_not_followed(form: str) -> None:
    async def other(_: web.Request) -> web.StreamResponse:
        return web.json_response({"data": []})

    async def main() -> None:
        async with serving(other) as foreign:
            pages: list[str] = []

            async def answer(_: web.Request) -> web.StreamResponse:
                return web.json_response({"data": [], "next_page_url": pages[0]})

            async with serving(answer) as served, client(served.url, SECRET) as rest:
                netloc, own = foreign.url.removeprefix("http://"), served.url.removeprefix("http://")
                pages.append(form.format(other=foreign.url, netloc=netloc, own=own))
                error = await refused(rest.list())
                assert isinstance(error, NeedsHuman)
                assert error.code == "foreign_page"
                assert error.todo == "Check platform.api in the configuration."
                assert (len(served.requests), foreign.requests) == (1, [])

    run(main())


# ------------------------------------------------------------------ ensure


def test_a_saved_address_is_reused_in_any_spelling(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as here, client(here.simulator.urls["api"], await here.token()) as rest:
            first = await rest.ensure(CIVIC)
            again = await rest.ensure(CIVIC)
            assert again.id == first.id
            assert creations(here) == 1

    run(main())


@pytest.mark.parametrize("idempotency", ["honor", "ignore"])
@pytest.mark.parametrize("fault", ["drop_reply", "hang_reply"])
def test_a_lost_reply_makes_no_second_address(tmp_path: Path, idempotency: str, fault: str) -> None:
    async def main() -> None:
        async with (
            world(tmp_path, behavior={"idempotency": idempotency}) as here,
            client(here.simulator.urls["api"], await here.token(), timeout=0.5) as rest,
        ):
            if fault == "drop_reply":
                here.platform.faults.set("drop_reply", f"POST {ADDRESSES}")
            else:
                here.platform.faults.set("latency", f"POST {ADDRESSES}", seconds=30)
                here.platform.create_address("user_2", ELSEWHERE)  # noise of somebody else
                here.platform.log.listeners.append(_carries_out(here, "latency"))
            record = await rest.ensure(CIVIC)
            assert [item.id for item in await rest.list()] == [record.id]
            assert len(here.platform.addresses.of("user_1")) == 1

    run(main())


def _carries_out(here: World, kind: str) -> Any:
    """Return a listener that lets the platform do what the reply is late about."""

    def listen(entry: Entry) -> None:
        if entry.kind == "fault" and entry.fields["fault"] == kind:
            body = {"street": "Main St", "city": "San Francisco", "state": "CA", "postal_code": "94105"}
            here.platform.create_address("user_1", body | {"address_number": "123", "unit": "Suite 400"})

    return listen


def test_an_address_of_somebody_else_is_never_taken_for_the_lost_one(tmp_path: Path) -> None:
    """Somebody saves another door while our reply is lost: dispatch would go there (S3)."""

    def listen(entry: Entry) -> None:
        if entry.kind == "fault":
            worlds[0].platform.create_address("user_1", ELSEWHERE)

    worlds: list[World] = []

    async def main() -> None:
        async with world(tmp_path) as here, client(here.simulator.urls["api"], await here.token()) as rest:
            worlds.append(here)
            here.platform.log.listeners.append(listen)
            here.platform.faults.set("drop_request", f"POST {ADDRESSES}")
            assert (await refused(rest.ensure(CIVIC))).code == "connection_lost"
            record = await rest.ensure(CIVIC)
            assert (record.civic.city, record.civic.address_number) == ("San Francisco", "123")

    run(main())


def test_the_carriers_spelling_of_the_lost_one_is_recognized(tmp_path: Path) -> None:
    def listen(entry: Entry) -> None:
        if entry.kind == "fault":
            body = {"street": "Main St", "city": "San Francisco", "state": "CA", "postal_code": "94105"}
            worlds[0].platform.create_address("user_1", body | {"address_number": "123", "unit": "STE 400"})

    worlds: list[World] = []

    async def main() -> None:
        async with world(tmp_path) as here, client(here.simulator.urls["api"], await here.token()) as rest:
            worlds.append(here)
            here.platform.log.listeners.append(listen)
            here.platform.faults.set("drop_request", f"POST {ADDRESSES}")
            assert (await rest.ensure(CIVIC)).civic.unit == "STE 400"

    run(main())


def test_a_post_is_tried_again_with_its_key_and_a_new_one_gets_a_new_key(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as here, client(here.simulator.urls["api"], await here.token()) as rest:
            here.platform.faults.set("status", f"POST {ADDRESSES}", status=503, count=2)
            for _ in range(2):
                assert (await refused(rest.ensure(CIVIC))).code == "server_error"
            record = await rest.ensure(CIVIC)
            assert len({entry.fields["idempotency_key"] for entry in posts(here)}) == 1
            await rest.delete(record.id)
            assert (await rest.ensure(CIVIC)).id != record.id  # a replay would name the deleted one
            assert len({entry.fields["idempotency_key"] for entry in posts(here)}) == 2

    run(main())


SHAPES = {
    "documented": ("The address could not be validated", True),
    "siblings": ("The address could not be validated", True),
    "nested": ("The address could not be validated", False),
    "message": ("The address could not be validated", False),
    "text": ("The address could not be validated", False),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_refused_address_keeps_the_platforms_words_once_in_every_form(tmp_path: Path, shape: str) -> None:
    words, has_fields = SHAPES[shape]

    async def main() -> None:
        async with (
            world(tmp_path, behavior={"refusal_shape": shape}) as here,
            client(here.simulator.urls["api"], await here.token()) as rest,
        ):
            civic = type(CIVIC)("123", "Mian St", "San Francisco", "CA", "94105")
            error = await refused(rest.ensure(civic))
            assert isinstance(error, AddressRefused)
            assert error.happened == words + "."
            assert error.emergency == "The address in use did not change."
            said = "There is no Mian St in San Francisco, CA. Did you mean Main St?"
            assert error.fields == ({"street": said} if has_fields else {})
            assert creations(here) == 0

    run(main())


# ------------------------------------------------------------------ one address


def test_read_clear_and_delete(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as here, client(here.simulator.urls["api"], await here.token()) as rest:
            record = await rest.ensure(CIVIC)
            await here.session(record.id)
            assert (await rest.get(record.id)).registered_ip == "127.0.0.1"
            await rest.clear(record.id)
            assert (await rest.get(record.id)).registered_ip is None
            await rest.delete(record.id)
            await rest.delete(record.id)  # gone already is fine
            for work in (rest.get(record.id), rest.clear(record.id)):
                error = await refused(work)
                assert isinstance(error, AddressGone)
                assert (error.code, error.emergency) == ("address_gone", GONE)

    run(main())


@pytest.mark.parametrize("number", ["../../v1/user_sessions", "a/b", "a?b=c", "a#b", "%2e%2e", "ü"])
def test_an_id_is_one_segment_of_the_path(tmp_path: Path, number: str) -> None:
    async def main() -> None:
        async with world(tmp_path) as here, client(here.simulator.urls["api"], await here.token()) as rest:
            assert isinstance(await refused(rest.get(number)), AddressGone)
            entry = here.platform.log.entries("request")[-1]
            assert entry.fields["path"] == f"{ADDRESSES}/{number}"

    run(main())


def test_404_on_the_whole_list_is_not_the_loss_of_an_address(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as here, client(here.simulator.urls["api"], await here.token()) as rest:
            here.platform.faults.set("status", f"* {ADDRESSES}", status=404, count=2)
            for work in (rest.list(), rest.ensure(CIVIC)):
                error = await refused(work)
                assert not isinstance(error, AddressGone)
                assert error.code == "request_refused"

    run(main())

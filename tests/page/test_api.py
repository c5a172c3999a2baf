"""The JSON API as API.md promises it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from agent.errors import AddressGone, AgentError, Backoff, Bug, NeedsHuman, Retry
from agent.model import StatusKind
from tests.page.client import Client, next_event, play, text_of
from tests.page.fake_control import DEPOT, FakeControl, overview
from tests.page.serving import serving

CIVIC = {"address_number": "9", "street": "Rail Rd", "city": "Reno", "state": "Nevada", "postal_code": "89501"}


def over_unix(folder: Path, *requests: tuple[str, str, object]) -> tuple[FakeControl, list[tuple[int, Any]]]:
    """Send requests over the Unix socket; return the daemon and the answers."""
    control, answers = FakeControl(), []

    async def inside() -> None:
        async with serving(control, folder):
            connector = aiohttp.UnixConnector(str(folder / "agent.sock"))
            async with aiohttp.ClientSession("http://localhost", connector=connector) as client:
                for method, path, body in requests:
                    async with client.request(method, f"/api/v1{path}", json=body) as response:
                        assert response.content_type == "application/json"
                        answers.append((response.status, await response.json()))

    asyncio.run(inside())
    return control, answers


def test_status_is_the_overview(tmp_path: Path) -> None:
    _, [(status, body)] = over_unix(tmp_path, ("GET", "/status", None))
    assert status == 200
    assert body["status"]["kind"] == "bound"
    assert body["address"]["unit"] == "Suite 400"
    assert body["proven"] is True
    assert body["ask"] == "nothing"
    assert set(body) == set(overview().__slots__)


def test_an_address_is_added_confirmed_cleared_and_deleted(tmp_path: Path) -> None:
    control, answers = over_unix(
        tmp_path,
        ("POST", "/addresses", CIVIC),
        ("POST", "/confirm", {"address_id": "emerg_3"}),
        ("POST", "/confirm", {"civic": CIVIC | {"unit": "Dock 1"}}),
        ("POST", "/addresses/emerg_3/clear", {}),
        ("DELETE", "/addresses/emerg_3", {}),
        ("GET", "/addresses", None),
    )
    assert [status for status, _ in answers] == [201, 200, 200, 200, 200, 200]
    assert answers[0][1]["id"] == "emerg_3"
    assert answers[0][1]["civic"]["state"] == "NV"
    assert control.confirmed[0] == (DEPOT, "cli")
    assert control.cleared == ["emerg_3"]
    assert [one["id"] for one in answers[5][1]["addresses"]] == ["emerg_1", "emerg_2", "emerg_4"]


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/confirm", {}, 400, "malformed"),
        ("/confirm", {"address_id": ""}, 400, "malformed"),
        ("/confirm", {"address_id": "emerg_1", "civic": CIVIC}, 400, "malformed"),
        ("/confirm", {"address": "emerg_1"}, 400, "malformed"),
        ("/confirm", {"address_id": 1}, 400, "malformed"),
        ("/confirm", [], 400, "malformed"),
        ("/confirm", {"civic": CIVIC | {"unitt": "Suite 400"}}, 400, "malformed"),
        ("/confirm", {"address_id": "emerg_9"}, 404, "address_gone"),
        ("/confirm", {"civic": CIVIC | {"street": "Ellm St"}}, 422, "address_refused"),
        ("/confirm", {"civic": {"street": "Main St"}}, 422, "address_malformed"),
        ("/addresses/emerg_9/clear", {}, 404, "address_gone"),
        ("/nothing", {}, 404, "not_found"),
        ("/status", {}, 405, "method_not_allowed"),
    ],
)
def test_what_does_not_fit_is_said(path: str, body: object, status: int, code: str, tmp_path: Path) -> None:
    control, [(got, answer)] = over_unix(tmp_path, ("POST", path, body))
    error = answer["error"]
    assert (got, error["code"]) == (status, code)
    assert set(error) == {"code", "happened", "emergency", "todo", "fields"}
    assert error["happened"]
    assert error["emergency"]
    assert control.confirmed == []


def test_refused_fields_are_named(tmp_path: Path) -> None:
    _, [(_, refused), (_, malformed)] = over_unix(
        tmp_path,
        ("POST", "/addresses", CIVIC | {"street": "Ellm St"}),
        ("POST", "/addresses", {"street": "Main St"}),
    )
    assert refused["error"]["fields"] == {"street": "no such street in this city"}
    assert set(malformed["error"]["fields"]) == {"address_number", "city", "state", "postal_code"}


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x", "", "99999999999999999999", "%D9%A1"])
def test_a_limit_out_of_range_is_refused(limit: str, tmp_path: Path) -> None:
    _, [(status, _), (_, one), (_, places)] = over_unix(
        tmp_path,
        ("GET", f"/decisions?limit={limit}", None),
        ("GET", "/decisions?limit=1", None),
        ("GET", "/places", None),
    )
    assert status == 400
    assert one["decisions"][0]["verdict"] == "new"
    assert places["places"][0]["confirmed_by"] == "local screen"


@pytest.mark.parametrize(
    ("error", "status", "code", "retry_after"),
    [
        (Retry("The network is away."), 503, "retry", "5"),
        (Backoff("Busy.", retry_after=0.2), 503, "backoff", "1"),
        (Backoff("Busy.", retry_after=9e9), 503, "backoff", "3600"),
        (NeedsHuman("No token.", code="token_missing"), 409, "token_missing", None),
        (AddressGone("Gone."), 404, "address_gone", None),
        (Bug("Ours."), 500, "internal", None),
    ],
)
def test_errors_have_the_status_that_says_what_to_do(
    error: AgentError, status: int, code: str, retry_after: str | None, tmp_path: Path
) -> None:
    async def scenario(control: FakeControl, client: Client) -> None:
        control.fail = error
        async with client.get("/api/v1/addresses") as response:
            assert response.status == status
            assert response.headers.get("Retry-After") == retry_after
            body = (await response.json())["error"]
        assert (body["code"], body["happened"]) == (code, error.happened)

    play(tmp_path, scenario)


def test_s9_over_tcp_a_change_needs_json_and_the_token_header(tmp_path: Path) -> None:
    async def scenario(control: FakeControl, client: Client) -> None:
        body = json.dumps({"address_id": "emerg_1"})
        for content_type, code in (("text/plain", 415), ("application/json", 403)):
            headers = {"Content-Type": content_type}
            async with client.post("/api/v1/confirm", data=body, headers=headers) as response:
                assert response.status == code
        await text_of(client, "/")
        token = next(cookie.value for cookie in client.cookie_jar)
        headers = {"Content-Type": "application/json", "X-CSRF-Token": token}
        async with client.delete("/api/v1/addresses/emerg_2", data="{}", headers={"X-CSRF-Token": token}) as response:
            assert response.status == 415
        assert control.confirmed == []
        async with client.post("/api/v1/confirm", data=body, headers=headers) as response:
            assert response.status == 200

    assert play(tmp_path, scenario).confirmed[0][1] == "local screen"


def test_events_are_overviews(tmp_path: Path) -> None:
    async def scenario(control: FakeControl, client: Client) -> None:
        async with client.get("/api/v1/events") as response:
            name, data = await next_event(response)
            assert (name, json.loads(data)["status"]["kind"]) == ("status", "bound")
            control.show(overview(StatusKind.OFFLINE))
            name, data = await next_event(response)
            assert (name, json.loads(data)["status"]["kind"]) == ("status", "offline")

    play(tmp_path, scenario)

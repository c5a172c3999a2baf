"""Nobody else confirms (S9): strangers' sites, strangers' names, strangers' texts, and clients that misbehave."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agent.control import DecisionRecord, PlaceRecord, SavedAddress, Step
from agent.errors import NeedsHuman
from agent.model import Ask, CivicAddress, Status, StatusKind
from agent.page.access import guard
from tests.page.client import Client, play, post, text_of, token_in
from tests.page.fake_control import NOON, FakeControl, overview


async def refused(client: Client, status: int, sentence: str, headers: dict[str, str], **form: str) -> None:
    """Send a confirmation and expect that page's sentence."""
    async with client.post("/confirm", data=form, headers=headers, allow_redirects=False) as response:
        assert response.status == status
        assert sentence in await response.text()


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_s9_a_form_from_another_site_is_refused(headers: dict[str, str], tmp_path: Path) -> None:
    async def scenario(_control: FakeControl, client: Client) -> None:
        token = token_in(await text_of(client, "/addresses"))
        sentence = "Another web site tried to use this page."
        await refused(client, 403, sentence, headers, csrf=token, address_id="emerg_1")

    assert play(tmp_path, scenario).confirmed == []


@pytest.mark.parametrize("frame", ["iframe", "frame", "embed", "object"])
def test_s9_no_other_site_holds_our_streams_in_its_frames(frame: str, tmp_path: Path) -> None:
    async def scenario(_control: FakeControl, client: Client) -> None:
        framed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": frame}
        for path in ("/", "/events", "/api/v1/events", "/api/v1/calls/events"):
            async with client.get(path, headers=framed) as response:
                assert response.status == 403, path
        visit = framed | {"Sec-Fetch-Dest": "document"}
        async with client.get("/", headers=visit) as response:
            assert response.status == 200, "a link that leads here works"

    play(tmp_path, scenario)


def test_a_form_from_this_page_passes(tmp_path: Path) -> None:
    async def scenario(_control: FakeControl, client: Client) -> None:
        async with client.get("/addresses") as response:
            token, origin = token_in(await response.text()), f"http://{response.url.host}:{response.url.port}"
        headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin"}
        form = {"csrf": token, "address_id": "emerg_1"}
        async with client.post("/confirm", data=form, headers=headers, allow_redirects=False) as response:
            assert response.status == 303

    assert len(play(tmp_path, scenario).confirmed) == 1


@pytest.mark.parametrize("token", ["", "wrong", "A" * 43])
def test_s9_a_form_without_this_browsers_token_is_refused(token: str, tmp_path: Path) -> None:
    async def scenario(_control: FakeControl, client: Client) -> None:
        await text_of(client, "/addresses")
        await refused(client, 403, "This form does not come from this page", {}, csrf=token, address_id="emerg_1")
        client.cookie_jar.clear()
        await refused(client, 403, "This form does not come from this page", {}, csrf=token, address_id="emerg_1")

    assert play(tmp_path, scenario).confirmed == []


def test_the_token_is_a_strict_cookie_that_scripts_cannot_read(tmp_path: Path) -> None:
    async def scenario(_control: FakeControl, client: Client) -> None:
        async with client.get("/") as response:
            cookie = response.headers["Set-Cookie"]
        assert cookie.startswith("dialstack_csrf=")
        assert cookie.endswith("; Path=/; HttpOnly; SameSite=Strict")
        async with client.get("/") as response:
            assert "Set-Cookie" not in response.headers

    play(tmp_path, scenario)


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8911", "localhost.evil.example", "192.0.2.7", "127.0.0.1@evil.example",
     "localhost:80:80", "[::1", "localhost/evil", "", "localhost:port"],
)  # fmt: skip
def test_s9_dns_rebinding_is_refused(host: str, tmp_path: Path) -> None:
    async def scenario(_control: FakeControl, client: Client) -> None:
        async with client.get("/api/v1/status", headers={"Host": host}) as response:
            assert response.status == 421
            assert (await response.json())["error"]["code"] == "wrong_host"

    play(tmp_path, scenario)


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:1", "127.0.0.1", "127.9.9.9:80", "[::1]:8911", "Front-Desk:8911"]
)
def test_the_devices_own_names_are_answered(host: str, tmp_path: Path) -> None:
    async def scenario(_control: FakeControl, client: Client) -> None:
        async with client.get("/", headers={"Host": host}) as response:
            assert response.status == 200

    play(tmp_path, scenario)


def test_every_answer_carries_the_protecting_headers(tmp_path: Path) -> None:
    async def scenario(_control: FakeControl, client: Client) -> None:
        for path in ("/", "/nothing", "/api/v1/status", "/api/v1/nothing", "/events", "/static/page.css"):
            async with client.get(path) as response:
                assert response.headers["Content-Security-Policy"] == guard.CONTENT_SECURITY_POLICY
                assert "unsafe" not in guard.CONTENT_SECURITY_POLICY
                assert response.headers["X-Content-Type-Options"] == "nosniff"
                assert response.headers["Referrer-Policy"] == "same-origin"
                assert "Server" not in response.headers
                assert response.headers["Cache-Control"] == "no-store"

    play(tmp_path, scenario)


EVIL = "<script>alert('1')</script>\"'><img src=x onerror=alert(2)>"
EVIL_CIVIC = CivicAddress(EVIL, EVIL, EVIL, EVIL, EVIL, EVIL, EVIL)


def poison(control: FakeControl) -> None:
    """Put HTML into every text that a platform, a network or a person can send."""
    saved = SavedAddress(EVIL, EVIL_CIVIC, in_use=True, hint=EVIL)
    control.saved = {EVIL: saved}
    control.log = [DecisionRecord(NOON, 1, EVIL, (EVIL,), (EVIL,), EVIL, EVIL)]
    control.known_places = [PlaceRecord(1, True, (EVIL,), EVIL_CIVIC, NOON, EVIL, NOON)]  # noqa: FBT003 - positional record
    control.show(
        replace(
            overview(),
            status=Status(StatusKind.PROVISIONAL, NOON, EVIL, EVIL, EVIL),
            ask=Ask.CHOOSE_ADDRESS,
            question=EVIL,
            address=EVIL_CIVIC,
            address_id=EVIL,
            choices=(saved, SavedAddress(None, EVIL_CIVIC, in_use=False, hint=EVIL)),
            steps=(Step(EVIL, EVIL, "running", EVIL), Step(EVIL, EVIL, EVIL, EVIL)),
            notices=(EVIL,),
            phone=EVIL,
            network=EVIL,
            device=EVIL,
            mobility=EVIL,
            version=EVIL,
        )
    )


def test_html_in_every_text_is_escaped_on_every_page(tmp_path: Path) -> None:
    async def scenario(control: FakeControl, client: Client) -> None:
        poison(control)
        link = f"/addresses/forget?address_id={EVIL.replace('<', '%3C').replace('>', '%3E').replace(chr(34), '%22')}"
        pages = [await text_of(client, path) for path in ("/", "/addresses", "/addresses/new", "/history", link)]
        control.show(replace(control.now, interlock=True))
        pages.append(await text_of(client, "/"))
        control.fail = NeedsHuman(EVIL, emergency=EVIL, todo=EVIL)
        pages.append(await text_of(client, "/addresses"))
        async with client.get("/events") as response:
            pages.append((await response.content.readuntil(b'data-part="facts"')).decode())
        form = dict.fromkeys(("address_number", "street", "unit", "city", "state", "postal_code", "country"), EVIL)
        pages.append((await post(client, "/addresses/new", pages[1], **form))[2])
        for page in pages:
            assert "&lt;script&gt;" in page
            assert "<script>" not in page
            assert "<img" not in page

    play(tmp_path, scenario)


def test_header_injection_stays_a_text(tmp_path: Path) -> None:
    async def scenario(_control: FakeControl, client: Client) -> None:
        page = await text_of(client, "/addresses")
        evil = "emerg_1\r\nSet-Cookie: owned=1"
        async with client.post("/confirm", data={"csrf": token_in(page), "address_id": evil}) as response:
            assert response.status == 400
            assert "Set-Cookie" not in response.headers

    play(tmp_path, scenario)

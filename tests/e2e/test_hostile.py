"""HTML from everywhere: typed into the form, and in every answer of the platform that a page shows."""

from __future__ import annotations

import pytest

from agent.lab.http_unix import UnixConnection
from agent.lab.stage import OFFICE, Stage, form_fields
from tests.e2e.conftest import Open
from tests.e2e.house import look, switch_on

pytestmark = [pytest.mark.netns, pytest.mark.sip]

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
PAGES = ("/", "/addresses", "/addresses/new", "/history", "/access", "/audit", "/login")


def harmless(page: str) -> bool:
    """Tell whether a page shows the hostile text; asserts that it is text."""
    lowered = page.lower()
    assert "<script>" not in lowered
    assert "<img" not in lowered
    assert 'alert(1)</script>"' not in page
    return "&lt;script&gt;alert" in lowered


def stream(stage: Stage) -> str:
    connection = UnixConnection(stage.agent_socket)
    connection.request("GET", "/events", headers={"Host": "localhost"})
    answer = connection.getresponse()
    text = ""
    while "id=" not in text or "facts" not in text:
        text += answer.read1(65536).decode()
    connection.close()
    return text


def test_html_in_forms_and_in_the_platforms_answers_is_text_on_every_page(open_stage: Open) -> None:
    stage = open_stage()
    switch_on(stage)
    stage.wait_until("the question", lambda seen: seen["ask"] != "nothing")
    visitor = stage.visitor()
    for field in form_fields(OFFICE):
        status, page = visitor.submit("/addresses/new", "/addresses/new", {**form_fields(OFFICE), field: EVIL})
        assert harmless(page) or field == "unit", f"what was typed into {field} is shown again, or saved"
        assert status in {303, 409, 422, 503}
    stage.wait_until("the unit", lambda seen: seen["address"] is not None and "<script>" in seen["address"]["unit"])
    for status in (422, 409, 500):
        fault = {"kind": "status", "status": status, "text": EVIL, "path": "POST /v1/me/*", "count": None}
        stage.control("POST", "faults", fault)
        _, page = visitor.submit("/addresses/new", "/addresses/new", {**form_fields(OFFICE), "address_number": "77"})
        assert harmless(page), f"the platform's words with {status} are shown"
        stage.control("DELETE", "faults")
    stage.control("POST", "faults", {"kind": "status", "status": 409, "text": EVIL, "path": "GET *", "count": None})
    pages = {url: look(stage, url)[1] for url in PAGES}
    pages["/events"] = stream(stage)
    shown = {url for url, page in pages.items() if harmless(page)}
    assert shown >= {"/", "/addresses", "/history", "/events"}

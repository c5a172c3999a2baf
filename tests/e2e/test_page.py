"""The page of a real phone in a real Chromium: carried to another place, asked, answered wrong, corrected, proven."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from agent.lab.relay import Relay
from agent.lab.stage import HOME
from tests.e2e.conftest import Open
from tests.e2e.house import PATIENCE, bound, move_in
from tests.page.window import ARTIFACTS, Browser, Page, browser, expect

__all__ = ["browser"]
pytestmark = [pytest.mark.netns, pytest.mark.sip, pytest.mark.browser]

PORT = 18_911
URL = f"http://127.0.0.1:{PORT}"
GREEN = f"911 sends help to {HOME.one_line()}. Proven on this network."


class Desk:
    """A browser at the phone and what it complained about."""

    def __init__(self, browser: Browser, **options: object) -> None:
        self.context = browser.new_context(**options)  # type: ignore[arg-type]
        self.context.set_default_timeout(PATIENCE * 1000)
        self.complaints: list[str] = []

    def open(self) -> Page:
        page = self.context.new_page()
        page.on("console", lambda line: self.complaints.append(line.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda sent: None if sent.url.startswith(URL) else self.complaints.append(sent.url))
        page.goto(URL)
        return page


def test_moved_asked_answered_corrected_and_proven_on_two_open_pages(open_stage: Open, browser: Browser) -> None:
    expect.set_options(timeout=PATIENCE * 1000)
    stage = open_stage()
    office = move_in(stage)
    desk = Desk(browser, locale="en-US")
    with Relay(PORT, stage.agent_socket):
        staff, kiosk = desk.open(), desk.open()
        expect(kiosk.get_by_text("Ready")).to_be_visible()
        stage.lab.unplug()
        expect(staff.get_by_role("heading", name="This phone has no network")).to_be_visible()
        stage.lab.plug("home")
        question = "Is this phone still at 123 Main St, Suite 400?"
        for page in (staff, kiosk):
            expect(page.get_by_role("heading", name=question)).to_be_visible()
        choose(staff, "Somewhere else")
        answer(staff)
        expect(staff.get_by_role("heading", name=GREEN)).to_be_visible()
        expect(kiosk.get_by_role("heading", name=GREEN)).to_be_visible()
        expect(kiosk.get_by_role("heading", name=question)).to_be_hidden()
        assert bound(stage, HOME) != office
        look_back(staff)
    refused = [line for line in desk.complaints if "422" in line]
    assert len(refused) == 1
    assert desk.complaints == refused, "no console error but the refusal, and no request that leaves the device"
    desk.context.close()


def choose(page: Page, name: str) -> None:
    """Tap an answer until it is taken: a question that changed a moment ago takes none, on purpose."""
    for _ in range(20):
        expect(page.locator(".settling")).to_have_count(0)
        page.get_by_role("link", name=name).click()
        with contextlib.suppress(PlaywrightTimeout):
            page.wait_for_url("**/addresses/new*", timeout=3000)
            return
    pytest.fail(f"{name} was never taken")


def answer(page: Page) -> None:
    """Enter the address with a street that does not exist, then correct it."""
    page.get_by_label("Number").fill("500")
    page.get_by_label("Street").fill("Ellm St")
    page.get_by_label("No floor or suite needed here").check()
    page.get_by_label("City").fill("San Francisco")
    page.get_by_label("State").fill("california")
    page.get_by_label("ZIP code").fill("94105")
    page.get_by_role("button", name="This phone is here").click()
    expect(page.get_by_role("heading", name="Not saved")).to_be_visible()
    page.get_by_label("Street").fill("Elm Street")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Is this the address?")).to_be_visible()
    expect(page.get_by_text("entered: Elm Street; now: Elm St")).to_be_visible()
    page.get_by_role("button", name="Yes, this phone is here").click()
    expect(page.get_by_text("Saved. This phone is at 500 Elm St.")).to_be_visible()


def look_back(page: Page) -> None:
    """The past of it all is on the history page, in words."""
    page.get_by_text("How it was proven").click()
    expect(page.get_by_text("Telephone line connected")).to_be_visible()
    page.get_by_role("link", name="History").click()
    page.get_by_text("The same as a table").click()
    for told in ("Moved to another place:", f"Confirmed: {HOME.one_line()}, by cli.", "This phone has no network."):
        expect(page.get_by_role("cell").filter(has_text=told).first).to_be_visible()
    expect(page.get_by_text("911 could have been wrong").first).to_be_visible()
    Path(ARTIFACTS).mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / "history-of-a-real-move.jpg", type="jpeg", quality=70, full_page=True)

"""A receptionist at another computer, in a real Chromium on the office LAN, against the real daemon and platform."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from agent.lab.stage import Stage
from tests.e2e.conftest import Open
from tests.e2e.house import bound, eventually, switch_on
from tests.e2e.neighbor import DEVICE, HTTPS, set_pin
from tests.e2e.test_link import ON_LINK, STAFF_PIN, answers, audit
from tests.page.window import CHROMIUM, chromium, expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.netns, pytest.mark.sip, pytest.mark.browser]
PATIENCE = 60_000
"""Milliseconds until the test gives up; no expectation about speed."""


@contextmanager
def on_the_laptop(stage: Stage) -> Iterator[Page]:
    """Run Chromium in the laptop's network."""
    start = stage.folder / "chromium"
    start.write_text(f'#!/bin/sh\nexec ip netns exec {stage.lab.namespace("laptop")} {CHROMIUM} "$@"\n')
    start.chmod(0o755)
    with chromium(start) as browser:
        page = browser.new_context(ignore_https_errors=True).new_page()
        page.set_default_timeout(PATIENCE)
        yield page


def test_a_receptionist_signs_in_answers_and_sees_it_proven(open_stage: Open) -> None:
    stage = open_stage(laptop=True)
    switch_on(stage, page=f"{ON_LINK}\nannounce = false")
    stage.wait_until("the question", lambda seen: seen["ask"] != "nothing")
    set_pin(stage, STAFF_PIN)
    set_pin(stage, "95173048", "--technician")
    eventually("the page on the link", lambda: answers(stage, "laptop"))
    elsewhere: list[str] = []
    with on_the_laptop(stage) as page:
        home = f"https://{DEVICE}:{HTTPS}/"
        page.on("request", lambda sent: None if sent.url.startswith(home) else elsewhere.append(sent.url))
        page.goto(home)
        page.get_by_label("PIN").fill("999998")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text("That PIN is not right.")).to_be_visible()
        page.get_by_label("PIN").fill(STAFF_PIN)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("button", name="123 Main St, Suite 400").click()
        bound(stage)
        expect(page.locator("#sentence")).to_have_text(stage.status()["status"]["sentence"], timeout=PATIENCE)
        page.goto(f"{home}settings")
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        page.get_by_label("PIN").fill("95173048")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Settings")).to_be_visible()
    assert elsewhere == []
    assert [row["action"] for row in audit(stage)][:3] == ["POST /login", "POST /confirm", "POST /login"]

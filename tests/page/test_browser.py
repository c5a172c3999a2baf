"""The page in a real Chromium: two taps, the keyboard, live updates, nothing loaded from elsewhere."""

from __future__ import annotations

import asyncio
import re
import threading
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from agent.doctor.checkup import CheckUp
from agent.doctor.examine import Heard
from agent.doctor.result import Finding, Report, Result
from agent.doctor.world import World
from agent.model import StatusKind
from tests.page.fake_control import DEPOT, NOON, OFFICE, SHOP, FakeControl, notice, overview
from tests.page.serving import ThreadServer
from tests.page.window import (
    COUNT_EVENTS,
    Browser,
    Window,
    browser,
    expect,
    served,
    window,
)
from tests.page.workshop import make_workshop

__all__ = ["browser", "served", "window"]
pytestmark = pytest.mark.browser


def test_question_answer_saved_is_one_tap_and_the_light_turns_green_by_itself(window: Window) -> None:
    served = window.served
    served.call(served.control.ask_place)
    page = window.open()
    expect(page.get_by_role("heading", name="Is this phone still at 123 Main St, Suite 400?")).to_be_visible()
    page.get_by_role("button", name="Yes, still at 123 Main St, Suite 400").click()
    expect(page.get_by_text("Saved. This phone is at 123 Main St, Suite 400.")).to_be_visible()
    assert served.control.confirmed == [(OFFICE, "local screen")]
    expect(page.get_by_role("heading", name="Progress")).to_be_visible()
    served.call(lambda: served.control.show(overview()))
    expect(page.get_by_role("heading", name=overview().status.sentence)).to_be_visible()
    expect(page.get_by_role("heading", name="Progress")).to_be_hidden()
    expect(page).to_have_title("Ready \u2013 front desk")
    expect(page.locator("#news")).to_have_text(f"Ready. {overview().status.sentence}")
    assert window.complaints == []


def test_a_form_error_is_focused_and_corrected(window: Window) -> None:
    served = window.served
    served.call(served.control.ask_place)
    page = window.open()
    page.get_by_role("link", name="Somewhere else").click()
    page.get_by_label("Number").fill("9")
    page.get_by_label("Street").fill("Ellm St")
    page.get_by_label("No floor or suite needed here").check()
    page.get_by_label("City").fill("Reno")
    page.get_by_label("State").fill("nevada")
    page.get_by_label("ZIP code").fill("89501")
    page.get_by_role("button", name="This phone is here").click()
    expect(page.get_by_label("Street")).to_be_focused()
    expect(page.get_by_label("Street")).to_have_attribute("aria-describedby", "street-error")
    expect(page.get_by_text("No such street in this city.")).to_be_visible()
    expect(page.get_by_label("City")).to_have_value("Reno")
    page.get_by_label("Street").fill("Rail Rd")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Saved. This phone is at 9 Rail Rd.")).to_be_visible()
    assert served.control.confirmed == [(DEPOT, "local screen")]
    assert [line for line in window.complaints if "422" not in line] == []


def test_the_keyboard_alone_is_enough(window: Window) -> None:
    served = window.served
    served.call(served.control.ask_place)
    page = window.open()
    names = []
    for _ in range(20):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.textContent.trim().replace(/\\s+/g, ' ')"))
        if names[-1].startswith("77 Harbor Blvd"):
            break
    assert names[0] == "Skip to the content"
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    expect(page.get_by_text("Saved. This phone is at 77 Harbor Blvd, Floor 2.")).to_be_visible()
    assert served.control.confirmed == [(SHOP, "local screen")]


def test_a_live_update_keeps_focus_and_never_comes_under_a_finger(window: Window) -> None:
    served = window.served
    served.call(served.control.ask_place)
    window.page.add_init_script(COUNT_EVENTS)
    page = window.open()
    button = page.get_by_role("button", name="77 Harbor Blvd")
    button.focus()
    now = served.control.now
    served.call(lambda: served.control.show(replace(now, question="Where is it now?")))
    expect(page.get_by_role("heading", name="Where is it now?")).to_be_visible()
    expect(button).to_be_focused()
    page.mouse.move(5, 5)
    page.mouse.down()
    served.call(lambda: served.control.show(overview(StatusKind.OFFLINE)))
    page.wait_for_function("() => window.heard === 3")
    expect(page.get_by_role("heading", name="Where is it now?")).to_be_visible()
    page.mouse.up()
    expect(page.get_by_role("heading", name="This phone has no network")).to_be_visible()


def test_a_tap_meant_for_the_old_question_is_no_answer_to_the_new_one(window: Window) -> None:
    served = window.served
    served.call(lambda: served.control.show(replace(overview(), notices=("One.",))))
    page = window.open()
    page.evaluate(
        """() => new MutationObserver(() => {
             const button = document.querySelector('[data-part=question].settling button');
             if (button && !window.tapped) { window.tapped = true; button.click(); }
           }).observe(document.body, {subtree: true, childList: true, attributes: true})"""
    )
    served.call(served.control.ask_place)
    page.wait_for_function("() => window.tapped")
    expect(page.locator(".settling")).to_have_count(0)
    assert served.control.confirmed == []
    page.get_by_role("button", name="77 Harbor Blvd").click()
    expect(page.get_by_text("Saved.")).to_be_visible()


def test_a_form_that_is_being_filled_in_is_left_alone_but_the_light_beside_it_lives(window: Window) -> None:
    served = window.served
    page = window.open("/addresses/new")
    page.get_by_label("Street").fill("Rail")
    served.call(lambda: served.control.show(overview(StatusKind.OFFLINE)))
    page.get_by_label("Street").press_sequentially(" Rd")
    expect(page.get_by_label("Street")).to_have_value("Rail Rd")
    expect(page.locator(".strip")).to_have_text("No network")
    expect(page.get_by_label("Street")).to_have_value("Rail Rd")


def test_s2_no_light_stays_old_under_a_finger_that_is_never_lifted_or_in_a_menu(window: Window) -> None:
    """A menu swallows the end of a press: the page must not show the old light for as long as nobody clicks."""
    served = window.served
    page = window.open()
    page.mouse.move(5, 300)
    page.mouse.down(button="right")
    served.call(lambda: served.control.show(overview(StatusKind.OFFLINE)))
    expect(page.locator(".light .word")).to_contain_text("No network")
    page.mouse.down(button="left")
    served.call(lambda: served.control.show(overview(StatusKind.FAULT)))
    expect(page.locator(".light .word")).to_contain_text("Needs help")


def test_an_emergency_call_appears_while_an_address_is_typed(window: Window) -> None:
    served = window.served
    page = window.open("/addresses/new")
    page.get_by_label("Street").press_sequentially("Rail")
    served.call(lambda: served.control.show(replace(overview(), alerts=(notice(),))))
    expect(page.get_by_role("heading", name="911 was dialed from front desk.")).to_be_visible()
    page.keyboard.type(" Rd")
    expect(page.get_by_label("Street")).to_have_value("Rail Rd")


def test_a_dead_stream_says_that_the_connection_is_lost_and_comes_back(window: Window) -> None:
    served = window.served
    page = window.open()
    expect(page.locator("#lost")).to_be_hidden()
    port = served.server.port
    served.wait(served.server.stop())
    expect(page.locator("#lost")).to_be_visible()
    expect(page.locator("#lost")).to_have_text(re.compile("The connection to the phone is lost"))
    color = page.evaluate("getComputedStyle(document.querySelector('.light')).backgroundColor")
    assert color == "rgb(72, 83, 95)", "a stale light must not stay green"
    served.restart(port)
    expect(page.locator("#lost")).to_be_hidden(timeout=20_000)


def test_without_javascript_the_question_is_answered_and_an_address_forgotten(
    browser: Browser, served: ThreadServer
) -> None:
    served.call(served.control.ask_place)
    quiet = Window(browser, served, java_script_enabled=False)
    quiet.page.goto(served.url)
    quiet.page.get_by_role("button", name="Yes, still at 123 Main St, Suite 400").click()
    expect(quiet.page.get_by_text("Saved. This phone is at 123 Main St, Suite 400.")).to_be_visible()
    quiet.page.get_by_role("link", name="Addresses").click()
    quiet.page.get_by_role("link", name="Forget 77 Harbor Blvd").click()
    quiet.page.get_by_role("button", name="Yes, forget it").click()
    expect(quiet.page.get_by_text("Forgotten: 77 Harbor Blvd, Floor 2.")).to_be_visible()
    assert list(served.control.saved) == ["emerg_1"]
    quiet.context.close()


def test_s9_a_form_on_another_site_cannot_confirm(window: Window) -> None:
    served = window.served
    window.open()
    target = f"{served.url}/confirm"
    form = f'<form method="post" action="{target}"><input name="address_id" value="emerg_2"><button>Win</button></form>'
    window.context.route("http://evil.example/", lambda route: route.fulfill(body=form, content_type="text/html"))
    window.page.goto("http://evil.example/")
    window.page.get_by_role("button", name="Win").click()
    expect(window.page.get_by_text("Another web site tried to use this page.")).to_be_visible()
    assert served.control.confirmed == []
    window.requested.remove("http://evil.example/")


def test_what_a_step_of_the_set_up_found_leads_on_without_loading_the_page_again(
    browser: Browser, tmp_path: Path
) -> None:
    over = threading.Event()

    async def examine(_world: World, *, only: tuple[str, ...], on_result: Heard) -> Report:
        await asyncio.to_thread(over.wait)
        bad = Result("token", Finding.FAIL, "The token belongs to another user.", code="token_other_user")
        found = (bad,) if "token" in only else tuple(Result(name, Finding.OK, "Good.") for name in only)
        on_result(found)
        return Report(NOON, "agent", "0.1.0", found)

    shop = replace(make_workshop(tmp_path), checkup=CheckUp(lambda: cast("World", None), examine))
    with ThreadServer(FakeControl(), tmp_path, workshop=shop) as served:
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"{served.url}/setup/network")
        expect(page.get_by_role("heading", name="Testing…")).to_be_visible()
        expect(page.get_by_role("link", name="Skip for now")).to_be_visible()
        over.set()
        expect(page.get_by_role("link", name="Continue")).to_be_visible()
        expect(page.get_by_role("link", name="Skip for now")).to_be_hidden()
        expect(page.get_by_role("status")).to_have_text("Tested: it works")
        over.clear()
        page.goto(f"{served.url}/setup/platform")
        page.get_by_role("button", name="Save and test").click()
        expect(page.get_by_role("heading", name="Testing…")).to_be_visible()
        over.set()
        expect(page.get_by_role("button", name="Yes, be this user from now on")).to_be_visible()
        context.close()

"""How the page behaves under a hand: two taps are one answer, nothing moves under them, the focus is not lost."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from agent.control import Step
from agent.model import StatusKind
from tests.page.fake_control import NOON, overview, steps
from tests.page.window import COUNT_EVENTS, Page, Window, browser, expect, served, window

__all__ = ["browser", "served", "window"]
pytestmark = pytest.mark.browser

SHIFTS = """
  window.shifted = 0;
  new PerformanceObserver((list) => { for (const one of list.getEntries()) window.shifted += one.value; })
    .observe({type: "layout-shift", buffered: true});
"""
STAY = """
  window.answers = 0;
  addEventListener("submit", (event) => { if (!event.defaultPrevented) window.answers += 1; event.preventDefault(); });
"""
"""Counts the answers that the page would have sent, and stays: a browser that is on its way lets nobody look."""
NEEDLESS_SHIFT = 0.05
"""Cumulative layout shift (Layout Instability); 0.1 is what counts as good."""


def test_two_taps_are_one_answer_and_nothing_moves_under_the_second(window: Window) -> None:
    served = window.served
    served.call(served.control.ask_place)
    window.page.add_init_script(COUNT_EVENTS)
    page = window.open()
    page.wait_for_function("() => window.heard === 1")
    page.evaluate(STAY)
    button = page.get_by_role("button", name="Yes, still at 123 Main St")
    button.dblclick()
    served.call(lambda: served.control.show(overview(StatusKind.OFFLINE)))
    page.wait_for_function("() => window.heard === 2")
    expect(button).to_have_attribute("aria-busy", "true")
    assert page.evaluate("window.answers") == 1


def test_where_the_focus_was_is_gone_and_reading_goes_on_at_the_content(window: Window) -> None:
    served = window.served
    served.call(served.control.ask_place)
    page = window.open()
    page.get_by_role("button", name="77 Harbor Blvd").focus()
    served.call(lambda: served.control.show(overview(StatusKind.BOUND)))
    expect(page.get_by_role("heading", name="Is this phone still")).to_be_hidden()
    expect(page.locator("#main")).to_be_focused()


def test_progress_counts_its_seconds_from_the_first_moment_and_moves_nothing(window: Window) -> None:
    served = window.served
    working = replace(overview(StatusKind.CONNECTING), steps=steps(1), ask=overview().ask)
    served.call(lambda: served.control.show(working))
    window.page.add_init_script(SHIFTS)
    page = window.open()
    for count in range(1, 4):
        told = (*steps(count)[:count], Step("now", "Now", "running", since=NOON - 65), *steps(count)[count + 1 :])
        served.call(partial(served.control.show, replace(working, steps=told)))
        expect(page.locator(".step.running .state")).to_have_text("now · 1:05")
    assert _shifted(page) < NEEDLESS_SHIFT
    served.call(lambda: served.control.show(overview(StatusKind.BOUND)))
    expect(page.get_by_role("heading", name="Progress")).to_be_hidden()


def _shifted(page: Page) -> float:
    return float(page.evaluate("() => new Promise((done) => requestAnimationFrame(() => done(window.shifted)))"))

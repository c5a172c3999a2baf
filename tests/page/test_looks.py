"""How Home is in Chromium: small, and every target is big enough for a finger."""

from __future__ import annotations

import pytest

from tests.page.window import MAX_TRANSFER, SMALL_TARGETS, Window, browser, expect, served, window

__all__ = ["browser", "served", "window"]
pytestmark = pytest.mark.browser


def test_home_is_small_and_every_target_is_big_enough(window: Window) -> None:
    served = window.served
    served.call(served.control.ask_place)
    sizes: list[int] = []
    window.page.on("response", lambda one: sizes.append(0 if one.url.endswith("/events") else len(one.body())))
    page = window.open()
    expect(page.get_by_role("button").first).to_be_visible()
    assert sum(sizes) < MAX_TRANSFER
    assert page.evaluate(SMALL_TARGETS) == []

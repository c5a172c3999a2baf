"""A Chromium window for the tests, and the fixtures that open it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.page.serving import ThreadServer, thread_server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, expect, sync_playwright
else:
    sync_api = pytest.importorskip("playwright.sync_api")
    Browser, Page = sync_api.Browser, sync_api.Page
    expect, sync_playwright = sync_api.expect, sync_api.sync_playwright


__all__ = ["Browser", "Page", "Window", "browser", "expect", "served", "window"]

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
ARTIFACTS = Path(__file__).parents[2] / "artifacts"
WIDTHS = ((320, 640), (768, 1024), (1920, 1080))
COUNT_EVENTS = """
  const add = EventSource.prototype.addEventListener;
  window.heard = 0;
  EventSource.prototype.addEventListener = function (name, listener) {
    const counted = (event) => { listener(event); if (name === "parts") window.heard += 1; };
    return add.call(this, name, counted);
  };
"""
MAX_TRANSFER = 60 * 1024
"""Bytes of Home with everything it loads."""


class Window:
    """A browser window and what it did."""

    def __init__(self, browser: Browser, served: ThreadServer, **options: Any) -> None:
        self.served = served
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requested: list[str] = []
        self.page.on("console", lambda line: self.complaints.append(line.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requested.append(request.url))

    def open(self, path: str = "/") -> Page:
        """Open a page and wait until it is live."""
        with self.page.expect_request("**/events"):
            self.page.goto(self.served.url + path)
        return self.page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip("there is no Chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ThreadServer]:
    with thread_server(tmp_path) as running:
        yield running


@pytest.fixture
def window(browser: Browser, served: ThreadServer) -> Iterator[Window]:
    opened = Window(browser, served)
    yield opened
    opened.context.close()
    foreign = [url for url in opened.requested if not url.startswith(served.url)]
    assert foreign == [], "a request left the device"

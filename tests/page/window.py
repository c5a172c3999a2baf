"""A Chromium window for the tests, and the fixtures that open it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.page.serving import ThreadServer, thread_server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, expect, sync_playwright
    from playwright.sync_api import Error as PlaywrightError
else:
    sync_api = pytest.importorskip("playwright.sync_api")
    Browser, Page = sync_api.Browser, sync_api.Page
    expect, sync_playwright = sync_api.expect, sync_api.sync_playwright
    PlaywrightError = sync_api.Error


__all__ = ["Browser", "Page", "PlaywrightError", "Window", "browser", "chromium", "expect", "served", "window"]

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
CONTRAST = """() => {
  const channel = (value) => {
    const part = value / 255;
    return part <= .04045 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4;
  };
  const light = (rgb) => .2126 * channel(rgb[0]) + .7152 * channel(rgb[1]) + .0722 * channel(rgb[2]);
  const numbers = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const behind = (node) => {
    for (let one = node; one; one = one.parentElement) {
      const color = numbers(getComputedStyle(one).backgroundColor);
      if (color.length === 3 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const bad = [];
  for (const node of document.querySelectorAll('body *')) {
    const said = [...node.childNodes].some((one) => one.nodeType === 3 && one.textContent.trim());
    if (!said || !node.checkVisibility() || node.closest('svg, script, noscript')) continue;
    const [a, b] = [light(numbers(getComputedStyle(node).color)), light(behind(node))];
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) bad.push(`${ratio.toFixed(2)} ${node.outerHTML.slice(0, 120)}`);
  }
  return bad;
}"""
SMALL_TARGETS = """
  () => [...document.querySelectorAll('a, button, input:not([type=hidden]), select, textarea, summary')]
    .filter((one) => one.checkVisibility() && !one.matches('.skip, [aria-hidden=true], p a:not(.button), label input'))
    .filter((one) => { const box = one.getBoundingClientRect(); return box.height < 44 || box.width < 44; })
    .map((one) => one.outerHTML)
"""
"""Targets below 44 px; a link within a sentence and a box whose label is the target are none (WCAG 2.5.8)."""
OTHER_NAMES = """
  () => {
    const plain = (text) => text.trim().replace(/\\s+/g, ' ').toLowerCase();
    return [...document.querySelectorAll('a[aria-label], button[aria-label]')].filter((one) => one.checkVisibility())
      .filter((one) => !plain(one.getAttribute('aria-label')).includes(plain(one.innerText)))
      .map((one) => `${one.getAttribute('aria-label')} <> ${one.innerText}`);
  }
"""
"""Targets whose name does not hold what is written on them: nobody can call them by voice (WCAG 2.5.3)."""
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
        self.page.on("console", lambda line: self._heard(line.type, line.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requested.append(request.url))

    def _heard(self, kind: str, text: str) -> None:
        if kind not in {"debug", "verbose"}:  # advice for developers, which no console shows unasked
            self.complaints.append(text)

    def open(self, path: str = "/") -> Page:
        """Open a page and wait until it is live."""
        with self.page.expect_request("**/events"):
            self.page.goto(self.served.url + path)
        return self.page


@contextmanager
def chromium(program: Path = CHROMIUM) -> Iterator[Browser]:
    """Run Chromium, or a program that starts it elsewhere; without one the test is skipped."""
    if not CHROMIUM.exists():
        pytest.skip("there is no Chromium")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=str(program), args=ARGUMENTS)
        try:
            yield running
        finally:
            running.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


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

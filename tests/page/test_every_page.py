"""Every page and state in every language: WCAG 2.2 AA by axe-core, legible, big targets, not cut off, photographed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from agent.page.language import NAMES
from tests.page.fake_control import FakeControl
from tests.page.inventory import PAGES, Shown
from tests.page.seen import english, texts
from tests.page.serving import ThreadServer
from tests.page.window import ARTIFACTS, CONTRAST, OTHER_NAMES, SMALL_TARGETS, WIDTHS, Browser, Page, Window, browser
from tests.page.workshop import make_workshop

__all__ = ["browser"]
pytestmark = pytest.mark.browser

AXE = Path(pytest.importorskip("axe_playwright_python").__file__).parent / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN = """async (rules) => {
  const found = await axe.run(document, {runOnly: rules, resultTypes: ["violations"], elementRef: false});
  return found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`);
}"""
SCHEMES = ("light", "dark")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    folder = tmp_path_factory.mktemp("page")
    with ThreadServer(FakeControl(), folder, workshop=make_workshop(folder)) as running:
        yield running


@pytest.fixture(scope="module")
def axe() -> str:
    return AXE.read_text(encoding="utf-8")


def looked_at(shown: Window, one: Shown) -> Page:
    """Bring the page into its state."""
    control = shown.served.control
    fresh = FakeControl()
    for name in ("saved", "lost", "fail", "log", "known_places", "states", "marks"):
        setattr(control, name, getattr(fresh, name))
    shown.served.call(lambda: one.arrange(control))
    page = shown.page
    page.goto(shown.served.url + one.path)
    if one.act is not None:
        one.act(page)
        page.wait_for_load_state()
    return page


@pytest.mark.parametrize("code", list(NAMES))
def test_every_page_in_every_state(code: str, browser: Browser, shared: ThreadServer, axe: str) -> None:
    folder = ARTIFACTS / code
    folder.mkdir(parents=True, exist_ok=True)
    shown = Window(browser, shared, locale=code)
    wrong: list[str] = []
    for one in PAGES:
        shown.complaints.clear()
        page = looked_at(shown, one)
        assert page.evaluate("document.documentElement.lang") == code
        wrong += [f"{one.name}: {line}" for line in shown.complaints if not (one.refused and "status of 4" in line)]
        if code != "en":
            wrong += [f"{one.name}: English: {text}" for text in texts(page) if english(text)]
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            for width, height in WIDTHS:
                page.set_viewport_size({"width": width, "height": height})
                if scheme == "light":  # a scheme changes colors, no sizes
                    wrong += [f"{one.name} {width}: {text}" for text in _cut_off(page)]
                path = folder / f"{one.name}-{width}-{scheme}.jpg"
                page.screenshot(path=path, type="jpeg", quality=70, full_page=True)
            expect(page.locator(".settling")).to_have_count(0)  # a new question is pale and takes no tap for a moment
            wrong += [f"{one.name} {scheme}: {text}" for text in page.evaluate(CONTRAST)]
            if scheme == "light" or code == "en":  # a language changes no colors
                page.evaluate(axe)
                wrong += [f"{one.name} {scheme}: {text}" for text in page.evaluate(RUN, RULES)]
    shown.context.close()
    assert [url for url in shown.requested if not url.startswith(shared.url)] == [], "a request left the device"
    assert not wrong, "\n".join(wrong)


def _cut_off(page: Page) -> list[str]:
    """Return what does not fit: too small for a finger, named otherwise than it reads, or wider than the screen."""
    found = [f"small: {html}" for html in page.evaluate(SMALL_TARGETS)]
    found += [f"another name: {text}" for text in page.evaluate(OTHER_NAMES)]
    if page.evaluate("document.documentElement.scrollWidth - innerWidth") > 0:
        found.append("scrolls sideways")
    return found

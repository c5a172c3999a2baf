"""A person at the device's own screen, in a real Chromium: knows what is written on the page, and nothing else."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextlib import contextmanager

from agent.lab.stage import Stage
from tests.e2e.house import eventually
from tests.page.window import ARTIFACTS, Page, PlaywrightError, chromium, expect

PAGE = "http://127.0.0.1:8911"
PATIENCE = 30_000
"""Milliseconds until a reader gives up; no expectation about speed."""


class Reader:
    """Reads and presses."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.began = time.monotonic()
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        page.on("console", lambda line: self.complaints.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda one: None if one.url.startswith(PAGE) else self.foreign.append(one.url))

    @property
    def seconds(self) -> float:
        """Return how long the reader has been here."""
        return time.monotonic() - self.began

    def open(self, path: str = "/") -> None:
        """Go to a page."""
        self.page.goto(PAGE + path)

    def comes_up(self) -> None:
        """Open the first page as soon as there is one."""

        def opened() -> bool:
            with contextlib.suppress(PlaywrightError):
                self.open()
                return True
            return False

        eventually("the page", opened)

    def follow(self, name: str) -> None:
        """Follow a link with that text."""
        self.page.get_by_role("link", name=name, exact=True).first.click()

    def press(self, name: str) -> None:
        """Press a button with that text."""
        self.page.get_by_role("button", name=name, exact=True).first.click()

    def enter(self, **fields: str) -> None:
        """Fill in fields by their labels (`SIP_user_name` is `SIP user name`)."""
        for label, text in fields.items():
            self.page.get_by_label(label.replace("_", " "), exact=True).fill(text)

    def sees(self, text: str) -> None:
        """Wait until something is written there."""
        expect(self.page.get_by_text(text).first).to_be_visible(timeout=PATIENCE)

    def reads(self) -> str:
        """Return everything that is written."""
        return self.page.inner_text("main")

    def photograph(self, name: str) -> None:
        """Keep what is seen, narrow, as on a phone in the hand, and wide."""
        folder = ARTIFACTS / "setup"
        folder.mkdir(parents=True, exist_ok=True)
        before = self.page.viewport_size
        for width in (320, 768, 1920):
            self.page.set_viewport_size({"width": width, "height": 900})
            assert not self.page.evaluate("document.documentElement.scrollWidth > innerWidth"), f"{name} at {width} px"
            self.page.screenshot(path=str(folder / f"{name}-{width}.png"), full_page=True)
        assert before is not None
        self.page.set_viewport_size(before)


@contextmanager
def reader(stage: Stage, *, script: bool = True) -> Iterator[Reader]:
    """Yield somebody in front of the device's screen; nothing that the page loads may leave the device."""
    with stage.lab.in_namespace("device"), chromium() as browser:
        context = browser.new_context(viewport={"width": 768, "height": 1024}, java_script_enabled=script)
        found = Reader(context.new_page())
        yield found
    assert found.foreign == [], "a request left the device"
    # a form that is refused, and an agent that is started again, are news to the browser's console, too
    wrong = [line for line in found.complaints if not line.startswith("Failed to load resource:")]
    assert wrong == [], wrong

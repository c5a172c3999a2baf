"""Signing in from another computer in a real Chromium: keyboard only, without JavaScript, on a 320 px phone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.page.link_world import STAFF_PIN, TECHNICIAN_PIN, World, link_world
from tests.page.window import ARTIFACTS, CONTRAST, WIDTHS, Browser, Page, browser, expect

__all__ = ["browser"]
pytestmark = pytest.mark.browser


class Neighborhood:
    """A server on the link in a thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ready, self._over = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="neighborhood")
        self._thread.start()
        assert self._ready.wait(20)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with link_world(self._folder) as self.world:
            self.link, self.screen = self.world.link_url(), f"http://127.0.0.1:{self.world.server.port}"
            self._ready.set()
            await self._over.wait()

    def call(self, work: Callable[[World], None]) -> None:
        """Run something where the server runs."""

        async def inside() -> None:
            work(self.world)

        asyncio.run_coroutine_threadsafe(inside(), self._loop).result(20)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()


@pytest.fixture
def hood(tmp_path: Path) -> Iterator[Neighborhood]:
    running = Neighborhood(tmp_path)
    yield running
    running.close()


def window(browser: Browser, **options: object) -> tuple[Page, list[str]]:
    """Return a page and its complaints, requests to elsewhere among them."""
    page = browser.new_context(ignore_https_errors=True, **options).new_page()  # type: ignore[arg-type]
    complaints: list[str] = []
    page.on("console", lambda line: complaints.append(line.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    ours = ("http://127.0.0.1:", "https://127.0.0.2:")
    page.on("request", lambda sent: None if sent.url.startswith(ours) else complaints.append(sent.url))
    return page, complaints


def test_the_keyboard_alone_signs_in_confirms_and_signs_out(browser: Browser, hood: Neighborhood) -> None:
    page, complaints = window(browser)
    page.goto(hood.link)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.get_by_label("PIN")).to_be_focused()
    page.keyboard.type(STAFF_PIN)
    page.keyboard.press("Enter")
    hood.call(lambda world: world.control.ask_place())
    yes = page.get_by_role("button", name="Yes, still at 123 Main St, Suite 400")
    expect(yes).to_be_visible()
    expect(page.locator(".settling")).to_have_count(0)
    yes.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Saved. This phone is at 123 Main St, Suite 400.")).to_be_visible()
    assert hood.world.control.confirmed[0][1].startswith("staff at 127.0.0.")
    page.get_by_role("button", name="Sign out").press("Enter")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert complaints == []


def test_wrong_pins_without_javascript_end_in_a_pause_that_is_told(browser: Browser, hood: Neighborhood) -> None:
    page, _ = window(browser, java_script_enabled=False, viewport={"width": 320, "height": 640})
    page.goto(hood.link)
    for left in (4, 3, 2, 1):
        page.get_by_label("PIN").fill("999998")
        page.get_by_role("button", name="Sign in").click()
        expect(
            page.get_by_text(f"That PIN is not right. Try again: {left} more can be tried before a pause.")
        ).to_be_visible()
        expect(page.get_by_label("PIN")).to_have_value("")
    page.get_by_label("PIN").fill("999998")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("That PIN is not right. Try again in 30 seconds.")).to_be_visible()
    page.get_by_label("PIN").fill(STAFF_PIN)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("Too many wrong PINs were tried.")).to_be_visible()
    hood.call(lambda world: setattr(world.clock, "now", world.clock.now + 30))
    page.get_by_label("PIN").fill(STAFF_PIN)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("link", name="Addresses")).to_be_visible()


def test_a_session_that_ends_while_the_page_is_open_leads_back_to_the_pin(browser: Browser, hood: Neighborhood) -> None:
    page, _ = window(browser)
    page.goto(hood.link)
    page.get_by_label("PIN").fill(STAFF_PIN)
    with page.expect_request("**/events"):
        page.get_by_role("button", name="Sign in").click()
    hood.call(lambda world: world.access.sessions.close_all())
    hood.call(lambda world: world.control.ask_place())
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.get_by_text("Main St")).to_have_count(0)


def test_a_technician_at_the_screen_changes_the_pin_and_reads_the_audit(browser: Browser, hood: Neighborhood) -> None:
    page, complaints = window(browser)
    page.goto(f"{hood.screen}/access")
    expect(page.get_by_role("img", name="QR code of the first address")).to_be_visible()
    expect(page.get_by_role("heading", name="Staff's PIN")).to_have_count(0)
    page.get_by_role("link", name="Technician").click()
    page.get_by_label("PIN").fill(TECHNICIAN_PIN)
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Access from other computers").click()
    staff = page.get_by_role("region", name="Staff's PIN")
    staff.get_by_label("New PIN").fill("123456")
    staff.get_by_label("The same again").fill("123456")
    staff.get_by_role("button", name="Set this PIN").click()
    expect(page.get_by_text("This PIN is among the first that somebody tries")).to_be_visible()
    expect(staff.get_by_label("New PIN")).to_be_focused()
    page.keyboard.type("730951")
    staff.get_by_label("The same again").fill("730951")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The new PIN counts from now on.")).to_be_visible()
    page.get_by_role("link", name="Who changed what").click()
    expect(page.get_by_text("Changed a PIN staff's PIN").first).to_be_visible()
    assert [line for line in complaints if "422" not in line and "403" not in line] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", WIDTHS)
def test_every_page_about_access_is_legible_and_fits(
    size: tuple[int, int], scheme: str, browser: Browser, hood: Neighborhood
) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    page, _ = window(browser, viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)

    def look(name: str) -> None:
        page.screenshot(path=ARTIFACTS / f"{name}-{size[0]}-{scheme}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, f"{name} scrolls sideways"
        assert page.evaluate(CONTRAST) == [], name

    page.goto(hood.link)
    look("login")
    page.get_by_label("PIN").fill("999998")
    page.keyboard.press("Enter")
    expect(page.get_by_text("That PIN is not right.")).to_be_visible()
    look("login-wrong")
    page.get_by_label("PIN").fill(TECHNICIAN_PIN)
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    for name in ("access", "audit"):
        page.goto(f"{hood.link}/{name}")
        look(name)

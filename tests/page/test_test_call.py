"""The page of the test call in Chromium: make one, hear it, compare it, see what is wrong; small and large screens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.page.calling import Parts, elsewhere
from tests.page.fake_control import NOON, FakeControl
from tests.page.serving import ThreadServer
from tests.page.window import ARTIFACTS, SMALL_TARGETS, Browser, Page, Window, browser, expect
from tests.testcall import sounds

__all__ = ["browser"]
pytestmark = pytest.mark.browser

SPOKEN = "This is the 9 3 3 test. Your emergency address is 123 Main Street, Suite 400, San Francisco. Goodbye."


class Phone:
    """A page with a phone behind it, whose 933 says what a test wants."""

    def __init__(self, folder: Path) -> None:
        self.parts = Parts(folder)
        self.control = FakeControl()
        self.parts.world.on_change = self.publish
        self.served = ThreadServer(self.control, folder, self.parts.calling)

    def publish(self) -> None:
        tester = self.parts.calling.tester
        last = tester.past[0] if tester.past else None
        notices = self.parts.calling.notices()
        now = replace(self.control.now, test_running=tester.running, test_last=last, notices=notices)
        self.control.show(now)


@pytest.fixture
def phone(tmp_path: Path) -> Iterator[Phone]:
    phone = Phone(tmp_path)
    with phone.served:
        yield phone


@pytest.fixture
def window(browser: Browser, phone: Phone) -> Iterator[Window]:
    opened = Window(browser, phone.served)
    yield opened
    opened.context.close()


def make(window: Window) -> Page:
    page = window.open("/test")
    with page.expect_navigation():
        page.get_by_role("button", name="Call 933 and record it").click()
    return page


def look_at(page: Page, name: str) -> None:
    """Check targets and width at the smallest and the largest screen, and keep pictures of both."""
    ARTIFACTS.mkdir(exist_ok=True)
    for width, height in ((320, 640), (1920, 1080)):
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(SMALL_TARGETS) == []
        page.screenshot(path=ARTIFACTS / f"test-call-{name}-{width}.png", full_page=True)


def test_the_page_follows_the_call_plays_the_recording_and_asks_what_it_says(window: Window, phone: Phone) -> None:
    phone.parts.sound = sounds.spoken(SPOKEN)
    phone.served.call(phone.parts.over.clear)
    page = make(window)
    expect(page.get_by_role("heading", name="The test call is being made")).to_be_visible()
    expect(page.get_by_text("Answered. The address is being recorded.")).to_be_visible()
    look_at(page, "running")
    phone.served.call(phone.parts.over.set)
    expect(page.get_by_text("The test call was answered and a voice was recorded.")).to_be_visible()
    expect(page.get_by_text("The recording should say:")).to_be_visible()
    expect(page.locator("p.aloud")).to_contain_text("123 Main St, Suite 400")
    played = page.evaluate(
        """async () => { const a = document.querySelector('audio'); a.muted = true; await a.play();
           await new Promise(done => a.addEventListener('timeupdate', done, {once: true})); return a.duration; }"""
    )
    assert played == pytest.approx(len(phone.parts.sound) / 8000, abs=0.1)
    look_at(page, "compare")
    page.get_by_role("button", name="It says this address").click()
    expect(page.get_by_text("It says this address (local screen")).to_be_visible()
    assert phone.served.call(phone.parts.calling.notices) == ()
    assert window.complaints == []


def test_something_else_is_an_alarm_that_says_what_to_do_and_stays(window: Window, phone: Phone) -> None:
    phone.parts.sound = sounds.spoken("Your emergency address is 500 Elm Street, San Francisco, California. Goodbye.")
    page = make(window)
    page.get_by_role("button", name="It says something else").click()
    alarm = page.get_by_role("alert").filter(has_text="It says something else")
    expect(alarm).to_contain_text("911 may send help to the wrong place.")
    expect(alarm).to_contain_text("Confirm the address again")
    look_at(page, "wrong")
    home = window.open("/")
    expect(
        home.get_by_text("A test call did not say the address of this phone (heard by local screen)")
    ).to_be_visible()
    look_at(home, "home")
    (evidence, *_) = phone.served.call(lambda: phone.parts.calling.tester.past)
    assert [(one.same, one.who, one.at) for one in evidence.answers] == [(False, "local screen", NOON)]


def test_silence_is_shown_as_what_it_is_with_what_to_do(window: Window, phone: Phone) -> None:
    phone.parts.sound = sounds.silence(3)
    page = make(window)
    expect(page.get_by_text("The test call was answered, but nothing was to be heard.")).to_be_visible()
    expect(page.get_by_text("on 911 you might not be heard")).to_be_visible()
    expect(page.get_by_role("button", name="It says this address")).to_have_count(0)
    look_at(page, "silent")


def test_a_phone_without_an_address_is_compared_too(window: Window, phone: Phone) -> None:
    elsewhere(phone.parts.world, None)
    phone.parts.sound = sounds.spoken("This is the 9 3 3 test. There is no emergency address for this phone. Goodbye.")
    page = make(window)
    expect(page.get_by_text("The recording should say that there is no address for this phone.")).to_be_visible()
    page.get_by_role("button", name="It says that", exact=True).click()
    expect(page.get_by_text("It says this address (local screen")).to_be_visible()


def test_two_presses_make_one_call(window: Window, phone: Phone) -> None:
    phone.served.call(phone.parts.over.clear)
    page = make(window)
    expect(page.get_by_text("The test call is being made")).to_be_visible()
    page.get_by_role("button", name="Call 933 and record it").click()
    expect(page.get_by_text("A test call is being made already.")).to_be_visible()
    phone.served.call(phone.parts.over.set)

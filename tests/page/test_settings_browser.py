"""A technician's visit in a real Chromium: every group changed, undone and reset, mistakes, a colleague, a new port."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.config.current import Configuration
from agent.config.load import Layers
from agent.page.access.probe import probe
from tests.page.fake_control import FakeControl
from tests.page.serving import ThreadServer
from tests.page.window import ARTIFACTS, Browser, Page, Window, browser, expect
from tests.page.workshop import make_workshop

if TYPE_CHECKING:
    from playwright.sync_api import Locator

__all__ = ["browser"]
pytestmark = pytest.mark.browser

GROUPS = {
    "Phone line and sound": ("Registrar", "sip.example.com", "pbx.example.net"),
    "Platform and token": ("Platform URL", "https://api.dialstack.ai", "https://api.example.net"),
    "Name and mobility": ("Name of this phone", "this phone", "Front desk"),
    "Notices of emergency calls": ("Mail server", "", "mail.example.net"),
    "Test calls": ("Hours in which it may call", "08:00-18:00", "22:00-06:00"),
    "This page and access to it": ("Further names of this device", "", "desk.example.net"),
    "Network": ("Grace after a loss, in seconds", "5", "8"),
}
"""Group -> a field of it, its value and another one."""
SECRET = "hunter2-hunter2"


class Device(ThreadServer):
    """A page whose settings are really kept, and really taken up by it."""

    def __init__(self, folder: Path) -> None:
        shop = make_workshop(folder)
        super().__init__(FakeControl(), folder, workshop=shop)
        self.configuration: Configuration = shop.configuration
        self.configuration.apply = self._apply
        self.configuration.probe = lambda old, new: probe(self.server, old.page, new.page)

    async def _apply(self, _old: Layers, new: Layers) -> None:
        page = new.settings.page
        port = page.port if "page.port" in new.overlay.values else 0  # the kernel's choice until a test sets one
        await self.server.configure(replace(page, port=port, socket=self.socket))


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    with Device(tmp_path) as running:
        yield running


@pytest.fixture
def technician(browser: Browser, device: Device) -> Iterator[Window]:
    opened = Window(browser, device, viewport={"width": 1024, "height": 900})
    yield opened
    opened.context.close()


def keep(page: Page, name: str) -> None:
    """Keep a picture to look at."""
    folder = ARTIFACTS / "settings"
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"{name}.png", full_page=True)


def open_group(page: Page, title: str) -> None:
    page.goto(re.sub(r"(https?://[^/]+).*", r"\1/settings", page.url))
    page.locator("a.tile", has_text=title).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(title)


def field(page: Page, label: str) -> Locator:
    """Return a field by its label, unfolded."""
    found = page.get_by_label(label, exact=True)
    if not found.is_visible():
        page.locator("details", has=found).locator("summary").click()
    return found


def test_every_group_is_changed_taken_back_and_reset(technician: Window, device: Device) -> None:
    page = technician.open("/settings")
    keep(page, "untouched")
    for title, (label, before, after) in GROUPS.items():
        open_group(page, title)
        expect(field(page, label)).to_have_value(before)
        field(page, label).fill(after)
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("Saved.")).to_be_visible()
        expect(page.get_by_text(f"This takes back: {label}.")).to_be_visible()
    keep(page, "every group changed")
    page.get_by_role("button", name="Undo the last change").click()
    expect(page.get_by_text("Taken back: Grace after a loss, in seconds.")).to_be_visible()
    assert device.configuration.layers.settings.network.loss_grace == 5
    open_group(page, "Name and mobility")
    expect(field(page, "Name of this phone")).to_have_value("Front desk")
    keep(page, "a field set here")
    page.get_by_role("button", name="(Name of this phone)").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    expect(field(page, "Name of this phone")).to_have_value("this phone")
    assert technician.complaints == []


def test_a_mistake_stands_beside_its_field_and_nothing_that_was_typed_is_lost(technician: Window) -> None:
    page = technician.open("/settings")
    open_group(page, "Notices of emergency calls")
    field(page, "Recipients").fill("desk@example.net\nnobody")
    field(page, "Mail server").fill("mail.example.net")
    field(page, "Tell of test calls too").uncheck()
    field(page, "Password at the mail server").fill(SECRET)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("It must be an e-mail address alone")).to_be_visible()
    expect(page.get_by_text("Enter secrets once more")).to_be_visible()
    expect(field(page, "Recipients")).to_have_value("desk@example.net\nnobody")
    expect(field(page, "Recipients")).to_be_focused()
    expect(field(page, "Mail server")).to_have_value("mail.example.net")
    expect(field(page, "Tell of test calls too")).not_to_be_checked()
    assert SECRET not in page.content()
    keep(page, "a mistake")
    field(page, "Recipients").fill("desk@example.net")
    field(page, "Password at the mail server").fill(SECRET)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("A secret that was replaced is kept")).to_be_hidden()
    open_group(page, "Notices of emergency calls")
    field(page, "Password at the mail server").fill(f"{SECRET}-new")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("A secret that was replaced is kept for one hour")).to_be_visible()
    keep(page, "a secret replaced")
    page.get_by_role("button", name="Undo the last change").click()
    expect(page.get_by_text("Taken back: Password at the mail server.")).to_be_visible()
    assert SECRET not in page.content()
    complaints = [
        line for line in technician.complaints if "422" not in line
    ]  # Chromium's word for the form shown again
    assert complaints == []


def test_a_colleague_is_told_and_overwrites_nothing(technician: Window, device: Device, browser: Browser) -> None:
    page, other = technician.open("/settings"), Window(browser, device)
    colleague = other.open("/settings")
    open_group(page, "Phone line and sound")
    open_group(colleague, "Phone line and sound")
    field(page, "Registrar").fill("mine.example.net")
    field(colleague, "Port").fill("5080")
    colleague.get_by_role("button", name="Save").click()
    expect(colleague.get_by_text("Saved.")).to_be_visible()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Changed meanwhile: Port.")).to_be_visible()
    expect(field(page, "Registrar")).to_have_value("mine.example.net")
    expect(field(page, "Port")).to_have_value("5080")
    keep(page, "changed meanwhile")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    sip = device.configuration.layers.settings.sip
    assert (sip.registrar, sip.port) == ("mine.example.net", 5080)
    other.context.close()


def test_the_screen_follows_the_page_to_another_port(technician: Window) -> None:
    page = technician.open("/settings")
    with socket.create_server(("127.0.0.1", 0)) as busy:
        taken = busy.getsockname()[1]
        open_group(page, "This page and access to it")
        field(page, "HTTP port").fill(str(taken))
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("Another program uses that port.")).to_be_visible()
        keep(page, "a port that is taken")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text(f"this page is on port {taken} now")).to_be_visible()
    keep(page, "another port")
    page.goto(f"http://127.0.0.1:{taken}/settings")
    expect(page.get_by_role("heading", level=1)).to_have_text("Settings")
    page.get_by_role("button", name="Undo the last change").click()
    expect(page.get_by_text("Taken back: HTTP port.")).to_be_visible()

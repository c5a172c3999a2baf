"""How the page looks in Chromium: small, legible, big enough for fingers, photographed in every state."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.model import StatusKind
from tests.page.fake_control import overview, steps
from tests.page.serving import ThreadServer
from tests.page.window import (
    ARTIFACTS,
    MAX_TRANSFER,
    WIDTHS,
    Browser,
    Page,
    Window,
    browser,
    expect,
    served,
    window,
)

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
    small = page.evaluate(
        """() => [...document.querySelectorAll('a, button, input:not([type=hidden]), select, summary')]
             .filter((one) => one.checkVisibility() && !one.matches('.skip'))
             .filter((one) => { const box = one.getBoundingClientRect(); return box.height < 44 || box.width < 44; })
             .map((one) => one.outerHTML)"""
    )
    assert small == []


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
    if (!said || !node.checkVisibility() || node.matches('script, noscript, noscript *')) continue;
    const [a, b] = [light(numbers(getComputedStyle(node).color)), light(behind(node))];
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) bad.push(`${ratio.toFixed(2)} ${node.outerHTML.slice(0, 120)}`);
  }
  return bad;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", WIDTHS)
def test_every_state_is_legible_fits_its_screen_and_is_photographed(
    size: tuple[int, int], scheme: str, browser: Browser, served: ThreadServer
) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    control = served.control
    shown = Window(browser, served, viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    working = replace(overview(StatusKind.CONNECTING), steps=steps(3), notices=("The database was set aside.",))
    states = {kind.value: ("/", overview(kind)) for kind in StatusKind}
    served.call(control.ask_place)
    states |= {
        "question": ("/", control.now),
        "progress": ("/", working),
        "failed": ("/", replace(working, steps=steps(2, failed=2))),
        "emergency": ("/", replace(overview(StatusKind.PROVISIONAL), interlock=True)),
        "form": ("/addresses/new", overview(StatusKind.UNBOUND)),
        "addresses": ("/addresses", overview()),
        "forget": ("/addresses/forget?address_id=emerg_1", overview()),
        "history": ("/history", overview()),
        "problem": ("/nothing", overview()),
    }
    for name, (path, state) in states.items():
        served.call(lambda state=state: control.show(state))  # type: ignore[misc]
        page = shown.open(path)
        _photograph(page, f"{name}-{size[0]}-{scheme}")
    page = shown.open("/addresses/new")
    page.get_by_role("button", name="This phone is here").click()
    expect(page.get_by_text("Not saved yet")).to_be_visible()
    _photograph(page, f"form-error-{size[0]}-{scheme}")
    shown.context.close()


def _photograph(page: Page, name: str) -> None:
    page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, f"{name} scrolls sideways"
    assert page.evaluate(CONTRAST) == [], name

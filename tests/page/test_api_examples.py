"""The examples of API.md, run as they stand there: curl on the socket, JavaScript on the page."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.page.calling import Parts
from tests.page.fake_control import FakeControl
from tests.page.serving import ThreadServer
from tests.page.window import Browser, Window, browser, expect

__all__ = ["browser"]

DOCUMENT = Path(__file__).parents[2] / "agent/page/API.md"


def example(language: str) -> str:
    """Return the example in a language of the section about calls."""
    section = DOCUMENT.read_text(encoding="utf-8").partition("\n## Calls\n")[2].partition("\n## ")[0]
    (code,) = re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)
    return str(code)


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return Parts(tmp_path)


@pytest.fixture
def served(tmp_path: Path, parts: Parts) -> Iterator[ThreadServer]:
    with ThreadServer(FakeControl(), tmp_path, parts.calling) as server:
        server.wait(parts.voice.start())
        yield server
        server.call(parts.voice.stop)


def test_curl_places_lists_ends_and_follows_calls(served: ThreadServer, parts: Parts) -> None:
    script = f'SOCKET="{served.socket}"\n' + "\necho\n".join(example("sh").splitlines())
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    placed, listed, ended, *events = [line for line in done.stdout.splitlines() if line]
    assert (json.loads(placed)["to"], json.loads(placed)["state"]) == ("933", "calling")
    assert [one["to"] for one in json.loads(listed)["calls"]] == ["933"]
    assert json.loads(ended) == {"done": True}
    assert events[:2] == ["retry: 2000", "event: calls"]
    assert parts.voice.orders == [{"type": "call", "to": "933"}, {"type": "hangup"}]


@pytest.mark.browser
def test_javascript_on_the_page_calls_and_follows(browser: Browser, served: ThreadServer, parts: Parts) -> None:
    window = Window(browser, served)
    page = window.open("/addresses")
    show = "const show = (...one) => { document.body.dataset.seen += `${one.join(' ')};`; };"
    page.evaluate(f"async () => {{ {show} {example('js')} }}")
    expect(page.locator("body")).to_have_attribute("data-seen", re.compile("calling ;"))
    served.call(lambda: parts.voice.say(1, state="ended", ended="The other side hung up."))
    expect(page.locator("body")).to_have_attribute("data-seen", re.compile("ended The other side hung up.;"))
    assert parts.voice.orders == [{"type": "call", "to": "933"}]
    expect(page.locator("h1")).to_be_visible()
    window.context.close()

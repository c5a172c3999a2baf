"""How heavy and how fast Home is on a slow device: `python -m tests.page.bench` with Chromium's CPU slowed down.

Every run opens Home with its question in a fresh profile of a running browser over loopback, nothing cached; the
window shows another answer of the phone before, so that the start of Chromium's processes does not count. `usable` is
the time from the end of the HTML's answer until the content is painted, the script has run and no task of 50 ms or
more goes on; `answer` is the server's own time until then, by the browser's clock (Navigation Timing Level 2).
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.page.serving import ThreadServer, thread_server
from tests.page.window import ARGUMENTS, CHROMIUM, MAX_TRANSFER, Browser, sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import CDPSession

GOAL = 100.0
"""Milliseconds from the answer until Home can be used, at SLOWDOWN."""
SLOWDOWN = 6
RUNS = 20
WATCH = """
  window.tasks = [];
  new PerformanceObserver((list) => window.tasks.push(...list.getEntries())).observe({type: "longtask"});
"""
PAINTED = "() => performance.getEntriesByName('first-contentful-paint').length"
TIMES = """async () => {
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
  const page = performance.getEntriesByType("navigation")[0];
  const paint = performance.getEntriesByName("first-contentful-paint")[0];
  const busy = window.tasks.map((task) => task.startTime + task.duration);
  return {
    answer: page.responseEnd - page.requestStart,
    painted: paint.startTime - page.responseEnd,
    usable: Math.max(paint.startTime, page.domContentLoadedEventEnd, ...busy) - page.responseEnd,
  };
}"""


UNITS = {
    "requests": "",
    "transfer": f"bytes, goal < {MAX_TRANSFER}",
    "answer": "ms",
    "painted": "ms after the answer",
    "usable": f"ms after the answer, goal < {GOAL:g}",
}


@dataclass(frozen=True)
class Run:
    """One opening of Home."""

    requests: int
    transfer: int
    """Bytes on the wire, headers included, without the event stream that stays open."""
    answer: float
    painted: float
    usable: float
    """Milliseconds."""


def measure(browser: Browser, served: ThreadServer, slowdown: int) -> Run:
    """Open Home once."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    devtools = context.new_cdp_session(page)
    sizes = _listen(devtools)
    page.goto(f"{served.url}/static/icon.svg")
    sizes.clear()
    devtools.send("Emulation.setCPUThrottlingRate", {"rate": slowdown})
    page.add_init_script(WATCH)
    page.goto(served.url, wait_until="load")
    page.wait_for_function(PAINTED)
    times: dict[str, float] = page.evaluate(TIMES)
    context.close()
    return Run(len(sizes), round(sum(sizes.values())), **times)


def _listen(devtools: CDPSession) -> dict[str, float]:
    """Return what fills with request id -> bytes while the page loads."""
    sizes: dict[str, float] = {}

    def began(event: dict[str, Any]) -> None:
        if not event["request"]["url"].endswith("/events"):
            sizes[event["requestId"]] = 0.0

    def ended(event: dict[str, Any]) -> None:
        if event["requestId"] in sizes:
            sizes[event["requestId"]] = event["encodedDataLength"]

    devtools.on("Network.requestWillBeSent", began)
    devtools.on("Network.loadingFinished", ended)
    devtools.send("Network.enable")
    return sizes


def report(runs: list[Run]) -> dict[str, Any]:
    """Return median and p99 of every figure; with few runs p99 is the worst one."""
    found: dict[str, Any] = {"runs": len(runs)}
    for name in UNITS:
        values = sorted(float(getattr(run, name)) for run in runs)
        worst = values[min(len(values) - 1, round(0.99 * (len(values) - 1)))]
        found[name] = {"median": round(statistics.median(values), 1), "p99": round(worst, 1)}
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--slowdown", type=int, default=SLOWDOWN, help="how many times slower the CPU is made")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        thread_server(Path(folder)) as served,
        sync_playwright() as playwright,
    ):
        served.call(served.control.ask_place)
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        measure(chromium, served, options.slowdown)  # warms up browser and server
        found = report([measure(chromium, served, options.slowdown) for _ in range(options.runs)])
        chromium.close()
    if options.json:
        print(json.dumps(found))
        return
    print(f"Home with its question, {found['runs']} cold runs, CPU slowed {options.slowdown}x (median, p99):")
    for name, unit in UNITS.items():
        print(f"  {name:9} {found[name]['median']:>9} {found[name]['p99']:>9}  {unit}")


if __name__ == "__main__":
    main()

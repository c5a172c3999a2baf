"""How heavy and how fast Home is on a slow device: `python -m tests.page.bench` with Chromium's CPU slowed down.

One warm window opens, in changing order and over loopback: Home with its question for the first time (nothing
cached), Home `again`, and `floor`, an almost empty page. What the floor takes is Chromium's and this machine's; no page
can be faster here, so the goal is to be judged by both. `--beside FOLDER` measures the Home of another checkout in the
same rounds.

`usable` is the time from the end of the HTML's answer until the content is painted, the script has run and no task of
50 ms or more goes on (Navigation Timing Level 2, Paint Timing, Long Tasks). Nothing is injected while a page loads: all
is read afterwards, at full speed. (Opening a window for every run measures Chromium's own toolbar on the same cores
instead, and compiling a driver's helpers in the slowed page counts as a task of it.) `work` is the CPU time of the
page's main thread, not slowed: it hardly depends on what else the machine does.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.page.window import MAX_TRANSFER, Page, chromium

GOAL = 100.0
"""Milliseconds from the answer until Home can be used, at SLOWDOWN."""
SLOWDOWN = 6
RUNS = 20
WARM_UP = 2
"""Rounds that are not counted."""
SETTLE = 3000
"""Milliseconds until a new window has loaded what Chromium itself shows in it."""
QUIET = 300
"""Milliseconds after load and paint in which a long task would still count."""
SERVE = """
import sys, tempfile
from pathlib import Path
from tests.page.serving import thread_server
with tempfile.TemporaryDirectory() as folder, thread_server(Path(folder)) as served:
    served.call(served.control.ask_place)
    print(served.url, flush=True)
    sys.stdin.read()
"""
FLOOR = """
import asyncio, sys
from aiohttp import web
page = '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Floor</title></head><body><h1>Almost nothing'
page += "</h1>" + "<p>One of a few lines of text.</p>" * 24 + "</body></html>"
async def answer(request):
    return web.Response(text=page if request.path == "/" else "", content_type="text/html")
async def serve():
    application = web.Application()
    application.router.add_get("/{name:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.to_thread(sys.stdin.read)
asyncio.run(serve())
"""
TIMES = """(async () => {
  const long = await new Promise((done) => {
    const watch = new PerformanceObserver((list) => done(list.getEntries()));
    watch.observe({type: "longtask", buffered: true});
    setTimeout(done, 50, []);
  });
  const page = performance.getEntriesByType("navigation")[0];
  const paint = performance.getEntriesByName("first-contentful-paint")[0];
  const styles = performance.getEntriesByType("resource").filter((one) => one.initiatorType === "link");
  const after = (...times) => Math.max(page.responseEnd, ...times) - page.responseEnd;
  return {
    answer: page.responseEnd - page.requestStart,
    styled: after(...styles.map((one) => one.responseEnd).filter((end) => end < paint.startTime)),
    painted: after(paint.startTime),
    usable: after(paint.startTime, page.domContentLoadedEventEnd, ...long.map((one) => one.startTime + one.duration)),
  };
})()"""
UNITS = {
    "requests": "",
    "transfer": f"bytes, goal < {MAX_TRANSFER}",
    "answer": "ms",
    "styled": "ms after the answer",
    "painted": "ms after the answer",
    "usable": f"ms after the answer, goal < {GOAL:g}",
    "work": "ms of CPU, not slowed",
}


@dataclass(frozen=True)
class Target:
    """A page that is opened, and whether all was forgotten before."""

    url: str
    again: bool = False


@dataclass(frozen=True)
class Run:
    """One opening of a page."""

    requests: int
    transfer: int
    """Bytes on the wire, headers included, without the event stream that stays open."""
    answer: float
    styled: float
    """Until what the first picture waits for was there."""
    painted: float
    usable: float
    """Milliseconds."""
    work: float
    """Milliseconds of CPU."""


class SlowWindow:
    """A window that stays open, and what it loads."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._devtools = page.context.new_cdp_session(page)
        self._sizes: dict[str, float] = {}
        self._marks: set[str] = set()
        self._devtools.on("Network.requestWillBeSent", self._began)
        self._devtools.on("Network.loadingFinished", self._ended)
        self._devtools.on("Page.lifecycleEvent", lambda event: self._marks.add(event["name"]))
        for command in ("Network.enable", "Page.enable"):
            self._devtools.send(command)
        self._devtools.send("Page.setLifecycleEventsEnabled", {"enabled": True})

    def measure(self, target: Target, slowdown: int) -> Run:
        """Open a page slowed for its times, then once more at full speed for its work."""
        times, _ = self._open(target, slowdown)
        requests, transfer = len(self._sizes), round(sum(self._sizes.values()))
        _, work = self._open(target, 1)
        return Run(requests, transfer, times["answer"], times["styled"], times["painted"], times["usable"], work)

    def _open(self, target: Target, slowdown: int) -> tuple[dict[str, float], float]:
        if target.again:
            self._go(target.url, "load", "firstContentfulPaint")
        self._go(f"{target.url}/static/page.js", "load")
        if not target.again:
            self._devtools.send("Network.clearBrowserCache")
        self._devtools.send("Network.clearBrowserCookies")
        self._devtools.send("Emulation.setCPUThrottlingRate", {"rate": slowdown})
        self._devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
        before = self._busy()
        self._go(target.url, "load", "firstContentfulPaint")
        self._page.wait_for_timeout(QUIET)
        work = self._busy() - before
        self._devtools.send("Performance.disable")
        self._devtools.send("Emulation.setCPUThrottlingRate", {"rate": 1})
        asked = {"expression": TIMES, "awaitPromise": True, "returnByValue": True}
        times: dict[str, float] = self._devtools.send("Runtime.evaluate", asked)["result"]["value"]
        return times, work

    def _go(self, url: str, *marks: str) -> None:
        self._marks.clear()
        self._sizes.clear()
        self._devtools.send("Page.navigate", {"url": url})
        while not set(marks) <= self._marks:
            self._page.wait_for_timeout(10)

    def _busy(self) -> float:
        """Return the milliseconds of CPU that the main thread took since the figures were switched on."""
        found = self._devtools.send("Performance.getMetrics")["metrics"]
        return 1000 * float(next(one["value"] for one in found if one["name"] == "TaskDuration"))

    def _began(self, event: dict[str, Any]) -> None:
        if not event["request"]["url"].endswith("/events"):
            self._sizes[event["requestId"]] = 0.0

    def _ended(self, event: dict[str, Any]) -> None:
        if event["requestId"] in self._sizes:
            self._sizes[event["requestId"]] = event["encodedDataLength"]


@contextlib.contextmanager
def serving(script: str, folder: Path) -> Iterator[str]:
    """Run a server of its own, in that checkout, and yield its address."""
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate()


def measure(targets: dict[str, Target], runs: int, slowdown: int) -> dict[str, list[Run]]:
    """Open every page that often, in turn."""
    found: dict[str, list[Run]] = {name: [] for name in targets}
    with chromium() as browser:
        page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
        window = SlowWindow(page)
        page.wait_for_timeout(SETTLE)
        for count in range(WARM_UP + runs):
            turn = count % len(targets)
            for name, target in [*targets.items()][turn:] + [*targets.items()][:turn]:
                run = window.measure(target, slowdown)
                found[name] += [run] if count >= WARM_UP else []
    return found


def report(runs: list[Run]) -> dict[str, Any]:
    """Return median and p99 of every figure; with few runs p99 is the worst one."""
    found: dict[str, Any] = {"runs": len(runs)}
    for name in UNITS:
        values = sorted(float(asdict(run)[name]) for run in runs)
        worst = values[min(len(values) - 1, round(0.99 * (len(values) - 1)))]
        found[name] = {"median": round(statistics.median(values), 1), "p99": round(worst, 1)}
    return found


def say(found: dict[str, dict[str, Any]], slowdown: int) -> None:
    """Print what was found as a table."""
    load, cores = os.getloadavg()[0], os.cpu_count()
    print(f"{found['home']['runs']} rounds, CPU slowed {slowdown}x, load {load:.1f} on {cores} cores (median, p99):")
    print(f"{'':10}" + "".join(f"{name:>18}" for name in found))
    for name, unit in UNITS.items():
        cells = [f"{one[name]['median']:>9} {one[name]['p99']:>8}" for one in found.values()]
        print(f"  {name:8}" + "".join(cells) + f"  {unit}")
    home, least = found["home"]["usable"]["median"], found["floor"]["usable"]["median"]
    print(
        f"Home is usable {home - least:.0f} ms after an almost empty page is, and {home - GOAL:.0f} ms after the goal;"
    )
    print(f"an almost empty page alone takes {least:.0f} ms of the {GOAL:.0f} ms here.")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--slowdown", type=int, default=SLOWDOWN, help="how many times slower the CPU is made")
    parser.add_argument("--beside", type=Path, metavar="FOLDER", help="another checkout, measured in the same rounds")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        here = stack.enter_context(serving(SERVE, Path.cwd()))
        targets = {"home": Target(here), "again": Target(here, again=True)}
        if options.beside is not None:
            targets["beside"] = Target(stack.enter_context(serving(SERVE, options.beside)))
        targets["floor"] = Target(stack.enter_context(serving(FLOOR, Path.cwd())))
        runs = measure(targets, options.runs, options.slowdown)
    found = {name: report(some) for name, some in runs.items()}
    if options.json:
        print(json.dumps(found))
    else:
        say(found, options.slowdown)


if __name__ == "__main__":
    main()

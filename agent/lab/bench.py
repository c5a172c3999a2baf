"""`make bench`: the numbers that the design asks for, measured on real parts, with their method and spread."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from agent.lab import noise, unprivileged
from agent.lab.figures import Figure, table
from agent.lab.meters import Ready, Usage, memory, open_page
from agent.lab.namespaces import LabError
from agent.lab.process import Late
from agent.lab.report import METHOD as MOVES_METHOD
from agent.lab.report import Recorder, Row
from agent.lab.stage import HOME, OFFICE, Stage, form_fields

SITES = {"office": OFFICE, "home": HOME}
CALM_MOVES = 2
"""Moves after which the agent is started anew: the fourth within a minute counts as flapping and is held back."""
QUIET = 2.0
"""Seconds to look for reactions to noise: the settling snapshot comes after 0.25."""
FLAP_SECONDS = 60.0
"""Of 1 Hz; the goal is about 600 s. Penalties grow with the flaps: most of the effort falls into the first minute."""
IDLE_SECONDS = 30.0
SETTLE = 30.0
"""Seconds after the last work before idleness is measured: a page that was looked at and a stack that was busy calm
down in that time."""

METHODS = {
    "moves": f"clean moves between two known and confirmed places, cable pulled and plugged in, the agent started anew "
    f"after every {CALM_MOVES}, since the fourth in a minute is held back as flapping. {MOVES_METHOD}",
    "noise": "container links, DHCP lifetime refreshes, IPv6 privacy addresses and a VPN come and go, five times each; "
    f"what the simulator and Kamailio counted until {QUIET:g} s later.",
    "flap": f"carrier off and on at 1 Hz, leased each time, for {FLAP_SECONDS:g} s (the goal is for 600 s), "
    "counted by the simulator and Kamailio, the recovery afterwards included.",
    "idle": f"{IDLE_SECONDS:g} s, registered and bound, the intervals as shipped, no page open: voluntary context "
    "switches of all threads (/proc/PID/task/*/status) and run time (/proc/PID/task/*/schedstat), both processes.",
    "memory": "PSS of /proc/PID/smaps_rollup, registered and bound, with one event stream of the page open.",
    "start": "from exec to READY=1 on $NOTIFY_SOCKET, `ip netns exec` before it included; the first start, "
    "which may compile, is left out.",
}
"""Part -> how it is measured."""


class Bench:
    """Runs parts on one stage; each returns its figures."""

    def __init__(self, stage: Stage, runs: int, say: Callable[[str], None]) -> None:
        self.stage = stage
        self.runs = runs
        self.say = say
        self.parts: dict[str, Callable[[], Iterator[Figure]]] = {
            "moves": self._moves, "noise": self._noise, "flap": self._flap, "idle": self._idle, "memory": self._memory,
            "start": self._start,
        }  # fmt: skip

    def prepare(self) -> None:
        """Start everything and confirm both places."""
        stage = self.stage
        stage.start_platform()
        stage.write_config()
        stage.start_voice()
        stage.start_agent()
        for site in ("home", "office"):
            self._plug(site)
            stage.wait_until("the question", lambda seen: seen["ask"] != "nothing")
            stage.visitor().submit("/addresses/new", "/addresses/new", form_fields(SITES[site]))
            self._bound(site)

    def run(self, wanted: Sequence[str]) -> list[Figure]:
        """Return the figures of these parts, in order."""
        found: list[Figure] = []
        for name in wanted:
            self.say(f"{name}: {METHODS[name]}")
            found += self.parts[name]()
        return found

    def _plug(self, site: str) -> None:
        mark = self.stage.logs["agent"].mark()
        self.stage.lab.unplug(release=True)
        self.stage.wait_status("offline", after=mark)
        self.stage.lab.plug(site)

    def _bound(self, site: str) -> None:
        text = SITES[site].one_line()
        self.stage.wait_until(
            f"bound at the {site}",
            lambda seen: seen["status"]["kind"] == "bound" and text in seen["status"]["sentence"],
        )

    def _restart(self) -> None:
        self.stage.stop_agent()
        self.stage.start_agent()
        self.stage.wait_until("bound again", lambda seen: seen["status"]["kind"] == "bound")

    @contextlib.contextmanager
    def _recording(self) -> Iterator[Recorder]:
        with self.stage.lab.events() as kernel:
            yield Recorder(self.stage, kernel)

    # ------------------------------------------------------------------ parts

    def _moves(self) -> Iterator[Figure]:
        rows: list[Row] = []
        with self._recording() as recorder:
            for number in range(self.runs):
                site = ("home", "office")[number % 2]
                if number % CALM_MOVES == 0:
                    self._restart()
                recorder.begin()
                self._plug(site)
                self._bound(site)
                rows.append(recorder.row(site))
        for key, name, goal, statistic in (
            ("register_sent", "usable path -> REGISTER sent", 60.0, "p95"),
            ("ok_200", "usable path -> 200 OK", None, "p95"),
            ("proven", "usable path -> bound and proven", 500.0, "p95"),
            ("light_off", "carrier lost -> light off", 100.0, "p99"),
        ):
            yield Figure(
                name, "ms", tuple(row["ms"][key] for row in rows if row["ms"][key] is not None), goal, statistic
            )
        yield Figure("REGISTERs of a clean move", "", tuple(float(row["registers"]) for row in rows))

    def _noise(self) -> Iterator[Figure]:
        with self._recording() as recorder:
            recorder.begin()
            noise.everything(self.stage.lab)
            time.sleep(QUIET)
            row = recorder.row("noise")
        yield Figure("REGISTERs caused by noise", "", (float(row["registers"]),), 0, "max")
        yield Figure("API writes caused by noise", "", (float(row["api_writes"]),), 0, "max")

    def _flap(self) -> Iterator[Figure]:
        with self._recording() as recorder:
            recorder.begin()
            end = time.monotonic() + FLAP_SECONDS
            while time.monotonic() < end:
                self.stage.lab.unplug(release=True)
                time.sleep(0.5)
                self.stage.lab.plug("office")
                time.sleep(0.5)
            self.stage.wait_until("bound", lambda seen: seen["status"]["kind"] == "bound", 120.0)
            row = recorder.row("flap")
        yield Figure(f"REGISTERs of {FLAP_SECONDS:g} s flapping at 1 Hz", "", (float(row["registers"]),), 10, "max")
        yield Figure(f"API writes of {FLAP_SECONDS:g} s flapping at 1 Hz", "", (float(row["api_writes"]),), 10, "max")

    def _pids(self) -> tuple[int, ...]:
        return tuple(self.stage.process(name).pid for name in ("agent", "voice"))

    def _idle(self) -> Iterator[Figure]:
        self._as_shipped()
        time.sleep(SETTLE)
        before = {pid: Usage.of(pid) for pid in self._pids()}
        began = time.monotonic()
        time.sleep(IDLE_SECONDS)
        seconds = time.monotonic() - began
        used = [Usage.of(pid) - earlier for pid, earlier in before.items()]
        yield Figure("idle: wakeups a second", "/s", (sum(one.wakeups for one in used) / seconds,), 5, "max")
        share = 100 * sum(one.seconds for one in used) / seconds
        yield Figure("idle: share of one core", "%", (share,), 0.3, "max")
        for name, one in zip(("agent", "voice"), used, strict=True):
            yield Figure(f"idle: wakeups a second of {name}", "/s", (one.wakeups / seconds,))

    def _as_shipped(self) -> None:
        """Ping as often as a device does; the lab's two seconds are for quick tests."""
        config = self.stage.folder / "agent.toml"
        config.write_text(config.read_text().replace("ping_interval = 2\n", ""))
        self._restart()

    def _memory(self) -> Iterator[Figure]:
        with open_page(self.stage.agent_socket):
            sizes = [memory(pid) for pid in self._pids()]
        yield Figure("memory, both processes, page open", "MiB", (sum(sizes),), 75, "max")
        for name, size in zip(("agent", "voice"), sizes, strict=True):
            yield Figure(f"memory of {name}", "MiB", (size,))

    def _start(self) -> Iterator[Figure]:
        self.stage.stop_agent()
        with Ready(self.stage.folder / "notify") as ready:
            argv = [sys.executable, "-m", "agent", "--config", str(self.stage.folder / "agent.toml"), "run"]
            times = [ready.measure(self.stage, argv) for _ in range(self.runs + 1)]
        self.stage.start_agent()
        yield Figure("exec -> READY=1 of the agent", "ms", tuple(times[1:]), 600, "p95")


# ------------------------------------------------------------------ the command


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; return 0 when every goal is met, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=30, metavar="N", help="moves and starts to measure (30)")
    parser.add_argument("--only", choices=tuple(METHODS), action="append", help="this part; may be repeated")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write every single value as JSON")
    options = parser.parse_args(argv)
    if unprivileged.needed():
        return unprivileged.run([sys.executable, "-m", "agent.lab.bench", *(sys.argv[1:] if argv is None else argv)])
    folder = Path(tempfile.mkdtemp(prefix="dialstack-bench-"))
    try:
        with Stage(run=folder) as stage:
            bench = Bench(stage, options.runs, lambda text: print(text, file=sys.stderr, flush=True))  # noqa: T201 - a program
            bench.prepare()
            figures = bench.run(options.only or tuple(METHODS))
    except (Late, LabError) as error:
        print(f"The measurement failed: {error}. The logs are in {folder}.", file=sys.stderr)  # noqa: T201 - as above
        return 1
    print(table(figures))  # noqa: T201 - as above
    if options.report:
        options.report.write_text(json.dumps(_report(figures, options), indent=2) + "\n")
    return 0 if all(figure.met is not False for figure in figures) else 1


def _report(figures: Sequence[Figure], options: argparse.Namespace) -> dict[str, object]:
    return {
        "machine": {
            "kernel": platform.release(), "cores": os.cpu_count(), "python": platform.python_version(),
            "load": os.getloadavg(),
        },
        "runs": options.runs,
        "methods": {name: text for name, text in METHODS.items() if not options.only or name in options.only},
        "figures": [figure.plain() for figure in figures],
    }  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())

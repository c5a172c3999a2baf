"""`make soak`: weeks of a phone's life in minutes - moves, failures, deaths, calls - with the safety rules watched.

A seeded random story on real parts. After each event the phone must find back to the light of the place where it is,
and the platform must agree; at no moment may it name another place's address; every 911 call must reach the far end,
and say the address while the light was green. Memory, threads, files and the database are read at every calm moment.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from agent.lab import noise, unprivileged
from agent.lab.figures import Figure, table
from agent.lab.meters import Held
from agent.lab.namespaces import LabError
from agent.lab.process import Late, die_with_parent
from agent.lab.stage import HOME, LIT, OFFICE, USER, Stage, form_fields

SITES = {"office": OFFICE, "home": HOME}
MINUTES = 20.0
PATIENCE = 150.0
"""Seconds until the phone must be bound again: moves in quick succession are held back as flapping for a minute."""
PAUSES = (0.2, 12.0)
"""Seconds between events, at random: some come before the phone has settled."""
CALL_SECONDS = 2.0
WARM_UP = 0.25
"""Share of the time that does not count for growth: caches fill, the place history begins."""
GROWTH = {"memory": 6.0, "files": 4.0, "threads": 2.0}
"""What the last quarter may hold more than the second one: MiB of PSS, descriptors, threads of both processes."""


@dataclass
class Story:
    """What happened so far."""

    events: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    settled: dict[str, list[float]] = field(default_factory=dict)
    """Event -> milliseconds until bound again, as a person sees it (polled every 50 ms)."""
    held: list[Held] = field(default_factory=list)


class Soak:
    """Plays on a stage whose places are confirmed."""

    def __init__(self, stage: Stage, seed: int, tell: Callable[[str], None]) -> None:
        self.stage = stage
        self.story = Story()
        self._random = random.Random(seed)  # noqa: S311 - a story that can be told again
        self._tell = tell
        self._wan = 100
        self._backup = False
        self._mark = 0
        self._watched = "office"
        self._events: dict[str, tuple[int, Callable[[], object]]] = {
            "move": (6, self._move), "unplug": (4, self._unplug), "blink": (4, self._blink),
            "wan": (3, self._change_wan), "backup": (2, self._second),
            "noise": (3, lambda: noise.everything(stage.lab, 2)), "new token": (2, stage.write_token),
            "agent dies": (2, self._agent_dies), "voice dies": (2, self._voice_dies), "API down": (2, self._api_down),
            "registrar silent": (2, self._silent), "session dropped": (2, self._dropped),
            "911": (4, lambda: self._call("911")), "933": (2, lambda: self._call("933")), "page": (4, self._look),
        }  # fmt: skip

    def run(self, seconds: float) -> Story:
        """Play for so long and return what happened."""
        began = time.monotonic()
        names = list(self._events)
        weights = [self._events[name][0] for name in names]
        while (past := time.monotonic() - began) < seconds:
            [name] = self._random.choices(names, weights)
            self._event(name, past)
            time.sleep(self._random.uniform(*PAUSES))
        self.settle("the end")
        return self.story

    def _event(self, name: str, past: float) -> None:
        self.story.events[name] += 1
        self._tell(f"{past:6.0f} s  {name}  at the {self.stage.lab.plugged}")
        self._events[name][1]()
        if self._random.random() < 0.7:  # noqa: PLR2004 - else the next event comes in the middle of this one
            self.settle(name)

    def settle(self, name: str) -> None:
        """Wait for the right light, compare it with the platform, and read what the processes hold."""
        began = time.monotonic()
        try:
            seen = self.stage.wait_until(f"bound after {name}", self._right, PATIENCE)
        except Late as error:
            self.story.wrong.append(f"{name}: {error}")
            return
        self.story.settled.setdefault(name, []).append((time.monotonic() - began) * 1000)
        if seen["address_id"] not in self._truly_bound():
            self.story.wrong.append(f"{name}: the light is green, the platform has {self._truly_bound()} bound")
        pids = [self.stage.process(one).pid for one in ("agent", "voice")]
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # dead, about to be started again
            self.story.held.append(Held.of(pids, self.stage.folder / "state"))

    def _right(self, seen: dict[str, Any]) -> bool:
        status = seen["status"]
        return status["kind"] == "bound" and self._here().one_line() in status["sentence"]

    def _here(self) -> Any:
        return SITES[self.stage.lab.plugged or "office"]

    def _truly_bound(self) -> set[str]:
        state = self.stage.control("GET", f"state?user={USER}")
        return {item["bound"] for item in (*state["registrations"], *state["sessions"]) if item["bound"]}

    def watch(self) -> None:
        """Judge every light since the last move (S2, S3)."""
        if self._mark == 0:
            return
        other = SITES["home" if self._watched == "office" else "office"].one_line()
        self.story.wrong += [
            f"S3: at the {self._watched} the light said: {line['sentence']}"
            for line in self.stage.logs["agent"].since(self._mark)
            if line.get("event") == "status" and line["kind"] in LIT and other in line["sentence"]
        ]

    # ------------------------------------------------------------------ events

    def _plug(self, site: str) -> None:
        self.watch()
        if self._backup and site == "home":
            self._second()  # it is the office's
        self.stage.lab.unplug(release=True)
        time.sleep(self._random.uniform(0.0, 3.0))
        self._mark, self._watched = self.stage.logs["agent"].mark(), site
        self.stage.lab.plug(site, dhcp_after=self._random.choice((0.0, 0.0, 0.5, 2.0)))

    def _move(self) -> None:
        self._plug("home" if self.stage.lab.plugged == "office" else "office")

    def _unplug(self) -> None:
        self._plug(self.stage.lab.plugged or "office")

    def _blink(self) -> None:
        for _ in range(self._random.randint(1, 4)):
            self._plug(self.stage.lab.plugged or "office")

    def _change_wan(self) -> None:
        self._wan = 100 + (self._wan - 99) % 100
        site = self.stage.lab.plugged or "office"
        third = {"office": "203.0.113", "home": "198.51.100"}[site]
        self.stage.lab.change_wan(site, f"{third}.{self._wan}")

    def _second(self) -> None:
        if self.stage.lab.plugged == "home" and not self._backup:
            return
        self._backup = not self._backup
        self.stage.lab.backup(up=self._backup)

    def _agent_dies(self) -> None:
        self.stage.process("agent").kill()
        self.stage.process("agent").wait()
        time.sleep(self._random.uniform(0.0, 3.0))
        self.stage.start_agent()
        self._mark = 0

    def _voice_dies(self) -> None:
        process = self.stage.process("voice")
        process.kill()
        process.wait()

    def _fault(self, seconds: float, **fault: object) -> None:
        self.stage.control("POST", "faults", {"count": None, **fault})
        time.sleep(seconds)
        self.stage.control("DELETE", "faults")

    def _api_down(self) -> None:
        self._fault(self._random.uniform(1, 8), kind="status", path="*", status=503)

    def _silent(self) -> None:
        self._fault(self._random.uniform(1, 8), kind="drop_request", path="SIP REGISTER")

    def _dropped(self) -> None:
        self.stage.control("POST", "push", {"user": USER, "what": "going_away"})

    def _look(self) -> None:
        visitor = self.stage.visitor()
        for url in ("/", "/history", "/addresses", "/settings", "/diagnostics"):
            visitor.get(url)

    def _call(self, number: str) -> None:
        before = self.stage.status()["status"]["kind"]
        mark = self.stage.platform_mark()
        argv = [sys.executable, "-m", "agent", "--config", str(self.stage.folder / "agent.toml"), "call", number]
        process = self.stage.lab.exec(
            "device", [*argv, "--seconds", str(CALL_SECONDS)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent, cwd=Path(__file__).resolve().parents[2],
        )  # fmt: skip
        process.wait(PATIENCE)
        answers = [
            entry for entry in self.stage.platform_log("call", mark)
            if entry["what"] == "answered" and entry["number"].endswith(number)
        ]  # fmt: skip
        if not answers:
            self.story.wrong.append(f"S1: {number} did not reach the far end (the light was {before})")


# ------------------------------------------------------------------ the command


def prepare(stage: Stage) -> None:
    """Start everything and confirm both places."""
    stage.start_platform()
    stage.write_config(sip="callback_window = 1")
    stage.start_voice()
    stage.lab.plug("home")
    stage.start_agent()
    for site in ("home", "office"):
        if stage.lab.plugged != site:
            stage.lab.unplug(release=True)
            stage.wait_until("offline", lambda seen: seen["status"]["kind"] == "offline")
            stage.lab.plug(site)
        stage.wait_until("the question", lambda seen: seen["ask"] != "nothing", PATIENCE)
        stage.visitor().submit("/addresses/new", "/addresses/new", form_fields(SITES[site]))
        stage.wait_until("bound", lambda seen: seen["status"]["kind"] == "bound", PATIENCE)


def figures(story: Story) -> list[Figure]:
    """Return times and growth; growth is the median of the last quarter less that of the second one."""
    found = [Figure(f"{name} -> bound", "ms", tuple(times)) for name, times in sorted(story.settled.items())]
    first, last = int(len(story.held) * WARM_UP), int(len(story.held) * (1 - WARM_UP))
    for name, unit in (("memory", "MiB"), ("files", ""), ("threads", ""), ("database", "KiB")):
        values = [float(getattr(one, name)) for one in story.held]
        found.append(Figure(f"{name} held", unit, tuple(values)))
        if early := values[first : first + max(1, first)]:
            growth = median(values[last:]) - median(early)
            found.append(Figure(f"{name}: growth", unit, (growth,), GROWTH.get(name), "max"))
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Play; return 0 when nothing was wrong and nothing grew beyond its limit, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=MINUTES, metavar="N", help=f"how long ({MINUTES:g})")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="another seed, another story (1)")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write everything as JSON")
    options = parser.parse_args(argv)
    if unprivileged.needed():
        return unprivileged.run([sys.executable, "-m", "agent.lab.soak", *(sys.argv[1:] if argv is None else argv)])
    folder = Path(tempfile.mkdtemp(prefix="dialstack-soak-"))
    try:
        with Stage(run=folder) as stage:
            prepare(stage)
            soak = Soak(stage, options.seed, lambda text: print(text, file=sys.stderr, flush=True))  # noqa: T201 - a program
            story = soak.run(options.minutes * 60)
            soak.watch()
    except (Late, LabError) as error:
        print(f"The story broke off: {error}. The logs are in {folder}.", file=sys.stderr)  # noqa: T201 - as above
        return 1
    measured = figures(story)
    print(table(measured))  # noqa: T201 - as above
    print("\n".join([f"{sum(story.events.values())} events, {len(story.wrong)} wrong; logs: {folder}", *story.wrong]))  # noqa: T201 - as above
    if options.report:
        parts = {"events": story.events, "wrong": story.wrong, "figures": [one.plain() for one in measured]}
        options.report.write_text(
            json.dumps({"seed": options.seed, "minutes": options.minutes, **parts}, indent=2) + "\n"
        )
    return 0 if not story.wrong and all(one.met is not False for one in measured) else 1


if __name__ == "__main__":
    raise SystemExit(main())

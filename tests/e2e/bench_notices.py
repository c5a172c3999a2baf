"""How soon people hear of an emergency call: from the request to dial to webhook, mail server and program.

    sudo .venv/bin/python -m tests.e2e.bench_notices --calls 50 [--dead-webhook]

Everything is real: namespaces, registrar, voice, agent, an HTTP and an SMTP server beside the platform, a program of
the device. Times are read on one machine: the request when its line is written to the voice socket, arrivals when the
body of the POST or the letter is complete, the program when it runs `date`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from agent.lab.stage import Stage
from tests.e2e.house import move_in, wall
from tests.e2e.receivers import Receivers
from tests.voice.wire import Line

WAY = ("webhook", "email", "command")


def one_call(stage: Stage, told: Receivers, *, dead_webhook: bool) -> dict[str, float]:
    """Dial 911, hang up once everybody heard of it, and return the seconds by channel; a dead one is left out."""
    line = Line(stage.folder / "voice.sock")
    line.hear(type="welcome")
    posts, letters, buzzes = len(told.hook.inbox.items), len(told.mail.inbox.items), len(told.buzzes())
    began, began_wall = time.monotonic(), time.time()
    line.say(type="call", to="911", req_id="bench")
    call = line.hear(type="call", req_id="bench")["call"]
    found = {"command": told.buzzed("dialed", after=buzzes).at - began_wall}
    told.mail.inbox.wait("the letter", lambda one: one in told.mail.inbox.items[letters:])
    found["email"] = told.mail.inbox.items[letters].at - began
    if not dead_webhook:
        told.posted("dialed", after=posts)
        found["webhook"] = told.hook.inbox.items[posts].at - began
    line.hear(type="call", call=call, state="confirmed")
    line.say(type="hangup", call=call)
    line.hear(type="call", call=call, state="ended")
    line.close()
    stage.wait_until("the end of the interlock", lambda seen: not seen["interlock"], 60)
    told.buzzed("ended", after=buzzes)
    told.mail.inbox.wait("the last letter", lambda one: "over" in one.message["Subject"] and one.at > began)
    return found


def measure(calls: int, *, dead_webhook: bool) -> dict[str, list[float]]:
    """Return the seconds of all calls by channel."""
    folder = Path(tempfile.mkdtemp(prefix="dialstack-notices-"))
    times: dict[str, list[float]] = {name: [] for name in WAY}
    with Stage(backup=False, run=folder) as stage, Receivers(stage) as told, contextlib.ExitStack() as stack:
        move_in(stage, more=told.config(), sip="callback_window = 0")
        if dead_webhook:
            stack.enter_context(wall(stage, f"tcp dport {told.hook.port}"))
        for _ in range(calls):
            for name, seconds in one_call(stage, told, dead_webhook=dead_webhook).items():
                times[name].append(seconds)
    return times


def summary(seconds: Sequence[float]) -> dict[str, float]:
    """Return median, p99 (by rank) and worst, in milliseconds."""
    ordered = sorted(seconds)
    ranked = ordered[min(len(ordered) - 1, round(0.99 * len(ordered)))]
    return {name: round(value * 1000, 1) for name, value in (
        ("median_ms", statistics.median(ordered)), ("p99_ms", ranked), ("worst_ms", ordered[-1]),
    )}  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=50, metavar="N")
    parser.add_argument("--dead-webhook", action="store_true", help="drop every packet to the webhook's port")
    options = parser.parse_args(argv)
    times = measure(options.calls, dead_webhook=options.dead_webhook)
    shown = {name: summary(seconds) for name, seconds in times.items() if seconds}
    sys.stdout.write(json.dumps({"calls": options.calls, "dead_webhook": options.dead_webhook, **shown}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

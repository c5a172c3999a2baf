"""How long a 911 call takes from the request to the INVITE on the wire, in every state that has a way out.

    python -m tests.voice.bench_calls [--calls 60] [--json]         as root: it builds networks

The method: a client writes the `call` line to the voice socket and takes CLOCK_REALTIME just before; a tap on the
phone's own links takes the kernel's time (SO_TIMESTAMPNS, the same clock) of the first INVITE that leaves after it.
Calls follow one another; each is hung up as soon as its INVITE was seen, and the next begins when it is over. Left out
are the states without a way (in the middle of a change of network) and with a stack that hangs (the watchdog's 3 s).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.e2e.test_matrix import STATES, furnished
from tests.voice.tap import Tap
from tests.voice.wire import Line, until

GOAL = 0.3
"""Seconds, p99."""
PACE = 0.06
"""Seconds between calls: faster than people, slower than what voice holds back (agent/voice/calls/dialer.py)."""
_LEFT_OUT = frozenset({"mid IP change", "stack hung"})


def main() -> int:
    """Measure, print a table, and return 1 if the goal was missed anywhere."""
    parser = argparse.ArgumentParser(prog="bench_calls", description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=60, help="calls in each state")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results: dict[str, list[float]] = {}
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
        stage = stack.enter_context(furnished(Path(folder)))
        tap = stack.enter_context(Tap(stage.lab.namespace("device"), "eth0", "eth1"))
        for name, state in STATES.items():
            if name not in _LEFT_OUT:
                sys.stderr.write(f"{name} ...\n")
                with state(stage) as line:
                    results[name] = measure(line, tap, options.calls)
                    line.close()
        results["idle, nothing wrong"] = measure(Line(stage.folder / "voice.sock"), tap, options.calls)
    rows = {name: summary(found) for name, found in results.items()}
    rows["all"] = summary([one for found in results.values() for one in found])
    say(rows, as_json=options.json)
    return int(any(row["p99_ms"] > GOAL * 1000 for row in rows.values()))


def measure(line: Line, tap: Tap, calls: int) -> list[float]:
    """Return the seconds from request to INVITE of so many calls."""
    found = []
    for at in range(calls):
        request = f"{id(line)}-{at}"
        began = time.time()
        line.say(type="call", to="911" if at % 2 else "933", req_id=request)
        found.append(until(lambda began=began: first_invite(tap, began)) - began)  # type: ignore[misc]
        line.say(type="hangup")
        line.hear(type="call", req_id=request, state="ended")
        tap.packets.clear()
        time.sleep(PACE)
    return found


def first_invite(tap: Tap, since: float) -> float | None:
    """Return the time of the first INVITE that left."""
    return next((one.at for one in list(tap.packets) if one.begins("INVITE") and one.at >= since), None)


def summary(found: list[float]) -> dict[str, float]:
    """Return what is told of one state; p99 of few calls is their worst."""
    ordered = sorted(found)
    worst = ordered[min(len(ordered) - 1, round(0.99 * len(ordered)))]
    return {
        "calls": len(found),
        "median_ms": round(statistics.median(ordered) * 1000, 1),
        "p99_ms": round(worst * 1000, 1),
        "max_ms": round(ordered[-1] * 1000, 1),
    }


def say(rows: dict[str, dict[str, float]], *, as_json: bool) -> None:
    """Print the table."""
    if as_json:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return
    sys.stdout.write(f"{'state':32}{'calls':>7}{'median':>10}{'p99':>10}{'max':>10}   ms from request to INVITE\n")
    for name, row in rows.items():
        sys.stdout.write(f"{name:32}{row['calls']:7}{row['median_ms']:10}{row['p99_ms']:10}{row['max_ms']:10}\n")


if __name__ == "__main__":
    raise SystemExit(main())

"""`python -m agent.simulator`: the platform as one process, until SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import json
import signal
import sys
from pathlib import Path
from typing import Any

from agent.simulator.server import Simulator, SimulatorConfig


def configuration(argv: list[str]) -> SimulatorConfig:
    """Return what the command line and the configuration file say."""
    parser = argparse.ArgumentParser(prog="python -m agent.simulator", description=__doc__)
    parser.add_argument("--address", action="append", help="listen here (repeat for IPv6); default 127.0.0.1")
    parser.add_argument("--run", type=Path, required=True, help="runtime folder")
    parser.add_argument("--config", type=Path, help="JSON: users, behavior, faults, and any port")
    parser.add_argument("--tls-cert", type=Path)
    parser.add_argument("--tls-key", type=Path)
    for name in ("api", "tls", "control", "sip", "sips", "psap"):
        parser.add_argument(f"--{name}-port", type=int, help="0: any free one")
    parser.add_argument("--no-sip", action="store_true", help="REST and signalling only")
    given = parser.parse_args(argv)
    known = {field.name for field in dataclasses.fields(SimulatorConfig)}
    values: dict[str, Any] = json.loads(given.config.read_text()) if given.config else {}
    unknown = sorted(set(values) - known)
    if unknown:
        parser.error(f"unknown in {given.config}: {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    values |= {name: value for name, value in vars(given).items() if name in known and value is not None}
    if given.address:
        values["addresses"] = given.address
    for name in ("addresses", "users", "faults"):
        if name in values:
            values[name] = tuple(values[name])
    if given.no_sip:
        values["sip"] = False
    return SimulatorConfig(**values)


async def serve(config: SimulatorConfig) -> None:
    """Run until SIGTERM or SIGINT; say on stdout when everything listens."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Simulator(config) as simulator:
        sys.stdout.write(json.dumps({"ready": True, **simulator.urls}) + "\n")
        sys.stdout.flush()
        await stop.wait()


def main() -> int:
    """Return the exit code."""
    config = configuration(sys.argv[1:])
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serve(config))
    except (OSError, RuntimeError, ValueError, TypeError) as error:
        sys.stderr.write(f"The simulator did not start: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

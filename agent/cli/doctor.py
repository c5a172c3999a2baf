"""The command `doctor`: the agent's own check-up, or the same one made here when the agent does not answer."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.cli import text
from agent.cli.client import FAILED, NOT_RUNNING, OK, Client, Failure
from agent.cli.commands import client, show

PATIENCE = 60.0
"""Seconds for the agent's check-up: five stages of at most 15 s, which never all take that long."""
MARKS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL", "skip": "-   "}


def doctor(args: argparse.Namespace) -> int:
    """Test every layer, say what was found, and write a bundle where one is asked for."""
    try:
        found = _ask(client(args), bundle=args.bundle is not None)
    except Failure as failure:
        if failure.exit_code != NOT_RUNNING and failure.error["code"] not in {"strange_answer", "not_permitted"}:
            raise
        import asyncio

        found = asyncio.run(_here(args.config, bundle=args.bundle is not None))
    report, human = found["report"], _human(found["report"])
    if args.bundle is not None:
        _write(args.bundle, found["name"], found["files"])
        human += f"\nWritten: {args.bundle}. It holds no password, token or PIN."
        report = {**report, "bundle": str(args.bundle)}
    show(args, report, human)
    return FAILED if report["worst"] == "fail" else OK


def _ask(agent: Client, *, bundle: bool) -> dict[str, Any]:
    patient = Client(agent.path, PATIENCE)
    if bundle:
        found: dict[str, Any] = patient.post("/diagnostics/bundle")
        return found
    return {"report": patient.post("/diagnostics")}


async def _here(config: Path, *, bundle: bool) -> dict[str, Any]:
    """Make the check-up in this process: nothing is known of the binding, everything else is tested."""
    from agent.clock import SystemClock
    from agent.config.load import load_layers
    from agent.config.side import consequences
    from agent.doctor import bundle as packing
    from agent.doctor.examine import examine
    from agent.doctor.world import World

    layers = load_layers(config)
    world = World(layers.settings, SystemClock(), layers.grave, consequences(layers.mistakes))
    report = await examine(world, by="command line")
    files = await packing.files(report, layers, world) if bundle else {}
    return {"report": report.plain(), "name": packing.name_at(report.at), "files": files}


def _write(path: Path, name: str, files: Mapping[str, str]) -> None:
    from agent.doctor.bundle import pack

    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pack(files, name))
    except OSError as error:
        raise Failure(
            FAILED, f"{path} cannot be written: {error.strerror}.", todo="Name another file.", code="not_written"
        ) from error


def _human(report: Mapping[str, Any]) -> str:
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(report["at"]))
    lines = [f"Check-up of {when}, made by the {text.clean(report['by'])}."]
    for one in report["results"]:
        lines.append(
            f"{MARKS.get(one['finding'], one['finding'])}  {text.clean(one['title'])}: {text.clean(one['found'])}"
        )
        lines += [f"      {text.clean(one[name])}" for name in ("emergency", "todo") if one[name]]
    return "\n".join(lines)

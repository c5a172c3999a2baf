"""The commands that need no daemon: run, check-config, demo, version."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import platform
from pathlib import Path
from typing import Any

from agent import __version__
from agent.cli import text
from agent.cli.client import CONFIG_INVALID, FAILED, OK, Client, Failure
from agent.cli.commands import client, show

VERSION_TIMEOUT = 2.0
"""Seconds that `version` waits for the daemon's own."""


def part(name: str) -> Any:
    """Return a module of this package, loaded only when its command is used; raises Failure when it is missing."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise Failure(
            FAILED,
            f"This installation is not complete: {error.name} is missing.",
            emergency="Nothing was started or changed.",
            todo="Install the package again, with all that it depends on.",
            code="not_installed",
        ) from error


def run(args: argparse.Namespace) -> int:
    """Be the daemon."""
    return int(part("agent.app").run(args.config))


def check_config(args: argparse.Namespace) -> int:
    """Check a configuration and show every error in it."""
    config = part("agent.config.load")
    file: Path = args.file or args.config
    try:
        settings = config.load(file)
    except config.ConfigError as error:
        problems = [str(line) for line in error.problems]
        human = "\n".join(
            [*map(text.clean, problems), "", error.emergency.strip(), "Correct the lines above and check them again."]
        )
        show(args, {"valid": False, "file": str(file), "problems": problems}, human)
        return CONFIG_INVALID
    show(args, {"valid": True, "file": str(file), "settings": config.describe(settings)}, f"{file} is valid.")
    return OK


def demo(args: argparse.Namespace) -> int:
    """Run the demonstration with the arguments that follow."""
    return int(part("agent.lab.demo").main(args.rest) or OK)


def version(args: argparse.Namespace) -> int:
    """Show the version of the command and of the daemon."""
    daemon = None
    with contextlib.suppress(Failure):
        daemon = Client(client(args).path, VERSION_TIMEOUT).get("/status")["version"]
    human = f"dialstack-agent {__version__} (Python {platform.python_version()})\n"
    human += f"daemon: {text.clean(daemon)}" if daemon else "daemon: not running"
    show(args, {"version": __version__, "python": platform.python_version(), "daemon": daemon}, human)
    return OK

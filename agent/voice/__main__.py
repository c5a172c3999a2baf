"""The command `dialstack-voice`: the smallest program that can place a 911 call."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path as FilePath

from agent import __version__
from agent.config.settings import SipSettings
from agent.say import say
from agent.voice.log import log

Reread = Callable[[], tuple[SipSettings, str, list[str]]]
CONFIG = FilePath("/etc/dialstack-agent/agent.toml")


def main(arguments: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; start with any configuration, as a half valid one must still dial 911 (S1)."""
    options = build_parser().parse_args(arguments)
    if options.list_audio:
        return list_audio()

    def reread() -> tuple[SipSettings, str, list[str]]:
        settings, password, problems = read(options.config)
        return (settings if options.socket is None else replace(settings, socket=options.socket)), password, problems

    settings, password, problems = reread()
    for problem in problems:
        log("configuration", "error", problem=problem)
    # libc reads it at the first lookup: a dead name server stalls PJSIP for 1 s instead of 10.
    os.environ.setdefault("RES_OPTIONS", "timeout:1 attempts:1")
    # asyncio does without it, TLS is PJSIP's: 4 MiB less.
    sys.modules.setdefault("ssl", None)  # type: ignore[arg-type]
    import asyncio

    asyncio.run(_serve(settings, password, problems, reread))
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="dialstack-voice", description="The SIP line of a DialStack phone.")
    parser.add_argument(
        "--config", type=FilePath, default=CONFIG, metavar="FILE", help=f"configuration (default: {CONFIG})"
    )
    parser.add_argument("--socket", type=FilePath, metavar="FILE", help="instead of the configured one")
    parser.add_argument("--version", action="version", version=f"dialstack-voice {__version__}")
    parser.add_argument("--list-audio", action="store_true", help="show the sound cards and end")
    return parser


def list_audio() -> int:
    """Print the sound cards that `sip.playback_device` and `sip.capture_device` can name."""
    from agent.voice.pjsip.audio import list_devices

    cards = list_devices()
    for card in cards:
        sys.stdout.write(f"{card['name']}  ({card['driver']}: {card['inputs']} in, {card['outputs']} out)\n")
    if not cards:
        sys.stdout.write('There are no sound cards, or PJSIP was built without them. sip.audio = "null" works here.\n')
    return 0


def read(config: FilePath) -> tuple[SipSettings, str, list[str]]:
    """Return settings, password and what is wrong with them, in sentences; never raises."""
    try:
        from agent.config.load import load_sip, read_secret

        settings, problems = load_sip(config)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the phone must start
        return SipSettings(), "", [f"The configuration {config} cannot be read: {error}"]
    if not settings.registrar:
        problems = [*problems, say("No registrar is configured.")]
    if not settings.username:
        return settings, "", [*problems, say("No SIP account is configured.")]
    try:
        return settings, read_secret(settings.password_file, "sip-password"), problems
    except Exception as error:  # noqa: BLE001 - as above
        return settings, "", [*problems, getattr(error, "told", str(error))]


async def _serve(settings: SipSettings, password: str, problems: list[str], reread: Reread) -> None:
    import asyncio
    import random

    from agent.voice.service import Service

    service = Service(settings, password, problems, random.SystemRandom(), reread)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, service.stopper.ask)
    await service.run()
    log("stopped")


if __name__ == "__main__":
    raise SystemExit(main())

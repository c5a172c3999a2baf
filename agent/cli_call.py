"""The command `call`: through dialstack-voice, without the agent, each state on a line as it comes."""

from __future__ import annotations

import argparse
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from agent import cli_text as text
from agent.cli_client import FAILED, NOT_RUNNING, OK, Failure
from agent.cli_commands import configured
from agent.cli_local import part

DEFAULT_SOCKET = Path("/run/dialstack-voice/voice.sock")
STATES = {
    "calling": "calling",
    "ringing": "ringing",
    "early": "hearing the other side before it answers",
    "confirmed": "answered",
    "ended": "ended",
}
"""State of a call (agent/voice/PROTOCOL.md) -> words."""

Place = Callable[..., Awaitable[Mapping[str, Any]]]


def call(args: argparse.Namespace) -> int:
    """Place a call and follow it to its end; 0 when it was answered."""
    import asyncio

    place: Place = part("agent.voice.client").place_call
    socket = configured(args.config, "sip", DEFAULT_SOCKET)
    try:
        return asyncio.run(_follow(place, socket, args))
    except TimeoutError:
        raise _no_voice(socket, "does not answer") from None
    except OSError as error:
        raise _no_voice(socket, f"cannot be reached ({error.strerror or error})") from error
    except ValueError as error:
        raise Failure(
            FAILED,
            f"dialstack-voice did not place the call: {error}",
            emergency="This call was not made.",
            todo="In an emergency use another phone.",
            code="call_refused",
        ) from error


async def _follow(place: Place, socket: Path, args: argparse.Namespace) -> int:
    import asyncio

    states: list[str] = []

    def show(line: Mapping[str, Any]) -> None:
        states.append(str(line.get("state")))
        if args.json:
            text.say(json.dumps(line))
            return
        why = f" ({line['code']} {line.get('reason', '')})".replace(" )", ")") if line.get("code") else ""
        text.say(text.clean(f"{args.number}: {STATES.get(states[-1], states[-1])}{why}"))

    limit = asyncio.timeout(args.seconds)
    try:
        async with limit:
            await place(socket, args.number, show)
    except TimeoutError:
        if not limit.expired():
            raise
        if args.json:
            text.say(json.dumps({"type": "call", "state": "hung_up", "seconds": args.seconds}))
        else:
            text.say(f"{text.clean(args.number)}: hung up after {args.seconds:g} s")
    return OK if "confirmed" in states else FAILED


def _no_voice(socket: Path, why: str) -> Failure:
    return Failure(
        NOT_RUNNING,
        f"dialstack-voice {why} on {socket}.",
        emergency="No call can be placed from this device, 911 neither.",
        todo="In an emergency use another phone. Start it with `systemctl start dialstack-voice`.",
        code="voice_not_running",
    )

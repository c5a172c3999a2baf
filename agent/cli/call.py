"""The commands `call`, `calls`, `answer` and `hangup`: through dialstack-voice, without the agent."""

from __future__ import annotations

import argparse
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

from agent.cli import text
from agent.cli.client import FAILED, NOT_RUNNING, OK, Failure
from agent.cli.commands import configured
from agent.cli.local import part

DEFAULT_SOCKET = Path("/run/dialstack-voice/voice.sock")
STATES = {
    "calling": "calling",
    "ringing": "ringing",
    "early": "hearing the other side before it answers",
    "confirmed": "answered",
    "ended": "ended",
}
"""State of a call (agent/voice/PROTOCOL.md) -> words."""
PACKETS_A_SECOND = 50
"""Of RTP, 20 ms each."""

T = TypeVar("T")
Line = Mapping[str, Any]
Place = Callable[..., Awaitable[Line]]


def call(args: argparse.Namespace) -> int:
    """Place a call and follow it to its end; 0 when it was answered."""
    place: Place = part("agent.voice.socket.client").place_call
    return _asked(args, lambda socket: _follow(place, socket, args), "This call was not made.")


def calls(args: argparse.Namespace) -> int:
    """Show the calls that are up, or every change until Ctrl-C."""
    orders = part("agent.voice.socket.orders")
    shown = _Shown(args.json)
    if args.follow:
        return _asked(args, lambda socket: orders.follow(socket, shown.line), "Nothing was changed.") or OK
    found: list[Line] = _asked(args, orders.calls, "Nothing was changed.")
    if args.json:
        text.say(json.dumps({"calls": found}))
    elif not found:
        text.say("There is no call.")
    else:
        for line in found:
            shown.line(line)
    return OK


def hangup(args: argparse.Namespace) -> int:
    """End one call, or all."""
    return _order(args, "hangup", {} if args.call is None else {"call": args.call}, "hung up")


def answer(args: argparse.Namespace) -> int:
    """Answer an incoming call; without a number the one that rings."""
    number = args.call
    if number is None:
        found: list[Line] = _asked(args, part("agent.voice.socket.orders").calls, "Nothing was changed.")
        ringing = [line["call"] for line in found if line.get("direction") == "in" and line.get("state") == "ringing"]
        if len(ringing) != 1:
            what = "No call rings." if not ringing else f"More than one call rings: {', '.join(map(str, ringing))}."
            raise Failure(FAILED, what, emergency="Nothing was changed.", todo="See `calls`.", code="no_such_call")
        (number,) = ringing
    return _order(args, "answer", {"call": number}, "answered")


def _order(args: argparse.Namespace, verb: str, fields: dict[str, int], done: str) -> int:
    orders = part("agent.voice.socket.orders")
    _asked(args, lambda socket: orders.order(socket, verb, **fields), "Nothing was changed.")
    text.say(json.dumps({"done": True}) if args.json else f"{done[:1].upper()}{done[1:]}.")
    return OK


def _asked(args: argparse.Namespace, talk: Callable[[Path], Coroutine[Any, Any, T]], refused: str) -> T:
    """Talk to dialstack-voice; raises Failure with what it means when that does not work."""
    import asyncio

    socket = configured(args.config, "sip", DEFAULT_SOCKET)
    try:
        return asyncio.run(talk(socket))
    except TimeoutError:
        raise _no_voice(socket, "does not answer") from None
    except OSError as error:
        raise _no_voice(socket, f"cannot be reached ({error.strerror or error})") from error
    except ValueError as error:
        raise Failure(
            FAILED,
            f"dialstack-voice did not do it: {error}",
            emergency=refused,
            todo="In an emergency use another phone.",
            code="call_refused",
        ) from error


class _Shown:
    """Prints a line when the state of a call changes, when sound begins, and at the end how much there was."""

    def __init__(self, as_json: bool) -> None:  # noqa: FBT001 - the option as it is
        self.states: list[str] = []
        self._as_json = as_json
        self._last: dict[object, tuple[str, bool]] = {}

    def line(self, line: Line) -> None:
        """Take a `call` line."""
        state, sound = str(line.get("state")), line.get("sound") or {}
        self.states.append(state)
        if self._as_json:
            text.say(json.dumps(line))
            return
        heard = bool(sound.get("rx_packets"))
        last, heard_before = self._last.get(line.get("call"), ("", False))
        self._last[line.get("call")] = (state, heard or heard_before)
        who = text.clean(str(line.get("to")))
        if state != last:
            why = f" ({line['code']} {line.get('reason', '')})".replace(" )", ")") if line.get("code") else ""
            more = f": {line['ended']}" if line.get("ended") else ""
            text.say(text.clean(f"{who}: {STATES.get(state, state)}{why}{more}"))
        elif heard and not heard_before:
            text.say(f"{who}: sound is coming in")
        if state == "ended" and sound:
            rx, tx = (int(sound.get(name) or 0) / PACKETS_A_SECOND for name in ("rx_packets", "tx_packets"))
            text.say(f"{who}: {rx:.1f} s of sound came in, {tx:.1f} s went out")


async def _follow(place: Place, socket: Path, args: argparse.Namespace) -> int:
    import asyncio

    shown = _Shown(args.json)
    limit = asyncio.timeout(args.seconds)
    try:
        async with limit:
            await place(socket, args.number, shown.line, record=args.record, play=args.play)
    except TimeoutError:
        if not limit.expired():
            raise
        if args.json:
            text.say(json.dumps({"type": "call", "state": "hung_up", "seconds": args.seconds}))
        else:
            text.say(f"{text.clean(args.number)}: hung up after {args.seconds:g} s")
    return OK if "confirmed" in shown.states else FAILED


def _no_voice(socket: Path, why: str) -> Failure:
    return Failure(
        NOT_RUNNING,
        f"dialstack-voice {why} on {socket}.",
        emergency="No call can be placed from this device, 911 neither.",
        todo="In an emergency use another phone. Start it with `systemctl start dialstack-voice`.",
        code="voice_not_running",
    )

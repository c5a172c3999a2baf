"""Lines of the socket as values and back (PROTOCOL.md); refuses in a sentence."""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import asdict, fields
from typing import Any, Final

from agent.model import CivicAddress, Registration, VoiceInstruction
from agent.say import Said
from agent.storage import packed
from agent.voice.calls.location import Location
from agent.voice.calls.values import Call, Interlock

VERSION: Final = 1
FEATURES: Final = ("reject", "hold", "dtmf", "location", "play", "ended", "stopping", "yields", "told", "again")
"""What was added to the version."""
LINE_LIMIT: Final = 65536
"""Bytes of one line."""
ID_LIMIT: Final = 256
"""Characters of a presented id."""
HEARTBEAT: Final = 5.0
"""Seconds between heartbeats of the agent."""
AGENT_TIMEOUT: Final = 15.0
"""Seconds after which a silent agent counts as dead."""

CIVIC_FIELDS: Final = tuple(item.name for item in fields(CivicAddress))
_CALL_FIELDS: Final = (
    "to", "direction", "state", "code", "reason", "emergency", "callback", "at", "started_at", "started_wall",
    "answered_at", "attempt", "held", "held_by_peer", "presented_id", "sound_problem",
)  # fmt: skip
_IF_THERE: Final = ("req_id", "record", "ended", "refused", "again")
_DIGITS: Final = re.compile(r"[0-9*#A-Da-d]{1,32}")

Message = dict[str, Any]


def decode(line: bytes) -> Message:
    """Return the object of a line; raise ValueError with a sentence."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("This line is not JSON.") from None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise ValueError("A line must be an object with a `type`.")  # noqa: TRY004 - it is the line that is wrong
    return message


def heard(line: bytes) -> Message:
    """Return the object of a line of `dialstack-voice`, its sentences with their parts; raises as `decode` does."""
    message = decode(line)
    parts = message.pop("told", None)
    for name, found in parts.items() if isinstance(parts, dict) else ():
        if isinstance(text := message.get(name), str):
            message[name] = packed.told(text, found)
    return message


def with_parts(message: Message) -> Message:
    """Return an object with the parts of its sentences in `told`, if it has sentences."""
    told = {name: packed.parts(value) for name, value in message.items() if isinstance(value, Said)}
    return message | {"told": told} if told else message


def encode(message: Message) -> bytes:
    """Return the line of an object."""
    return json.dumps(with_parts(message), separators=(",", ":")).encode() + b"\n"


def instruction(message: Message) -> VoiceInstruction:
    """Read a `path`; raise ValueError with a sentence."""
    present_id = message.get("present_id")
    if present_id is not None and not _plain(present_id):
        raise ValueError("`present_id` must be plain text of at most 256 characters, or null.")
    interface = message.get("interface", "")
    if not isinstance(interface, str):
        raise ValueError("`interface` must be a string.")  # noqa: TRY004 - as above
    return VoiceInstruction(
        generation=number(message, "generation"),
        attempt=number(message, "attempt"),
        interface=interface,
        source=_address(message, "source"),
        destination=_address(message, "destination"),
        present_id=present_id,
    )


def location(message: Message) -> Location | None:
    """Read a `location`, None when it forgets the place; raise ValueError with a sentence."""
    generation, confirmed, civic = number(message, "generation"), flag(message, "confirmed"), message.get("civic")
    if civic is None:
        return None
    if not isinstance(civic, dict):
        raise ValueError("`civic` must be an object or null.")  # noqa: TRY004 - as above
    known = {name: civic[name] for name in CIVIC_FIELDS if civic.get(name)}
    if not all(_plain(value) for value in known.values()):
        raise ValueError("Fields of `civic` must be texts of at most 256 characters.")
    try:
        return Location(generation, CivicAddress(**known), confirmed)
    except TypeError:
        raise ValueError("`civic` lacks a field.") from None


def flag(message: Message, name: str) -> bool:
    """Read true or false, false when it is not there; raise ValueError with a sentence."""
    value = message.get(name, False)
    if not isinstance(value, bool):
        raise ValueError(f"`{name}` must be true or false.")  # noqa: TRY004 - as above
    return value


def digits(message: Message) -> str:
    """Read the digits of a `dtmf`; raise ValueError with a sentence."""
    value = message.get("digits")
    if not isinstance(value, str) or not _DIGITS.fullmatch(value):
        raise ValueError("`digits` must be 1 to 32 of 0-9, *, #, A-D.")
    return value.upper()


def number(message: Message, name: str) -> int:
    """Read a whole number; raise ValueError with a sentence."""
    value = message.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"`{name}` must be a whole number.")  # noqa: TRY004 - as above
    return value


def text(message: Message, name: str) -> str:
    """Read a string without control characters; raise ValueError with a sentence."""
    value = message.get(name)
    if not isinstance(value, str) or not _plain(value):
        raise ValueError(f"`{name}` must be a text of at most 256 characters.")
    return value


def registration_message(registration: Registration) -> Message:
    """Return a `registration` line."""
    return {"type": "registration", **asdict(registration)}


def call_message(call: Call) -> Message:
    """Return a `call` line."""
    message: Message = {"type": "call", "call": call.number, "test": call.test}
    message |= {name: getattr(call, name) for name in _CALL_FIELDS}
    message |= {name: value for name in _IF_THERE if (value := getattr(call, name)) is not None}
    if call.sound is not None:
        message["sound"] = asdict(call.sound)
    return message


def interlock_message(interlock: Interlock) -> Message:
    """Return an `interlock` line."""
    return {"type": "interlock", **asdict(interlock)}


def _plain(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= ID_LIMIT and value.isprintable()


def _address(message: Message, name: str) -> str:
    value = message.get(name)
    try:
        if not isinstance(value, str):
            raise TypeError
        return str(ipaddress.ip_address(value))
    except (TypeError, ValueError):
        raise ValueError(f"`{name}` must be an IP address.") from None

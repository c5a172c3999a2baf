"""Lines of the voice process as the values of the agent: robust against the unknown (PROTOCOL.md)."""

from __future__ import annotations

import contextlib
import math
from dataclasses import fields
from typing import Final

from agent.model import CallSound, CallView, Registration, RegistrationKind
from agent.voice.socket.protocol import Message

TEST_NUMBER: Final = "933"
"""What `dialstack-voice` calls every spelling of the test number."""
_REGISTRATION_FIELDS: Final = {item.name for item in fields(Registration)}


def registration(message: Message) -> Registration:
    """Read a `registration` line; raise ValueError when it is none."""
    known = {name: value for name, value in message.items() if name in _REGISTRATION_FIELDS}
    try:
        return Registration(**(known | {"kind": RegistrationKind(known["kind"])}))
    except (KeyError, TypeError):
        raise ValueError("This is no registration.") from None


def call_view(message: Message, before: CallView | None = None, life: str = "") -> CallView:
    """Read a `call` line that follows `before`, of this life of the process; raise ValueError when it is none.

    Fields that are missing, unknown or of another type than PROTOCOL.md says do not hide the call.
    """
    number, state, to = message.get("call"), message.get("state"), _text(message.get("to"))
    if not isinstance(number, int) or isinstance(number, bool) or not isinstance(state, str):
        raise ValueError("This is no call.")  # noqa: TRY004 - it is the line that is wrong
    at = seconds(message.get("at")) or 0.0
    started_at = seconds(message.get("started_at")) or (before.started_at if before else at)
    answered_at = seconds(message.get("answered_at")) or (before.answered_at if before else None)
    emergency = message.get("emergency") is True
    began = seconds(message.get("started_at"))  # outlives a stack that hung and began a new life
    return CallView(
        number=number,
        to=to,
        direction="in" if message.get("direction") == "in" else "out",
        state=state,
        code=int(seconds(message.get("code")) or 0),
        reason=_text(message.get("reason")),
        emergency=emergency,
        test=message.get("test") is True or (emergency and to == TEST_NUMBER),
        started_at=started_at,
        answered_at=at if answered_at is None and state == "confirmed" else answered_at,
        started_wall=seconds(message.get("started_wall")) or (before.started_wall if before else None),
        held=message.get("held") is True,
        held_by_peer=message.get("held_by_peer") is True,
        callback=message.get("callback") is True,
        presented_id=_text(message.get("presented_id")) or None,
        record=_text(message.get("record")) or None,
        sound_problem=_text(message.get("sound_problem")) or None,
        ended=_text(message.get("ended")),
        refused=_text(message.get("refused")) or None,
        again=_text(message.get("again")) or None,
        name=f"{number}@{began:.3f}" if began else f"{number}@{life}",
        sound=_sound(message.get("sound")) or (before.sound if before else None),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def seconds(value: object) -> float | None:
    """Return a number of seconds that can be computed with, None for anything else."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    with contextlib.suppress(OverflowError):  # a whole number of 400 digits
        return float(value) if math.isfinite(value) else None
    return None


def _sound(value: object) -> CallSound | None:
    if not isinstance(value, dict):
        return None
    rx, tx = (seconds(value.get(name)) or 0 for name in ("rx_packets", "tx_packets"))
    return CallSound(int(rx), int(tx))

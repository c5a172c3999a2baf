"""A notice in words and in named fields: what e-mail, webhook, command, journal and page say of it."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from agent.clock import SANE_WALL
from agent.model import CivicAddress
from agent.notify.notice import Certainty, Conveyed, Event, Notice, Where
from agent.say import say
from agent.storage.packed import unpack

FORMAT = 1
"""Version of the JSON; within it fields are only added."""

NEWS = {
    Event.DIALED: "Dialed.",
    Event.LOCATION: "The location is known now.",
    Event.ANSWERED: "Answered.",
    Event.CALLBACK: "A call came in after it: it may be the dispatcher.",
    Event.ENDED: "Over.",
    Event.ESCALATED: "NOBODY HAS ACKNOWLEDGED IT.",
    Event.ACKNOWLEDGED: "Acknowledged.",
}
"""Every event in words; a test holds that."""


def one_line(text: str) -> str:
    """Return text without anything that could end a line or steer a reader: names come from people."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def subject(notice: Notice, event: Event) -> str:
    """Return the first thing to read: test or not, number, device."""
    device = one_line(notice.device)
    if notice.test:
        tail = "" if event is Event.DIALED else f": {NEWS[event].rstrip('.').lower()}"
        return f"[TEST] {notice.number} test call from {device}{tail}"
    if event is Event.ESCALATED:
        return f"NOT ACKNOWLEDGED: {notice.number} was dialed from {device}"
    if event is Event.DIALED:
        return f"EMERGENCY CALL: {notice.number} was dialed from {device}"
    return f"{notice.number} call from {device}: {NEWS[event].rstrip('.').lower()}"


def lead(events: tuple[Event, ...]) -> Event:
    """Return the event that a message is about: the newest, but the dialing itself where it was not told before."""
    first = Event.DIALED in events and Event.ESCALATED not in events
    return Event.DIALED if first else events[-1]


def headline(notice: Notice) -> str:
    """Return the fact of the call in one sentence."""
    device = one_line(notice.device)
    if notice.test:
        return say(
            "TEST: {number} was dialed from {device}. This is not an emergency.", number=notice.number, device=device
        )
    return say("{number} was dialed from {device}.", number=notice.number, device=device)


def told(where: Where) -> str:
    """Return what 911 was told, as sure as it is."""
    if where.conveyed is Conveyed.NONE:
        return say("911 was given no address by this phone.")
    if where.conveyed is Conveyed.UNKNOWN:
        return say("It is not known yet which address 911 was given.")
    if where.told is None:
        return say("911 may have been given an address that is not known here; that is not proven.")
    text = where.told.one_line()
    if where.conveyed is Conveyed.PROVEN:
        return say("911 was given {address}. That is proven on this network.", address=text)
    if where.conveyed is Conveyed.PROVISIONAL:
        return say("911 was given {address}, but nobody has confirmed that the phone is there.", address=text)
    return say("911 may have been given {address}; that is not proven.", address=text)


def here(where: Where) -> str:
    """Return where to go."""
    if where.here is None or where.certainty is Certainty.UNKNOWN:
        return say("It is not known where the phone is.")
    text = where.here.one_line()
    if where.certainty is Certainty.CONFIRMED:
        return say("The phone is at {address}. Staff confirmed that.", address=text)
    return say("The phone should be at {address}. Nobody has confirmed that: check.", address=text)


def moment(at: float) -> str:
    """Return a local time with its zone, for readers elsewhere; without a clock no date is better than a wrong one."""
    if at < SANE_WALL:
        return "unknown, this phone's clock is not set"
    return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(at))


def lines(notice: Notice) -> list[str]:
    """Return everything that is known, the most important first."""
    found = [headline(notice), told(notice.where), here(notice.where)]
    found.append(f"Callback number: {one_line(notice.callback_number) or 'none is configured'}.")
    found.append(f"Dialed: {moment(notice.dialed_at)}.")
    if notice.late:
        found.append("The call was already under way when this program started.")
    if notice.answered_at is not None:
        found.append(f"Answered: {moment(notice.answered_at)}.")
    if notice.ended_at is not None:
        talk = f" after {notice.seconds:.0f} s of talk" if notice.seconds else ""
        why = f" ({one_line(unpack(notice.outcome))})" if notice.outcome else ""
        found.append(f"Ended: {moment(notice.ended_at)}{talk}{why}.")
    if notice.callback_at is not None:
        found.append(f"A call came in, it may be the dispatcher: {moment(notice.callback_at)}.")
    if notice.escalated_at is not None and notice.acknowledged_at is None:
        found.append("Nobody has acknowledged this call. Go and look, then acknowledge it on the phone's page.")
    if notice.acknowledged_at is not None:
        found.append(f"Acknowledged by {one_line(notice.acknowledged_by)}: {moment(notice.acknowledged_at)}.")
    return found


def text(notice: Notice) -> str:
    """Return one line with the facts that the law names."""
    return " ".join(lines(notice)[:4])


def payload(notice: Notice, events: tuple[Event, ...]) -> dict[str, Any]:
    """Return the JSON of the webhook; `events` are those that this receiver has not been told."""
    where = notice.where
    return {
        "type": "emergency_call.notice",
        "format": FORMAT,
        "id": notice.uid,
        "revision": notice.version,
        "event": str(lead(events)),
        "events": [str(event) for event in events],
        "test": notice.test,
        "number": notice.number,
        "device": one_line(notice.device),
        "callback_number": one_line(notice.callback_number),
        "location": {"status": str(where.conveyed), **_address(where.told)},
        "phone": {"status": str(where.certainty), **_address(where.here)},
        "text": text(notice),
        **{
            name: getattr(notice, name)
            for name in (
                "dialed_at", "answered_at", "callback_at", "ended_at", "seconds", "escalated_at", "acknowledged_at",
                "acknowledged_by", "late",
            )
        },
        "outcome": str(unpack(notice.outcome)),
    }  # fmt: skip


def fields(notice: Notice, events: tuple[Event, ...]) -> dict[str, str]:
    """Return the same as flat text, for an environment or a journal."""
    where = notice.where
    return {
        "ID": notice.uid,
        "REVISION": str(notice.version),
        "EVENT": str(lead(events)),
        "EVENTS": " ".join(str(event) for event in events),
        "TEST": "1" if notice.test else "0",
        "NUMBER": one_line(notice.number),
        "DEVICE": one_line(notice.device),
        "CALLBACK_NUMBER": one_line(notice.callback_number),
        "LOCATION": one_line(where.told.one_line()) if where.told is not None else "",
        "LOCATION_STATUS": str(where.conveyed),
        "PHONE_AT": one_line(where.here.one_line()) if where.here is not None else "",
        "PHONE_AT_STATUS": str(where.certainty),
        "DIALED_AT": f"{notice.dialed_at:.3f}",
        "ACKNOWLEDGED_BY": one_line(notice.acknowledged_by),
        "TEXT": one_line(text(notice)),
    }


def _address(civic: CivicAddress | None) -> dict[str, Any]:
    if civic is None:
        return {"text": "", "address": None}
    return {"text": civic.one_line(), "address": asdict(civic)}

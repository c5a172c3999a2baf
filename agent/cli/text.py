"""What the command line says to people: the sentence first, then aligned lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any

from agent.clock import SANE_WALL

WORDS = {
    "bound": "ready",
    "provisional": "please confirm",
    "unbound": "no address",
    "connecting": "working on it",
    "offline": "no network",
    "fault": "needs help",
}
"""Kind of status -> what the page says beside its light."""

FIELD_NAMES = {
    "address_number": "--number",
    "street": "--street",
    "unit": "--unit",
    "city": "--city",
    "state": "--state",
    "postal_code": "--postal-code",
    "country": "--country",
}
"""Field of the API -> option of the command line."""


def clean(text: object) -> str:
    """Return text of the platform without anything that steers a terminal."""
    return "".join(char if char.isprintable() else "?" for char in str(text))


def aligned(rows: Iterable[tuple[str, str]]) -> str:
    """Return two columns, empty second columns left out."""
    shown = [(name, text) for name, text in rows if text]
    width = max((len(name) for name, _ in shown), default=0)
    return "\n".join(f"{name:<{width}}  {clean(text)}" for name, text in shown)


def one_line(civic: Mapping[str, Any]) -> str:
    """Return an address as people read it aloud."""
    street = f"{civic['address_number']} {civic['street']}".strip()
    first = f"{street}, {civic['unit']}" if civic["unit"] else street
    return clean(f"{first}, {civic['city']}, {civic['state']} {civic['postal_code']}")


def when(at: float, now: float | None = None) -> str:
    """Return a local time: `14:02` today, `2026-11-21 14:02` else."""
    if at < SANE_WALL:
        return "before the clock was set"
    moment, today = time.localtime(at), time.localtime(now if now is not None else time.time())
    same_day = moment[:3] == today[:3]
    return time.strftime("%H:%M" if same_day else "%Y-%m-%d %H:%M", moment)


def status(overview: Mapping[str, Any]) -> str:
    """Return the overview."""
    light = overview["status"]
    head = [clean(light["sentence"])] + ([clean(light["next_step"])] if light["next_step"] else [])
    if overview["interlock"]:
        head.insert(0, "An emergency call is on, or its callback window: nothing is changed until it is over.")
    address = ""
    if overview["address"]:
        address = f"{one_line(overview['address'])} ({'proven' if overview['proven'] else 'not proven'})"
    question = overview["question"] if overview["ask"] != "nothing" else ""
    rows = [
        ("status", f"{WORDS.get(light['kind'], light['kind'])} ({light['kind']}) since {when(light['since'])}"),
        ("question", question),
        ("", "answer with `dialstack-agent confirm`" if question else ""),
        ("address", address or "none"),
        ("phone", overview["phone"]),
        ("network", overview["network"]),
        ("exposure", exposure(overview)),
        *(("notice", notice) for notice in overview["notices"]),
    ]
    if any(step["state"] != "done" for step in overview["steps"]):
        rows += [("progress", f"{step['label']}: {step['state']}") for step in overview["steps"]]
    return "\n".join(head) + "\n\n" + aligned(rows)


def exposure(overview: Mapping[str, Any]) -> str:
    """Return since when, or for how long, 911 could have been wrong."""
    if overview["exposure_since"] is not None:
        return f"911 could have been wrong since {when(overview['exposure_since'])}"
    if overview["last_exposure"] is not None:
        return f"after the last change 911 could have been wrong for {overview['last_exposure']:.0f} s"
    return ""


def addresses(saved: Iterable[Mapping[str, Any]]) -> str:
    """Return the saved addresses, the one in use marked with a star."""
    lines = [
        (
            f"{'*' if one['in_use'] else ' '} {clean(one['id'] or '(lost)')}",
            one_line(one["civic"]) + (f"  ({clean(one['hint'])})" if one["hint"] else ""),
        )
        for one in saved
    ]
    if not lines:
        return "No address is saved. Add one with `dialstack-agent addresses add`."
    return aligned(lines) + "\n\n* in use now"


def decisions(records: Iterable[Mapping[str, Any]]) -> str:
    """Return the decisions, newest first, with their reasons and evidence."""
    blocks = [
        f"{when(one['at'])}  {clean(one['wanted'])}\n"
        + aligned(
            [
                ("  because", ", ".join(name.replace("_", " ") for name in one["reasons"])),
                ("  cause", one["cause"]),
                ("  place", one["verdict"]),
                ("  evidence", "; ".join(one["evidence"])),
            ]
        )
        for one in records
    ]
    return "\n\n".join(blocks) or "Nothing has been decided yet."


def places(records: Iterable[Mapping[str, Any]]) -> str:
    """Return the known places."""
    blocks = []
    for one in records:
        name = one_line(one["confirmed"]) if one["confirmed"] else "nobody confirmed an address here"
        by = f" by {one['confirmed_by']}" if one["confirmed_by"] else ""
        confirmed = "" if one["confirmed_at"] is None else f"{when(one['confirmed_at'])}{by}"
        rows = [
            ("  confirmed", confirmed),
            ("  last seen", "here now" if one["current"] else when(one["last_seen"])),
            ("  evidence", "; ".join(one["evidence"])),
        ]
        blocks.append(f"place {one['id']}: {name}\n" + aligned(rows))
    return "\n\n".join(blocks) or "No place is known yet."


def failure(error: Mapping[str, Any]) -> str:
    """Return an error: three sentences, then the fields."""
    lines = [clean(error[name]) for name in ("happened", "emergency", "todo") if error[name]]
    fields = aligned((FIELD_NAMES.get(name, name), text) for name, text in error["fields"].items())
    return "\n".join(lines) + (f"\n\n{fields}" if fields else "")


def warn(text: str) -> None:
    """Write to the error stream."""
    sys.stderr.write(f"{text}\n")


def say(text: str) -> None:
    """Write to the output, at once: somebody may be watching."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()

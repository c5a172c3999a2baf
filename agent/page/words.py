"""Words, times and classes that the pages are made of: tables, no logic of the daemon's own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from agent.model import CivicAddress, StatusKind


@dataclass(frozen=True, slots=True)
class Light:
    """How a status looks: never by its color alone."""

    css: str
    """Class that carries the color."""
    icon: str
    """Macro in `_icons.html`."""
    word: str
    """Stands beside the icon."""


LIGHTS = {
    StatusKind.BOUND: Light("good", "check", "Ready"),
    StatusKind.PROVISIONAL: Light("warn", "question", "Please confirm"),
    StatusKind.UNBOUND: Light("bad", "nopin", "No address"),
    StatusKind.CONNECTING: Light("busy", "busy", "Working on it"),
    StatusKind.OFFLINE: Light("off", "offline", "No network"),
    StatusKind.FAULT: Light("bad", "warning", "Needs help"),
}
"""Every kind of status has its light; a test holds that."""

STEP_WORDS = {"waiting": "next", "running": "now", "done": "done", "failed": "failed"}

VERDICTS = {
    "same": "The same place as before.",
    "known": "A place that is known from before.",
    "new": "A new place.",
    "unknown": "Not enough evidence to tell which place.",
}

REASONS = {
    "no_path": "there was no usable network",
    "interrupted": "the network was interrupted",
    "flapping": "the network kept coming and going",
    "evidence_incomplete": "the evidence of the place was not complete yet",
    "interlock": "an emergency call was on, nothing may disturb it",
    "place_same": "the place is the same",
    "place_known": "the place is known",
    "place_new": "the place is new",
    "place_unknown": "the place could not be told",
    "place_confirmed": "somebody confirmed an address here",
    "wan_changed": "the public address of the network changed",
    "fixed_device": "the phone is set up as staying in one place",
    "movable_device": "the phone is set up as one that moves",
    "no_configured_address": "no address is configured",
    "denied": "the platform said that the address does not count on this network",
    "denied_after_clear": "the platform said no again, after the old network was cleared",
    "address_gone": "the platform no longer has the address",
    "address_refused": "the platform did not accept the address",
}
"""Every reason of `agent.model.Reasons` in words; a test holds that."""


def reason(name: str) -> str:
    """Return a reason in words; unknown ones readable as they are."""
    return REASONS.get(name, name.replace("_", " "))


def verdict(text: str) -> str:
    """Return a verdict in words; anything else as it is."""
    return VERDICTS.get(text, text)


def street_line(civic: CivicAddress) -> str:
    """Return number, street and unit."""
    street = " ".join(part for part in (civic.address_number, civic.street) if part)
    return ", ".join(part for part in (street, civic.unit) if part)


def city_line(civic: CivicAddress) -> str:
    """Return city, state and postal code, and the country unless it is the US."""
    line = f"{civic.city}, {civic.state} {civic.postal_code}"
    return line if civic.country == "US" else f"{line}, {civic.country}"


def clock_time(at: float, now: float, zone: tzinfo | None = None) -> str:
    """Return a time as people say it: `14:02`, `yesterday 14:02`, `21 Nov 14:02`, `21 Nov 2025 14:02`."""
    when, today = (datetime.fromtimestamp(value, zone).astimezone(zone) for value in (at, now))
    hour = when.strftime("%H:%M")
    if when.date() == today.date():
        return hour
    if when.date() == today.date() - timedelta(days=1):
        return f"yesterday {hour}"
    year = f" {when.year}" if when.year != today.year else ""
    return f"{when.day} {when:%b}{year} {hour}"


def iso_time(at: float, zone: tzinfo | None = None) -> str:
    """Return a time for `<time datetime>`."""
    return datetime.fromtimestamp(at, zone).astimezone(zone).isoformat(timespec="seconds")


_UNITS = (("day", 86400), ("h", 3600), ("min", 60), ("s", 1))


def duration(seconds: float) -> str:
    """Return a duration in its two largest units: `12 s`, `3 min 5 s`, `2 days 4 h`."""
    left = round(seconds)
    if left < 1:
        return "less than 1 s"
    parts = []
    for name, size in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {name}{'s' if name == 'day' and count > 1 else ''}")
        elif parts:
            break
    return " ".join(parts[:2])

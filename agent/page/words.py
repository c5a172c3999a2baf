"""Words, times and classes that the pages are made of: tables, no logic of the daemon's own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from agent.clock import SANE_WALL
from agent.model import CivicAddress, StatusKind
from agent.say import say, say_n, sentences


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
    StatusKind.BOUND: Light("good", "check", say("Ready")),
    StatusKind.PROVISIONAL: Light("warn", "question", say("Please confirm")),
    StatusKind.UNBOUND: Light("bad", "nopin", say("No address")),
    StatusKind.CONNECTING: Light("busy", "busy", say("Working on it")),
    StatusKind.OFFLINE: Light("off", "offline", say("No network")),
    StatusKind.FAULT: Light("bad", "warning", say("Needs help")),
}
"""Every kind of status has its light; a test holds that."""

STEP_WORDS = {"waiting": say("next"), "running": say("now"), "done": say("done"), "failed": say("failed")}

MONTHS = (
    say("Jan"), say("Feb"), say("Mar"), say("Apr"), say("May"), say("Jun"),
    say("Jul"), say("Aug"), say("Sep"), say("Oct"), say("Nov"), say("Dec"),
)  # fmt: skip

VERDICTS = {
    "same": say("The same place as before."),
    "known": say("A place that is known from before."),
    "new": say("A new place."),
    "unknown": say("Not enough evidence to tell which place."),
}

REASONS = {
    "no_path": say("there was no usable network"),
    "interrupted": say("the network was interrupted"),
    "flapping": say("the network kept coming and going"),
    "evidence_incomplete": say("the evidence of the place was not complete yet"),
    "interlock": say("an emergency call was on, nothing may disturb it"),
    "place_same": say("the place is the same"),
    "place_known": say("the place is known"),
    "place_new": say("the place is new"),
    "place_unknown": say("the place could not be told"),
    "place_confirmed": say("somebody confirmed an address here"),
    "wan_changed": say("the public address of the network changed"),
    "fixed_device": say("the phone is set up as staying in one place"),
    "movable_device": say("the phone is set up as one that moves"),
    "no_configured_address": say("no address is configured"),
    "denied": say("the platform said that the address does not count on this network"),
    "denied_after_clear": say("the platform said no again, after the old network was cleared"),
    "address_gone": say("the platform no longer has the address"),
    "address_refused": say("the platform did not accept the address"),
}
"""Every reason of `agent.model.Reasons` in words; a test holds that."""


TEST_STATES = {
    "calling": say("Calling 933…"),
    "ringing": say("It rings."),
    "early": say("It rings."),
    "confirmed": say("Answered. The address is being recorded."),
    "ended": say("The call is over."),
    "listening": say("The recording is checked for a voice."),
}
"""State of a test call -> what the page says."""

TEST_TODO = {
    "silence": say(
        "Make another test call. If it is silent again, call the technician: on 911 you might not be heard."
    ),
    "steady": say("Make another test call. If there is no voice again, call the technician."),
    "nothing": say("Make another test call. If it is as short again, call the technician."),
    "unheard": say("Call the technician: without recordings a test call shows only that somebody answers."),
    "not_answered": say("Make another test call. If nobody answers again, call the technician and use another phone."),
    "failed": say("Look at the first page: it says what is wrong. In an emergency use another phone."),
    "given_up": say("Make another test call when nobody is on the phone."),
}
"""Result of a test call -> what to do; a test holds that every result but a voice is here."""


def reason(name: str) -> str:
    """Return a reason in words; unknown ones readable as they are."""
    return REASONS.get(name, name.replace("_", " "))


def verdict(text: str) -> str:
    """Return a verdict in words; anything else as it is."""
    return VERDICTS.get(text, text)


CHANNELS = {"webhook": say("webhook"), "email": say("e-mail"), "command": say("program of this device")}
"""Channels of `agent/notify/channels.py` in words; a test holds that."""


def channel(name: str) -> str:
    """Return what carries notices, in words."""
    kind, _, late = name.partition(" ")
    told = CHANNELS.get(kind, kind)
    return say("{channel}, when nobody reacts", channel=told) if late else told


EVIDENCE = {
    "switch_port": say("Port of the network switch: {value}, on {interface}"),
    "switch_name": say("Network switch {value} on {interface}"),
    "port_vlan": say("VLAN {value} of the switch port on {interface}"),
    "gateway_mac": say("Router {value} on {interface}"),
    "shared_gateway_mac": say("Router {value} on {interface}, an address that several routers share"),
    "bssid": say("Wi-Fi access point {value} on {interface}"),
    "ssid": say("Wi-Fi network {value} on {interface}"),
    "subnet": say("Network {value} on {interface}"),
    "vlan": say("VLAN {value} on {interface}"),
    "public_address": say("Public address {value}"),
}
"""Kinds of `agent.model.Observation` in words."""
_EVIDENCE = re.compile(r"(?P<kind>\w+) (?P<value>.*) on (?P<interface>\S*)")
_PRESENTED = re.compile(r"(?P<address>.+) \((?P<id>[^()]*)\)")


def evidence(line: str) -> str:
    """Return a line of evidence (`gateway_mac 02:... on eth0`) in words; unknown kinds as they are."""
    found = _EVIDENCE.fullmatch(line)
    words = EVIDENCE.get(found["kind"]) if found else None
    return say(words.message, value=found["value"], interface=found["interface"]) if found and words else line


def wanted(text: str) -> str:
    """Return what a decision wanted to present, in words."""
    if text == "nothing":
        return say("Present no address.")
    found = _PRESENTED.fullmatch(text)
    return say("Present {address}.", address=found["address"]) if found else text


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
    if at < SANE_WALL:
        return say("before the clock was set")
    when, today = (datetime.fromtimestamp(value, zone).astimezone(zone) for value in (at, now))
    hour = when.strftime("%H:%M")
    if when.date() == today.date():
        return hour
    if when.date() == today.date() - timedelta(days=1):
        return say("yesterday {time}", time=hour)
    return sentences(day(when, today), hour)


def day(when: datetime, today: datetime) -> str:
    """Return a day: `21 Nov`, `21 Nov 2025` in another year."""
    month = MONTHS[when.month - 1]
    if when.year == today.year:
        return say("{day} {month}", day=when.day, month=month)
    return say("{day} {month} {year}", day=when.day, month=month, year=when.year)


def minutes(seconds: float) -> str:
    """Return a running time as clocks show it: `0:07`, `12:30`, `1:02:03`."""
    whole, rest = divmod(round(seconds), 60)
    hours, whole = divmod(whole, 60)
    return f"{hours}:{whole:02}:{rest:02}" if hours else f"{whole}:{rest:02}"


def iso_time(at: float, zone: tzinfo | None = None) -> str:
    """Return a time for `<time datetime>`."""
    return datetime.fromtimestamp(at, zone).astimezone(zone).isoformat(timespec="seconds")


def took(seconds: float) -> str:
    """Return how long a step took: `0.4 s`, and as `duration` from ten seconds on."""
    if seconds < 0.05:  # noqa: PLR2004 - rounds to nothing
        return say("at once")
    if seconds < 10:  # noqa: PLR2004 - seconds
        return say("{number} s", number=tenths(seconds))
    return duration(seconds)


def tenths(value: float) -> str:
    """Return a number with one decimal place, after the mark that the reader's language has for it."""
    whole, _, tenth = f"{value:.1f}".partition(".")
    return say("{whole}.{tenth}", whole=whole, tenth=tenth)


def duration(seconds: float) -> str:
    """Return a duration in its two largest units: `12 s`, `3 min 5 s`, `2 days 4 h`."""
    left = round(seconds)
    if left < 1:
        return say("less than 1 s")
    days, left = divmod(left, 86400)
    hours, left = divmod(left, 3600)
    minutes, left = divmod(left, 60)
    parts = (
        say_n("{count} day", "{count} days", days) if days else "",
        f"{hours} h" if hours else "",
        f"{minutes} min" if minutes else "",
        f"{left} s" if left else "",
    )
    first = next(index for index, part in enumerate(parts) if part)
    return sentences(*parts[first : first + 2])

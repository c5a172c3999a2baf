"""Validators of configuration values: each takes the TOML value and returns the setting or says what it must be."""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from agent.say import said, say

Validator = Callable[[object], Any]
"""Takes the TOML value, returns the setting or raises ValueError(say("must be ..."))."""


class PartlyWrong(ValueError):
    """A list of which only `good` can be used."""

    def __init__(self, what: str, good: tuple[Any, ...]) -> None:
        super().__init__(what)
        self.good = good


def _either(names: Sequence[str]) -> str:
    """Return `a or b or c`."""
    *others, last = names
    return say("{first} or {last}", first=_either(others), last=last) if others else last


def a_text(value: object) -> str:
    """Printable text."""
    if isinstance(value, str) and value.isprintable():
        return value.strip()
    raise ValueError(say("must be text"))


def a_host(value: object) -> str:
    """Host name or IP address."""
    text = a_text(value)
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        if not re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?", text):
            raise ValueError(say("must be a host name or an IP address, without scheme or port")) from None
    return text.strip("[]")


def a_url(*schemes: str) -> Validator:
    """URL with one of the schemes and no secrets in it."""

    def check(value: object) -> str:
        text = a_text(value)
        try:
            parts = urlsplit(text)
            usable = parts.scheme in schemes and parts.hostname and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise ValueError(
                say("must be a URL starting with {schemes}", schemes=_either([s + "://" for s in schemes]))
            )
        if parts.username or parts.password:
            raise ValueError(say("must not carry a user name or password: secrets belong into files"))
        return text.rstrip("/")

    return check


def a_whole(low: int, high: int) -> Validator:
    """Whole number in a range."""

    def check(value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        raise ValueError(say("must be a whole number from {low} to {high}", low=low, high=high))

    return check


def a_seconds(low: float, high: float) -> Validator:
    """Seconds in a range."""

    def check(value: object) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
            return float(value)
        raise ValueError(say("must be seconds from {low} to {high}", low=f"{low:g}", high=f"{high:g}"))

    return check


def a_choice(*names: str) -> Validator:
    """One of a few words."""

    def check(value: object) -> str:
        if isinstance(value, str) and value in names:
            return value
        near = difflib.get_close_matches(str(value), names, 1)
        wanted = _either([repr(name) for name in names])
        if near:
            raise ValueError(say("must be {wanted}; did you mean {near}?", wanted=wanted, near=repr(near[0])))
        raise ValueError(say("must be {wanted}", wanted=wanted))

    return check


def a_boolean(value: object) -> bool:
    """True or false."""
    if isinstance(value, bool):
        return value
    raise ValueError(say("must be true or false"))


def a_span(value: object) -> str:
    """Hours of a day."""
    text = a_text(value)
    hour = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
    if re.fullmatch(f"{hour}-(?:{hour}|24:00)", text) and text[:5] != text[6:]:
        return text
    raise ValueError(say('must be a span of local time such as "08:00-18:00"'))


def a_file(value: object) -> Path | None:
    """Absolute path, or nothing for an empty text."""
    text = a_text(value)
    if not text:
        return None
    if not text.startswith("/"):
        raise ValueError(say("must be an absolute path, starting with /"))
    return Path(text)


def a_path(value: object) -> Path:
    """Absolute path."""
    found = a_file(value)
    if found is None:
        raise ValueError(say("must be an absolute path, starting with /"))
    return found


def a_texts(of: Validator = a_text) -> Validator:
    """List of values."""

    def check(value: object) -> tuple[Any, ...]:
        if isinstance(value, list):
            return tuple(of(item) for item in value)
        raise ValueError(say('must be a list such as ["a", "b"]'))

    return check


def a_header(value: object) -> str:
    """Name of a SIP header."""
    text = a_text(value)
    if re.fullmatch(r"[A-Za-z0-9-]{1,64}", text):
        return text
    raise ValueError(say("must be the name of a SIP header: letters, digits and hyphens"))


def a_number(value: object) -> str:
    """Telephone number."""
    text = a_text(value)
    if re.fullmatch(r"[+*]?[0-9]{1,15}", text):
        return text
    raise ValueError(say('must be a number as it is dialed, such as "112"'))


def a_codec(value: object) -> str:
    """Name of a codec."""
    text = a_text(value)
    if re.fullmatch(r"[A-Za-z0-9_.-]{1,32}(/[0-9]{4,6})?", text):
        return text
    raise ValueError(say('must be the name of a codec, such as "PCMU" or "speex/16000"'))


def a_listen(value: object) -> str:
    """Loopback address, `link`, or an address of the device."""
    text = a_text(value)
    if text in {"127.0.0.1", "::1", "link"}:
        return text
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        address = None
    if address is None or address.is_unspecified or address.is_loopback or address.is_multicast:
        raise ValueError(
            say("must be 127.0.0.1 or ::1 (the device's own screen), 'link', or one address of the device")
        )
    return text


def a_network(value: object) -> str:
    """Network in CIDR."""
    text = a_text(value)
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise ValueError(say("must be a network such as 10.20.0.0/16")) from None


def a_empty_or(check: Validator) -> Validator:
    """Nothing, or what another validator accepts."""
    return lambda value: "" if value == "" else check(value)


def a_mailbox(value: object) -> str:
    """Bare e-mail address."""
    text = a_text(value)
    if re.fullmatch(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", text):
        return text
    raise ValueError(say("must be an e-mail address alone, such as desk@example.net"))


def a_mailboxes(value: object) -> tuple[str, ...]:
    """List of e-mail addresses; raises PartlyWrong with the right ones: they are told all the same."""
    good: list[str] = []
    why = ""
    for one in a_texts(lambda one: one)(value):
        try:
            good.append(a_mailbox(one))
        except ValueError as error:
            why = said(error)
    if why:
        raise PartlyWrong(why, tuple(good))
    return tuple(good)

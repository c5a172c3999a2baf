"""What people and dial plans make of 911, and what is dialed instead: the table of EMERGENCY.md, pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote

from agent.say import say

_HABITS: Final = ("", "9", "+", "1", "+1", "91", "*67", "*82")
"""What comes in front: an outside line, a country, a long distance, hiding the caller (47 CFR 9.16)."""
EMERGENCY: Final = {habit + number: number for number in ("911", "933") for habit in _HABITS}
"""What is left of what was dialed -> what is sent."""
_SERVICES: Final = {"urn:service:sos": "911", "urn:service:test.sos": "933"}
"""RFC 5031 4.2, RFC 6881 15."""
_SCHEME: Final = re.compile(r"(sips?|tel):(//)?", re.IGNORECASE)
_NAME_ADDRESS: Final = re.compile(r"[^<>]*<([^<>]*)>[^<>]*")
_NUMBER: Final = re.compile(r"[+*#0-9A-Da-d]{1,64}")
_URI: Final = re.compile(r"sips?:[^\s<>\"]{1,256}")
_VISUAL: Final = str.maketrans("", "", "-. ()")


def emergency_number(to: str, more: Sequence[str] = ()) -> str | None:
    """Return `911` or `933` when `to` asks for it in any form of EMERGENCY.md, else None.

    `more` are further numbers that mean 911 here. Takes any text, printable or not.
    """
    text = to.strip().lower()
    for service, number in _SERVICES.items():
        if text == service or text.startswith(service + "."):
            return number
    dialed = _dialed(to)
    return EMERGENCY.get(dialed) or ("911" if dialed and dialed in more else None)


def _dialed(to: str) -> str:
    """Return the digits, signs and letters of what was dialed, nothing around them."""
    inside = _NAME_ADDRESS.fullmatch(to.strip())
    text = (inside[1] if inside else to).strip()
    text = text[scheme.end() :] if (scheme := _SCHEME.match(text)) else text
    user = unquote(text.partition("@")[0].partition(";")[0].partition(":")[0])
    return "".join(_sign(character) for character in user).rstrip("#")


def _sign(character: str) -> str:
    if character.isdecimal():
        return str(int(character))
    return character if character.isalnum() or character in "+*#" else ""


def call_uri(to: str, domain: str) -> str:
    """Return the URI to dial; raise ValueError with a sentence when `to` is no number and no SIP URI."""
    text = to.strip()
    if _URI.fullmatch(text) and text.isprintable():
        return text
    digits = text.removeprefix("tel:").translate(_VISUAL)
    if _NUMBER.fullmatch(digits):
        return f"sip:{digits}@{domain}"
    raise ValueError(say("This is neither a telephone number nor a SIP address."))

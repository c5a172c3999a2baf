"""The few things read out of SIP text: who answered from where, when to come back, and what is an emergency."""

from __future__ import annotations

import re
from typing import Final

EMERGENCY: Final = {"911": "911", "9911": "911", "933": "933", "9933": "933"}
"""What people dial -> what is sent: a habit of dialing 9 first must not cost a life (47 CFR 9.16)."""
_NUMBER = re.compile(r"[+*#0-9A-Da-d]{1,64}")
_URI = re.compile(r"sips?:[^\s<>\"]{1,256}")
_VISUAL = str.maketrans("", "", "-. ()")


def header(message: str, *names: str) -> str | None:
    """Return the value of the first header with one of these names, or None (RFC 3261 7.3.1)."""
    wanted = {name.lower() for name in names}
    head, _, _ = message.partition("\r\n\r\n")
    for line in head.split("\r\n")[1:]:
        name, colon, value = line.partition(":")
        if colon and name.strip().lower() in wanted:
            return value.strip()
    return None


def via_received(message: str) -> str | None:
    """Return the address that the registrar saw us come from (RFC 3261 18.2.1, RFC 3581 4).

    A registrar adds `received` when it differs from the sent-by host, or always; without it the sent-by
    host is what was seen.
    """
    via = header(message, "Via", "v")
    if via is None:
        return None
    first = via.split(",")[0]
    for part in first.split(";")[1:]:
        name, _, value = part.partition("=")
        if name.strip().lower() == "received" and value:
            return value.strip().strip("[]")
    words = first.split(";")[0].split()
    host = words[1] if len(words) > 1 else ""
    return host.partition("]")[0].strip("[") if host.startswith("[") else host.partition(":")[0] or None


def retry_after(message: str) -> float | None:
    """Return the seconds of Retry-After (RFC 3261 20.33), or None."""
    value = header(message, "Retry-After")
    match = re.match(r"\s*(\d{1,9})", value) if value is not None else None
    return float(match[1]) if match else None


def emergency_number(to: str) -> str | None:
    """Return `911` or `933` when `to` asks for it in any obvious form (also RFC 5031 URNs), else None."""
    text = to.strip().lower()
    if text == "urn:service:sos" or text.startswith("urn:service:sos."):
        return "911"
    for prefix in ("sips:", "sip:", "tel:"):
        text = text.removeprefix(prefix)
    user = text.lstrip("/").partition("@")[0].partition(";")[0]
    return EMERGENCY.get(user.translate(_VISUAL))


def call_uri(to: str, domain: str) -> str:
    """Return the URI to dial; raise ValueError with a sentence when `to` is no number and no SIP URI."""
    number = emergency_number(to)
    if number is not None:
        return f"sip:{number}@{domain}"
    text = to.strip()
    if _URI.fullmatch(text):
        return text
    digits = text.removeprefix("tel:").translate(_VISUAL)
    if _NUMBER.fullmatch(digits):
        return f"sip:{digits}@{domain}"
    raise ValueError("This is neither a telephone number nor a SIP address.")

"""The few things read out of SIP text: who answered from where, and when to come back."""

from __future__ import annotations

import re


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

"""Who did something, as it is recorded (`staff at 192.0.2.7`) and as people are told."""

from __future__ import annotations

from agent.say import say

NAMES = {
    "cli": say("cli"),
    "local screen": say("local screen"),
    "staff": say("staff"),
    "technician": say("technician"),
}
"""What visitors are recorded as -> how they are called."""


def who(text: str) -> str:
    """Return a recorded visitor in words that can be told in every language; anybody else as recorded."""
    name, at, address = text.partition(" at ")
    if name not in NAMES:
        return text
    return say("{who} at {address}", who=NAMES[name], address=address) if at else NAMES[name]

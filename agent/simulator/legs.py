"""What each media leg says and for how long."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from agent.simulator.binding import Saved

ANNOUNCEMENT = (
    "This phone's emergency address is not registered. This call cannot be completed. "
    "Please confirm where this phone is. 9 1 1 and 9 3 3 still work."
)
ANSWER = "This is the simulated telephone network. You will now hear yourself."
NO_ADDRESS = "There is no emergency address for this phone."


@dataclass(frozen=True, slots=True)
class Legs:
    """Seconds, settable over control."""

    ring: float = 0.1
    """From the INVITE to the answer."""
    psap_911: float = 1800.0
    """The operator stays so long."""
    longest_text: float = 60.0
    """What takes longer to say is cut off."""
    after_text: float = 0.5
    """Silence before a leg that only talks hangs up."""
    no_sound: float = 120.0
    """A call from which nothing is heard for so long is ended."""
    read_back: Literal["speech", "silence", "tone", "noise"] = "speech"
    """What is heard at 933: the address, or what a broken far end plays in its place for `longest_text` seconds."""
    announcement_early: bool = False
    """The announcement is early media and ends with 480, instead of an answered call."""

    def changed(self, changes: Mapping[str, Any]) -> Legs:
        """Return a copy; raise ValueError for what does not fit."""
        unknown = set(changes) - {field.name for field in dataclasses.fields(self)}
        if unknown:
            raise ValueError(f"no such setting: {', '.join(sorted(unknown))}")
        return msgspec.convert(dataclasses.asdict(self) | dict(changes), Legs)

    def row(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return dataclasses.asdict(self)


def words(leg: str, number: str, address: Saved | None) -> str:
    """Return what a leg says: `psap` reads the dispatch address back (933) or asks (911)."""
    if leg == "announcement":
        return ANNOUNCEMENT
    if leg != "psap":
        return ANSWER
    known = f"Your emergency address is {_aloud(address)}." if address else NO_ADDRESS
    if number.endswith("933"):
        return f"This is the 9 3 3 test. {known} Goodbye."
    return f"9 1 1, this is a simulation. {known} What is your emergency?"


def _aloud(saved: Saved) -> str:
    return str(saved.address["formatted_address"]).removesuffix(f", {saved.address['country']}")

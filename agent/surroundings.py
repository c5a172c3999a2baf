"""What the network says about the place, against what is known of it: alarms for people, never a change by itself."""

from __future__ import annotations

from dataclasses import dataclass

from agent.clock import Clock
from agent.heard import NOTHING, Heard, Hearing
from agent.model import CivicAddress, NetworkState, Place
from agent.network.named import differences
from agent.network.place import PORT
from agent.say import Said, say

SILENCE = 130.0
"""Seconds until a switch that is not heard is missing: what it says holds for 120 s (802.1AB 9.2.5.22)."""
RECORD_GAP = 60.0
"""Seconds at least between records of disagreements: whoever says something else all the time fills no disk."""
SOURCES: dict[str, Said] = {"lldp": say("what the network switch says"), "dhcp": say("what this network says")}
"""Who named an address -> why it is offered."""
UNASKED = say(
    "The network switch cannot be asked: a move within this building would not be noticed, and no address is heard. "
    "911 works as before. Have dialstack-lldp.socket started on this device, or LLDP switched off in the settings."
)
"""The agent may not listen, and the helper that may does not answer."""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """The network names another door than the one that staff confirmed here."""

    fields: tuple[str, ...]
    """Fields of CivicAddress, or `floor`."""
    sentence: str


class Surroundings:
    """Holds the newest comparison; `look` whenever network, place or time moved on."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.heard: Heard = NOTHING
        self.disagreement: Disagreement | None = None
        self.unheard_since: float | None = None
        """Monotonic seconds since when the port that the place is known by is not heard; None: it is, or none is."""
        self._recorded_at = float("-inf")

    def look(self, state: NetworkState, place: Place | None) -> bool:
        """Compare; return whether a disagreement began that has to be recorded."""
        before = self.disagreement
        online = not state.interrupted and (state.sip is not None or state.api is not None)
        self.heard = state.heard if online else NOTHING
        confirmed = place.confirmation.civic if place is not None and place.confirmation is not None else None
        self.disagreement = _disagreement(self.heard, confirmed) if online else before
        if not online or place is None or not _is_known_by_port(place, state) or self.heard.port is not None:
            self.unheard_since = None
        elif self.unheard_since is None:
            self.unheard_since = self._clock.monotonic()
        return self.disagreement not in {None, before} and self._may_record()

    def _may_record(self) -> bool:
        now = self._clock.monotonic()
        due = now - self._recorded_at >= RECORD_GAP
        if due:
            self._recorded_at = now
        return due

    @property
    def silent(self) -> bool:
        """Tell whether a switch has been missing for so long that a move would not be noticed by it."""
        since = self.unheard_since
        return since is not None and self._clock.monotonic() - since >= SILENCE

    def notices(self) -> tuple[str, ...]:
        """Return what people should know, as sentences."""
        found: list[str] = [self.disagreement.sentence] if self.disagreement is not None else []
        if self.silent:
            found.append(_unnoticed(self.heard))
        return tuple(found)


def _is_known_by_port(place: Place, state: NetworkState) -> bool:
    """Tell whether a switch port was heard here on the interface in use; Wi-Fi beside the cable has none."""
    path = state.sip or state.api
    ports = [one for one in place.observations if one.kind == PORT and one.on_path]
    return path is not None and any(one.interface == path.interface for one in ports)


def _disagreement(heard: Heard, confirmed: CivicAddress | None) -> Disagreement | None:
    if heard.named is None or confirmed is None:
        return None
    fields = differences(confirmed, heard.named)
    if not fields:
        return None
    message: str = say(
        "The network says that this phone is at {named}, but {confirmed} was confirmed here. 911 is still sent to the "
        "confirmed address. Please check where this phone is, and confirm it again or have the network corrected.",
        named=heard.named.one_line(),
        confirmed=confirmed.one_line(),
    )
    return Disagreement(fields, message)


def _unnoticed(heard: Heard) -> Said:
    """Say why a move within the building would go unnoticed; 911 goes on as before."""
    if heard.hearing is Hearing.NO_RIGHT:
        return UNASKED
    if heard.hearing is Hearing.OFF:
        return say(
            "The network switch is not asked, so that a move within this building would not be noticed. 911 is sent to "
            "the confirmed address as before. It can be asked again in the settings."
        )
    if heard.ports:
        return say(
            "Several network switches are heard on one cable, so that a move within this building would not be "
            "noticed. 911 is sent to the confirmed address as before. Plug this phone into a socket of its own."
        )
    return say(
        "The network switch is not heard any more, so that a move within this building would not be noticed. 911 is "
        "sent to the confirmed address as before. If this phone was moved, please tell it where it is."
    )

"""How often the network may come back before it has to prove that it is calm (failure 9, S11); pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """Tuning of the penalty for flaps."""

    free: int = 3
    """Recoveries that are acted on at once: staff who try two sockets feel nothing."""
    window: float = 60.0
    """Seconds without any disturbance after which everything is forgotten."""
    first_hold: float = 2.0
    """Seconds of calm asked for at first; doubled after every recovery that had to wait."""
    longest_hold: float = 30.0
    """A link that blinks more slowly is used between the blinks; a longer hold would keep it dark."""
    correction: float = 3.0
    """Seconds in which one more recovery belongs to the same move: carrier first, then the new lease."""


class Penalty:
    """Answers when the network may be called usable again.

    A 1 Hz flap on one network costs the free recoveries and nothing more until it ends; moving between two networks
    costs the same plus one for each doubling that the flap's period outlasts.
    """

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._recoveries = 0
        self._correction_until = float("-inf")
        self._disturbed_at = float("-inf")
        self._level = 0

    def disturb(self, now: float) -> None:
        """Note that path or evidence was lost or changed."""
        if now - self._disturbed_at >= self._pace.window:
            self._recoveries = 0
            self._level = 0
        self._disturbed_at = now

    def ready_at(self, now: float) -> float:
        """Return the monotonic time from which a recovery may be acted on; not after `now`: at once."""
        if now < self._correction_until:
            return now
        if self._recoveries < self._pace.free:
            return now
        hold: float = self._pace.first_hold * 2**self._level
        return self._disturbed_at + min(self._pace.longest_hold, hold)

    def recovered(self, now: float) -> None:
        """Note a recovery that was acted on."""
        if now < self._correction_until:
            self._correction_until = float("-inf")
        elif self._recoveries < self._pace.free:
            self._recoveries += 1
            self._correction_until = now + self._pace.correction
        else:
            self._level += 1

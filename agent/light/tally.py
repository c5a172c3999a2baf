"""What happened since the start of the process: counted once, by the engine; `/metrics` only reads it."""

from __future__ import annotations

from collections import Counter

from agent.model import CallView, Gap, Registration, VoiceState


def kind_of(call: CallView) -> str:
    """Return what a call is for: `ordinary`, `emergency` or `test` (933)."""
    if call.test:
        return "test"
    return "emergency" if call.emergency else "ordinary"


class Tally:
    """Counters that only grow; they begin at zero with the process, as Prometheus expects."""

    def __init__(self) -> None:
        self.registers = 0
        """REGISTER transactions that the voice process reported while the agent was connected to it."""
        self.moves = 0
        """Arrivals at another place than the last one."""
        self.confirmations = 0
        self.denials = 0
        self.calls: Counter[tuple[str, str]] = Counter()
        """(kind, direction) -> calls."""
        self.gaps: Counter[str] = Counter()
        self.gap_seconds = 0.0
        self._place: int | None = None
        self._numbers: frozenset[int] = frozenset()

    def begin(self, place_id: int | None) -> None:
        """Take the place where the device was last: a device that was moved while it was off counts as moved."""
        self._place = place_id

    def place(self, place_id: int | None) -> None:
        """Take the place where the device is now; None: it cannot be told."""
        if place_id is not None and place_id != self._place:
            self.moves += self._place is not None
            self._place = place_id

    def voice(self, old: VoiceState, new: VoiceState) -> None:
        """Take the newest state of the voice process."""
        self.registers += _sent(old.registration, new.registration)
        if new.connected:
            self.calls.update((kind_of(call), call.direction) for call in new.calls if call.number not in self._numbers)
            self._numbers = frozenset(call.number for call in new.calls)

    def gap(self, gap: Gap) -> None:
        """Take a stretch of blindness."""
        self.gaps[gap.kind] += 1
        self.gap_seconds += gap.seconds


def _sent(old: Registration, new: Registration) -> bool:
    """Tell whether a report is about a REGISTER that was not known yet."""
    return new.sent_at is not None and new.sent_at != old.sent_at

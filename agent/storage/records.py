"""What is written down beside confirmations: decisions, gaps, disagreements; a disk that fails costs no more."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

from agent.clock import SANE_WALL, Clock
from agent.model import Decision, Gap, NetworkState
from agent.runtime.log import trace
from agent.say import say
from agent.storage.packed import pack
from agent.storage.store import DecisionRow, Store
from agent.storage.undated import Undated


class Records:
    """Knows whether the disk takes them."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._undated = Undated(store)
        self.problem: str | None = None
        """Why nothing can be kept; None: it can."""

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """A disk that is full costs the record, never the work: only confirmations must be on disk (S5)."""
        try:
            yield
        except sqlite3.Error as error:
            self.problem = say("the database cannot be written: {error}", error=error)
            trace("store", problem=self.problem)
        else:
            if self.problem is not None and self._store.durable:
                self.problem = None

    def decision(self, state: NetworkState, decision: Decision) -> None:
        """Record what was decided, and why (S8)."""
        wanted = decision.wanted
        text = (
            "nothing"
            if wanted.civic is None
            else f"{wanted.civic.one_line()} ({wanted.address_id or 'not registered'})"
        )
        reasons = decision.reasons.true()
        trace("decision", verdict=decision.verdict.kind, reasons=reasons, wanted=text, ask=decision.ask,
              generation=wanted.generation, attempt=wanted.attempt)  # fmt: skip
        with self.kept():
            self._store.add_decision(
                DecisionRow(
                    at=self._clock.wall(), generation=wanted.generation, verdict=decision.verdict.kind,
                    place_id=decision.verdict.place_id, reasons=reasons,
                    evidence=tuple(f"{item.kind} {item.value} on {item.interface}" for item in state.observations),
                    wanted=text, cause=state.cause,
                )
            )  # fmt: skip

    def gap(self, gap: Gap) -> None:
        """Record a stretch of blindness (S12)."""
        with self.kept():
            self._store.add_event(self._clock.wall(), f"gap:{gap.kind}", gap.seconds, gap.detail)

    def disagreement(self, sentence: str) -> None:
        """Record that the network names another place than the confirmed one."""
        with self.kept():
            self._store.add_event(self._clock.wall(), "disagreement", None, pack(sentence))

    def clock_set(self, step: float) -> bool:
        """Correct records from before the clock was set (failure 11); return whether there was reason to."""
        if not self._clock.wall() >= SANE_WALL > self._clock.wall() - step:
            return False
        with self.kept():
            self._undated.correct(step)
        return True

"""Where the device is: the verdict of a network generation, latched, and what is learned about its place."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from agent.clock import Clock
from agent.decide import Memory
from agent.model import NetworkState, Observation, Place, Verdict, VerdictKind
from agent.network.place import PORT, contradiction
from agent.storage.store import Store

PLACE_OBSERVATIONS = 32
"""Observations kept for a place: every interface and access point of a large office."""

Judge = Callable[[Sequence[Observation], Sequence[Place], int | None, str | None], Verdict]
_NOWHERE = Verdict(VerdictKind.UNKNOWN, None)


class Whereabouts:
    """Judges once a generation; only an unknown place may still become known in it."""

    def __init__(self, store: Store, clock: Clock, judge: Judge) -> None:
        self._store = store
        self._clock = clock
        self._judge = judge
        self.verdict = _NOWHERE
        self._judged: tuple[tuple[Observation, ...], str | None] | None = None
        """Observations and public address of the latched verdict; None: not judged yet."""
        self._made_here = False
        """The place was made by a person's answer in this generation, before strong evidence was in."""
        self.contradicted: Observation | None = None
        """A switch port that was heard late and says that this is not the place: the generation has to end."""
        self._answers: list[tuple[int, int]] = []
        """Number and `resumed` of the answers that were given in this generation before any port was heard."""
        self._carried: tuple[str, list[int]] = "", []
        """The port that contradicted the generation before, and the answers that were about its place."""

    def new_generation(self) -> None:
        """Forget the verdict: the device may be anywhere."""
        self._answers = []
        self.verdict, self._judged, self._made_here, self.contradicted = _NOWHERE, None, False, None

    def answered(self, confirmation: int, state: NetworkState | None) -> None:
        """Remember an answer that may turn out to be about another place: no port of the switch was heard yet."""
        if state is not None and not any(one.kind == PORT and one.on_path for one in state.observations):
            self._answers.append((confirmation, state.resumed))

    def look(self, state: NetworkState, memory: Memory, public_address: str | None) -> bool:
        """Judge what is seen; return whether something was written that memory has to be read again for."""
        online = state.sip is not None or state.api is not None
        known = self._judged is not None and self.verdict.kind is not VerdictKind.UNKNOWN
        # The public address may tell an unknown place apart (several weak ones together), never change a known one.
        seen = (state.observations, None if known else public_address)
        if not state.evidence_complete or state.interrupted or not online or self._judged == seen:
            return False
        self._judged = seen
        place = memory.place(self.verdict.place_id) if known else None
        if place is not None:
            self.contradicted = contradiction(state.observations, memory.places, place, public_address)
            if self.contradicted is not None:
                # Nothing of it is learned for the place that it is not; who answered meanwhile stood at the one it is.
                numbers = [number for number, resumed in self._answers if resumed == state.resumed]
                self._carried = self.contradicted.value, numbers
                return False
        if known and self.verdict.place_id is not None:
            # The same path, more to see: a second router of this place, which may carry the path one day.
            self._see(memory, self.verdict.place_id, state.observations)
            return True
        verdict = self._judge(state.observations, memory.places, memory.current_place_id, public_address)
        if self._made_here and self.verdict.place_id is not None:
            if verdict.kind is not VerdictKind.UNKNOWN:
                self._see(memory, self.verdict.place_id, state.observations)
            return True
        self._latch(verdict, memory, state.observations)
        if self.verdict.kind is not VerdictKind.UNKNOWN:
            self._judged = (state.observations, None)
        return True

    def _latch(self, verdict: Verdict, memory: Memory, observations: Sequence[Observation]) -> None:
        if verdict.kind is VerdictKind.NEW:
            place_id = self._store.add_place(observations, self._clock.wall())
            verdict = dataclasses.replace(verdict, place_id=place_id)
        elif verdict.kind is not VerdictKind.UNKNOWN and verdict.place_id is not None:
            self._see(memory, verdict.place_id, observations)
        self.verdict = verdict
        (port, answers), self._carried = self._carried, ("", [])
        if answers and any((one.kind, one.value, one.on_path) == (PORT, port, True) for one in observations):
            self._store.refile(answers, self._make_here(observations))

    def place_here(self, state: NetworkState | None) -> int:
        """Return the place to file an answer under, making one where nothing identifies it yet."""
        return self._make_here(state.observations if state is not None else ())

    def _make_here(self, observations: Sequence[Observation]) -> int:
        if self.verdict.place_id is not None:
            return self.verdict.place_id
        place_id = self._store.add_place(observations, self._clock.wall())
        self.verdict = dataclasses.replace(self.verdict, place_id=place_id)
        self._made_here = True
        return place_id

    def _see(self, memory: Memory, place_id: int, observations: Sequence[Observation]) -> None:
        """Add what is seen now to what is known of a place."""
        place = memory.place(place_id)
        known = {(item.kind, item.value, item.interface): item for item in (place.observations if place else ())}
        for item in observations:
            key = (item.kind, item.value, item.interface)
            carried = known.get(key, item).on_path or item.on_path
            known.pop(key, None)  # what is seen now is the newest, and the last to be forgotten
            known[key] = dataclasses.replace(item, on_path=carried)
        self._store.see_place(place_id, tuple(known.values())[-PLACE_OBSERVATIONS:], self._clock.wall())

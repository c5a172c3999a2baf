"""What the registration machine holds, and by which moves it makes true what is wanted; pure."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Final, Literal

from agent.model import Registration, RegistrationKind, VoiceInstruction
from agent.voice.events import RegisterResult
from agent.voice.registration.moves import Action, CarryOver, Phase, Register, Report, Seen, Unregister, same_path
from agent.voice.registration.retry import (
    ATTEMPT_DEADLINE,
    LOOK_AGAIN,
    UNREGISTER_WAIT,
    Flaps,
    Refusals,
)

_SUCCESS: Final = 2


class Sending:
    """The state, and the moves that the inputs of `Machine` lead to."""

    def __init__(self, rng: random.Random) -> None:
        self.phase = Phase.IDLE
        self.due: float | None = None
        """When `tick()` wants to be called; None: nothing is due."""
        self.wanted: VoiceInstruction | None = None
        """The newest instruction, or our own when there is no agent (generation 0, no id)."""
        self.registration = Registration(RegistrationKind.OFFLINE, 0, None)
        self._rng = rng
        self._refusals = Refusals(rng)
        self._flaps = Flaps()
        self._sent: VoiceInstruction | None = None
        """What the last REGISTER said: the id is latched here."""
        self._agent = False
        self._quiet = False
        self._overdue = False
        self._lost = False
        self._calls = 0
        self._interlock = False
        self._seen: Seen | None = None
        self._baseline: Seen | None = None
        self._orphan_due: float | None = None
        self._carried = ""
        self._carried_in = 0
        """The generation in which calls were carried or begun: another one is another network, same source or not."""
        self._detour: VoiceInstruction | None = None
        """The way that an emergency call found against the kernel's route; kept to until all of it is over."""

    def _target(self) -> VoiceInstruction | None:
        return self._detour or self.wanted

    def _resume(self, now: float) -> list[Action]:
        overdue, self._overdue = self._overdue, False
        return [Report(self.registration), *(self._start(now) if overdue else [])]

    def _sheltered(self) -> bool:
        return self._calls > 0 or self._interlock

    def _unchanged(self, seen: Seen | None) -> bool:
        base = self._baseline
        if seen is None or self.wanted is None:
            return False
        if base is None:
            return seen.source == self.wanted.source
        same_link = self.wanted.present_id is None or seen.carrier_changes == base.carrier_changes
        return seen.source == base.source and seen.interface == base.interface and same_link

    def _start(self, now: float, *, due: bool = False) -> list[Action]:
        """Attempt what is wanted now, by the gentlest way that makes it true."""
        if self.wanted is None:
            return []
        if self._quiet or (self._seen is None and not self._agent):
            self._overdue, self.due = True, None
            return []
        return (
            self._start_detour(self._detour, now, due=due) if self._detour else self._start_path(self.wanted, now, due)
        )

    def _start_path(self, wanted: VoiceInstruction, now: float, due: bool) -> list[Action]:  # noqa: FBT001
        stays = same_path(self._sent, wanted)
        same_id = self._sent is not None and self._sent.present_id == wanted.present_id
        if not self._sheltered():
            refresh = self.phase is Phase.REGISTERED and wanted == self._sent
            return self._launch("refresh" if refresh else "fresh", now)
        # Two sites often lease the same private address: then the generation tells that it is another way.
        elsewhere = wanted.generation != self._carried_in if stays else self._carried != wanted.source
        carried: list[Action] = [CarryOver()] if self._calls and self._sent is not None and elsewhere else []
        self._carried_in = wanted.generation
        if stays and self.phase is Phase.REGISTERED and (same_id or self._interlock):
            # An address moves when the emergency is over; this registration goes on until then (S4).
            return carried + (self._launch("refresh", now) if same_id else self._renew(now) if due else [])
        if self.phase is not Phase.REGISTERED:
            return carried + self._launch("reheader", now)
        self.phase, self.due = Phase.UNREGISTERING, now + UNREGISTER_WAIT
        return [*carried, Unregister()]

    def _start_detour(self, detour: VoiceInstruction, now: float, *, due: bool) -> list[Action]:
        if self.phase is Phase.REGISTERED:
            return self._renew(now) if due else []
        return self._launch("reheader", now, detour)

    def _renew(self, now: float) -> list[Action]:
        """Refresh what is registered, although something else is wanted: the dispatcher must be able to call back."""
        if self._sent is None:
            return []
        self.phase, self.due = Phase.IN_FLIGHT, now + ATTEMPT_DEADLINE
        return [Register(self._sent, "refresh")]

    def _launch(
        self, how: Literal["fresh", "refresh", "reheader"], now: float, target: VoiceInstruction | None = None
    ) -> list[Action]:
        target = target or self.wanted
        if target is None:
            return []
        self._sent, self.phase, self.due = target, Phase.IN_FLIGHT, now + ATTEMPT_DEADLINE
        self._overdue = False
        self._carried, self._carried_in = target.source, target.generation
        if how != "refresh":
            self.registration = Registration(
                RegistrationKind.REGISTERING,
                self._sent.generation,
                self._sent.present_id,
                at=now,
                attempt=self._sent.attempt,
            )
        return [Register(self._sent, how)]

    def _fail(self, result: RegisterResult, now: float) -> list[Action]:
        wait = self._refusals.wait(result, now)
        self.phase, self.due = Phase.WAITING, now + wait
        return self._report(
            replace(
                self.registration,
                kind=RegistrationKind.FAILED,
                code=result.code,
                reason=result.reason,
                expires=0,
                retry_in=wait,
                at=now,
            )
        )

    def _orphan(self, now: float) -> list[Action]:
        """Follow the kernel's path without an id (S2, S3); without a path say so and wait."""
        self._orphan_due = None
        if self._seen is None:
            told, self._lost = self._lost, True
            self._orphan_due = now + LOOK_AGAIN
            return [] if told else [Report(self._no_path(self.registration.generation, now))]
        allowed = self._flaps.allowed_at(now)
        if now < allowed:
            self._orphan_due = allowed
            return []
        self._flaps.followed(now)
        self._lost = False
        seen = self._baseline = self._seen
        self.wanted = VoiceInstruction(0, 0, seen.interface, seen.source, seen.destination, None)
        return self._start(now)

    def _no_path(self, generation: int, now: float) -> Registration:
        return replace(self.registration, kind=RegistrationKind.OFFLINE, generation=generation, retry_in=None, at=now)

    def _report(self, registration: Registration) -> list[Action]:
        self.registration = registration
        return [Report(registration)]

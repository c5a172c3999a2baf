"""The registration state machine, pure: what happened and when goes in, what to do comes out.

One attempt in flight, one pending, newest wins. A 200 OK that grants time is the only success (RFC 3261 10.2.4).
PJSIP's own retries are off; every wait is `due`, the one moment at which `tick()` wants to be called.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from agent.model import RegistrationKind, VoiceInstruction
from agent.say import say
from agent.voice.events import RegisterResult
from agent.voice.registration.moves import Action, CarryOver, Phase, Report, Seen, same_path
from agent.voice.registration.retry import (
    AGENT_FIRST,
    ATTEMPT_DEADLINE,
    PENDING_WAIT,
    REFRESH,
    UNREGISTER_WAIT,
)
from agent.voice.registration.sending import Sending

_SUCCESS: Final = 2


class Machine(Sending):
    """Inputs are methods; each returns the actions to take, in order. Times are monotonic seconds."""

    @property
    def detour(self) -> VoiceInstruction | None:
        """The way of an emergency call that is not the kernel's."""
        return self._detour

    def presents(self, seen: Seen | None) -> str | None:
        """Return the id that the registration in force presents, None unless all is as it was then (S2, S3)."""
        sure = self.registration.kind is RegistrationKind.REGISTERED and self._unchanged(seen)
        if not sure or self._sent is None or self._quiet or self._lost or self._detour is not None:
            return None
        return self._sent.present_id if self.registration.presented_id == self._sent.present_id else None

    def holds(self, generation: int, seen: Seen | None) -> bool:
        """Return whether what was said about this generation is still true: same instruction, same path (S3)."""
        current = self.wanted is not None and self.wanted.generation == generation != 0
        return current and self._unchanged(seen) and not self._quiet and not self._lost and self._orphan_due is None

    @property
    def registered(self) -> bool:
        """The registrar holds a binding of ours."""
        return self.phase is Phase.REGISTERED

    @property
    def instructed(self) -> bool:
        """A living agent stands behind the path in use."""
        return self._agent and not self._quiet

    def instruct(self, instruction: VoiceInstruction, now: float, seen: Seen | None = None) -> list[Action]:
        """Take the newest instruction; repeating the one that holds does nothing but end a silence."""
        was_quiet, overdue = self._quiet, self._overdue
        self._agent, self._quiet, self._overdue = True, False, False
        self._seen = seen if seen is not None else self._seen
        self._baseline, self._orphan_due = self._seen, None
        self._lost = False
        if instruction == self.wanted:
            actions: list[Action] = [Report(self.registration)] if was_quiet else []
            return actions + (self._start(now) if overdue else [])
        previous, self.wanted = self.wanted, instruction
        held = self._refusals.until(self.due, now, same_path=same_path(previous, instruction))
        if self.phase is not Phase.WAITING:
            held = None
        if held is not None:
            self.phase, self.due = Phase.WAITING, held
            return []
        if self.phase in {Phase.IN_FLIGHT, Phase.UNREGISTERING} and (
            self._sheltered() or same_path(self._sent, instruction)
        ):
            if not self._sheltered():
                self.due = now + PENDING_WAIT
            elif self.due is None:
                self.due = now + ATTEMPT_DEADLINE
            return []
        return self._start(now)

    def interrupted(self) -> list[Action]:
        """Be silent of your own accord; what is registered stays, what is due waits."""
        self._agent, self._quiet = True, True
        return []

    def offline(self, generation: int, now: float) -> list[Action]:
        """Be silent and say that there is no path; nothing is torn down, calls are still attempted."""
        self._agent, self._quiet = True, True
        return [Report(self._no_path(generation, now))]

    def agent_alive(self) -> list[Action]:
        """An agent said hello: changes of path are its business first."""
        self._agent = True
        return []

    def agent_dead(self, now: float) -> list[Action]:
        """Go on alone with the last instruction; after a silence the id is given up, as sight was lost (S12)."""
        self._agent = False
        if not self._quiet:
            return self._orphan(now) if self._orphan_due is not None else []
        self._quiet = False
        return self._orphan(now)

    def path(self, seen: Seen | None, now: float) -> list[Action]:
        """Look at the kernel's path: without an agent, a changed one means registering again without an id."""
        self._seen = seen
        if self.wanted is None:
            return self._orphan(now)
        if self._unchanged(seen):
            self._orphan_due = None
            resumed = self._lost or (self._overdue and not self._quiet)
            self._lost = False
            return self._resume(now) if resumed else []
        if not self._agent:
            return self._orphan(now)
        if not self._quiet and (self._orphan_due is None or (self._lost and seen is not None)):
            self._orphan_due = min(now + AGENT_FIRST, self._orphan_due or math.inf)
        follows = self._quiet and self._calls > 0 and self._detour is None
        if follows and seen is not None and self._carried != seen.source:
            # Silence is about registering; a call that is up follows the kernel all the same (S1, S4).
            self._carried = seen.source
            return [CarryOver()]
        return []

    def connection_lost(self, reason: str, now: float) -> list[Action]:
        """The TCP or TLS connection closed: nobody reaches us until a new one is registered.

        While a REGISTER is in flight its own answer tells more (`certificate`, ...) and follows.
        """
        if self.phase is not Phase.REGISTERED:
            return []
        return self._fail(RegisterResult(0, reason), now)

    def calls(self, number: int, now: float, *, interlock: bool) -> list[Action]:
        """Say how many calls are up and whether the emergency interlock is on; what was held back follows."""
        was, self._calls, self._interlock = self._sheltered(), number, interlock
        if not self._sheltered():
            self._detour = None
        behind = self.wanted is not None and self.wanted != self._sent
        if was and not self._sheltered() and behind and self.phase in {Phase.REGISTERED, Phase.IDLE}:
            return self._start(now)
        return []

    def sent(self, now: float) -> list[Action]:
        """The REGISTER of the last action has left."""
        if self.phase is not Phase.IN_FLIGHT:
            return []
        sent = replace(self.registration, sent_at=now, at=now)
        if self.registration.kind is RegistrationKind.REGISTERED:
            self.registration = sent  # a refresh: the registration in force stays in force, nobody needs to hear
            return []
        return self._report(sent)

    def result(self, result: RegisterResult, now: float) -> list[Action]:
        """Take the final answer to the REGISTER in flight."""
        if self.phase is Phase.UNREGISTERING:
            return self._launch("reheader", now)
        if self.phase is not Phase.IN_FLIGHT or self._sent is None:
            return []
        if result.code // 100 != _SUCCESS or result.expires <= 0:
            return self._fail(result, now)
        self._refusals.forget()
        self.phase = Phase.REGISTERED
        self.due = now + result.expires * self._rng.uniform(*REFRESH)
        actions = self._report(
            replace(
                self.registration,
                kind=RegistrationKind.REGISTERED,
                code=result.code,
                reason=result.reason,
                expires=result.expires,
                via_received=result.via_received,
                retry_in=None,
                at=now,
            )
        )
        return actions + (self._start(now) if self._target() != self._sent else [])

    def next_due(self) -> float | None:
        """Return the earliest moment at which `tick()` has something to do."""
        moments = [moment for moment in (self.due, self._orphan_due) if moment is not None]
        return min(moments, default=None)

    def must_look(self, now: float) -> bool:
        """Tell whether `tick()` is about to act on a change of path: what was seen may be old, look again before."""
        return self._orphan_due is not None and now >= self._orphan_due

    def tick(self, now: float) -> list[Action]:
        """Do what is due."""
        actions: list[Action] = []
        if self.must_look(now):
            actions += self._orphan(now)
        if self.due is None or now < self.due:
            return actions
        if self._orphan_due is not None and not (self._lost and self._seen is None):
            # The path is not what the last instruction was about: its id must not be presented again (S3).
            self.due = self._orphan_due
            return actions
        self.due = None
        if self.phase is Phase.IN_FLIGHT and self._target() == self._sent:
            return actions + self._fail(RegisterResult(408, say("The registrar did not answer")), now)
        if self.phase is Phase.UNREGISTERING and self._calls:
            self.due = now + UNREGISTER_WAIT
            return actions
        if self.phase is Phase.UNREGISTERING:
            return actions + self._launch("fresh", now)
        return actions + self._start(now, due=True)

    def stack_replaced(self, now: float, detour: VoiceInstruction | None = None) -> list[Action]:
        """An emergency call took a fresh life of the stack: what was registered or in flight has no line any more.

        With `detour` that life is tied to a way which is not the kernel's: it is registered there, without an id,
        so that the dispatcher can call back, and nothing moves the call off it until the emergency is over (S4).
        """
        self._detour = detour
        if detour is not None or self.phase in {Phase.IN_FLIGHT, Phase.REGISTERED, Phase.UNREGISTERING}:
            self._sent, self.phase, self.due = None, Phase.WAITING, now + PENDING_WAIT
        return []

    def detour_lost(self, now: float) -> list[Action]:
        """The way of the detour is gone: the call follows the kernel's path after all."""
        self._detour, self._sent = None, None
        self._carried = self.wanted.source if self.wanted is not None else ""
        if self.phase is not Phase.IDLE:
            self.phase, self.due = Phase.WAITING, now + PENDING_WAIT
        return [CarryOver()]

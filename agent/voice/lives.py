"""What goes on from one life of the process to the next: connections, calls, the last instruction (S1, S4)."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from agent.voice import state, watch
from agent.voice.calls import handover
from agent.voice.calls.leg import LAST
from agent.voice.calls.outcome import lost_call
from agent.voice.log import log
from agent.voice.registration.moves import Seen
from agent.voice.socket import protocol
from agent.voice.watchdog import REEXEC, reexec

if TYPE_CHECKING:
    from agent.voice.service import Service

PENDING_EVERY: Final = 5.0
"""Seconds between notes on the disk that an emergency call is up."""
CRASH_TRUST: Final = 15.0
"""Seconds after such a note in which a process that follows a crash dials that call again; the manager needs one."""
REEXEC_TRUST: Final = 5.0
"""Seconds after a hang in which the last instruction may be taken up again, if the cable was not touched."""


class Lives:
    """Hands over, takes up, and keeps on the disk what even a crash must not lose."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._handed = handover.Handover()
        """What an earlier life handed over and nobody has taken up yet: this one may hang as well."""

    def receive(self) -> handover.Handover:
        """Return what an earlier life handed over."""
        self._handed = handover.receive()
        return self._handed

    def taken_up(self) -> None:
        """Nothing of it is left."""
        self._handed = handover.Handover()

    def start_anew(self) -> None:
        """Replace this process in place; connections, what they said, and calls to be dialed go along (any thread)."""
        service = self._service
        listener, clients = service.desk.carry()
        pending = service.calls.pending()
        again = {one.number for one in pending}
        lost = [
            protocol.with_parts(protocol.call_message(lost_call(call)))
            for call in service.calls.up
            if call.number not in again
        ]
        handed = handover.Handover(listener, clients, list(pending), lost, service.stopper.asked_at)
        reexec(handover.give(handed.with_rest_of(self._handed)))

    def come_back(self) -> None:
        """Dial what must be dialed, then register: with the last instruction if that is still true, else without an id.

        It is true right after a hang, while the kernel's path is the same and the cable was not touched (S3, S7).
        """
        service, handed, now = self._service, self._handed, time.monotonic()
        service.calls.number_after([int(line["call"]) for line in handed.lost])
        for pending in handed.pending:
            service.calls.restore(pending, now, other_way=service.watchdog.hangs > 1)
        self._after_crash(now)
        service.occupied()
        if handed.stop_asked_at is not None:
            service.stopper.ask(handed.stop_asked_at)
        until = service.state.interlock_until
        if until > now and not service.calls.emergency:
            # A crash during the call itself: the callback may come from now on (S4).
            service.calls.restore_window(min(until, now + service.settings.callback_window))
        last, since = service.state.instruction, float(os.environ.pop(REEXEC, "0") or 0)
        if last is not None and since and now - since < REEXEC_TRUST:
            seen = watch.look(last.destination)
            if seen == Seen(last.interface, last.source, last.destination, service.state.carrier_changes):
                log("resumed", generation=last.generation, source=last.source)
                service.execute(service.machine.instruct(last, now, seen) + service.machine.agent_dead(now))
                return
        service.look()

    def note(self) -> None:
        """Keep on the disk which emergency calls are up."""
        kept, pending, now = self._service.state, self._service.calls.pending(), time.monotonic()
        if pending != kept.pending or (pending and now - kept.seen_at >= PENDING_EVERY):
            kept.pending, kept.seen_at = pending, now
            if not pending or any(one.answered for one in pending):
                kept.crashes = 0
            self._service.save()

    def _after_crash(self, now: float) -> None:
        """Dial what a crash took away; by another way and not for ever when it takes that away again."""
        service, kept = self._service, self._service.state
        fresh = 0.0 <= now - kept.seen_at < CRASH_TRUST and kept.crashes < LAST
        left = kept.pending if fresh and not service.calls.emergency else ()
        if not left:
            return
        log("taken_up", "warning", calls=len(left), crashes=kept.crashes)
        kept.crashes += 1
        state.save_quietly(service.state_file, kept)  # before the dialing, which may be what ends the process
        for one in left:
            service.calls.restore(replace(one, attempt=one.attempt + 1), now, other_way=kept.crashes > 1)

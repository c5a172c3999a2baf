"""The process: wires stack, machine, calls, socket and network hints together on one thread."""

from __future__ import annotations

import asyncio
import gc
import math
import os
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final, Literal

from agent.config.settings import SipSettings
from agent.model import Registration, RegistrationKind, VoiceInstruction
from agent.say import said, say
from agent.voice import resolve, state, watch
from agent.voice.calls import handover
from agent.voice.calls.calls import Calls
from agent.voice.calls.dress import Wardrobe
from agent.voice.calls.outcome import lost_call
from agent.voice.calls.values import Call, Interlock
from agent.voice.events import ConnectionLost, DigitHeard, RegisterResult, StackError, StackEvent
from agent.voice.line import Line
from agent.voice.log import log
from agent.voice.manager import Manager
from agent.voice.pjsip.pump import Pump
from agent.voice.problems import Problems
from agent.voice.registration.machine import Machine
from agent.voice.registration.moves import Action, CarryOver, Register, Report, Seen, Unregister
from agent.voice.socket import protocol
from agent.voice.socket.desk import Desk
from agent.voice.stopping import Stopped, Stopper
from agent.voice.watchdog import HANGS, REEXEC, Watchdog, reexec

MEASURE_EVERY: Final = 1.0
"""Seconds between sound statistics of a confirmed call."""
COLLECT_EVERY: Final = 60.0
"""Seconds between garbage collections, on this thread and never during a call (failure 15)."""
LIVES_LIMIT: Final = 500
"""Lives of the stack after which the process starts anew while idle: PJSIP's TLS keeps 50 KiB of each."""
RESOLVE_EVERY: Final = 300.0
"""Seconds between lookups of a registrar's name that is known."""
RESOLVE_RETRY: Final = 5.0
"""Seconds between lookups of one that is not."""
NO_ANSWER: Final = frozenset({0, 408})
"""Codes of a REGISTER that nobody answered: another way, if there is one, comes first for an emergency call."""
_NO_OWN_NAME: Final = say("This machine's own name does not resolve: calls can start late. Add it to /etc/hosts.")
REEXEC_TRUST: Final = 5.0
"""Seconds after a hang in which the last instruction may be taken up again, if the cable was not touched."""


class Service:
    """Everything that lives on the main thread; `run()` until cancelled."""

    def __init__(
        self,
        settings: SipSettings,
        password: str,
        problems: list[str],
        rng: random.Random,
        reread: Callable[[], tuple[SipSettings, str, list[str]]] | None = None,
    ) -> None:
        self.settings = settings
        self._reread, self._in_force, self._reload_due = reread, (settings, password, list(problems)), False
        self._state_file = settings.state_file or state.usual_file(settings.socket)
        self.saver = ThreadPoolExecutor(max_workers=1, thread_name_prefix="voice-state")
        """One thread, so that the newest state is the one that stays; the disk may be slow, the call may not."""
        self.state = state.load(self._state_file)
        if self.state.host != settings.registrar:
            self.state.host, self.state.address = settings.registrar, ""
        self.machine = Machine(rng)
        self.line = Line(settings, password, self.state)
        self.wardrobe = Wardrobe(settings, self.line, self.machine)
        self.calls = Calls(
            self.line.stack,
            domain=lambda: self.line.domain,
            prepare=self._prepare,
            tell=self._tell,
            callback_window=settings.callback_window,
            dress=self.wardrobe.dress,
            numbers=settings.emergency_numbers,
        )
        self.desk = Desk(self)
        self.manager = Manager()
        self.stopper = Stopper(self)
        self.problems = Problems(problems, self.desk.problem)
        self.pump = Pump(self.line.stack.poll, self._after_poll, self._busy)
        self.watchdog = Watchdog(self.start_anew, hangs=int(os.environ.pop(HANGS, "0")))
        self._handed = handover.Handover()
        """What an earlier life handed over and nobody has taken up yet: this one may hang as well."""
        self.last = self.machine.registration
        """What was reported last."""
        self._timer: asyncio.TimerHandle | None = None
        self._kicked_for: Seen | None = None
        self._measured_at = self._collected_at = time.monotonic()

    # ------------------------------------------------------------------ life

    async def run(self) -> None:
        """Serve until cancelled, or until a stop that was asked for may be."""
        gc.disable()
        hints = watch.Hints()
        loop = asyncio.get_running_loop()
        handed = self._handed = handover.receive()
        await self.desk.start(handed.listener)
        self.watchdog.start()
        loop.add_reader(hints.fileno(), self._hinted, hints)
        try:
            async with asyncio.TaskGroup() as tasks:
                self._come_back(handed)
                tasks.create_task(self.pump.run(), name="pump")
                tasks.create_task(self._resolve(), name="resolve")
                tasks.create_task(self._check_own_name(), name="own name")
                tasks.create_task(self.manager.keep_alive(), name="keep alive")
                tasks.create_task(self.stopper.run(), name="stopper")
                await self.desk.adopt(handed.clients, handed.lost)
                self._handed = handover.Handover()
                self.manager.ready()
        except* Stopped:
            pass
        finally:
            loop.remove_reader(hints.fileno())
            hints.close()
            self.watchdog.stop()
            await self.desk.stop()
            self.line.stop()

    def start_anew(self) -> None:
        """Replace this process in place; connections, what they said, and calls to be dialed go along (any thread)."""
        listener, clients = self.desk.carry()
        pending = self.calls.pending()
        again = {one.number for one in pending}
        lost = [
            protocol.with_parts(protocol.call_message(lost_call(call)))
            for call in self.calls.up
            if call.number not in again
        ]
        handed = handover.Handover(listener, clients, list(pending), lost, self.stopper.asked_at)
        reexec(handover.give(handed.with_rest_of(self._handed)))

    def _come_back(self, handed: handover.Handover) -> None:
        """Register at once: after a hang with the last instruction, if that is still true, else without an id (S7)."""
        now = time.monotonic()
        self.calls.number_after([int(line["call"]) for line in handed.lost])
        for pending in handed.pending:
            self.calls.restore(pending, now, other_way=self.watchdog.hangs > 1)
        self.occupied()
        if handed.stop_asked_at is not None:
            self.stopper.ask(handed.stop_asked_at)
        if self.state.interlock_until > now and not handed.pending:
            # A crash during the call itself: the callback may come from now on (S4).
            self.calls.restore_window(min(self.state.interlock_until, now + self.settings.callback_window))
        last, since = self.state.instruction, float(os.environ.pop(REEXEC, "0") or 0)
        if last is not None and since and now - since < REEXEC_TRUST:
            seen = watch.look(last.destination)
            if seen == Seen(last.interface, last.source, last.destination, self.state.carrier_changes):
                log("resumed", generation=last.generation, source=last.source)
                self.execute(self.machine.instruct(last, now, seen) + self.machine.agent_dead(now))
                return
        self.look()

    async def _resolve(self) -> None:
        """Keep the registrar's address known; the last good one serves while there is no better."""
        while self.settings.registrar:
            address = await resolve.resolve(self.settings.registrar)
            if address is not None and address != self.line.address:
                self.line.address = address
                self.look()
            self.problems.set(
                "registrar_unknown",
                None
                if address or self.line.address
                else say("The registrar {name} has no address.", name=self.settings.registrar),
            )
            if resolve.literal(self.settings.registrar):
                return
            await asyncio.sleep(RESOLVE_EVERY if address else RESOLVE_RETRY)

    async def _check_own_name(self) -> None:
        ok = await resolve.own_name_resolves()
        self.problems.set(
            "own_name",
            None if ok else _NO_OWN_NAME,
        )

    # ------------------------------------------------------------------ what happens

    def look(self) -> None:
        """Read the kernel's path toward the registrar and act on it."""
        wanted, detour, now = self.machine.wanted, self.machine.detour, time.monotonic()
        if detour is not None and not any(way.seen.source == detour.source for way in watch.ways(detour.destination)):
            self.execute(self.machine.detour_lost(now))
        target = self.line.address or (wanted.destination if wanted else "")
        if target and self.line.can_register:
            seen = watch.look(wanted.destination if wanted and wanted.generation else target)
            self.execute(self.machine.path(seen, now))
            if seen is not None and seen != self._kicked_for:
                self.calls.kick(now)
            self._kicked_for = seen

    def instruct(self, instruction: VoiceInstruction) -> None:
        """Take an instruction of the agent."""
        now = time.monotonic()
        if not instruction.destination:  # the agent cannot resolve the registrar: what is known here serves (S1)
            instruction = replace(instruction, destination=self.line.address)
        self.line.address = instruction.destination
        if not self.line.can_register or not instruction.destination:
            self.line.hint = instruction
            self._report(
                Registration(
                    RegistrationKind.FAILED,
                    instruction.generation,
                    None,
                    reason=say("No SIP account is configured"),
                    at=now,
                )
            )
            return
        seen = watch.look(instruction.destination)
        self.state.instruction, self.state.boot = instruction, state.boot_id()
        self.state.carrier_changes = seen.carrier_changes if seen else 0
        self.execute(self.machine.instruct(instruction, now, seen))
        self._save()

    def reload(self) -> None:
        """Take the settings as they stand in the files now: at once when idle, else after the call (S4).

        A fresh process takes them, in place and in 60 ms: no part of the old account survives by accident.
        """
        if self._reread is None:
            return
        self._reload_due = self._reread() != self._in_force
        busy = bool(self.calls.up) or self.calls.interlock.active
        waits = say("New settings of the phone line are saved; they wait until the call is over.")
        self.problems.set("settings_waiting", waits if self._reload_due and busy else None)
        if self._reload_due and not busy:
            log("reload", registrar=self.settings.registrar)
            self.state.instruction = None  # it was about the old account
            self._save()
            self.saver.shutdown(wait=True)
            self.start_anew()

    def execute(self, actions: list[Action]) -> None:
        """Take the actions, in order, and those that follow from them."""
        queue = list(actions) if not self.stopper.leaving else []
        while queue:
            queue = self._take(queue.pop(0)) + queue
        self.arm()

    def arm(self) -> None:
        """Wake up when the next thing is due."""
        moments = [moment for moment in (self.machine.next_due(), self.calls.next_due()) if moment is not None]
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(min(moments), self._due) if moments else None

    def _take(self, action: Action) -> list[Action]:
        match action:
            case Report():
                self._report(action.registration)
            case CarryOver():
                self.calls.carried()
                self.line.carry_over()
            case Register():
                return self._register(action)
            case Unregister():
                try:
                    self.line.stack.unregister()
                except StackError as error:
                    return self.machine.result(RegisterResult(0, said(error)), time.monotonic())
        self.pump.hurry()
        return []

    def _register(self, action: Register) -> list[Action]:
        self.pump.hurry()
        try:
            fresh = self.line.register(action)
        except StackError as error:
            return self.machine.result(RegisterResult(503, said(error)), time.monotonic())
        if fresh:
            self.calls.stack_restarted(time.monotonic())
        return self.machine.sent(time.monotonic())

    def _report(self, registration: Registration) -> None:
        known, self.last = self.last, registration
        if replace(registration, at=known.at, sent_at=known.sent_at, expires=known.expires) != known:
            self._log(registration)
        self.problems.registration(registration)
        if registration.kind is RegistrationKind.REGISTERED and self.line.remember():
            self._save()
        self.desk.registration(registration)
        self.manager.registration(registration)

    def _log(self, registration: Registration) -> None:
        """Write what changed; a registration that was only renewed is no news."""
        log(
            "registration",
            kind=registration.kind,
            generation=registration.generation,
            attempt=registration.attempt,
            presents=registration.presented_id,
            code=registration.code,
            reason=registration.reason or None,
            expires=registration.expires,
            via=registration.via_received,
            retry_in=None if registration.retry_in is None else round(registration.retry_in, 1),
        )

    def _tell(self, news: Call | Interlock) -> None:
        if isinstance(news, Interlock):
            open_ended = math.inf if news.active else 0.0
            self.state.interlock_until = open_ended if news.until is None else news.until
            self._save()
            self.desk.interlock(news)
            self.manager.interlock(news)
        else:
            self.desk.call(news)
        self.watchdog.talking = self._talking()
        self.stopper.stir()
        self.pump.hurry()
        if self._reload_due:
            asyncio.get_running_loop().call_soon(self.reload)
        asyncio.get_running_loop().call_soon(self.occupied)

    def occupied(self) -> None:
        """Tell the machine what calls there are.

        At once after a call was placed or came in: an instruction that is read next must not build the line anew
        under it (S4).
        """
        calls, interlock = len(self.calls.up), self.calls.interlock.active
        self.execute(self.machine.calls(calls, time.monotonic(), interlock=interlock))

    def _talking(self) -> Literal["", "call", "emergency"]:
        """Return who is talked to; an emergency call that nobody answers yet is worth more than an ordinary one."""
        up = [call for call in self.calls.up if call.answered_at is not None]
        if any(call.emergency for call in up):
            return "emergency"
        return "call" if up and not self.calls.emergency else ""

    def _prepare(self, attempt: int) -> bool:
        """Make the stack ready for an emergency call on the best path there is; raise StackError if there is none.

        Returns whether there are other ways to try.
        """
        busy = self.calls.stack_calls() > 0
        mute = self.last.kind is RegistrationKind.FAILED and self.last.code in NO_ANSWER
        done = self.line.prepare(attempt, busy=busy, instructed=self.machine.instructed, mute=mute)
        if done.fresh:
            now = time.monotonic()
            self.calls.stack_restarted(now)
            self.execute(self.machine.stack_replaced(now, done.detour))
        return done.others

    # ------------------------------------------------------------------ ticks

    def _busy(self) -> bool:
        return bool(self.calls.up) or self.last.kind is RegistrationKind.REGISTERING

    def _after_poll(self) -> None:
        self.watchdog.beat()
        self.problems.set("sound", self.line.stack.sound_problem or None)
        inbox = self.line.stack.inbox
        while inbox:
            self._handle(inbox.popleft())
        now = time.monotonic()
        if self.calls.up and now - self._measured_at >= MEASURE_EVERY:
            self._measured_at = now
            self.calls.measure(now)
        if not self.calls.up and now - self._collected_at >= COLLECT_EVERY:
            self._collected_at = now
            gc.collect()
            if self.line.stack.life >= LIVES_LIMIT and not self._busy() and not self.calls.interlock.active:
                log("renewed", lives=self.line.stack.life)
                self.start_anew()

    def _handle(self, event: StackEvent) -> None:
        now = time.monotonic()
        if event.life != self.line.stack.life:
            return
        match event:
            case RegisterResult() if self.stopper.leaving:
                self.stopper.unregistered()
            case DigitHeard():
                self.calls.heard_digit(event.call, lambda call: self.desk.digit(call, event.digit))
            case RegisterResult():
                self.execute(self.machine.result(event, now))
            case ConnectionLost():
                if self.line.connection_matters():
                    self.execute(self.machine.connection_lost(event.reason, now))
            case _:
                self.calls.on_event(event, now)
                self.occupied()

    def _due(self) -> None:
        now = time.monotonic()
        self.calls.tick(now)
        if self.machine.must_look(now):
            self.look()
        self.execute(self.machine.tick(now))

    def _hinted(self, hints: watch.Hints) -> None:
        hints.drain()
        self.look()

    def _save(self) -> None:
        snapshot = replace(self.state)
        self.saver.submit(state.save_quietly, self._state_file, snapshot)

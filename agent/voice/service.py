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
from typing import Final

from agent.config.settings import SipSettings
from agent.model import Registration, RegistrationKind, VoiceInstruction
from agent.say import said, say
from agent.voice import lookups, state, watch
from agent.voice.calls.calls import Calls
from agent.voice.calls.dress import Wardrobe
from agent.voice.calls.values import Call, Interlock
from agent.voice.events import ConnectionLost, DigitHeard, RegisterResult, StackError, StackEvent
from agent.voice.line import Line
from agent.voice.lives import Lives
from agent.voice.log import log, log_registration
from agent.voice.manager import Manager
from agent.voice.pjsip.pump import Pump
from agent.voice.problems import Problems
from agent.voice.registration.machine import Machine
from agent.voice.registration.moves import Action, CarryOver, Register, Report, Seen, Unregister
from agent.voice.reload import Read, Reload
from agent.voice.socket.desk import Desk
from agent.voice.stopping import Stopped, Stopper
from agent.voice.watchdog import HANGS, Watchdog

MEASURE_EVERY: Final = 1.0
"""Seconds between sound statistics of a confirmed call."""
COLLECT_EVERY: Final = 60.0
"""Seconds between garbage collections, on this thread and never during a call (failure 15)."""
LIVES_LIMIT: Final = 500
"""Lives of the stack after which the process starts anew while idle: PJSIP's TLS keeps 50 KiB of each."""
NO_ANSWER: Final = frozenset({0, 408})
"""Codes of a REGISTER that nobody answered: another way, if there is one, comes first for an emergency call."""


class Service:
    """Everything that lives on the main thread; `run()` until cancelled."""

    def __init__(
        self,
        settings: SipSettings,
        password: str,
        problems: list[str],
        rng: random.Random,
        reread: Callable[[], Read] | None = None,
    ) -> None:
        self.settings = settings
        self.reload = Reload(self, reread, (settings, password, list(problems)))
        self.state_file = settings.state_file or state.usual_file(settings.socket)
        self.saver = ThreadPoolExecutor(max_workers=1, thread_name_prefix="voice-state")
        """One thread, so that the newest state is the one that stays; the disk may be slow, the call may not."""
        self.state = state.load(self.state_file)
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
        self.lives = Lives(self)
        self.watchdog = Watchdog(self.lives.start_anew, hangs=int(os.environ.pop(HANGS, "0")))
        self.last = self.machine.registration
        """What was reported last."""
        self._moved = False
        """Calls were carried over, and the registration has not followed yet."""
        self._timer: asyncio.TimerHandle | None = None
        self._kicked_for: Seen | None = None
        self._measured_at = self._collected_at = time.monotonic()

    # ------------------------------------------------------------------ life

    async def run(self) -> None:
        """Serve until cancelled, or until a stop that was asked for may be."""
        gc.disable()
        hints = watch.Hints()
        loop = asyncio.get_running_loop()
        handed = self.lives.receive()
        await self.desk.start(handed.listener)
        self.watchdog.start()
        loop.add_reader(hints.fileno(), self._hinted, hints)
        try:
            async with asyncio.TaskGroup() as tasks:
                self.lives.come_back()
                tasks.create_task(self.pump.run(), name="pump")
                tasks.create_task(lookups.keep_registrar(self), name="resolve")
                tasks.create_task(lookups.check_own_name(self), name="own name")
                tasks.create_task(self.manager.keep_alive(), name="keep alive")
                tasks.create_task(self.stopper.run(), name="stopper")
                await self.desk.adopt(handed.clients, handed.lost)
                self.lives.taken_up()
                self.manager.ready()
        except* Stopped:
            pass
        finally:
            loop.remove_reader(hints.fileno())
            hints.close()
            self.watchdog.stop()
            await self.desk.stop()
            self.line.stop()

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
        self.save()

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
                self._moved = True
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
            log_registration(registration)
        self.problems.registration(registration)
        if registration.kind is RegistrationKind.REGISTERED and self.line.remember():
            self.save()
        self.desk.registration(registration)
        self.manager.registration(registration)

    def _tell(self, news: Call | Interlock) -> None:
        if isinstance(news, Interlock):
            open_ended = math.inf if news.active else 0.0
            self.state.interlock_until = open_ended if news.until is None else news.until
            self.save()
            self.desk.interlock(news)
            self.manager.interlock(news)
        else:
            self.desk.call(news)
            self.lives.note()
        self.watchdog.talking = self.calls.talking
        self.stopper.stir()
        self.pump.hurry()
        if self.reload.due:
            asyncio.get_running_loop().call_soon(self.reload.now)
        asyncio.get_running_loop().call_soon(self.occupied)

    def occupied(self) -> None:
        """Tell the machine what calls there are.

        At once after a call was placed or came in: an instruction that is read next must not build the line anew
        under it (S4).
        """
        calls, interlock = len(self.calls.up), self.calls.interlock.active
        self.execute(self.machine.calls(calls, time.monotonic(), interlock=interlock))

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
                self.lives.start_anew()

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
                if self._moved and self.machine.registered:
                    self._moved = False
                    self.calls.moved(now)
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

    def save(self) -> None:
        """Keep the state on the disk, beside everything else."""
        snapshot = replace(self.state)
        self.saver.submit(state.save_quietly, self.state_file, snapshot)

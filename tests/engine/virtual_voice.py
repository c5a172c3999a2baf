"""The voice process in virtual time: the real registration machine in front of the simulator's registrar."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable
from dataclasses import replace

from agent.model import CallView, CivicAddress, Registration, RegistrationKind, VoiceInstruction, VoiceState
from agent.simulator.sessions import Register as SipRegister
from agent.voice.events import RegisterResult
from agent.voice.registration.machine import Machine
from agent.voice.registration.moves import Action, Register, Report, Seen, Unregister
from tests.engine.virtual_platform import VirtualPlatform

ROUND_TRIP = 0.01
_call_ids = itertools.count(1)


class VirtualVoice:
    """VoicePort of the engine; keeps running when the agent restarts."""

    def __init__(self, world: VirtualPlatform, rng: random.Random) -> None:
        self._world = world
        self._machine = Machine(rng)
        self._timer: asyncio.TimerHandle | None = None
        self._source: Seen | None = None
        self.on_change: Callable[[VoiceState], None] | None = None
        self.state = VoiceState(connected=True)
        self.call_id = f"call-{next(_call_ids)}"
        self.fresh_under_call = 0
        """REGISTERs in a fresh life of the stack while a call was up: each would have dropped it (S4)."""
        self.registers = 0
        self.interlock_since = 0.0
        self.location: tuple[int, CivicAddress | None, bool] = (0, None, False)
        """What an emergency call would say of where the phone is."""

    # ---- VoicePort

    def instruct(self, instruction: VoiceInstruction) -> None:
        self._source = Seen(instruction.interface, instruction.source, instruction.destination)
        self._do(self._machine.instruct(instruction, self._now(), self._source))

    def offline(self, generation: int) -> None:
        self._do(self._machine.offline(generation, self._now()))

    def interrupted(self, generation: int) -> None:  # noqa: ARG002
        self._do(self._machine.interrupted())

    def locate(self, generation: int, civic: CivicAddress | None, *, confirmed: bool) -> None:
        self.location = (generation, civic, confirmed)

    # ---- the world

    def dial(self, *, emergency: bool) -> bool:
        """Place a call; True when the INVITE reaches the platform, which answers 911 from anybody."""
        self._calls(1, interlock=emergency)
        public = self._world.weather.public
        return public is not None and self._world.core.may_call(None, "911", public)

    def hang_up(self) -> None:
        """End the call; the callback window goes on."""
        self._calls(0, interlock=self.state.interlock)

    def window_over(self) -> None:
        self._calls(0, interlock=False)

    def _calls(self, number: int, *, interlock: bool) -> None:
        if interlock and not self.state.interlock:
            self.interlock_since = self._now()
        self._do(self._machine.calls(number, self._now(), interlock=interlock))
        self._tell(replace(self.state, calls=_views(number), interlock=interlock))

    def agent_gone(self) -> None:
        self.on_change = None

    def agent_back(self, on_change: Callable[[VoiceState], None]) -> None:
        self.on_change = on_change
        on_change(self.state)

    # ---- machine and registrar

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Report):
                self._report(action.registration)
            elif isinstance(action, Register):
                if action.how == "fresh" and self.state.calls:
                    self.fresh_under_call += 1
                self._later(action)
            elif isinstance(action, Unregister):
                asyncio.get_running_loop().call_later(
                    ROUND_TRIP, lambda: self._result(RegisterResult(200, "OK", expires=0))
                )
        self._arm()

    def _later(self, action: Register) -> None:
        self.registers += 1
        self._do(self._machine.sent(self._now()))
        if action.target.present_id is not None:
            self._world.saw("presented", action.target.present_id)
        asyncio.get_running_loop().call_later(ROUND_TRIP, self._arrive, action)

    def _arrive(self, action: Register) -> None:
        public = self._world.weather.public
        if public is None:
            return
        request = SipRegister(
            username="kiosk", source=public, presented=action.target.present_id, expires=120, call_id=self.call_id
        )
        answer = self._world.core.register(request)
        self._world.deliver(list(answer.sends))
        if answer.code:
            self._result(
                RegisterResult(answer.code, "OK", expires=answer.expires, via_received=public), action.target.present_id
            )

    def _result(self, result: RegisterResult, presented: str | None = None) -> None:
        if result.code == 200 and result.expires:
            self._world.saw("registered", presented)
        self._do(self._machine.result(result, self._now()))

    def _report(self, registration: Registration) -> None:
        self._tell(replace(self.state, registration=registration))

    def _tell(self, state: VoiceState) -> None:
        self.state = state
        if self.on_change is not None:
            self.on_change(state)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = self._machine.next_due()
        self._timer = None if due is None else asyncio.get_running_loop().call_at(due, self._tick)

    def _tick(self) -> None:
        self._do(self._machine.tick(self._now()))

    @property
    def registered(self) -> bool:
        return self.state.registration.kind is RegistrationKind.REGISTERED


def _views(number: int) -> tuple[CallView, ...]:
    return tuple(CallView(one, "911", "out", "confirmed", emergency=True) for one in range(1, number + 1))

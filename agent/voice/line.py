"""The stack in the hands of the process: which life it gets, for which path, on behalf of whom."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import Final, Literal

from agent.config.settings import SipSettings
from agent.model import VoiceInstruction
from agent.say import say
from agent.voice import resolve, watch
from agent.voice.events import StackError, StackPlan
from agent.voice.log import log
from agent.voice.pjsip.audio import AudioPlan
from agent.voice.pjsip.stack import Stack
from agent.voice.registration.moves import Register, Seen
from agent.voice.state import State
from agent.voice.watch import Way

_PLAIN_PORT: Final = 5060


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was done for an emergency call."""

    fresh: bool = False
    """A new life: what was registered or in flight is gone."""
    others: bool = False
    """There are other ways to try."""
    detour: VoiceInstruction | None = None
    """The life is tied to this way, against the kernel's route."""


class Line:
    """Owns the stack and knows the registrar."""

    def __init__(self, settings: SipSettings, password: str, state: State) -> None:
        self.stack = Stack(
            AudioPlan(settings.audio, settings.playback_device, settings.capture_device, settings.codecs)
        )
        self.address = resolve.literal(settings.registrar) or state.address
        """Of the registrar; empty while unknown."""
        self._interface = ""
        self.hint: VoiceInstruction | None = None
        self._settings = settings
        self._password = password
        self._state = state

    @property
    def domain(self) -> str:
        """Host part of our address of record, and where numbers are dialed."""
        settings = self._settings
        return settings.domain or settings.registrar or self.address or "localhost"

    @property
    def can_register(self) -> bool:
        """There is an account and a registrar."""
        return bool(self._settings.username and (self._settings.registrar or self.address))

    def stop(self) -> None:
        """End the stack."""
        self.stack.stop()

    def register(self, action: Register) -> bool:
        """Send REGISTER as the machine says; return True if that took a fresh life. Raises StackError."""
        if action.how == "fresh" or self.stack.plan is None:
            target = action.target
            self._interface = target.interface
            self.stack.start(replace(self._plan(target.destination, target.source), present_id=target.present_id))
            return True
        if action.how == "refresh":
            self.stack.refresh()
        else:
            self.stack.register_as(action.target.present_id)
        return False

    def carry_over(self) -> None:
        """Move the calls to the kernel's path; a failure leaves them where they are, the machine goes on."""
        try:
            seen = watch.look(self.address) if self.address else None
            self.stack.carry_over(seen.source if seen is not None else None)
        except StackError as error:
            log("carry_over_failed", "error", reason=error)

    def prepare(self, attempt: int, *, busy: bool, instructed: bool, mute: bool) -> Prepared:
        """Be ready for an emergency call: keep a life that can reach the registrar, else start one.

        `attempt` counts from 0; later ones try the other ways, then what is left on each: without verification,
        then without TLS. `busy` says that the stack holds another call, which must not be killed; `instructed` that
        a living agent stands behind the path in use; `mute` that the registrar did not answer over it, so that it
        comes last. Raises StackError.
        """
        plan = self.stack.plan
        address = self.address or (self.hint.destination if self.hint else "")
        if plan is not None and (busy or not address):
            return Prepared()
        if not address:
            raise StackError(say("No address of a registrar is known"))
        ways = watch.ways(address)
        others = len(ways) > 1
        if mute and others:
            ways.sort(key=lambda way: plan is not None and self._is_on(plan, way))
        elif plan is not None and attempt == 0 and self._usable(plan, ways, instructed=instructed):
            return Prepared(others=others)
        way = ways[attempt % len(ways)] if ways else None
        fresh = self._plan(address, way.seen.source if way else None)
        fresh = replace(
            fresh, register=False, present_id=None, interface=way.seen.interface if way and way.tied else ""
        )
        fresh = _lesser(fresh, attempt // max(1, len(ways)))
        log(
            "emergency_life", "warning", attempt=attempt, source=fresh.source, transport=fresh.transport,
            interface=fresh.interface or None,
        )  # fmt: skip
        self.stack.start(fresh)
        self._interface = way.seen.interface if way else ""
        return Prepared(fresh=True, others=others, detour=_instruction(way.seen) if way and way.tied else None)

    def connection_matters(self) -> bool:
        """The lost connection was the one that we are registered over."""
        return self.stack.plan is not None and self.stack.plan.transport != "udp"

    def remember(self) -> bool:
        """Keep where the registrar answered; return True if that is news."""
        plan = self.stack.plan
        if plan is None or plan.address == self._state.address:
            return False
        self._state.address = plan.address
        return True

    def _usable(self, plan: StackPlan, ways: list[Way], *, instructed: bool) -> bool:
        """The life is on the kernel's path, or on another one that was chosen and that has a carrier."""
        if not ways:
            return True
        if not ways[0].tied and not plan.interface and plan.source in (None, ways[0].seen.source):
            return True
        return (instructed or bool(plan.interface)) and watch.has_carrier(self._interface)

    def _is_on(self, plan: StackPlan, way: Way) -> bool:
        return way.seen.interface == (plan.interface or self._interface)

    def _newest_password(self) -> str:
        """Return the password as it stands in its file now: a corrected one is noticed at the next attempt."""
        with contextlib.suppress(Exception):  # whatever is wrong with the file, the phone goes on with what it has
            from agent.config.load import read_secret

            self._password = read_secret(self._settings.password_file, "sip-password")
        return self._password

    def _plan(self, address: str, source: str | None) -> StackPlan:
        settings = self._settings
        return StackPlan(
            address=address,
            host=settings.registrar,
            port=settings.port,
            transport=settings.transport,
            username=settings.username,
            domain=self.domain,
            password=self._newest_password(),
            source=source or None,
            local_port=settings.local_port,
            expires=settings.expires,
            header=settings.header,
            ca_file=settings.ca_file,
            instance_id=self._state.instance,
        )


def _lesser(plan: StackPlan, level: int) -> StackPlan:
    """Return what is left to try over TLS: without verification, then without TLS."""
    if plan.transport != "tls" or level == 0:
        return plan
    if level == 1:
        return replace(plan, verify=False)
    others: tuple[Literal["tcp"], Literal["udp"]] = ("tcp", "udp")
    return replace(plan, verify=False, transport=others[level % 2], port=_PLAIN_PORT)


def _instruction(seen: Seen) -> VoiceInstruction:
    """Return the instruction that nobody gave: this path, no id (S3)."""
    return VoiceInstruction(0, 0, seen.interface, seen.source, seen.destination, None)

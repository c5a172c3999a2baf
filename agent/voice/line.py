"""The stack in the hands of the process: which life it gets, for which path, on behalf of whom."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Final, Literal

from agent.model import VoiceInstruction
from agent.settings import SipSettings
from agent.voice import resolve, watch
from agent.voice.events import StackError, StackPlan
from agent.voice.log import log
from agent.voice.moves import Register, Seen
from agent.voice.stack import Stack
from agent.voice.state import State

_PLAIN_PORT: Final = 5060


class Line:
    """Owns the stack and knows the registrar."""

    def __init__(self, settings: SipSettings, password: str, state: State) -> None:
        self.stack = Stack()
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
            self.stack.carry_over()
        except StackError as error:
            log("carry_over_failed", "error", reason=error)

    def prepare(self, attempt: int, *, busy: bool, instructed: bool) -> bool:
        """Be ready for an emergency call: keep a life that can reach the registrar, else start one.

        `attempt` counts from 0; later ones try what is left: without verification, then without TLS. `busy`
        says that the stack holds another call, which must not be killed; `instructed` that a living agent
        stands behind the path in use. Returns True for a new life. Raises StackError.
        """
        plan = self.stack.plan
        address = self.address or (self.hint.destination if self.hint else "")
        if plan is not None and (busy or not address):
            return False
        if not address:
            raise StackError("No address of a registrar is known")
        seen = watch.look(address)
        if plan is not None and attempt == 0 and self._usable(plan, seen, instructed=instructed):
            return False
        fresh = self._plan(address, seen.source if seen else None)
        fresh = replace(fresh, register=False, present_id=plan.present_id if plan else None)
        if fresh.transport == "tls" and attempt:
            fresh = replace(fresh, verify=False)
        if fresh.transport == "tls" and attempt > 1:
            others: tuple[Literal["tcp"], Literal["udp"]] = ("tcp", "udp")
            fresh = replace(fresh, transport=others[attempt % 2], port=_PLAIN_PORT)
        log("emergency_life", "warning", attempt=attempt, source=fresh.source, transport=fresh.transport)
        self.stack.start(fresh)
        return True

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

    def _usable(self, plan: StackPlan, seen: Seen | None, *, instructed: bool) -> bool:
        """The life is on the kernel's path, or on another one that the agent chose and that has a carrier."""
        if seen is None or plan.source in (None, seen.source):
            return True
        return instructed and watch.has_carrier(self._interface)

    def _newest_password(self) -> str:
        """Return the password as it stands in its file now: a corrected one is noticed at the next attempt."""
        with contextlib.suppress(Exception):  # whatever is wrong with the file, the phone goes on with what it has
            from agent.config import read_secret

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

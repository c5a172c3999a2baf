"""SIP registrations as the platform counts them: a REGISTER's presented id follows the rules of platform.md 3.1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.simulator.binding import Judgement, canonical
from agent.simulator.faults import FaultKind
from agent.simulator.sessions import Register, RegisterAnswer, Registration, Send

if TYPE_CHECKING:
    from agent.simulator.core import Platform

MIN_EXPIRES = 60
MAX_EXPIRES = 300
DEFAULT_EXPIRES = 300
"""Seconds, platform.md 6.4."""
OK, UNAUTHORIZED = 200, 401
REMEMBERED = 1000
"""Call-IDs whose newest CSeq is known: what comes twice is a retransmission."""


def granted(asked: int | None) -> int:
    """Return the expiry that the registrar grants: clamped silently, 0 stays 0."""
    if asked is None:
        return DEFAULT_EXPIRES
    return asked and min(MAX_EXPIRES, max(MIN_EXPIRES, asked))


class Registrations:
    """All live registrations, keyed by user and Call-ID: a phone that moves keeps its Call-ID."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._live: dict[tuple[str, str], Registration] = {}
        self._last: dict[str, int] = {}

    def live(self, user: str | None = None) -> list[Registration]:
        """Return the registrations that have not expired, newest first, of one user or of all."""
        self.expire()
        return [r for r in reversed(self._live.values()) if user in {None, r.user}]

    def expire(self) -> None:
        """Drop what has run out."""
        now = self._platform.clock.monotonic()
        self._live = {key: r for key, r in self._live.items() if r.expires_at > now}

    def unbind(self, address: str) -> None:
        """Take an address from the registrations that it is bound in."""
        for registration in self._live.values():
            if registration.bound == address:
                registration.bound = None

    def take(self, request: Register) -> RegisterAnswer:
        """See `Platform.register`."""
        platform = self._platform
        user = platform.sip_user(request.username)
        again = self._last.get(request.call_id) == request.cseq
        self._last = {**dict(list(self._last.items())[-REMEMBERED:]), request.call_id: request.cseq}
        answer = self._faulty() if user is not None else RegisterAnswer(code=403, save=False)
        platform.log.add(
            "register",
            user=user.id if user else None,
            username=request.username,
            source=canonical(request.source),
            port=request.port,
            transport=request.transport,
            presented=request.presented,
            asked=request.expires,
            expires=granted(request.expires),
            call_id=request.call_id,
            cseq=request.cseq,
            contact=request.contact,
            user_agent=request.user_agent,
            authenticated=request.authenticated,
            code=answer.code if request.authenticated or answer.code != OK else UNAUTHORIZED,
            again=again,
        )
        if user is None or not request.authenticated or not answer.save:
            return answer
        sends = self._apply(user.id, request)
        return RegisterAnswer(answer.code, granted(request.expires), delay=answer.delay, sends=sends)

    def _faulty(self) -> RegisterAnswer:
        code, save, retry_after, delay = 200, True, None, 0.0
        for fault in self._platform.faults.take("SIP REGISTER"):
            if fault.kind is FaultKind.LATENCY:
                delay += fault.seconds
            elif fault.kind is FaultKind.STATUS:
                code, save, retry_after = fault.status, False, fault.retry_after
            elif fault.kind is FaultKind.DROP_REPLY:
                code = 0
            else:
                code, save = 0, False
        return RegisterAnswer(code, save=save, retry_after=retry_after, delay=delay)

    def _apply(self, user: str, request: Register) -> tuple[Send, ...]:
        platform = self._platform
        key = (user, request.call_id)
        self._live.pop(key, None)
        expires = granted(request.expires)
        if not expires:
            if request.contact == "*":
                self._live = {kept: r for kept, r in self._live.items() if kept[0] != user}
            return ()
        # A phone that starts anew has a new Call-ID, but its contact, seen from the same address, is the same binding.
        self._live = {kept: r for kept, r in self._live.items() if kept[0] != user or not _same_contact(r, request)}
        heard = request.presented if platform.behavior.sip_header == "honor" else None
        verdict = platform.present(user, heard, request.source, "sip")
        self._live[key] = Registration(
            user=user,
            call_id=request.call_id,
            source=canonical(request.source),
            port=request.port,
            transport=request.transport,
            contact=request.contact,
            expires_at=platform.clock.monotonic() + expires,
            presented=request.presented,
            bound=heard if verdict.binds else None,
            judgement=verdict,
        )
        if verdict.binds or verdict is Judgement.NOTHING or not platform.behavior.sip_mismatch_notifies:
            return ()
        return tuple(send for s in platform.signalling.live(user) for send in platform.network_changed(s.id))


def _same_contact(one: Registration, other: Register) -> bool:
    return (one.contact, one.source, one.port) == (other.contact, canonical(other.source), other.port)

"""Signalling sessions without sockets (platform.md 4): one frame in, the frames to send out."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from agent.simulator.binding import Judgement, canonical, emergency
from agent.simulator.sessions import Send, Session
from agent.simulator.tokens import Claims, TokenError

if TYPE_CHECKING:
    from agent.simulator.core import Platform


class Signalling:
    """All open sessions, oldest first."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._sessions: dict[str, Session] = {}
        self._numbers = itertools.count(1)
        self._ended: dict[tuple[str, str], float] = {}

    # ------------------------------------------------------------------ opening and closing

    def open(self, source: str) -> Session:
        """A socket opened; nobody is authenticated yet."""
        session = Session(f"ws_{next(self._numbers)}", canonical(source), self._platform.clock.monotonic())
        self._sessions[session.id] = session
        self._platform.log.add("session", what="open", session=session.id, source=session.source)
        return session

    def close(self, session_id: str, why: str) -> None:
        """A socket is gone; harmless when the session ended before."""
        session = self._sessions.pop(session_id, None)
        if session is None:
            return
        if session.user and session.bound:
            self._ended[session.user, session.bound] = self._platform.clock.monotonic()
        self._platform.log.add("session", what="close", session=session.id, user=session.user, why=why)

    def live(self, user: str | None = None) -> list[Session]:
        """Return the authenticated sessions, of one user or of all, oldest first."""
        return [s for s in self._sessions.values() if s.user is not None and user in {None, s.user}]

    def too_soon(self, user: str, address: str) -> bool:
        """Tell whether a session with this address ended within `Behavior.reconnect_denied_within`."""
        ended = self._ended.get((user, address))
        within = self._platform.behavior.reconnect_denied_within
        return ended is not None and self._platform.clock.monotonic() - ended < within

    # ------------------------------------------------------------------ frames

    def receive(self, session_id: str, frame: object) -> list[Send]:
        """Answer one frame of the client; an unknown session gets nothing."""
        session = self._sessions.get(session_id)
        if session is None:
            return []
        if not isinstance(frame, Mapping) or not isinstance(frame.get("type"), str):
            return [self._error(session, None, "invalid_message", "Not a frame.")]
        kind = frame["type"]
        self._platform.log.add("frame", session=session_id, user=session.user, type=kind)
        if kind == "authenticate":
            return self._authenticate(session, frame)
        if session.claims is None:
            return [self._fatal(session, frame, "auth_failed", "Authenticate first.")]
        return self._serve(session, session.claims, frame)

    def _serve(self, session: Session, claims: Claims, frame: Mapping[str, Any]) -> list[Send]:
        kind: str = frame["type"]
        if kind == "ping":
            return [self._reply(session, frame, {"type": "pong"})]
        if kind == "auth.refresh":
            return self._refresh(session, claims, frame)
        return self._call(session, claims, frame) if kind.startswith("call.") else []

    def _authenticate(self, session: Session, frame: Mapping[str, Any]) -> list[Send]:
        platform = self._platform
        if session.claims is not None:
            return [self._error(session, frame, "invalid_message", "Already authenticated.")]
        try:
            claims = platform.tokens.check(frame.get("token"))
        except TokenError as error:
            return [self._fatal(session, frame, error.code, error.text)]
        sends, room = self._make_room(session, claims.user, frame)
        if not room:
            return sends
        presented = frame.get("emergency_address_id")
        verdict = platform.present(claims.user, presented, session.source, "signalling")
        refused = self._refused(session, frame, verdict)
        if refused:
            return [*sends, refused]
        session.claims = claims
        session.presented = presented
        session.bound = presented if verdict.binds else None
        session.judgement = verdict
        welcome = {
            "type": "authenticated",
            "user_id": claims.user,
            "account_id": claims.account,
            "reconnected": any(user == claims.user for user, _ in self._ended),
        }
        platform.log.add("session", what="authenticated", session=session.id, user=claims.user, presented=presented)
        answer = [self._reply(session, frame, welcome)]
        denial = [] if verdict.binds or verdict is Judgement.NOTHING else platform.network_changed(session.id)
        first = platform.behavior.network_changed_first
        return sends + (denial + answer if first else answer + denial)

    def _refused(self, session: Session, frame: Mapping[str, Any], verdict: Judgement) -> Send | None:
        """Return the error for an unusable id where the behavior is not `network.changed` (rule 3.1.7)."""
        behavior = self._platform.behavior
        answers = {
            Judgement.FOREIGN: behavior.foreign_id,
            Judgement.GONE: behavior.deleted_id,
            Judgement.MALFORMED: behavior.malformed_id,
        }
        answer = answers.get(verdict)
        if answer == "error":
            return self._error(session, frame, "invalid_message", "bad address")
        if answer == "fatal":
            return self._fatal(session, frame, "invalid_message", "bad address")
        return None

    def _make_room(self, session: Session, user: str, frame: Mapping[str, Any]) -> tuple[list[Send], bool]:
        others = self.live(user)
        excess = len(others) + 1 - self._platform.behavior.session_cap
        if excess <= 0:
            return [], True
        if self._platform.behavior.at_cap == "refuse":
            return [self._fatal(session, frame, "session_limit", "Too many sessions.")], False
        gone = [self._fatal(other, None, "session_replaced", "A newer session took over.") for other in others[:excess]]
        return gone, True

    def _refresh(self, session: Session, current: Claims, frame: Mapping[str, Any]) -> list[Send]:
        try:
            claims = self._platform.tokens.check(frame.get("token"))
        except TokenError as error:
            return [self._error(session, frame, error.code, error.text)]
        if claims.user != current.user:
            return [self._error(session, frame, "auth_failed", "The token is another user's.")]
        session.claims = claims
        return [self._reply(session, frame, {"type": "auth.refreshed"})]

    def _call(self, session: Session, claims: Claims, frame: Mapping[str, Any]) -> list[Send]:
        if self._platform.tokens.revoked(claims):
            return [self._fatal(session, frame, "session_revoked", "The sessions of this user were revoked.")]
        if frame["type"] != "call.create":
            return []
        number = str(frame.get("destination", ""))
        allowed = self._platform.may_call(claims.user, number, session.source, "signalling")
        self._platform.log.add(
            "call", what="create", user=claims.user, number=number, allowed=allowed, emergency=emergency(number)
        )
        if allowed:
            return [self._error(session, frame, "call_failed", "The simulator has no WebRTC media.")]
        if self._platform.behavior.call_refusal == "silent":
            return []
        return [self._error(session, frame, "emergency_address_required", "Register your emergency address first.")]

    # ------------------------------------------------------------------ what the platform does by itself

    def incoming(self, user: str, call: Mapping[str, Any]) -> list[Send]:
        """Ring every session of a user (noise: an idle socket is a live softphone, platform.md 4.2)."""
        return [Send(session.id, {"type": "call.incoming", **call}) for session in self.live(user)]

    def idle(self, session_id: str) -> list[Send]:
        """No pong came (platform.md 4.4)."""
        return self.end(session_id, "idle_timeout", "No pong.")

    def end(self, session_id: str, code: str, text: str) -> list[Send]:
        """End a session with a fatal error, e.g. `going_away`."""
        session = self._sessions.get(session_id)
        return [self._fatal(session, None, code, text)] if session else []

    def expire(self) -> list[Send]:
        """Evict sessions whose token has expired."""
        now = self._platform.clock.wall()
        dead = [s for s in self.live() if s.claims and s.claims.expires_at <= now]
        return [self._fatal(session, None, "auth_expired", "The token has expired.") for session in dead]

    def revoked(self, user: str) -> list[Send]:
        """Tear down the sessions of a user at once."""
        text = "The sessions of this user were revoked."
        return [self._fatal(session, None, "session_revoked", text) for session in self.live(user)]

    def drop(self, user: str) -> list[str]:
        """Take the binding from every session of a user; return all their ids."""
        for session in self.live(user):
            session.bound = None
        return [session.id for session in self.live(user)]

    def unbind(self, address: str) -> list[str]:
        """Take an address from the sessions that it is bound in; return their ids."""
        touched = [session for session in self.live() if session.bound == address]
        for session in touched:
            session.bound = None
        return [session.id for session in touched]

    # ------------------------------------------------------------------ shapes

    def _reply(self, session: Session, frame: Mapping[str, Any] | None, body: dict[str, Any]) -> Send:
        if frame is not None and "req_id" in frame and self._platform.behavior.echo_req_id:
            body = body | {"req_id": frame["req_id"]}
        return Send(session.id, body)

    def _error(self, session: Session, frame: Mapping[str, Any] | None, code: str, text: str) -> Send:
        return self._reply(session, frame, {"type": "error", "code": code, "message": text})

    def _fatal(self, session: Session, frame: Mapping[str, Any] | None, code: str, text: str) -> Send:
        """End the session: it is gone before the frame is out."""
        body = {"type": "error", "code": code, "message": text, "fatal": True}
        send = self._reply(session, frame, body)
        self.close(session.id, code)
        return Send(send.session, send.frame, close=True)

"""The platform without sockets: synchronous, on an injected clock, so that generated histories can drive it too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.clock import Clock, SystemClock
from agent.simulator.addresses import Addresses
from agent.simulator.behavior import Behavior
from agent.simulator.binding import Judgement, Saved, canonical, emergency, judge, same_network, well_formed
from agent.simulator.faults import FaultKind, Faults
from agent.simulator.log import Log
from agent.simulator.refusal import Refusal
from agent.simulator.registrations import Registrations
from agent.simulator.sessions import Register, RegisterAnswer, Send, User
from agent.simulator.signalling_core import Signalling
from agent.simulator.tokens import Claims, TokenError, Tokens, checked_ttl

SECRET_KEY = "sk_test_simulator"  # noqa: S105 - the sandbox key of a simulator


class Platform:
    """Users, tokens, addresses, sessions, registrations, and the rules that tie them together.

    Not thread-safe. Methods that may make the platform speak on a signalling socket return `Send`s; methods behind
    REST raise `Refusal`. Call `tick()` when time has passed.
    """

    def __init__(self, clock: Clock | None = None, behavior: Behavior | None = None) -> None:
        self.clock: Clock = clock or SystemClock()
        self.behavior = behavior or Behavior()
        self.log = Log(self.clock)
        self.faults = Faults()
        self.users: dict[str, User] = {}
        self.tokens = Tokens(self.clock)
        self.addresses = Addresses(self.clock, lambda: self.behavior)
        self.signalling = Signalling(self)
        self.registrations = Registrations(self)

    # ------------------------------------------------------------------ users and tokens

    def add_user(
        self,
        user_id: str,
        *,
        account: str = "acct_1",
        sip_username: str | None = None,
        sip_password: str | None = None,
    ) -> User:
        """Create a user or replace one's credentials."""
        user = User(user_id, account, sip_username, sip_password)
        self.users[user_id] = user
        return user

    def sip_user(self, username: str) -> User | None:
        """Return the user whose desk phone registers under this name."""
        return next((user for user in self.users.values() if user.sip_username == username), None)

    def mint(self, body: object) -> dict[str, Any]:
        """Answer `POST /v1/user_sessions` (platform.md 1.2)."""
        given = body if isinstance(body, Mapping) else {}
        user = self.users.get(str(given.get("user")))
        if user is None:
            raise Refusal(404, "User not found")
        ttl = checked_ttl(given.get("ttl_seconds"), self.behavior.ttl_status)
        return self.tokens.mint(user.id, user.account, ttl)

    def revoke(self, user_id: str) -> tuple[dict[str, Any], list[Send]]:
        """Answer `POST /v1/users/{id}/revoke_sessions` (platform.md 1.2)."""
        if user_id not in self.users:
            raise Refusal(404, "User not found")
        answer = self.tokens.revoke(user_id)
        self.log.add("revoke", user=user_id)
        return answer, self.signalling.revoked(user_id) if self.behavior.revoke_at_once else []

    def claims(self, token: object) -> Claims:
        """Return a good token's claims; raise `Refusal` 401."""
        try:
            return self.tokens.check(token)
        except TokenError as error:
            raise Refusal(401, error.text) from error

    # ------------------------------------------------------------------ addresses

    def create_address(self, user: str, body: object, idempotency_key: str | None = None) -> Saved:
        """Answer `POST /v1/me/emergency-addresses`; a live session is not touched (rule 3.1.2)."""
        self._sandbox()
        saved = self.addresses.create(user, body, idempotency_key)
        self.log.add("write", what="create", user=user, address=saved.id)
        return saved

    def list_addresses(self, user: str, limit: str | None = None, cursor: str | None = None) -> dict[str, Any]:
        """Answer `GET /v1/me/emergency-addresses`."""
        self._sandbox()
        return self.addresses.page(user, limit, cursor)

    def get_address(self, user: str, number: str) -> Saved:
        """Answer `GET /v1/me/emergency-addresses/{id}`."""
        self._sandbox()
        return self.addresses.get(user, number)

    def delete_address(self, user: str, number: str) -> list[Send]:
        """Answer `DELETE /v1/me/emergency-addresses/{id}`."""
        self._sandbox()
        self.addresses.delete(user, number)
        self.log.add("write", what="delete", user=user, address=number)
        return self._unbind(number, notify=self.behavior.delete_notifies) if self.behavior.delete_drops_binding else []

    def clear_anchor(self, user: str, number: str) -> list[Send]:
        """Answer `DELETE /v1/me/emergency-addresses/{id}/registered_ip` (rule 3.1.5)."""
        self._sandbox()
        self.addresses.clear(user, number)
        self.log.add("write", what="clear", user=user, address=number)
        return self._unbind(number, notify=False) if self.behavior.clear_drops_binding else []

    def _sandbox(self) -> None:
        if self.behavior.sandbox:
            raise Refusal(400, "Not available in the sandbox", code="sandbox_feature_unsupported")

    def _unbind(self, number: str, *, notify: bool) -> list[Send]:
        touched = self.signalling.unbind(number)
        self.registrations.unbind(number)
        return [send for session in touched for send in self.network_changed(session)] if notify else []

    # ------------------------------------------------------------------ binding

    def present(self, user: str, presented: object, source: str, channel: str) -> Judgement:
        """Judge a presented id, anchor it where rule 3.1.4 says so, and record the verdict."""
        if presented is None:
            verdict = Judgement.NOTHING
        elif not well_formed(presented):
            verdict = Judgement.MALFORMED
        else:
            saved = self.addresses.find(presented)
            verdict = judge(saved, user, source, self.behavior)
            if verdict.binds and channel == "signalling" and self.signalling.too_soon(user, str(presented)):
                verdict = Judgement.TOO_SOON
            if verdict is Judgement.BOUND and saved is not None:
                saved.registered_ip = canonical(source)
        self.log.add(
            "present", user=user, address=presented, source=canonical(source), channel=channel, judgement=verdict.value
        )
        return verdict

    def network_changed(self, session: str) -> list[Send]:
        """Return the frame for one session, as late or as missing as it was ordered (platform.md 3.3)."""
        delay = self.behavior.network_changed_delay
        missing = self.behavior.network_changed_missing
        for fault in self.faults.take("WS network.changed"):
            delay += fault.seconds if fault.kind is FaultKind.LATENCY else 0.0
            missing = missing or fault.kind is FaultKind.MISSING
        self.log.add("network_changed", session=session, delay=delay, missing=missing)
        return [] if missing else [Send(session, {"type": "network.changed"}, delay=delay)]

    def push_network_changed(self, user: str) -> list[Send]:
        """Deny out of the blue: every session of the user loses its binding and hears of it (platform.md 10.2)."""
        return [send for session in self.signalling.drop(user) for send in self.network_changed(session)]

    # ------------------------------------------------------------------ calls

    def may_call(self, user: str | None, number: str, source: str, channel: str = "sip") -> bool:
        """Tell whether a call goes through (platform.md 5): 911 and 933 always, from anybody."""
        if emergency(number):
            return True
        if user is None:
            return False
        if channel == "sip" and not self.behavior.sip_gated:
            return True
        return self.bound_address(user, source, None if self.behavior.gate_scope == "user" else channel) is not None

    def bound_address(self, user: str, source: str, channel: str | None = None) -> str | None:
        """Return the id bound in a live registration or session that comes from this network."""
        live: list[tuple[str, str]] = []
        if channel in {None, "sip"}:
            live += [(r.bound, r.source) for r in self.registrations.live(user) if r.bound]
        if channel in {None, "signalling"}:
            live += [(s.bound, s.source) for s in self.signalling.live(user) if s.bound]
        return next((bound for bound, where in live if same_network(where, source, self.behavior)), None)

    def register(self, request: Register) -> RegisterAnswer:
        """Take a REGISTER that the registrar reports (platform.md 6.4); unauthenticated ones are only recorded."""
        return self.registrations.take(request)

    def tick(self) -> list[Send]:
        """Let time pass: expired tokens and registrations go."""
        self.registrations.expire()
        return self.signalling.expire()

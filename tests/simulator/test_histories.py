"""Generated histories against the pure core: what must hold whatever happens (platform.md 3.1)."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from agent.simulator.core import Platform
from agent.simulator.sessions import Register
from tests.simulator.world import MAIN_STREET, FakeClock

NETWORKS = st.sampled_from(["203.0.113.10", "198.51.100.20", "2001:db8::1"])
USERS = st.sampled_from(["user_1", "user_2"])


class Histories(RuleBasedStateMachine):
    """Two users, three networks, and time."""

    addresses: Bundle[Any] = Bundle("addresses")
    sessions: Bundle[Any] = Bundle("sessions")

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.platform = Platform(self.clock)
        for user in ("user_1", "user_2"):
            self.platform.add_user(user, sip_username=user, sip_password="x")
        self.anchors: dict[str, str | None] = {}
        self.allowed: set[str] = set()

    @rule(target=addresses, user=USERS)
    def create(self, user: str) -> Any:
        saved = self.platform.create_address(user, MAIN_STREET)
        return user, saved.id

    @rule(target=sessions, user=USERS, source=NETWORKS)
    def connect_with_nothing(self, user: str, source: str) -> Any:
        return self._connect(user, None, source)

    @rule(target=sessions, user=USERS, address=addresses, source=NETWORKS)
    def connect(self, user: str, address: tuple[str, str], source: str) -> Any:
        self.allowed = {address[1]} if address[0] == user else set()
        return self._connect(user, address[1], source)

    def _connect(self, user: str, presented: str | None, source: str) -> str:
        token = self.platform.mint({"user": user})["client_secret"]
        session = self.platform.signalling.open(source)
        before = self.anchors.get(presented or "")
        frame = {"type": "authenticate", "token": token, "emergency_address_id": presented}
        types = [
            s.frame["type"] for s in self.platform.signalling.receive(session.id, frame) if s.session == session.id
        ]
        assert types[0] == "authenticated"
        saved = self.platform.addresses.find(presented)
        mine = saved is not None and saved.user == user
        refused = presented is not None and not (mine and before in {None, source})
        assert types[1:] == (["network.changed"] if refused else [])
        return session.id

    @rule(user=USERS, address=addresses, source=NETWORKS, call_id=st.sampled_from("ab"), expires=st.integers(0, 900))
    def register(self, user: str, address: tuple[str, str], source: str, call_id: str, expires: int) -> None:
        self.allowed = {address[1]} if address[0] == user else set()
        request = Register(user, source, presented=address[1], call_id=call_id, expires=expires)
        answer = self.platform.register(request)
        assert answer.code == 200
        assert answer.expires == (0 if expires == 0 else min(300, max(60, expires)))

    @rule(session=consumes(sessions))
    def close(self, session: str) -> None:
        self.platform.signalling.close(session, "gone")
        assert session not in {s.id for s in self.platform.signalling.live()}

    @rule(target=addresses, address=consumes(addresses))
    def clear(self, address: tuple[str, str]) -> Any:
        self.allowed = {address[1]}
        self.platform.clear_anchor(*address)
        assert self.platform.get_address(*address).registered_ip is None
        return address

    @rule(target=addresses, address=consumes(addresses))
    def delete(self, address: tuple[str, str]) -> Any:
        self.platform.delete_address(*address)
        return multiple()

    @rule(seconds=st.floats(0, 400))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds
        self.platform.tick()

    @invariant()
    def an_anchor_moves_only_from_or_to_null_and_only_where_somebody_acted(self) -> None:
        now = {s.id: s.registered_ip for user in ("user_1", "user_2") for s in self.platform.addresses.of(user)}
        for number, anchor in now.items():
            before = self.anchors.get(number)
            if anchor != before:
                assert number in self.allowed
                assert before is None or anchor is None
        self.anchors = now
        self.allowed = set()

    @invariant()
    def the_gate_is_open_only_where_something_live_is_bound(self) -> None:
        for user in ("user_1", "user_2"):
            for source in ("203.0.113.10", "198.51.100.20", "2001:db8::1"):
                assert self.platform.may_call(user, "911", source)
                bound = [s.source for s in self.platform.signalling.live(user) if s.bound]
                bound += [r.source for r in self.platform.registrations.live(user) if r.bound]
                assert self.platform.may_call(user, "4155550100", source) is (source in bound)

    @invariant()
    def what_is_bound_exists_and_belongs_to_the_user(self) -> None:
        live = [(session.user, session.bound) for session in self.platform.signalling.live()]
        live += [(registration.user, registration.bound) for registration in self.platform.registrations.live()]
        for user, bound in live:
            if bound is not None:
                saved = self.platform.addresses.find(bound)
                assert saved is not None
                assert saved.user == user


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)

"""The binding worker: makes the wanted address true on the platform and proves it; newest wins (design.md)."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import random
from collections.abc import Awaitable, Callable
from typing import Any

from agent.backoff import CREDENTIALS, TRANSIENT
from agent.backoff import Backoff as Schedule
from agent.clock import Clock
from agent.dialstack.listener import Listener, Ways
from agent.dialstack.ports import AddressApi, Closed, Ended, Signalling, Token, TokenSource, refused_token
from agent.dialstack.proof import Binding, Proof, differs, must_clear, same_ip, voice_presents
from agent.dialstack.watching import SessionOver, Watch
from agent.effort import Budget
from agent.errors import AddressGone, AddressRefused, AgentError, Backoff, NeedsHuman, Retry
from agent.model import CivicAddress, NetworkState, RegistrationKind, VoiceState, Wanted
from agent.tasks import end

READ_BACKS = (0.0, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
"""Seconds between read-backs until the anchor shows; then it counts as a failure."""
GRACE_SURE = 0.2
"""Seconds to wait for a `network.changed` where the anchor was cleared or equals our own public address."""
GRACE_UNSURE = 2.0
"""The same where an old anchor was reused and nothing else says that it is ours (stale anchor, platform.md 3.4)."""
STABLE = 30.0
"""Seconds that a session must live before its backoff starts anew: accept-then-close must not become a storm."""
LOOK_MIN, LOOK_MAX = 1.0, 60.0
"""Seconds between looks at a session that is held: tokens and audits are due in minutes, an audit that cannot be
made (no path, nothing presented) must not become a spin."""
TOKEN_LOOK = 10.0
"""Seconds between looks at a token file: reading it costs the platform nothing."""


LOCAL_TOKEN_CODES = frozenset(
    {"token_expired", "secret_missing", "secret_unreadable", "token_refused", "token_other_user"}
)


class BindingWorker:
    """Level-triggered: give it `want()`, `network()`, `voice()` and `interlock()`; it does the rest."""

    def __init__(
        self,
        *,
        api: AddressApi,
        signalling: Signalling,
        tokens: TokenSource,
        use_path: Callable[[str | None], Awaitable[None]],
        listener: Listener,
        clock: Clock,
        rng: random.Random,
        ways: Ways,
    ) -> None:
        self._api = api
        self._signalling = signalling
        self._tokens = tokens
        self._use_path = use_path
        self._listener = listener
        self._clock = clock
        self._ways = ways
        self._wanted: Wanted | None = None
        self._network: NetworkState | None = None
        self._voice = VoiceState(connected=False)
        self._changed = asyncio.Event()
        self._poke = asyncio.Event()
        self._free = asyncio.Event()
        self._free.set()
        self._watch: Watch | None = None
        self._connections = 0
        self._path_generation = -1
        self._null_anchor = False
        """The id was presented against a null anchor: a no is about this network, not about an old anchor."""
        self._backoff = Schedule(TRANSIENT, rng)
        self.budget = Budget(clock)
        self.binding = Binding()
        self.registration = 0
        """Number of the SIP registration in force; see Proof.registration."""

    # ------------------------------------------------------------------ inputs

    def want(self, wanted: Wanted) -> None:
        """Make this true; what is under way for something else stops."""
        old, self._wanted = self._wanted, wanted
        if old is None or not _same_work(old, wanted):
            self._changed.set()

    def network(self, state: NetworkState) -> None:
        """Take the newest network state."""
        old, self._network = self._network, state
        came_back = old is None or (old.api is None) != (state.api is None) or old.resumed != state.resumed
        if came_back:
            self._poke.set()
        if (old is None or old.api is None) and state.api is not None:
            self._changed.set()  # a kick beats a backoff

    def voice(self, state: VoiceState) -> None:
        """Take the newest state of the voice process."""
        if _epoch(self._voice) != _epoch(state) and state.registration.kind is RegistrationKind.REGISTERED:
            self.registration += 1
        self._voice = state
        self._poke.set()

    def interlock(self, *, active: bool) -> None:
        """Hold everything that has not begun while an emergency call is on (S4)."""
        if active:
            self._free.clear()
        else:
            self._free.set()

    def kick(self) -> None:
        """Try again now: a person pressed the button."""
        self._changed.set()

    # ------------------------------------------------------------------ the loop

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            while True:
                self._changed.clear()
                work = asyncio.create_task(self._work(), name="binding-work")
                changed = asyncio.create_task(self._changed.wait(), name="binding-changed")
                try:
                    await asyncio.wait({work, changed}, return_when=asyncio.FIRST_COMPLETED)
                    if work.done():
                        work.result()  # it never ends but by a defect, which the supervisor must see
                finally:
                    await end(work, changed)
        finally:
            await self._drop()

    async def _work(self) -> None:
        """Serve one wanted state until it is replaced (the task is cancelled)."""
        wanted, network = self._wanted, self._network
        if wanted is None or network is None or network.api is None or wanted.generation != network.generation:
            if network is not None and not network.interrupted and network.api is None:
                await self._drop()
            self._publish(phase="idle", proof=None, problem=None)
            await asyncio.Event().wait()
        assert wanted is not None  # noqa: S101 - checked above
        await self._free.wait()
        if not self._kept(wanted):
            await self._drop()
            self._null_anchor = False
        if self._path_generation != wanted.generation:
            self._path_generation = wanted.generation
            assert network is not None and network.api is not None  # noqa: S101, PT018 - checked above
            await self._use_path(network.api.source)
            self._backoff.reset()
        self._publish(generation=wanted.generation, attempt=wanted.attempt, address_id=wanted.address_id, proof=None)
        while True:
            delay = await self._try(wanted)
            self._publish(phase="waiting", proof=None, retry_in=delay)
            await asyncio.sleep(delay)

    def _kept(self, wanted: Wanted) -> bool:
        """Tell whether the open session already serves what is wanted (never reconnect a healthy one)."""
        watch = self._watch
        return (
            watch is not None
            and not watch.bad.is_set()
            and (self.binding.generation, self.binding.attempt) == (wanted.generation, wanted.attempt)
            and watch.session.presented_id == (wanted.address_id if self._ways.signalling else None)
            and (wanted.address_id is not None or wanted.civic is None)
        )

    async def _try(self, wanted: Wanted) -> float:
        """Bind once and hold; return the seconds to wait before the next try."""
        began = self._clock.monotonic()
        try:
            await self._bind(wanted)
        except SessionOver:
            return await self._over(wanted, began)
        except AddressGone as error:
            self._publish(problem=error)
            if wanted.address_id is not None:
                self._listener.on_gone(wanted.address_id)
            return self._backoff.next()
        except AddressRefused as error:
            self._publish(problem=error)
            if wanted.civic is not None:
                self._listener.on_refused(wanted.generation, wanted.civic, error)
            return self._backoff.next(schedule=CREDENTIALS)
        except AgentError as error:
            await self._drop()
            self._publish(problem=error)
            return self._delay_after(wanted, error)
        return self._backoff.next()

    def _delay_after(self, wanted: Wanted, error: AgentError) -> float:
        if error.code == "present_refused":
            self._listener.on_denied(wanted.generation, final=True)
        if isinstance(error, Backoff):
            return self._backoff.next(error.retry_after)
        if isinstance(error, NeedsHuman):
            local = self._ways.local_token and error.code in LOCAL_TOKEN_CODES
            return TOKEN_LOOK if local else self._backoff.next(schedule=CREDENTIALS)
        return self._backoff.next(schedule=TRANSIENT)

    async def _over(self, wanted: Wanted, began: float) -> float:
        """Deal with a session that ended or was denied; return the seconds until the next try."""
        watch = self._watch
        assert watch is not None  # noqa: S101 - only a watched session can be over
        if watch.denied:
            self._publish(phase="denied", denied=True, proof=None)
            self._listener.on_denied(wanted.generation, final=self._null_anchor)
        if watch.closed is None:
            while watch.closed is None:
                watch.bad.clear()
                await watch.bad.wait()
        closed = watch.closed
        await self._drop()
        if self._clock.monotonic() - began >= STABLE:
            self._backoff.reset()
        if closed.how is Ended.REPLACED:
            self._publish(problem=_replaced())
            await asyncio.Event().wait()
        return self._backoff.next(schedule=TRANSIENT)

    # ------------------------------------------------------------------ one attempt

    async def _bind(self, wanted: Wanted) -> None:
        token = await self._token()
        address_id = None
        if wanted.civic is not None:
            self._publish(phase="address", problem=None, retry_in=None)
            address_id = await self._prepare(wanted, wanted.civic)
        await self._free.wait()
        self._publish(phase="present", address_id=address_id, problem=None, retry_in=None)
        self._listener.present(wanted, address_id if self._ways.sip else None)
        watch = await self._open(token, address_id if self._ways.signalling else None)
        if address_id is None:
            self._publish(phase="open", problem=None)
            await self._hold(watch, wanted, None)
        else:
            await watch.race(self._prove(watch, wanted, address_id))
            await self._hold(watch, wanted, address_id)

    async def _token(self) -> Token:
        token = await self._tokens.get()
        try:
            self._listener.on_user(token.user)
        except AgentError:
            self._tokens.forget()
            raise
        return token

    async def _prepare(self, wanted: Wanted, civic: CivicAddress) -> str:
        """Return the id to present: registered if it has to be, its anchor cleared if it has to be."""
        if wanted.address_id is not None:
            record = await self._api.get(wanted.address_id)
        else:
            self.budget.spend()
            record = await self._api.ensure(civic)
            self._listener.on_registered(civic, record)
        kept = self._watch is not None and self._kept(wanted)
        if not kept:
            self._null_anchor = record.registered_ip is None
        if not kept and must_clear(record, self._anchor(wanted), self._listener.public_address()):
            await self._free.wait()
            self.budget.spend()
            await self._api.clear(record.id)
            self._null_anchor = True
        return record.id

    def _anchor(self, wanted: Wanted) -> str | None:
        """Return the anchor that may stay: this attempt's own one after it has been made, else the known place's."""
        proof = self.binding.proof or self._last_proof
        if proof is not None and (proof.generation, proof.attempt) == (wanted.generation, wanted.attempt):
            return proof.registered_ip
        return wanted.keep_anchor

    _last_proof: Proof | None = None

    async def _open(self, token: Token, present_id: str | None) -> Watch:
        if self._watch is not None:
            if not self._watch.bad.is_set() and await self._watch.session.check():
                return self._watch
            await self._drop()
        network = self._network
        source = network.api.source if network is not None and network.api is not None else None
        try:
            session = await self._signalling.open(token, present_id, source)
        except AgentError as error:
            if not refused_token(error):
                raise
            session = await self._signalling.open(await self._tokens.renew(token), present_id, source)
        self._connections += 1
        self._watch = Watch(session, self._poke)
        self._publish(
            connection=self._connections, presented_id=session.presented_id, denied=session.denied, proof=None
        )
        return self._watch

    async def _prove(self, watch: Watch, wanted: Wanted, address_id: str) -> None:
        """Publish a proof under S2, or raise."""
        self._publish(phase="proof")
        while True:
            await self._accepted(wanted, address_id)
            registration, resumed, accepted = self.registration, self._resumed(), self._clock.monotonic()
            anchor = await self._read_back(address_id)
            own = self._listener.public_address()
            sure = self._null_anchor or (own is not None and same_ip(anchor, own))
            if own is not None and differs(anchor, own):
                sure = False
            grace = (GRACE_SURE if sure else GRACE_UNSURE) - (self._clock.monotonic() - accepted)
            if grace > 0:
                await asyncio.sleep(grace)
            if (registration, resumed) == (self.registration, self._resumed()):
                break
        proof = Proof(
            generation=wanted.generation, attempt=wanted.attempt, resumed=resumed, connection=self.binding.connection,
            registration=registration, address_id=address_id, registered_ip=anchor, at=self._clock.monotonic(),
        )  # fmt: skip
        if watch.bad.is_set():
            raise SessionOver
        self._last_proof = proof
        self._publish(phase="bound", proof=proof, problem=None)
        self._listener.on_proven(proof)

    async def _accepted(self, wanted: Wanted, address_id: str) -> None:
        """Wait until the phone line is registered with the id, where SIP presents."""
        while self._ways.sip and not voice_presents(self._voice, wanted, address_id):
            self._poke.clear()
            await self._poke.wait()

    async def _read_back(self, address_id: str) -> str:
        for pause in READ_BACKS:
            await asyncio.sleep(pause)
            record = await self._api.get(address_id)
            if record.registered_ip is not None:
                return record.registered_ip
        raise Retry(
            "The platform accepted the address but does not show it as bound.",
            emergency="911 goes out, but without a proven location.",
            code="not_anchored",
        )

    def _resumed(self) -> int:
        return self._network.resumed if self._network is not None else 0

    # ------------------------------------------------------------------ afterwards

    async def _hold(self, watch: Watch, wanted: Wanted, address_id: str | None) -> None:
        """Keep a session: tokens in time, proofs looked at again, until it is over."""
        token = await self._tokens.get()
        next_audit = self._clock.boottime() + self._ways.audit_interval
        seen = self._resumed()
        while True:
            await self._pause(watch, min(max(next_audit - self._clock.boottime(), LOOK_MIN), LOOK_MAX))
            if seen != self._resumed():
                seen = self._resumed()
                if not await watch.session.check():
                    await self._lost(watch)
            token = await self._renew(watch, token)
            if address_id is None or self._network is None or self._network.api is None:
                continue
            if not self._proof_stands():
                self._publish(proof=None)
                await watch.race(self._prove(watch, wanted, address_id))
            elif self._clock.boottime() >= next_audit:
                await self._audit(watch, wanted, address_id)
                next_audit = self._clock.boottime() + self._ways.audit_interval

    async def _pause(self, watch: Watch, seconds: float) -> None:
        """Wait for a reason to look, at most so long; raises SessionOver when the session is over."""
        if watch.bad.is_set():
            raise SessionOver
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._poke.wait()
        self._poke.clear()
        if watch.bad.is_set():
            raise SessionOver

    async def _lost(self, watch: Watch) -> None:
        self._publish(proof=None)
        await watch.session.close()
        watch.closed = Closed(Ended.LOST, "no answer after the interruption")
        raise SessionOver

    async def _renew(self, watch: Watch, token: Token) -> Token:
        """Hand a new token over in-band when its time has come; a refusal keeps the old one until it ends."""
        try:
            fresh = await self._token()
            if fresh.secret != token.secret:
                await watch.race(watch.session.refresh(fresh))
                self._publish(problem=None)
        except AgentError as error:
            self._publish(problem=error)
            return token
        return fresh

    def _proof_stands(self) -> bool:
        proof = self.binding.proof
        network = self._network
        if proof is None or network is None:
            return False
        if self._ways.sip and self._voice.registration.kind is not RegistrationKind.REGISTERED:
            return True  # nothing to prove before the line is back; the light is off by itself (S2)
        same_line = proof.registration == self.registration or not self._ways.sip
        return same_line and proof.resumed == network.resumed

    async def _audit(self, watch: Watch, wanted: Wanted, address_id: str) -> None:
        """Read a bound address back (S2: a failed read-back turns the light off)."""
        proof = self.binding.proof
        try:
            record = await watch.race(self._api.get(address_id))
        except AgentError:
            self._publish(phase="proof", proof=None)
            raise
        if record.registered_ip is None:
            self._publish(phase="proof", proof=None)
            raise Retry("The address was cleared on the platform; it is presented again.", code="cleared_elsewhere")
        if proof is not None and not same_ip(record.registered_ip, proof.registered_ip):
            self._publish(phase="denied", denied=True, proof=None)
            self._listener.on_denied(wanted.generation, final=True)
            watch.denied = True
            raise SessionOver

    # ------------------------------------------------------------------ small parts

    async def _drop(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            self._publish(connection=0, presented_id=None, denied=False, proof=None)
            watch.task.cancel()
            await watch.session.close()

    def _publish(self, **changes: Any) -> None:
        binding = dataclasses.replace(self.binding, **changes)
        if binding != self.binding or binding.problem is not self.binding.problem:
            self.binding = binding
            self._listener.on_binding(binding)


def _same_work(one: Wanted, other: Wanted) -> bool:
    """Tell whether two wishes mean the same work; an id that became known or a spelling does not matter."""
    if (one.generation, one.attempt) != (other.generation, other.attempt):
        return False
    same_id = one.address_id is not None and one.address_id == other.address_id
    return one.civic == other.civic or (same_id and one.civic is not None and other.civic is not None)


def _epoch(voice: VoiceState) -> tuple[object, ...]:
    registration = voice.registration
    return (
        voice.connected,
        registration.kind is RegistrationKind.REGISTERED,
        registration.generation,
        registration.attempt,
        registration.presented_id,
    )


def _replaced() -> NeedsHuman:
    return NeedsHuman(
        "Another device signed in as this phone's user and took its place.",
        emergency="911 goes out, but without a proven location.",
        todo="Give each device a user of its own; then press Try again.",
        code="session_replaced",
    )

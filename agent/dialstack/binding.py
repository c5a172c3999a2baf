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
from agent.dialstack.proof import Binding, Proof, must_clear, same_ip
from agent.dialstack.prover import Prover, Surroundings
from agent.dialstack.watching import SessionOver, Watch
from agent.effort import Budget
from agent.errors import AddressGone, AddressRefused, AgentError, Backoff, NeedsHuman, Retry
from agent.model import AddressSource, CivicAddress, NetworkState, VoiceState, Wanted
from agent.runtime.liveness import part, waiting
from agent.runtime.tasks import end
from agent.say import say

STABLE = 30.0
"""Seconds that a session must live before its backoff starts anew: accept-then-close must not become a storm."""
LOOK_MIN, LOOK_MAX = 1.0, 60.0
"""Seconds between looks at a session that is held: tokens and audits are due in minutes, an audit that cannot be
made (no path, nothing presented) must not become a spin."""
TOKEN_LOOK = 10.0
"""Seconds between looks at a token file: reading it costs the platform nothing."""


PRESENT_AGAIN = frozenset({"not_anchored", "cleared_elsewhere"})
"""Read-backs that only a new presentation can mend."""
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
        self._around = Surroundings()
        self._prover = Prover(api=api, listener=listener, clock=clock, ways=ways, around=self._around)
        self._changed = asyncio.Event()
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
        self._last_proof: Proof | None = None

    # ------------------------------------------------------------------ inputs

    def want(self, wanted: Wanted) -> None:
        """Make this true; what is under way for something else stops."""
        old, self._wanted = self._wanted, wanted
        if old is None or not _same_work(old, wanted):
            self._changed.set()

    def network(self, state: NetworkState) -> None:
        """Take the newest network state."""
        around = self._around
        old, around.network = around.network, state
        if old is None or (old.api is None) != (state.api is None) or old.resumed != state.resumed:
            around.poke.set()
        if (old is None or old.api is None) and state.api is not None:
            self._changed.set()  # a kick beats a backoff
        if old is not None and old.generation != state.generation:
            self._changed.set()  # S3: what is under way is about another network; its own wish follows

    def voice(self, state: VoiceState) -> None:
        """Take the newest state of the voice process."""
        self._around.hear(state)

    @property
    def registration(self) -> int:
        """Number of the SIP registration in force; see Proof.registration."""
        return self._around.registration

    def interlock(self, *, active: bool) -> None:
        """Hold everything that has not begun while an emergency call is on (S4)."""
        if active:
            self._free.clear()
        else:
            self._free.set()

    # ------------------------------------------------------------------ the loop

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            while True:
                self._changed.clear()
                work = asyncio.create_task(self._watched_work(), name="binding-work")
                changed = asyncio.create_task(self._changed.wait(), name="binding-changed")
                try:
                    with waiting():
                        await asyncio.wait({work, changed}, return_when=asyncio.FIRST_COMPLETED)
                    if work.done():
                        work.result()  # it never ends but by a defect, which the supervisor must see
                finally:
                    await end(work, changed)
        finally:
            await self._drop()

    async def _watched_work(self) -> None:
        with part("attempt"):
            await self._work()

    async def _work(self) -> None:
        """Serve one wanted state until it is replaced (the task is cancelled)."""
        wanted, network = self._wanted, self._around.network
        if wanted is None or network is None or network.api is None or wanted.generation != network.generation:
            if network is not None and not network.interrupted and network.api is None:
                await self._drop()
            self._publish(phase="idle", proof=None, problem=None)
            await _for(asyncio.Event())
        assert wanted is not None  # noqa: S101 - checked above
        await _for(self._free)
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
            with waiting():
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
            self._publish(problem=error, proof=None)
            gone = wanted.address_id or self.binding.address_id  # one that this very work registered counts, too
            if gone is not None:
                self._listener.on_gone(gone)
            return self._backoff.next()
        except AddressRefused as error:
            self._publish(problem=error)
            if wanted.civic is not None:
                self._listener.on_refused(wanted.generation, wanted.civic, error)
            return self._backoff.next(schedule=CREDENTIALS)
        except AgentError as error:
            await self._drop()
            self._publish(problem=error)
            self._present_unproven(wanted)
            return self._delay_after(wanted, error)
        return self._backoff.next()

    def _present_unproven(self, wanted: Wanted) -> None:
        """Without API or token, let the phone line present what staff confirmed here and was proven here before (S3 b).

        Nothing is cleared and nothing is claimed; the platform binds it where the network is still the same, so that
        911 keeps its location through an outage of everything but the registrar.
        """
        confirmed_here = wanted.source is AddressSource.CONFIRMED_HERE and wanted.keep_anchor is not None
        if confirmed_here and self._ways.sip and self._free.is_set():
            self._listener.present(wanted, wanted.address_id)

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
        if watch.denied and wanted.civic is not None:  # a no to nothing is no news
            self._publish(phase="denied", denied=True, proof=None)
            self._listener.on_denied(wanted.generation, final=self._null_anchor)
        if watch.closed is None:
            while watch.closed is None:
                watch.bad.clear()
                await _for(watch.bad)
        closed = watch.closed
        await self._drop()
        if self._clock.monotonic() - began >= STABLE:
            self._backoff.reset()
        if closed.how is Ended.REPLACED:
            self._publish(problem=_replaced())
            await _for(asyncio.Event())
        return self._backoff.next(schedule=TRANSIENT)

    # ------------------------------------------------------------------ one attempt

    async def _bind(self, wanted: Wanted) -> None:
        token = await self._token()
        address_id = None
        if wanted.civic is not None:
            self._publish(phase="address", problem=None, retry_in=None)
            address_id = await self._prepare(wanted, wanted.civic)
        await _for(self._free)
        self._publish(phase="present", address_id=address_id, problem=None, retry_in=None)
        self._listener.present(wanted, address_id if self._ways.sip else None)
        watch = await self._open(token, address_id if self._ways.signalling else None)
        if address_id is None:
            self._publish(phase="open", problem=None)
            await self._hold(watch, wanted, None)
        else:
            await self._prove(watch, wanted, address_id)
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
            await _for(self._free)
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

    async def _open(self, token: Token, present_id: str | None) -> Watch:
        if self._watch is not None:
            same = self._watch.session.presented_id == present_id
            if same and not self._watch.bad.is_set() and await self._watch.session.check():
                return self._watch
            await self._drop()
        network = self._around.network
        source = network.api.source if network is not None and network.api is not None else None
        try:
            session = await self._signalling.open(token, present_id, source)
        except AgentError as error:
            if not refused_token(error):
                raise
            session = await self._signalling.open(await self._tokens.renew(token), present_id, source)
        self._connections += 1
        self._watch = Watch(session, self._around.poke)
        self._publish(
            connection=self._connections, presented_id=session.presented_id, denied=session.denied, proof=None
        )
        return self._watch

    async def _prove(self, watch: Watch, wanted: Wanted, address_id: str) -> None:
        """Publish a proof under S2, or raise."""
        self._publish(phase="proof", proof=None)
        proof = await watch.race(
            self._prover.prove(wanted, address_id, connection=self.binding.connection, null_anchor=self._null_anchor)
        )
        self._last_proof = proof
        self._publish(phase="bound", proof=proof, problem=None, retry_in=None)
        self._listener.on_proven(proof)

    # ------------------------------------------------------------------ afterwards

    async def _hold(self, watch: Watch, wanted: Wanted, address_id: str | None) -> None:
        """Keep a session: tokens in time, proofs looked at again, until it is over."""
        token = await self._tokens.get()
        next_audit = self._next_audit()
        seen = self._around.resumed
        while True:
            await self._pause(watch, min(max(next_audit - self._clock.boottime(), LOOK_MIN), LOOK_MAX))
            if seen != self._around.resumed:
                seen = self._around.resumed
                if not await watch.session.check():
                    await self._lost(watch)
            token = await self._renew(watch, token)
            if address_id is None or not self._around.online:
                continue
            audit = self._clock.boottime() >= next_audit
            if audit or not self._prover.stands(self.binding.proof):
                await self._look(watch, wanted, address_id, audit=audit)
                next_audit = self._next_audit()

    def _next_audit(self) -> float:
        return self._clock.boottime() + self._ways.audit_interval

    async def _look(self, watch: Watch, wanted: Wanted, address_id: str, *, audit: bool) -> None:
        """Read back again until it is answered: trouble with the API is no reason to leave a healthy session."""
        while True:
            try:
                if audit and self.binding.proof is not None:
                    return await self._audit(watch, address_id)
                return await self._prove(watch, wanted, address_id)
            except (Retry, Backoff) as error:
                if error.code in PRESENT_AGAIN:
                    raise
                delay = self._delay_after(wanted, error)
                self._publish(phase="waiting", proof=None, problem=error, retry_in=delay)
                await self._pause(watch, delay)

    async def _pause(self, watch: Watch, seconds: float) -> None:
        """Wait for a reason to look, at most so long; raises SessionOver when the session is over."""
        if watch.bad.is_set():
            raise SessionOver
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await _for(self._around.poke)
        self._around.poke.clear()
        if watch.bad.is_set():
            raise SessionOver

    async def _lost(self, watch: Watch) -> None:
        self._publish(proof=None)
        await watch.session.close()
        watch.closed = Closed(Ended.LOST, say("no answer after the interruption"))
        raise SessionOver

    async def _renew(self, watch: Watch, token: Token) -> Token:
        """Hand a new token over in-band when its time has come; a refusal keeps the old one until it ends."""
        try:
            fresh = await watch.race(self._token())  # a slow source must not make us deaf for a no
            if fresh.secret != token.secret:
                await watch.race(watch.session.refresh(fresh))
                self._publish(problem=None)
        except AgentError as error:
            self._publish(problem=error)
            return token
        return fresh

    async def _audit(self, watch: Watch, address_id: str) -> None:
        """Read a bound address back (S2: a failed read-back turns the light off)."""
        proof = self.binding.proof
        record = await watch.race(self._api.get(address_id))
        if record.registered_ip is None:
            self._publish(phase="proof", proof=None)
            raise Retry(
                say("The address was cleared on the platform; it is presented again."), code="cleared_elsewhere"
            )
        if proof is not None and not same_ip(record.registered_ip, proof.registered_ip):
            self._null_anchor = watch.denied = True  # `_over` reports it, once, as final
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


async def _for(event: asyncio.Event) -> None:
    """Wait on purpose, however long it takes."""
    with waiting():
        await event.wait()


def _replaced() -> NeedsHuman:
    return NeedsHuman(
        say("Another device signed in as this phone's user and took its place."),
        emergency=say("911 goes out, but without a proven location."),
        todo=say("Give each device a user of its own; then pull this one's network cable and plug it in again."),
        code="session_replaced",
    )

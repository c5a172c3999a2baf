"""The pipeline: network and voice in, decisions out to the workers, one status for everybody (design.md)."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable

from agent.clock import Clock
from agent.config.settings import Settings
from agent.control import Step
from agent.decide import Facts, Memory, Policy, decide
from agent.dialstack.binding import BindingWorker
from agent.dialstack.civic import same_address
from agent.dialstack.listener import Ways
from agent.dialstack.proof import Binding, Proof, differs, proven
from agent.dialstack.tokens import other_user
from agent.errors import AddressRefused
from agent.light.lamp import Lamp
from agent.light.status import Light, Scene, light
from agent.light.tally import Tally
from agent.light.wording import steps
from agent.model import (
    CivicAddress,
    Decision,
    EmergencyAddress,
    Gap,
    NetworkState,
    RegistrationKind,
    VoiceState,
    Wanted,
)
from agent.runtime.log import trace
from agent.say import say
from agent.steering import Steering, VoicePort
from agent.storage.records import Records
from agent.storage.store import Store
from agent.surroundings import SILENCE, Surroundings
from agent.whereabouts import Judge, Whereabouts

VOICE_GRACE = 3.0
"""Seconds that the voice process may be away before the light says so: a restart takes a fraction of one."""


@dataclasses.dataclass(slots=True)
class _Generation:
    """What was learned in one network generation, on top of the network state itself."""

    wan_changes: int = 0
    denials: int = 0
    denied_after_clear: bool = False
    answers: int = 0
    refused: AddressRefused | None = None
    public_address: str | None = None


class Engine:
    """Owns facts and memory; the only one who calls `decide()`. Implements the binding worker's Listener."""

    def __init__(self, settings: Settings, store: Store, clock: Clock, judge: Judge, voice: VoicePort) -> None:
        self.settings = settings
        self.store = store
        self.clock = clock
        self.where = Whereabouts(store, clock, judge)
        self.surroundings = Surroundings(clock)
        self._line = Steering(voice)
        self.policy = Policy(mobility=settings.device.mobility, configured=settings.address)
        self.user = settings.token.user or store.user() or ""
        self.memory = Memory()
        self.network: NetworkState | None = None
        self.voice = VoiceState(connected=False)
        self.binding = Binding()
        self.decision: Decision | None = None
        self.here = _Generation()
        self.worker: BindingWorker | None = None
        self.config_problems: tuple[str, ...] = ()
        """Lines that keep an address from being bound."""
        self.side_problems: tuple[str, ...] = ()
        """Sentences about mistakes in side matters, for the notices."""
        self.records = Records(store, clock)
        self.renew: Callable[[int, str], None] = lambda _generation, _cause: None
        """Ends a network generation that was taken for another place (`NetworkWatcher.renew`)."""
        self.lamp = Lamp(store, clock)
        self.tally = Tally()
        self._voice_lost_at: float | None = clock.monotonic()
        self._load()
        self.tally.begin(self.memory.current_place_id)

    @property
    def light(self) -> Light:
        """Return the light as it is now."""
        return self.lamp.light

    @property
    def ways(self) -> Ways:
        """Return how ids are presented, for the worker."""
        platform = self.settings.platform
        return Ways(
            signalling="signalling" in platform.presentation,
            sip="sip" in platform.presentation,
            audit_interval=platform.audit_interval,
            local_token=self.settings.token.source == "file",
        )

    # ------------------------------------------------------------------ settings

    def configure(self, settings: Settings, problems: tuple[str, ...], side: tuple[str, ...] = ()) -> None:
        """Take other settings; what follows from them is decided at once."""
        self.settings = settings
        self.config_problems, self.side_problems = problems, side
        self.policy = Policy(mobility=settings.device.mobility, configured=settings.address)
        self.user = settings.token.user or self.store.user() or ""
        self._load()
        self.reconsider()
        self.relight()

    def adopt(self, worker: BindingWorker | None) -> None:
        """Go on with another worker, which knows nothing yet; None: there is none."""
        self.worker, self.binding = worker, Binding()
        if worker is not None:
            worker.voice(self.voice)
            worker.interlock(active=self.voice.interlock)
            if self.network is not None:
                worker.network(self.network)
        self.reconsider()
        self.relight()

    # ------------------------------------------------------------------ inputs

    def network_changed(self, state: NetworkState) -> None:
        """Take the newest network state; the light and the phone line come first, records after."""
        old, self.network = self.network, state
        if old is None or old.generation != state.generation:
            self.here = _Generation()
            self.where.new_generation()
        self._line.follow(state)
        if self.worker is not None:
            self.worker.network(state)
        trace("network", generation=state.generation, cause=state.cause, interrupted=state.interrupted,
              path=state.sip.interface if state.sip else None, event_at=state.event_at)  # fmt: skip
        self.relight()
        self.reconsider()

    def gap(self, gap: Gap) -> None:
        """Record a stretch of blindness (S12); the watcher has read everything again."""
        self.tally.gap(gap)
        trace("gap", gap=gap.kind, seconds=gap.seconds, detail=gap.detail)
        if gap.step:
            self._clock_set(gap.step)
        self.records.gap(gap)

    def _clock_set(self, step: float) -> None:
        """Move what is told in wall time along with the clock, records from before it was set too (failure 11)."""
        self.lamp.clock_set(step)
        if self.records.clock_set(step):
            self._load()
        self.relight()

    def voice_changed(self, state: VoiceState) -> None:
        """Take the newest state of the voice process."""
        old, self.voice = self.voice, state
        self.tally.voice(old, state)
        if old.connected and not state.connected:
            self._voice_lost_at = self.clock.monotonic()
            asyncio.get_running_loop().call_later(VOICE_GRACE + 0.1, self.relight)
        elif state.connected:
            self._voice_lost_at = None
        registration = state.registration
        known = old.registration
        if dataclasses.replace(registration, at=known.at, sent_at=known.sent_at, expires=known.expires) != known:
            trace("registration", kind=registration.kind, generation=registration.generation, code=registration.code,
                  presented=registration.presented_id, received=registration.via_received,
                  sent_at=registration.sent_at, at=registration.at)  # fmt: skip
        if self.worker is not None:
            self.worker.voice(state)
            if old.interlock != state.interlock:
                self.worker.interlock(active=state.interlock)
        alone = registration.kind is RegistrationKind.REGISTERED and registration.generation == 0
        if alone and registration != old.registration:
            self._line.again()  # it followed a path that is gone again: it has an agent
        self._learn_public_address()
        self.relight()
        self.reconsider()

    def _learn_public_address(self) -> None:
        """Notice that only the WAN changed (failure 21): the registrar sees us come from elsewhere."""
        registration, network = self.voice.registration, self.network
        if network is None or registration.generation != network.generation or not registration.via_received:
            return
        if (
            registration.kind is not RegistrationKind.REGISTERED
            or registration.via_received == self.here.public_address
        ):
            return
        self.here.public_address = registration.via_received
        proof = self.binding.proof
        if proof is not None and differs(proof.registered_ip, registration.via_received):
            self.here.wan_changes += 1
            trace("wan_changed", was=proof.registered_ip, now=registration.via_received)

    # ------------------------------------------------------------------ Listener of the binding worker

    def on_binding(self, binding: Binding) -> None:
        """See Listener."""
        old, self.binding = self.binding, binding
        if (old.phase, old.problem) != (binding.phase, binding.problem):
            trace("binding", phase=binding.phase, presented=binding.presented_id,
                  problem=binding.problem.code if binding.problem else None)  # fmt: skip
        self.relight()

    def on_user(self, user: str | None) -> None:
        """See Listener; the first user is remembered, another one refused (failure 24)."""
        if user is None or user == self.user:
            return
        if self.user and self.user != self.settings.token.user:
            raise other_user(self.user, user)
        if self.settings.token.user and user != self.settings.token.user:
            raise other_user(self.settings.token.user, user)
        self.user = user
        self.store.set_user(user)
        self._load()
        self.reconsider()

    def on_registered(self, civic: CivicAddress, record: EmergencyAddress) -> None:
        """See Listener."""
        self.store.remember_address(self.user, record.id, civic, configured=civic == self.policy.configured)
        trace("address_registered", id=record.id)
        self._load()
        self.reconsider()

    def on_denied(self, generation: int, *, final: bool) -> None:
        """See Listener (S6)."""
        if self.network is None or generation != self.network.generation:
            return
        self.here.denials += 1
        self.tally.denials += 1
        self.here.denied_after_clear = self.here.denied_after_clear or final  # only a person takes it back (S6)
        trace("denied", generation=generation, final=final)
        self.relight()
        self.reconsider()

    def on_gone(self, address_id: str) -> None:
        """See Listener (S6, platform.md 11.5)."""
        self.store.address_gone(self.user, address_id)
        trace("address_gone", id=address_id)
        self._load()
        self.reconsider()

    def on_refused(self, generation: int, civic: CivicAddress, error: AddressRefused) -> None:
        """See Listener (S6)."""
        if self.network is not None and generation == self.network.generation:
            self.here.refused = error
            trace("address_refused", address=civic.one_line())
            self.reconsider()

    def on_proven(self, proof: Proof) -> None:
        """See Listener."""
        trace("proven", id=proof.address_id, registered_ip=proof.registered_ip, at=proof.at)
        self.relight()
        place = self.where.verdict.place_id
        with self.records.kept():
            if place is not None:
                self.store.set_anchor(place, proof.registered_ip, self.here.public_address)
            self.store.select(self.user, proof.address_id, self.clock.wall())
        self._load()

    def present(self, wanted: Wanted, address_id: str | None) -> None:
        """See Listener."""
        self._line.present(wanted, address_id)

    def public_address(self) -> str | None:
        """See Listener."""
        return self.here.public_address

    # ------------------------------------------------------------------ deciding

    def reconsider(self) -> None:
        """Decide again, record what changed, and let the worker make it true."""
        state = self.network
        if state is None:
            return
        if self.where.look(state, self.memory, self.here.public_address):
            self._load()
            self.tally.place(self.where.verdict.place_id)
        self._look_around(state)
        if (port := self.where.contradicted) is not None and not self.voice.interlock:  # S4: it waits
            self.renew(state.generation, say("the port of the network switch is {port}", port=port.value))
        decision = decide(self._facts(state), self.memory, self.policy)
        changed = self.decision is None or _essence(decision) != _essence(self.decision)
        self.decision = decision
        self.relight()
        steady = not state.interrupted and not state.flapping
        settled = steady and (state.evidence_complete or state.api is None)
        if self.worker is not None and settled and not self.voice.interlock:
            self.worker.want(decision.wanted)
        here = decision.wanted.civic if settled and self.where.contradicted is None else None
        self._line.locate(decision.wanted.generation, here, confirmed=not decision.alert)
        if changed:
            self.records.decision(state, decision)

    def _look_around(self, state: NetworkState) -> None:
        """Compare what the network says with what is confirmed here; a disagreement is recorded, nothing more."""
        around = self.surroundings
        was = around.unheard_since
        if around.look(state, self.memory.place(self.where.verdict.place_id)) and around.disagreement is not None:
            trace("disagreement", fields=",".join(around.disagreement.fields), sentence=around.disagreement.sentence)
            self.records.disagreement(around.disagreement.sentence)
        if around.unheard_since is not None and was is None:
            asyncio.get_running_loop().call_later(SILENCE + 0.1, self.relight)

    def _facts(self, state: NetworkState) -> Facts:
        here = self.here
        return Facts(
            network=state, verdict=self.where.verdict, wan_changes=here.wan_changes, denials=here.denials,
            denied_after_clear=here.denied_after_clear, answers=here.answers, refused=here.refused is not None,
            interlock=self.voice.interlock,
        )  # fmt: skip

    def _load(self) -> None:
        """Read memory again after a write; a configured address that was edited is another address."""
        self.memory = self.store.memory(self.user)
        known = self.memory.configured_id
        configured = self.policy.configured
        if known is not None and configured is not None:
            text = self.store.civic(self.user, known)
            if text is not None and not same_address(text, configured):
                self.store.forget_configured(self.user)
                self.memory = self.store.memory(self.user)

    # ------------------------------------------------------------------ a person's answer

    def answered(self, address_id: str) -> None:
        """Act on a confirmation that is on disk: bind anew, unless exactly that address is proven already."""
        here = self.here
        self.tally.confirmations += 1
        proof = self.binding.proof if self.is_proven() else None
        if proof is None or proof.address_id != address_id:
            here.answers += 1 + here.denials
        elif self.where.verdict.place_id is not None:
            self.store.set_anchor(self.where.verdict.place_id, proof.registered_ip, here.public_address)
        here.denials, here.denied_after_clear, here.refused = 0, False, None
        self._load()
        if self.worker is not None:
            self.worker.budget.reset()
        self.reconsider()
        self.relight()

    def cleared(self, address_id: str) -> None:
        """A person cleared an anchor: if it is the one in use, bind it again."""
        if self.binding.address_id == address_id:
            self.here.answers += 1
            self.reconsider()

    # ------------------------------------------------------------------ status

    def is_proven(self) -> bool:
        """Tell whether the light may be on (S2), evaluated now."""
        if self.network is None or self.decision is None or self.worker is None or self.where.contradicted is not None:
            return False
        ways = self.ways
        return proven(
            self.binding, self.network, self.voice, wanted=self.decision.wanted,
            registration=self.worker.registration, by_signalling=ways.signalling, by_sip=ways.sip,
        )  # fmt: skip

    def scene(self) -> Scene:
        """Return everything that the light depends on."""
        decision = self.decision
        lost = self._voice_lost_at
        overdue = lost is not None and self.clock.monotonic() - lost >= VOICE_GRACE
        return Scene(
            network=self.network, voice=self.voice, voice_overdue=overdue, binding=self.binding, decision=decision,
            proven=self.is_proven(), config_problems=self.config_problems, store_problem=self.records.problem,
            present=decision.wanted.civic if decision else None,
            likely=self.memory.last_confirmed or self.policy.configured,
        )  # fmt: skip

    def relight(self) -> None:
        """Compute the light again and tell whoever looks at it."""
        self.lamp.show(light(self.scene()), self.network.event_at if self.network is not None else None)
        self.lamp.tell(self._work(), self.steps())

    def steps(self) -> tuple[Step, ...]:
        """Return the progress of the work under way, without its times."""
        scene = self.scene()
        return steps(scene, self.binding.address_id if scene.present is not None else None)

    def _work(self) -> tuple[object, ...]:
        """Return what tells one piece of work from the next."""
        wanted = self.decision.wanted if self.decision is not None else None
        generation = self.network.generation if self.network is not None else 0
        return (generation, wanted.attempt, wanted.civic) if wanted is not None else (generation,)

    async def wait_change(self, version: int) -> int:
        """Return the newest version as soon as it differs from the one given."""
        return await self.lamp.wait_change(version)


def _essence(decision: Decision) -> tuple[object, ...]:
    """Return what makes a decision worth a new record."""
    wanted = decision.wanted
    return (
        wanted.generation, wanted.attempt, wanted.civic, wanted.address_id, decision.ask, decision.verdict.kind,
        decision.verdict.place_id, decision.reasons,
    )  # fmt: skip

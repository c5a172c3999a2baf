"""Generated histories: decide, the workers, the registration machine and the simulator in virtual time (S1-S12)."""

from __future__ import annotations

import os
from typing import Literal

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agent.model import StatusKind
from tests.engine.virtual_world import HOME, TYPO, USER, World

HISTORIES = int(os.environ.get("HISTORIES", "2000"))
"""At least 2,000; fewer while hunting a defect by hand."""
STEPS = 14


class Histories(RuleBasedStateMachine):
    """Whatever happens, in whatever order, the safety rules hold after every step."""

    def __init__(self) -> None:
        super().__init__()
        self.world: World | None = None
        self.causes = 1
        """What may have called for a REGISTER or a write so far: moves, answers, losses, denials, faults."""

    @initialize(
        mobility=st.sampled_from(["fixed", "movable"]),
        seed=st.integers(0, 2**16),
        site=st.sampled_from(["office", "home"]),
    )
    def begin(self, mobility: Literal["fixed", "movable"], seed: int, site: str) -> None:
        self.world = World(mobility, seed)
        self.world.plug(site)

    def _w(self) -> World:
        assert self.world is not None
        return self.world

    # ------------------------------------------------------------------ the device is carried about

    @rule(site=st.sampled_from(["office", "upstairs", "home", "nowhere"]))
    def move(self, site: str) -> None:
        self.causes += 2  # on another floor the port that is heard late is one more
        self._w().plug(site)

    @rule()
    def unplug(self) -> None:
        self.causes += 1
        self._w().unplug()

    @rule(seconds=st.sampled_from([0.2, 1.0, 3.0]))
    def flap(self, seconds: float) -> None:
        self._w().flap(seconds)

    @rule(last=st.integers(30, 60))
    def wan_changes(self, last: int) -> None:
        self.causes += 1
        self._w().change_wan(last)

    @rule(seconds=st.sampled_from([0.01, 0.1, 0.5, 3.0, 40.0, 700.0]))
    def time_passes(self, seconds: float) -> None:
        self._w().advance(seconds)

    @rule(seconds=st.sampled_from([60.0, 90000.0]))
    def suspend(self, seconds: float) -> None:
        self.causes += 1
        self._w().suspend(seconds)

    @rule(seconds=st.sampled_from([-3600.0, 86400.0]))
    def clock_step(self, seconds: float) -> None:
        self._w().clock.offset += seconds

    @rule()
    def agent_restarts(self) -> None:
        self.causes += 1
        self._w().restart()

    # ------------------------------------------------------------------ people

    @rule(where=st.sampled_from(["office", "home"]))
    def confirm(self, where: str) -> None:
        self.causes += 1
        self._w().confirm(where)

    @rule()
    def confirm_misspelled(self) -> None:
        assert not self._w().confirm("home", TYPO)

    @precondition(lambda self: self.world is not None and not self.world.voice.state.calls)
    @rule(emergency=st.booleans())
    def call(self, emergency: bool) -> None:  # noqa: FBT001 - Hypothesis passes by name
        world = self._w()
        reached = world.dial(emergency=emergency)
        assert reached == (world.platform.weather.public is not None), "S1: a 911 call did not go out"

    @precondition(lambda self: self.world is not None and bool(self.world.voice.state.calls))
    @rule()
    def hang_up(self) -> None:
        self._w().engine_call(self._w().voice.hang_up)

    @precondition(lambda self: self.world is not None and not self.world.voice.state.calls)
    @rule()
    def callback_window_ends(self) -> None:
        self._w().engine_call(self._w().voice.window_over)

    # ------------------------------------------------------------------ the platform misbehaves

    @rule(errors=st.lists(st.sampled_from([429, 500, 502, 503]), min_size=1, max_size=4))
    def api_errors(self, errors: list[int]) -> None:
        self._w().platform.weather.errors += errors

    @rule(number=st.integers(1, 3))
    def replies_get_lost(self, number: int) -> None:
        self.causes += 1
        self._w().platform.weather.lose_replies += number

    @rule(down=st.booleans())
    def api_goes(self, down: bool) -> None:  # noqa: FBT001 - Hypothesis passes by name
        self.causes += 1
        self._w().platform.weather.api_down = down

    @rule(fails=st.booleans())
    def token_source_goes(self, fails: bool) -> None:  # noqa: FBT001 - Hypothesis passes by name
        self._w().platform.token_fails = fails

    @rule()
    def network_changed_out_of_the_blue(self) -> None:
        self.causes += 1
        world = self._w()
        world.engine_call(lambda: world.platform.deliver(world.platform.core.push_network_changed(USER)))

    @rule()
    def address_is_deleted_on_the_platform(self) -> None:
        self.causes += 1
        world = self._w()
        for saved in world.platform.core.addresses.of(USER)[:1]:
            world.platform.core.delete_address(USER, saved.id)

    @rule(delay=st.sampled_from([0.0, 0.1, 1.0, 5.0]), first=st.booleans())
    def verdicts_come_late(self, delay: float, first: bool) -> None:  # noqa: FBT001 - Hypothesis passes by name
        core = self._w().platform.core
        core.behavior = core.behavior.changed({"network_changed_delay": delay, "network_changed_first": first})

    @rule(seconds=st.sampled_from([0.0, 0.03, 0.5, 1.9]))
    def the_gateway_takes_its_time(self, seconds: float) -> None:
        self._w().evidence_after = seconds

    @rule(seconds=st.sampled_from([0.0, 0.03, 1.0, 29.0]))
    def the_switch_takes_its_time(self, seconds: float) -> None:
        self._w().port_after = seconds

    @rule(status=st.sampled_from([503, 500, 403]))
    def registrar_refuses(self, status: int) -> None:
        self.causes += 2
        self._w().platform.core.faults.set("status", "SIP REGISTER", status=status, count=2)

    # ------------------------------------------------------------------ the rules

    def _writes(self) -> int:
        return sum(item.kind == "write" for item in self._w().platform.seen)

    @invariant()
    def s2_green_only_when_proven(self) -> None:
        if self.world is not None:
            self.world.engine_call(self.world.check_green)
            assert not self.world.green_without_proof, self.world.green_without_proof

    @invariant()
    def s3_no_address_travels_by_itself(self) -> None:
        if self.world is not None:
            self.world.check_presented()
            assert not self.world.presented_wrongly, self.world.presented_wrongly

    @invariant()
    def s4_an_emergency_call_is_never_touched(self) -> None:
        if self.world is None:
            return
        world = self.world
        assert not world.voice.fresh_under_call, "a REGISTER in a new life of the stack dropped the call"
        if world.voice.state.interlock:
            # What was on the wire when somebody dialed may arrive; nothing begins.
            since = world.voice.interlock_since + 20 * world.platform.weather.latency
            rebinds = [i for i in world.platform.seen if i.kind in {"accepted", "clear"} and i.address and i.at > since]
            assert not rebinds, f"rebound during the interlock: {rebinds}"

    @invariant()
    def s11_effort_is_bounded(self) -> None:
        if self.world is None:
            return
        denials = sum(item.kind == "denied" for item in self.world.platform.seen)
        refreshes = (self.world.loop.time() - 1000.0) / 30.0
        assert self.world.voice.registers <= 4 * (self.causes + denials) + refreshes
        assert self._writes() <= 3 * (self.causes + denials) + 2

    @invariant()
    def s12_the_light_is_off_without_a_network(self) -> None:
        if self.world is not None and (self.world.site is None or self.world.interrupted):
            assert self.world.engine.light.kind not in {StatusKind.BOUND, StatusKind.PROVISIONAL}

    def teardown(self) -> None:
        """S7 and liveness: when all is well again, the phone registers, and a confirmation binds."""
        if self.world is None:
            return
        world = self.world
        try:
            self._recover(world)
        finally:
            world.close()

    def _recover(self, world: World) -> None:
        world.engine_call(world.voice.hang_up)
        world.engine_call(world.voice.window_over)
        weather = world.platform.weather
        weather.errors, weather.lose_replies, weather.api_down = [], 0, False
        world.platform.token_fails = False
        world.platform.core.faults.clear()
        core = world.platform.core
        core.behavior = core.behavior.changed({"network_changed_delay": 0.0})
        world.plug("home")
        world.advance(4000.0)
        assert world.voice.registered, "S7: not registered although nothing is in the way"
        assert world.confirm("home"), "a correct answer was refused"
        world.advance(60.0)
        self.s2_green_only_when_proven()
        self.s3_no_address_travels_by_itself()
        assert world.engine.light.kind is StatusKind.BOUND, world.engine.light
        assert world.engine.binding.proof is not None
        saved = core.addresses.find(world.engine.binding.proof.address_id)
        assert saved is not None
        assert saved.address["street"] == HOME.street
        assert saved.registered_ip == world.public["home"]


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=HISTORIES,
    stateful_step_count=STEPS,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

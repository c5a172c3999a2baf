"""Generations, grace, proof after a loss and the penalty for flaps, with time in the test's hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.config.settings import NetworkSettings
from agent.model import NetworkState
from agent.network.penalty import Pace
from agent.network.snapshot import EMPTY, Snapshot
from agent.network.tracker import Tracker
from tests.network.builders import HOME_MAC, OFFICE_MAC, ethernet, office, unplugged

VRRP = "00:00:5e:00:01:0a"


class World:
    """A tracker with a clock that runs its timers, and everything that it published."""

    def __init__(self, pace: Pace | None = None, **settings: float) -> None:
        self.tracker = Tracker(replace(NetworkSettings(), **settings), pace)  # type: ignore[arg-type]
        self.now = 1000.0
        self.states: list[NetworkState] = []
        self.downs = 0
        self.snapshot = EMPTY

    def see(self, snapshot: Snapshot, *, after: float = 0.01) -> NetworkState:
        """Let time pass, then show a snapshot."""
        if self.states:
            self.pass_time(after)
        self.snapshot = snapshot
        self._note(self.tracker.see(snapshot, self.now, self.now))
        return self.states[-1]

    def pass_time(self, seconds: float) -> NetworkState:
        """Run every timer that is due within the time."""
        end = self.now + seconds
        while (timer := self.tracker.next_timer(self.now)) is not None and timer <= end:
            self.now = max(self.now + 1e-6, timer)
            self._note(self.tracker.tick(self.now))
        self.now = end
        return self.states[-1]

    def pull(self, *, after: float = 0.01) -> NetworkState:
        """Pull the cable."""
        self.downs += 1
        return self.see(unplugged(self.downs), after=after)

    def push(self, mac: str | None = OFFICE_MAC, *, after: float = 0.01) -> NetworkState:
        """Plug the cable in; the gateway's address is there at once, or comes with another `push`."""
        return self.see(office(link=ethernet(downs=self.downs), mac=mac), after=after)

    def _note(self, state: NetworkState | None) -> None:
        if state:
            self.states.append(state)


def at_the_office() -> World:
    world = World()
    world.see(office())
    return world


def test_the_first_state_says_what_there_is() -> None:
    world = at_the_office()
    state = world.states[0]
    assert (state.generation, state.cause, state.evidence_complete, state.interrupted) == (1, "start", True, False)
    assert state.sip is not None
    assert [one.value for one in state.observations] == [OFFICE_MAC, "192.168.1.0/24"]


def test_without_any_network_there_is_a_state_too() -> None:
    world = World()
    state = world.see(EMPTY)
    assert (state.generation, state.sip, state.api, state.evidence_complete) == (1, None, None, True)


def test_failure_03_a_pulled_cable_interrupts_at_once_though_address_and_route_stay() -> None:
    world = at_the_office()
    state = world.pull()
    assert (state.interrupted, state.sip, state.api, state.generation) == (True, None, None, 1)
    assert state.cause == "link eth0 lost carrier"


def test_failure_02_the_default_route_goes_without_a_word() -> None:
    world = at_the_office()
    state = world.see(office(route=False))
    assert (state.interrupted, state.sip, state.cause) == (True, None, "the route is gone")


def test_failure_04_05_08_the_same_network_again_is_no_change() -> None:
    world = at_the_office()
    for _ in range(100):
        world.see(office(confirmed_ago=5.0), after=1.0)
    assert len(world.states) == 1


def test_failure_06_a_new_source_is_a_new_generation() -> None:
    world = World()
    world.see(office(source="fd00:5:1::aa", gateway="fd00:5:1::1"))
    state = world.see(office(source="fd00:5:1::bb", gateway="fd00:5:1::1"), after=30.0)
    assert (state.generation, state.interrupted) == (2, False)


def test_failure_06_deprecation_of_the_only_source_is_published_in_the_same_generation() -> None:
    world = at_the_office()
    state = world.see(office(deprecated=True))
    assert state.sip is not None
    assert (state.generation, state.sip.deprecated) == (1, True)


def test_failure_08_a_minor_change_is_stored_and_does_not_fire_twice() -> None:
    world = at_the_office()
    world.see(office(deprecated=True))
    fired = len(world.states)
    for _ in range(10):
        world.see(office(deprecated=True), after=60.0)
    assert len(world.states) == fired


def test_failure_09_a_short_loss_on_the_same_network_resumes_and_keeps_the_generation() -> None:
    world = at_the_office()
    world.pull()
    state = world.push(after=3.0)
    assert (state.generation, state.resumed, state.interrupted) == (1, 1, False)


def test_a_loss_beyond_the_grace_ends_the_generation_and_the_return_begins_another() -> None:
    world = at_the_office()
    world.pull()
    state = world.pass_time(5.0)
    assert (state.generation, state.interrupted, state.sip) == (2, False, None)
    assert state.cause == "no path for 5 s: link eth0 lost carrier"
    state = world.push()
    assert (state.generation, state.resumed) == (3, 0)
    assert state.sip is not None


def test_after_a_loss_nothing_is_said_until_the_gateway_has_shown_itself() -> None:
    world = at_the_office()
    world.pull()
    assert world.push(mac=None, after=1.0).interrupted
    assert len(world.tracker.unproven()) == 1
    state = world.push()
    assert (state.generation, state.resumed, state.interrupted) == (1, 1, False)
    assert world.tracker.unproven() == ()


def test_the_same_lease_behind_another_gateway_is_a_new_generation_with_its_evidence() -> None:
    world = at_the_office()
    world.pull()
    state = world.push(mac=HOME_MAC, after=2.0)
    assert (state.generation, state.resumed, state.evidence_complete) == (2, 0, True)
    assert state.cause == f"the gateway's hardware address is {HOME_MAC}, was {OFFICE_MAC}"
    assert HOME_MAC in [one.value for one in state.observations]
    assert OFFICE_MAC not in [one.value for one in state.observations]


def test_an_old_neighbor_entry_proves_nothing_after_a_loss() -> None:
    world = at_the_office()
    world.downs += 1
    # The cable was out between two snapshots; the entry is still there, last confirmed before.
    state = world.see(office(link=ethernet(downs=1), confirmed_ago=30.0), after=10.0)
    assert (state.interrupted, state.cause) == (True, "link eth0 lost carrier for a moment")
    assert world.see(office(link=ethernet(downs=1), confirmed_ago=31.0), after=1.0).interrupted
    state = world.see(office(link=ethernet(downs=1), confirmed_ago=0.0), after=0.5)
    assert (state.generation, state.resumed, state.interrupted) == (1, 1, False)


def test_a_gateway_that_stays_silent_after_a_loss_costs_the_generation() -> None:
    world = at_the_office()
    world.pull()
    world.push(mac=None, after=1.0)
    state = world.pass_time(2.0)
    assert (state.generation, state.sip is not None, state.evidence_complete) == (2, True, False)
    assert state.cause == "back, but the gateway does not answer"
    state = world.pass_time(2.0)
    assert (state.generation, state.evidence_complete) == (2, True)
    assert "gateway_mac" not in [one.kind for one in state.observations]


def test_a_shared_gateway_address_cannot_prove_that_it_is_the_same_network() -> None:
    world = World()
    world.see(office(mac=VRRP))
    world.pull()
    state = world.push(mac=VRRP, after=1.0)
    assert (state.generation, state.resumed) == (2, 0)


def test_evidence_that_arrives_completes_the_generation_and_does_not_end_it() -> None:
    world = World()
    assert not world.see(office(mac=None)).evidence_complete
    state = world.see(office())
    assert (state.generation, state.evidence_complete) == (1, True)


def test_evidence_that_never_arrives_is_waited_for_and_no_longer() -> None:
    world = World()
    world.see(office(mac=None))
    assert world.tracker.next_timer(world.now) == world.now + 2.0
    state = world.pass_time(2.0)
    assert (state.generation, state.evidence_complete) == (1, True)
    assert world.tracker.next_timer(world.now) is None
    assert world.see(office(), after=10.0).generation == 1


def test_a_different_gateway_address_without_any_loss_is_a_new_generation() -> None:
    world = at_the_office()
    state = world.see(office(mac=HOME_MAC), after=60.0)
    assert (state.generation, state.interrupted) == (2, False)


def test_a_neighbor_entry_that_expires_takes_nothing_away() -> None:
    world = at_the_office()
    world.see(office(mac=None), after=60.0)
    assert len(world.states) == 1
    world.see(office(), after=60.0)
    assert len(world.states) == 1


def test_a_complete_new_path_is_acted_on_at_once_and_corrected() -> None:
    world = at_the_office()
    state = world.see(office(source="192.168.7.50", gateway="192.168.7.1"), after=60.0)
    assert (state.generation, state.interrupted) == (2, False)
    state = world.see(office(source="192.168.8.50", gateway="192.168.8.1"))
    assert (state.generation, state.interrupted) == (3, False)


def test_failure_10_a_suspend_is_a_new_generation_without_the_old_evidence() -> None:
    world = at_the_office()
    world.tracker.slept(world.now)
    state = world.see(office(confirmed_ago=20.0), after=0.1)
    assert (state.generation, state.cause, state.evidence_complete) == (2, "woke from suspend", False)
    assert "gateway_mac" not in [one.kind for one in state.observations]
    state = world.see(office(confirmed_ago=0.0), after=0.1)
    assert (state.generation, state.evidence_complete) == (2, True)


def test_failure_01_a_bounce_that_no_message_told_of_is_found_in_the_counters() -> None:
    world = at_the_office()
    world.downs += 1
    state = world.push(mac=HOME_MAC, after=60.0)
    assert state.interrupted, "when the bounce was, and whether the entry is older, nobody knows"
    state = world.push(mac=HOME_MAC, after=0.5)
    assert (state.generation, state.interrupted) == (2, False)
    assert HOME_MAC in [one.value for one in state.observations]


def test_failure_09_a_1_hz_flap_for_ten_minutes_on_one_network_costs_no_generation_and_few_proofs() -> None:
    world = at_the_office()
    for _ in range(600):
        assert world.pull(after=0.5).sip is None
        world.push(mac=None, after=0.49)
        world.push(after=0.01)
    assert world.states[-1].flapping
    state = world.pass_time(120.0)
    assert (state.generation, state.interrupted, state.flapping) == (1, False, False)
    assert state.sip is not None
    assert state.resumed <= 8


@pytest.mark.parametrize("period", [0.2, 1.0, 3.0, 8.0, 20.0])
def test_flapping_between_two_networks_costs_only_a_few_generations(period: float) -> None:
    world = at_the_office()
    for turn in range(int(600 / period)):
        world.pull(after=period / 4)
        world.push(mac=None, after=period / 4)
        world.push(mac=(HOME_MAC, OFFICE_MAC)[turn % 2], after=period / 2)
    used = {state.generation for state in world.states if state.sip}
    assert len(used) <= 10
    state = world.pass_time(120.0)
    assert (state.flapping, state.interrupted) == (False, False)
    assert next(one.value for one in state.observations) in (HOME_MAC, OFFICE_MAC)


def test_a_loss_is_never_held_back() -> None:
    world = at_the_office()
    for _ in range(20):
        world.push(after=0.5)
        state = world.pull(after=0.5)
        assert (state.sip, state.interrupted) == (None, True)
    state = world.pass_time(5.0)
    assert (state.interrupted, state.flapping, state.sip, state.generation) == (False, False, None, 2)


def test_calm_is_forgiven() -> None:
    world = at_the_office()
    for _ in range(20):
        world.pull(after=0.5)
        world.push(after=0.5)
    world.pass_time(200.0)
    resumed = world.states[-1].resumed
    world.pull()
    assert world.push(after=0.5).resumed == resumed + 1
    assert not world.states[-1].flapping


def test_a_path_without_place_resumes_without_proof() -> None:
    link = replace(ethernet(), name="tun0", type=65534, info="tun")
    world = World()
    state = world.see(office(link=link, gateway=None, mac=None))
    assert (state.evidence_complete, state.observations) == (True, ())
    world.see(office(link=link, gateway=None, mac=None, route=False))
    state = world.see(office(link=link, gateway=None, mac=None))
    assert (state.generation, state.resumed) == (1, 1)


def test_a_bounce_while_held_back_starts_the_wait_for_the_gateway_anew() -> None:
    world = World(Pace(first_hold=0.5))
    world.see(office())
    for _ in range(10):
        world.pull(after=0.4)
        world.push(after=0.4)
    assert world.states[-1].flapping
    world.downs += 1  # away and back between two snapshots; the first question to the gateway got lost
    world.push(mac=None, after=0.1)
    state = world.pass_time(1.9)
    assert (state.generation, state.interrupted) == (1, True)
    state = world.push(after=0.05)
    state = world.pass_time(60.0)
    assert (state.generation, state.interrupted) == (1, False)

"""The real watcher in the lab's device namespace, against the real kernel."""

from __future__ import annotations

import itertools
import time

import pytest

from agent.config.settings import NetworkSettings
from agent.lab import noise
from agent.lab.lab import Lab
from agent.lab.topology import PLATFORM6, ROUTERS
from agent.model import NetworkState, Strength
from agent.network.penalty import Pace
from tests.network.rig import Rig

pytestmark = pytest.mark.netns

PATIENT = Pace(free=1_000)
"""For tests of other things than flapping: no move is ever held back."""


def usable(state: NetworkState) -> bool:
    return state.sip is not None and state.evidence_complete


def mac(state: NetworkState) -> str | None:
    found = [one.value for one in state.observations if one.strength is Strength.STRONG and one.on_path]
    return found[0] if found else None


def test_a_device_without_a_cable_says_so_and_finds_the_office_when_plugged_in() -> None:
    with Lab() as lab, Rig(lab) as rig:
        assert rig.wait(lambda _: True).sip is None
        lab.plug("office")
        state = rig.wait(usable)
        assert state.sip is not None
        assert (state.sip.interface, state.sip.source, state.sip.gateway) == ("eth0", "192.168.1.50", "192.168.1.1")
        assert mac(state) == ROUTERS["office"].mac
        generations = [one.generation for one in rig.states]
        assert generations == sorted(generations)


@pytest.mark.parametrize("pause", [0.0, 0.3])
def test_a_move_to_the_same_subnet_elsewhere_is_a_new_generation_with_other_evidence(pause: float) -> None:
    with Lab() as lab:
        lab.plug("office")
        with Rig(lab, pace=PATIENT) as rig:
            before = rig.wait(usable)
            lab.plug("home", dhcp_after=pause)
            after = rig.wait(lambda state: usable(state) and mac(state) == ROUTERS["home"].mac)
        assert after.generation > before.generation
        assert after.sip == before.sip, "nothing but the gateway's hardware address tells the places apart"
        wrong = [
            one
            for one in rig.states
            if one.sip and one.generation > before.generation and mac(one) == ROUTERS["office"].mac
        ]
        assert wrong == [], "the old place was claimed in a new generation"


def test_failure_03_a_pulled_cable_puts_the_light_off_and_the_same_socket_resumes() -> None:
    with Lab() as lab:
        lab.plug("office")
        with Rig(lab) as rig:
            before = rig.wait(usable)
            lab.unplug()
            lost = rig.wait(lambda state: state.interrupted)
            assert (lost.sip, lost.api, lost.generation) == (None, None, before.generation)
            assert lost.cause == "link eth0 lost carrier"
            lab.wired_up()
            back = rig.wait(lambda state: state.resumed > 0 and usable(state))
            assert (back.generation, back.sip) == (before.generation, before.sip)


def test_a_loss_longer_than_the_grace_ends_the_generation() -> None:
    with Lab() as lab:
        lab.plug("office")
        with Rig(lab, NetworkSettings(loss_grace=0.2)) as rig:
            before = rig.wait(usable)
            lab.unplug()
            gone = rig.wait(lambda state: not state.interrupted and state.sip is None)
            assert gone.generation == before.generation + 1


def test_failure_02_admin_down_takes_the_route_without_a_route_message() -> None:
    with Lab() as lab:
        lab.plug("office")
        with Rig(lab, pace=PATIENT) as rig:
            before = rig.wait(usable)
            lab.admin_down()
            assert rig.wait(lambda state: state.interrupted).sip is None
            lab.admin_up()
            assert rig.wait(usable).generation == before.generation


def test_failures_04_05_07_noise_changes_nothing() -> None:
    with Lab(ipv6=True) as lab:
        lab.plug("office")
        with Rig(lab) as rig:
            rig.wait(usable)
            rig.audit()
            before = list(rig.states)
            noise.everything(lab, rounds=10)
            rig.audit()
            assert rig.states == before
            assert rig.gaps == []


def test_failure_01_after_an_overrun_everything_is_read_again() -> None:
    with Lab() as lab:
        lab.plug("office")
        with Rig(lab) as rig:
            before = rig.wait(usable)
            rig.deafen()
            noise.flood(lab, 20_000)
            lab.unplug()
            rig.hear_again()
            lost = rig.wait(lambda state: state.interrupted)
            assert lost.generation == before.generation
            rig.audit()
            assert "overrun" in {gap.kind for gap in rig.gaps}
            lab.wired_up()
            assert rig.wait(usable).resumed == before.resumed + 1, "the watcher went deaf"


def test_a_flood_changes_nothing_and_delays_nothing_for_good() -> None:
    with Lab() as lab:
        lab.plug("office")
        with Rig(lab) as rig:
            rig.wait(usable)
            before = len(rig.states)
            noise.flood(lab, 40_000)
            lab.unplug()
            index, state = rig.wait_any(lambda one: one.interrupted, before)
            assert (index, state.cause) == (before, "link eth0 lost carrier")


def test_failure_09_a_flap_on_the_same_network_costs_no_generation() -> None:
    pace = Pace(free=3, first_hold=0.5, correction=0.0)
    with Lab() as lab:
        lab.plug("office")
        with Rig(lab, pace=pace) as rig:
            before = rig.wait(usable)
            for _ in range(12):
                lab.unplug()
                lab.wired_up()
            after = rig.wait(lambda state: usable(state) and not state.interrupted and not state.flapping)
            rig.audit()
            assert rig.last.generation == before.generation
            assert 0 < after.resumed <= pace.free + 2


def test_a_flap_between_two_networks_costs_few_generations_and_ends_in_the_truth() -> None:
    pace = Pace(free=3, first_hold=0.5, correction=0.0)
    with Lab() as lab:
        lab.plug("office")
        with Rig(lab, pace=pace) as rig:
            before = rig.wait(usable)
            for site in itertools.islice(itertools.cycle(("home", "office")), 9):
                lab.plug(site)
            after = rig.wait(lambda state: usable(state) and mac(state) == ROUTERS["home"].mac)
            used = {state.generation for state in rig.states if state.sip}
            assert len(used) <= pace.free + 3
            assert after.generation > before.generation


def test_the_backup_takes_over_and_the_wire_takes_back() -> None:
    with Lab(backup=True) as lab:
        lab.plug("office")
        lab.backup(up=True)
        with Rig(lab, pace=PATIENT) as rig:
            wired = rig.wait(
                lambda one: usable(one) and len([o for o in one.observations if o.kind == "gateway_mac"]) == 2
            )
            assert mac(wired) == ROUTERS["office"].mac
            lab.wired_down()
            backup = rig.wait(lambda one: usable(one) and mac(one) == ROUTERS["backup"].mac)
            assert backup.sip is not None
            assert (backup.sip.interface, backup.sip.source) == ("eth1", "192.168.2.50")
            assert backup.generation > wired.generation
            lab.plug("office")
            again = rig.wait(lambda one: usable(one) and mac(one) == ROUTERS["office"].mac)
            assert again.generation > backup.generation


def test_renumbering_is_a_new_path_at_the_same_place() -> None:
    with Lab() as lab:
        lab.plug("office")
        with Rig(lab, pace=PATIENT) as rig:
            before = rig.wait(usable)
            lab.renumber("192.168.7.1")
            after = rig.wait(lambda one: usable(one) and one.sip is not None and one.sip.source == "192.168.7.50")
            assert after.generation > before.generation
            after = rig.wait(lambda one: mac(one) == ROUTERS["office"].mac)


def test_a_network_with_ipv6_alone_is_a_path_with_evidence() -> None:
    with Lab(ipv6=True) as lab:
        lab.plug("office")
        with Rig(lab, host=PLATFORM6, pace=PATIENT) as rig:
            state = rig.wait(usable)
            assert state.sip is not None
            assert (state.sip.family, state.sip.source) == (6, "fd00:5:1::50")
            assert mac(state) == ROUTERS["office"].mac
            lab.plug("home")
            moved = rig.wait(lambda one: usable(one) and mac(one) == ROUTERS["home"].mac)
            assert moved.generation > state.generation


def test_failure_21_a_new_public_address_is_invisible_here() -> None:
    with Lab() as lab:
        lab.plug("office")
        with Rig(lab) as rig:
            rig.wait(usable)
            rig.audit()
            before = list(rig.states)
            lab.change_wan("office", "203.0.113.77")
            rig.audit()
            assert rig.states == before


def test_an_unresolvable_name_still_answers_whether_there_is_a_way_out() -> None:
    with Lab() as lab:
        lab.plug("office")
        with Rig(lab, host="registrar.invalid") as rig:
            state = rig.wait(usable)
            assert state.sip is not None
            assert state.sip.source == "192.168.1.50"


def test_the_light_goes_off_after_the_kernels_own_event() -> None:
    with Lab() as lab:
        lab.plug("office")
        with Rig(lab) as rig, lab.events() as events:
            rig.wait(usable)
            lab.unplug()
            kernel = events.wait("no carrier")
            index, _ = rig.wait_any(lambda state: state.interrupted)
            print(f"light off {1000 * (rig.seen_at[index] - kernel.at):.2f} ms after RTM_NEWLINK")  # noqa: T201
            assert rig.seen_at[index] <= time.monotonic()

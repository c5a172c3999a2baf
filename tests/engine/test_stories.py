"""Single stories in virtual time, one promise each: what the generated histories check, in readable form."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace

import pytest

from agent.dialstack.tokens import other_user
from agent.errors import NeedsHuman
from agent.model import Ask, CivicAddress, EmergencyAddress, StatusKind
from agent.occasion import Occasion
from tests.engine.virtual_world import ADDRESSES, HOME, OFFICE, PUBLIC, USER, World


@pytest.fixture(name="world")
def world_at_the_office() -> Iterator[World]:
    """A fixed device, confirmed and bound at the office."""
    world = World("fixed")
    world.plug("office")
    world.advance(2)
    assert world.confirm("office")
    world.advance(2)
    assert kind(world) is StatusKind.BOUND
    yield world
    assert not world.green_without_proof
    world.close()


def kind(world: World) -> StatusKind:
    return world.engine.light.kind


def ask(world: World) -> Ask:
    assert world.engine.decision is not None
    return world.engine.decision.ask


def count(world: World, what: str) -> int:
    return sum(item.kind == what for item in world.platform.seen)


def test_s2_the_light_goes_off_in_the_same_turn_in_which_the_carrier_is_lost(world: World) -> None:
    world.interrupted = True
    world.publish("carrier lost")
    assert kind(world) is StatusKind.OFFLINE


def test_s2_a_stale_anchor_is_not_green_before_the_verdict_had_time(world: World) -> None:
    core = world.platform.core
    core.behavior = core.behavior.changed({"network_changed_delay": 1.0})
    world.unplug()
    world.public["office"] = "203.0.113.99"
    world.platform.core.faults.set("status", "SIP REGISTER", status=503, count=1)
    world.plug("office")
    world.advance(0.9)
    assert kind(world) is not StatusKind.BOUND, "the anchor shows, but it is of the old network"
    world.advance(30)
    assert kind(world) is StatusKind.BOUND
    assert world.engine.binding.proof is not None
    assert world.engine.binding.proof.registered_ip == "203.0.113.99"


def test_s3_at_an_unknown_place_a_confirmation_counts_only_until_the_next_move(world: World) -> None:
    world.plug("nowhere")
    world.advance(5)
    assert (kind(world), ask(world)) == (StatusKind.PROVISIONAL, Ask.CONFIRM_PLACE)
    assert world.confirm("home")
    world.advance(5)
    assert kind(world) is StatusKind.BOUND
    world.plug("nowhere")
    world.advance(5)
    assert (kind(world), ask(world)) == (StatusKind.PROVISIONAL, Ask.CONFIRM_PLACE)


def test_s3_only_a_confirmed_address_of_this_network_is_told_to_the_line_for_emergency_calls(world: World) -> None:
    def told() -> tuple[str, bool]:
        generation, civic, confirmed = world.voice.location
        assert world.engine.network is not None
        assert generation == world.engine.network.generation
        return (civic.address_number if civic else "", confirmed)

    office = told()
    assert office[0]
    assert office[1]
    world.plug("nowhere")
    world.advance(5)
    assert told()[1] is False, "nobody has confirmed anything here"
    world.plug("office")
    world.advance(5)
    assert told() == office


def test_s4_a_move_during_an_emergency_call_binds_when_the_callback_window_is_over(world: World) -> None:
    world.dial(emergency=True)
    before = count(world, "write"), count(world, "accepted")
    world.plug("home")
    world.advance(60)
    assert (count(world, "write"), count(world, "accepted")) == before
    assert kind(world) is not StatusKind.BOUND
    world.engine_call(world.voice.hang_up)
    world.advance(60)
    assert (count(world, "write"), count(world, "accepted")) == before, "the callback window counts, too"
    world.engine_call(world.voice.window_over)
    world.advance(5)
    assert kind(world) is StatusKind.PROVISIONAL


def test_s6_network_changed_puts_the_light_out_and_asks(world: World) -> None:
    world.engine_call(lambda: world.platform.deliver(world.platform.core.push_network_changed(USER)))
    world.advance(0.1)
    assert (kind(world), ask(world)) == (StatusKind.UNBOUND, Ask.CONFIRM_PLACE)
    presented = count(world, "presented")
    world.advance(3600)
    assert kind(world) is StatusKind.UNBOUND, "the no is final until somebody answers"
    assert count(world, "presented") == presented
    assert world.confirm("office")
    world.advance(5)
    assert kind(world) is StatusKind.BOUND


def test_s6_an_address_that_is_gone_is_asked_for_and_registered_again(world: World) -> None:
    for saved in world.platform.core.addresses.of(USER):
        world.platform.core.delete_address(USER, saved.id)
    world.unplug()
    world.plug("office")
    world.advance(5)
    assert (kind(world), ask(world)) == (StatusKind.UNBOUND, Ask.CONFIRM_PLACE)
    assert world.engine.light.cause == "address_gone"
    assert world.confirm("office")
    world.advance(5)
    assert kind(world) is StatusKind.BOUND


def test_s7_without_any_address_the_phone_registers_and_stays_registered() -> None:
    world = World("movable")
    world.plug("home")
    world.advance(1000)
    assert world.voice.registered
    assert (kind(world), ask(world)) == (StatusKind.UNBOUND, Ask.CONFIRM_PLACE)
    assert count(world, "presented") == 0
    world.close()


def test_s8_every_decision_says_why(world: World) -> None:
    world.plug("home")
    world.advance(3)
    newest = world.desk.decisions(1)[0]
    assert newest.verdict == "new"
    assert newest.reasons == ("place_new", "fixed_device")
    assert newest.evidence == ("subnet 192.168.1.0/24 on eth0", "gateway_mac 02:00:00:00:00:02 on eth0")
    assert newest.wanted.startswith(OFFICE.one_line())


def test_s11_a_flap_of_ten_minutes_costs_at_most_ten_registers_and_ten_writes(world: World) -> None:
    registers, writes = world.voice.registers, count(world, "write")
    for _ in range(600):
        world.flap(0.5)
        world.advance(0.5)
    assert world.voice.registers - registers <= 10
    assert count(world, "write") - writes <= 10
    world.advance(30)
    assert kind(world) is StatusKind.BOUND


def test_s11_a_public_address_that_changes_all_the_time_is_not_chased(world: World) -> None:
    writes = count(world, "write")
    for number in range(60):
        world.change_wan(100 + number)
        world.advance(10)
    assert count(world, "write") - writes <= 10


def test_s12_a_suspend_is_a_new_generation_and_is_recorded(world: World) -> None:
    world.suspend(3600)
    assert kind(world) is StatusKind.CONNECTING
    world.advance(5)
    assert kind(world) is StatusKind.BOUND
    assert world.store.events("gap:suspend")[0][1] == 3600


def test_failure_10_and_11_a_clock_step_changes_nothing(world: World) -> None:
    registers = world.voice.registers
    world.clock.offset += 86400
    world.advance(5)
    assert kind(world) is StatusKind.BOUND
    assert world.voice.registers == registers


def test_failure_13_the_network_changes_while_an_earlier_change_is_in_progress(world: World) -> None:
    for site in ("home", "office", "home", "office", "home"):
        world.plug(site)
        world.advance(0.015)
    world.advance(10)
    assert kind(world) is StatusKind.PROVISIONAL
    world.plug("office")
    world.advance(5)
    assert kind(world) is StatusKind.BOUND


def test_failure_20_nothing_is_bound_after_a_restart_before_it_is_proven(world: World) -> None:
    lights = len(world.lights)
    world.restart()
    assert StatusKind.BOUND not in {kind for _, kind in world.lights[lights:]}
    world.advance(5)
    assert kind(world) is StatusKind.BOUND


def test_failure_21_only_the_wan_address_changes(world: World) -> None:
    world.change_wan(77)
    world.advance(60)
    assert kind(world) is StatusKind.BOUND
    assert world.engine.binding.proof is not None
    assert world.engine.binding.proof.registered_ip == "203.0.113.77"
    assert ask(world) is Ask.NOTHING, "failure 22: nobody is asked at night"


def test_failure_23_a_kiosk_moved_while_it_was_switched_off_claims_nothing(world: World) -> None:
    world.site = None
    world.platform.weather.public = None
    world.restart()
    world.plug("home")
    world.advance(5)
    assert (kind(world), ask(world)) == (StatusKind.PROVISIONAL, Ask.CONFIRM_PLACE)


def test_failure_24_a_token_that_expired_for_a_week_recovers_by_itself(world: World) -> None:
    world.platform.token_fails = True
    world.platform.forget()
    world.unplug()
    world.plug("office")
    world.advance(7 * 86400)
    assert kind(world) is StatusKind.FAULT
    assert world.voice.registered, "the phone goes on"
    world.platform.token_fails = False
    world.advance(60)
    assert kind(world) is StatusKind.BOUND


def test_failure_25_a_replaced_session_is_not_taken_back(world: World) -> None:
    session = next(iter(world.platform.sessions.values()))
    accepted = count(world, "accepted")
    replaced = world.platform.core.signalling.end(session.id, "session_replaced", "another device")
    world.engine_call(lambda: world.platform.deliver(replaced))
    world.advance(7200)
    assert count(world, "accepted") == accepted
    assert (kind(world), world.engine.light.cause) == (StatusKind.FAULT, "session_replaced")
    world.plug("office")
    world.advance(5)
    assert kind(world) is StatusKind.BOUND, "a new network is a reason to try once"


def test_an_exposure_window_is_measured_from_the_loss_to_the_proof(world: World) -> None:
    world.unplug()
    world.advance(40)
    world.plug("office")
    world.advance(5)
    assert kind(world) is StatusKind.BOUND
    last = world.engine.lamp.exposure.last_seconds
    assert last is not None
    assert 40 < last < 42
    assert world.engine.lamp.exposure.since_wall is None


def test_the_address_that_was_confirmed_elsewhere_is_not_forgotten(world: World) -> None:
    world.plug("home")
    world.advance(2)
    assert world.confirm("home")
    world.advance(2)
    for name, civic in (("office", OFFICE), ("home", HOME), ("office", OFFICE)):
        world.plug(name)
        world.advance(5)
        overview = world.desk.overview()
        assert (overview.status.kind, overview.proven) == (StatusKind.BOUND, True)
        assert overview.address is not None
        assert overview.address.street == civic.street


def test_s3_through_an_outage_of_the_api_the_line_presents_what_was_proven_here(world: World) -> None:
    world.platform.weather.api_down = True
    world.restart()
    world.advance(60)
    assert kind(world) is not StatusKind.BOUND, "nothing is claimed without a read-back"
    saved = world.platform.core.addresses.of(USER)[0]
    assert world.voice.state.registration.presented_id == saved.id
    assert world.platform.core.bound_address(USER, PUBLIC["office"], "sip") == saved.id
    world.plug("home")
    world.advance(60)
    assert world.voice.registered
    at_home = world.voice.state.registration
    assert at_home.presented_id is None, "it does not travel"
    world.platform.weather.api_down = False
    world.advance(60)
    assert kind(world) is StatusKind.PROVISIONAL


def test_s3_a_wish_for_the_old_place_is_dropped_before_the_new_place_is_known() -> None:
    """A direct move (Wi-Fi to cable, a suspend) while the API was being retried."""
    for delay in range(40, 60):
        world = World("movable")
        world.plug("office")
        world.advance(2)
        world.platform.weather.api_down = True
        world.advance(0.1)
        assert not world.confirm("office")
        world.platform.weather.api_down = False
        assert world.confirm("office")
        world.platform.weather.api_down = True
        world.plug("office")
        world.advance(delay)
        world.platform.weather.api_down = False
        world.evidence_after = 2.0
        world.plug("home")
        world.advance(5)
        world.check_presented()
        assert not world.presented_wrongly
        world.close()


def answer(world: World, question_id: str) -> None:
    """Say that the phone is at the office, in answer to a question that was shown then."""
    told = world.desk.confirm(address_id=None, civic=ADDRESSES["office"], who="staff", question_id=question_id)
    world.loop.finish(told)


def test_s3_an_answer_to_a_question_that_was_asked_at_another_place_is_not_used(world: World) -> None:
    """A window that was left open at the office, and a tap on it when the phone is at home."""
    asked_at_office = world.desk.overview().question_id
    world.unplug()
    world.plug("home")
    world.advance(5)
    with pytest.raises(NeedsHuman, match="The phone has changed its network since this question was shown") as refused:
        answer(world, asked_at_office)
    assert refused.value.code == "place_changed"
    world.advance(60)
    assert kind(world) is StatusKind.PROVISIONAL
    assert ask(world) is Ask.CONFIRM_PLACE
    answer(world, world.desk.overview().question_id)
    world.advance(5)
    assert kind(world) is StatusKind.BOUND


def test_s3_an_answer_counts_after_the_cable_was_out_for_a_while_at_the_same_place(world: World) -> None:
    asked, generation = world.desk.overview().question_id, world.generation
    world.unplug()
    world.plug("office")
    world.advance(5)
    assert world.generation > generation
    answer(world, asked)


def test_s3_no_answer_of_before_a_start_of_the_agent_counts_where_nothing_identifies_the_place() -> None:
    here = Occasion("aa", 3, None)
    assert here.fits("aa.3.")
    assert here.fits("aa.3.7"), "the place became known, or was forgotten, in the same network"
    for told in ("bb.3.", "aa.4.", "aa.2.7", "", "aa.3", "x", "aa.3.7\n", "AA.3.7"):
        assert not here.fits(told), told
    assert Occasion("aa", 3, 7).fits("bb.9.7"), "the same place by its evidence"
    assert not Occasion("aa", 3, 7).fits("bb.3.8")


class Overtaken:
    """The platform of a user, and settings that make the phone another user's while it answers."""

    def __init__(self, world: World, *, user: str, another_api: bool) -> None:
        self._world, self._api, self._user, self._another = world, world.desk._api, user, another_api

    def __getattr__(self, name: str) -> object:
        return getattr(self._api, name)

    async def ensure(self, civic: CivicAddress) -> EmergencyAddress:
        record = await self._api.ensure(civic)
        self._world.engine.user = self._user
        if self._another:
            self._world.desk.use(self._api)
        return record


@pytest.mark.parametrize(("user", "another_api"), [("user_two", False), (USER, True)])
def test_s3_an_address_that_was_registered_for_another_user_is_neither_kept_nor_confirmed(
    user: str,
    another_api: bool,  # noqa: FBT001 - a table of cases
    world: World,
) -> None:
    world.unplug()
    world.plug("home")
    world.advance(5)
    for act in (
        lambda: world.desk.add_address(HOME),
        lambda: world.desk.confirm(address_id=None, civic=HOME, who="staff"),
    ):
        api = world.desk._api
        world.desk.use(Overtaken(world, user=user, another_api=another_api))  # type: ignore[arg-type]
        with pytest.raises(NeedsHuman, match="was given another account while that was being saved") as refused:
            world.loop.finish(act())
        assert refused.value.code == "account_changed"
        world.engine.user = USER
        world.desk.use(api)
    assert kind(world) is StatusKind.PROVISIONAL
    assert world.engine.store.rows("SELECT * FROM confirmations WHERE civic LIKE '%Elm%'") == []
    assert world.engine.store.rows("SELECT * FROM civics WHERE civic LIKE '%Elm%'") == []


def test_an_address_is_not_registered_with_somebody_elses_token(world: World) -> None:
    world.engine.binding = replace(world.engine.binding, problem=other_user(USER, "user_two"))
    before = count(world, "write")
    with pytest.raises(NeedsHuman) as refused:
        world.loop.finish(world.desk.add_address(HOME))
    assert refused.value.code == "token_other_user"
    assert count(world, "write") == before


def test_s6_a_second_no_does_not_take_the_first_one_back(world: World) -> None:
    for _ in range(3):
        world.engine_call(lambda: world.platform.deliver(world.platform.core.push_network_changed(USER)))
        world.advance(60)
        assert (kind(world), ask(world)) == (StatusKind.UNBOUND, Ask.CONFIRM_PLACE)


def test_s6_an_address_deleted_where_it_was_registered_is_asked_for_not_replaced() -> None:
    world = World("fixed")
    world.plug("office")
    world.advance(3)
    writes = count(world, "write")
    for saved in world.platform.core.addresses.of(USER):
        world.platform.core.delete_address(USER, saved.id)
    world.advance(3600)
    assert (kind(world), ask(world)) == (StatusKind.UNBOUND, Ask.CONFIRM_PLACE)
    assert count(world, "write") == writes
    world.close()


def test_s12_a_full_disk_costs_the_records_and_nothing_else(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    for name in ("add_decision", "add_event", "set_anchor", "select"):
        monkeypatch.setattr(world.store, name, full)
    world.interrupted = True
    world.publish("carrier lost")
    assert kind(world) not in {StatusKind.BOUND, StatusKind.PROVISIONAL}
    world.interrupted = False
    world.plug("office")
    world.advance(5)
    assert world.voice.registered
    assert world.engine.is_proven()
    monkeypatch.undo()
    world.plug("office")
    world.advance(5)
    assert kind(world) is StatusKind.FAULT, "a store in memory stays a fault"


def test_s4_a_person_cannot_delete_or_clear_during_an_emergency_call(world: World) -> None:
    world.dial(emergency=True)
    address = world.platform.core.addresses.of(USER)[0].id
    for act in (world.desk.clear_address, world.desk.forget_address):
        with pytest.raises(NeedsHuman, match="emergency call"):
            world.loop.finish(act(address))
    assert world.platform.core.addresses.of(USER)[0].registered_ip == PUBLIC["office"]

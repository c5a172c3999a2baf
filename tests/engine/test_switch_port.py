"""The port of the network switch: a move behind the same router is noticed, all else stays as fast as ever."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from agent.heard import Heard, Hearing, NamedAddress
from agent.model import Ask, StatusKind
from agent.surroundings import SILENCE
from tests.engine.virtual_world import HOME, OFFICE, World

FLOOR_4 = {
    "address_number": "123", "street": "Main Street", "unit": "Floor 4", "city": "San Francisco", "state": "CA",
    "postal_code": "94105", "country": "US",
}  # fmt: skip


@pytest.fixture(params=["fixed", "movable"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """A phone that staff confirmed at the office, where the switch is heard."""
    made = World(request.param)
    made.plug("office")
    made.advance(3)
    assert made.confirm("office")
    made.advance(5)
    assert kind(made) is StatusKind.BOUND
    yield made
    made.close()


def kind(world: World) -> StatusKind:
    return world.engine.light.kind


def asked(world: World) -> Ask:
    assert world.engine.decision is not None
    return world.engine.decision.ask


def writes(world: World) -> int:
    return sum(item.kind == "write" for item in world.platform.seen)


def move(world: World, site: str) -> None:
    world.unplug()
    world.advance(10)
    world.plug(site)


def test_s3_a_move_behind_the_same_router_turns_the_light_off_and_asks(world: World) -> None:
    world.port_after = 20.0
    move(world, "upstairs")
    world.advance(19)
    assert kind(world) is StatusKind.BOUND, "the router is the same: a known place is bound at once, as ever"
    generation = world.generation
    world.advance(1.05)
    assert world.generation == generation + 1
    assert kind(world) is not StatusKind.BOUND
    world.advance(5)
    assert asked(world) is Ask.CONFIRM_PLACE
    assert kind(world) is (StatusKind.PROVISIONAL if world.settings.device.mobility == "fixed" else StatusKind.UNBOUND)
    assert not world.green_without_proof


def test_back_at_its_socket_it_is_bound_again_without_a_question(world: World) -> None:
    move(world, "upstairs")
    world.advance(10)
    assert world.confirm("upstairs", HOME)
    world.advance(5)
    for site, civic in (("office", OFFICE), ("upstairs", HOME), ("office", OFFICE)):
        move(world, site)
        world.advance(10)
        assert kind(world) is StatusKind.BOUND
        assert world.engine.decision is not None
        assert (world.engine.decision.wanted.civic or HOME).street == civic.street


def test_moved_while_it_was_switched_off_is_noticed_too(world: World) -> None:
    world.loop.finish(world._stop())
    world.site = None
    world.generation = 0
    world.plug_silently("upstairs")
    world.start()
    world.advance(10)
    assert asked(world) is Ask.CONFIRM_PLACE
    assert kind(world) is not StatusKind.BOUND


def test_s11_a_port_that_agrees_or_is_new_to_the_place_costs_nothing() -> None:
    world = World("movable")
    world.port_after = 40.0
    world.plug("office")
    world.advance(3)
    assert world.confirm("office")
    world.advance(10)
    before = (world.generation, world.voice.registers, writes(world))
    assert kind(world) is StatusKind.BOUND
    world.advance(30)  # the port is heard: the place learns it
    assert (world.generation, world.voice.registers - before[1], writes(world)) == (before[0], 0, before[2])
    assert kind(world) is StatusKind.BOUND
    place = world.engine.memory.place(world.engine.where.verdict.place_id)
    assert place is not None
    assert "switch_port" in {one.kind for one in place.observations}
    world.close()


def test_an_answer_given_before_the_port_is_heard_counts_where_the_phone_really_is(world: World) -> None:
    world.port_after = 20.0
    move(world, "upstairs")
    world.advance(5)
    assert world.confirm("upstairs", HOME)  # staff do not wait for switches
    world.advance(20)
    assert kind(world) is StatusKind.BOUND, "nobody is asked again"
    move(world, "office")
    world.advance(25)
    assert world.engine.decision is not None
    assert (world.engine.decision.wanted.civic or HOME).street == OFFICE.street, "the office kept its own answer"


def test_an_answer_given_before_the_cable_was_moved_stays_where_it_was_given(world: World) -> None:
    world.port_after = 20.0
    move(world, "office")
    world.advance(5)
    assert world.confirm("office", HOME)
    world.advance(2)
    world.flap_to("upstairs")
    world.advance(25)
    assert asked(world) is Ask.CONFIRM_PLACE
    move(world, "office")
    world.advance(25)
    assert world.engine.decision is not None
    assert (world.engine.decision.wanted.civic or OFFICE).street == HOME.street


def test_s4_during_an_emergency_call_the_port_only_turns_the_light_off(world: World) -> None:
    world.port_after = 20.0
    move(world, "upstairs")
    world.advance(5)
    assert world.dial(emergency=True)
    registers, generation = world.voice.registers, world.generation
    world.advance(16)
    assert world.generation == generation
    assert kind(world) is not StatusKind.BOUND
    assert world.voice.registers == registers
    world.engine_call(world.voice.hang_up)
    world.engine_call(world.voice.window_over)
    world.advance(5)
    assert world.generation == generation + 1
    assert asked(world) is Ask.CONFIRM_PLACE


def test_a_switch_that_falls_silent_changes_nothing_and_is_said(world: World) -> None:
    said = "The network switch is not heard any more"
    world.heard = replace(world.heard, hearing=Hearing.ON)
    world.port_heard_at = None
    world.engine_call(lambda: world.engine.network_changed(world.state("silent")))
    world.advance(SILENCE - 1)
    assert not any(said in notice for notice in world.desk.overview().notices)
    world.advance(2)
    assert any(said in notice for notice in world.desk.overview().notices)
    assert kind(world) is StatusKind.BOUND


# ------------------------------------------------------------------ what the network names


def named(world: World, fields: dict[str, str], floor: str = "4") -> None:
    world.heard = Heard(Hearing.ON, world.heard.ports, NamedAddress(fields, floor), "lldp")
    world.engine_call(lambda: world.engine.network_changed(world.state("the switch says where")))
    world.advance(1)


def test_s3_an_address_that_the_network_names_is_offered_and_never_presented_by_itself() -> None:
    world = World("movable")
    world.plug("office")
    world.advance(3)
    named(world, FLOOR_4)
    world.advance(60)
    assert kind(world) is StatusKind.UNBOUND
    overview = world.desk.overview()
    assert [(one.civic.unit, one.hint) for one in overview.choices][1] == ("Floor 4", "what the network switch says")
    assert overview.heard.source == "lldp"
    world.check_presented()
    assert not world.presented_wrongly
    world.close()


def test_one_that_is_saved_already_carries_the_reason_and_stands_once(world: World) -> None:
    move(world, "home")
    world.advance(5)
    assert world.confirm("home")
    move(world, "nowhere")
    world.advance(5)
    named(world, {name: getattr(OFFICE, name) for name in FLOOR_4} | {"unit": "Ste. 400"}, "")
    found = [(one.civic.street, one.id is not None, one.hint) for one in world.desk.overview().choices]
    assert [street for street, _, _ in found].count("Main St") == 1
    assert ("Main St", True, "what the network switch says") in found[:2]


def test_half_an_address_is_no_choice_but_fills_in_the_form(world: World) -> None:
    move(world, "home")
    world.advance(5)
    named(world, {"address_number": "123", "street": "Main St"}, "")
    assert "what the network switch says" not in {one.hint for one in world.desk.overview().choices}
    assert world.desk.overview().heard.named is not None


def test_a_disagreement_is_an_alarm_in_words_and_in_the_history_and_changes_nothing(world: World) -> None:
    before = world.engine.decision
    named(world, FLOOR_4 | {"address_number": "125"})
    notices = [notice for notice in world.desk.overview().notices if notice.startswith("The network says that")]
    assert notices == [
        (
            "The network says that this phone is at 125 Main Street, Floor 4, San Francisco, CA 94105, but "
            "123 Main St, Suite 400, San Francisco, CA 94105 was confirmed here. 911 is still sent to the confirmed "
            "address. Please check where this phone is, and confirm it again or have the network corrected."
        )
    ]
    assert kind(world) is StatusKind.BOUND
    assert world.engine.decision == before
    marks = [mark.kind for mark in world.store.past.marks(0)]
    assert marks.count("disagreement") == 1
    for number in range(100):  # whoever says something else all the time fills no disk
        named(world, FLOOR_4 | {"address_number": f"{number}00"})
    assert [mark.kind for mark in world.store.past.marks(0)].count("disagreement") <= 4
    named(world, FLOOR_4)
    assert not any(notice.startswith("The network says that") for notice in world.desk.overview().notices)

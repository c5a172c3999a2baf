"""The decision table of design.md, row by row, with the reasons that are recorded (S3, S6, S7, S8)."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any, Literal

import pytest

from agent.decide import Facts, Memory, Policy, decide
from agent.model import (
    AddressSource,
    Ask,
    CivicAddress,
    Confirmation,
    Decision,
    LinkKind,
    NetworkState,
    Path,
    Place,
    Verdict,
    VerdictKind,
)

HERE = CivicAddress("123", "Main St", "San Francisco", "CA", "94105", "Suite 400")
CONFIGURED = CivicAddress("500", "Elm St", "San Francisco", "CA", "94105")
PATH = Path("eth0", 2, "192.0.2.7", "192.0.2.1", "203.0.113.1", LinkKind.ETHERNET, 4)
NETWORK = NetworkState(7, PATH, PATH, (), evidence_complete=True, cause="", event_at=0.0)
ANCHOR = "203.0.113.7"
Mobility = Literal["fixed", "movable"]


def place(number: int = 1, *, confirmed: bool = True, address_id: str | None = "e_here") -> Place:
    said = Confirmation(HERE, address_id, 1.0, "local screen") if confirmed else None
    return Place(number, (), said, ANCHOR, ANCHOR, 1.0)


def told(
    kind: VerdictKind,
    mobility: Mobility = "fixed",
    *,
    place_id: int | None = 1,
    network: NetworkState = NETWORK,
    memory: Memory | None = None,
    configured: CivicAddress | None = CONFIGURED,
    **facts: Any,
) -> Decision:
    known = memory if memory is not None else Memory(places=(place(),), configured_id="e_conf")
    return decide(Facts(network, Verdict(kind, place_id), **facts), known, Policy(mobility, configured))


def presents(decision: Decision) -> tuple[object, ...]:
    wanted = decision.wanted
    return (wanted.civic, wanted.address_id, wanted.keep_anchor, wanted.source, wanted.provisional)


NOTHING = (None, None, None, None, False)
SAME, KNOWN, NEW, UNKNOWN = VerdictKind.SAME, VerdictKind.KNOWN, VerdictKind.NEW, VerdictKind.UNKNOWN
HERE_KEPT = (HERE, "e_here", ANCHOR, AddressSource.CONFIRMED_HERE, False)
HERE_CLEARED = (HERE, "e_here", None, AddressSource.CONFIRMED_HERE, False)
PROVISIONAL = (CONFIGURED, "e_conf", None, AddressSource.CONFIGURED, True)
CONFIRM, CHOOSE = Ask.CONFIRM_PLACE, Ask.CHOOSE_ADDRESS

TABLE: list[tuple[VerdictKind, Mobility, dict[str, Any], tuple[object, ...], Ask, int, set[str]]] = [
    # verdict, device, facts, what is presented, question, attempt, reasons
    (SAME, "fixed", {}, HERE_KEPT, Ask.NOTHING, 1, {"place_same", "place_confirmed", "fixed_device"}),
    (SAME, "movable", {}, HERE_KEPT, Ask.NOTHING, 1, {"place_same", "place_confirmed", "movable_device"}),
    (SAME, "fixed", {"wan_changes": 1}, HERE_CLEARED, Ask.NOTHING, 2,
     {"place_same", "place_confirmed", "wan_changed", "fixed_device"}),
    (SAME, "movable", {"wan_changes": 2}, HERE_CLEARED, Ask.NOTHING, 3,
     {"place_same", "place_confirmed", "wan_changed", "movable_device"}),
    (KNOWN, "fixed", {}, HERE_KEPT, Ask.NOTHING, 1, {"place_known", "place_confirmed", "fixed_device"}),
    (KNOWN, "movable", {}, HERE_KEPT, Ask.NOTHING, 1, {"place_known", "place_confirmed", "movable_device"}),
    (KNOWN, "movable", {"wan_changes": 1}, HERE_CLEARED, Ask.NOTHING, 2,
     {"place_known", "place_confirmed", "wan_changed", "movable_device"}),
    (NEW, "fixed", {"place_id": 2}, PROVISIONAL, CONFIRM, 1, {"place_new", "fixed_device"}),
    (NEW, "movable", {"place_id": 2}, NOTHING, CONFIRM, 1, {"place_new", "movable_device"}),
    (UNKNOWN, "fixed", {"place_id": None}, PROVISIONAL, CONFIRM, 1, {"place_unknown", "fixed_device"}),
    (UNKNOWN, "movable", {"place_id": None}, NOTHING, CONFIRM, 1, {"place_unknown", "movable_device"}),
    # nobody ever confirmed there
    (SAME, "fixed", {"place_id": 2}, (*PROVISIONAL[:2], ANCHOR, *PROVISIONAL[3:]), CONFIRM, 1,
     {"place_same", "fixed_device"}),
    (KNOWN, "movable", {"place_id": 2}, (None, None, ANCHOR, None, False), CONFIRM, 1,
     {"place_known", "movable_device"}),
    # no configured address
    (NEW, "fixed", {"place_id": 2, "configured": None}, NOTHING, CHOOSE, 1,
     {"place_new", "fixed_device", "no_configured_address"}),
    (NEW, "movable", {"place_id": 2, "configured": None}, NOTHING, CHOOSE, 1,
     {"place_new", "movable_device", "no_configured_address"}),
    # the platform's no
    (SAME, "fixed", {"denials": 1}, HERE_CLEARED, Ask.NOTHING, 2,
     {"place_same", "place_confirmed", "fixed_device", "denied"}),
    (SAME, "fixed", {"denials": 2, "denied_after_clear": True}, NOTHING, CONFIRM, 2,
     {"place_same", "place_confirmed", "fixed_device", "denied", "denied_after_clear"}),
    (NEW, "fixed", {"place_id": 2, "denials": 1, "denied_after_clear": True}, NOTHING, CONFIRM, 1,
     {"place_new", "fixed_device", "denied", "denied_after_clear"}),
    (SAME, "fixed", {"refused": True}, (None, None, ANCHOR, None, False), Ask.FIX_ADDRESS, 1,
     {"place_same", "place_confirmed", "fixed_device", "address_refused"}),
    (NEW, "fixed", {"place_id": 2, "refused": True}, NOTHING, Ask.FIX_ADDRESS, 1,
     {"place_new", "fixed_device", "address_refused"}),
    (NEW, "movable", {"place_id": 2, "refused": True}, NOTHING, CONFIRM, 1,
     {"place_new", "movable_device", "address_refused"}),
    # a person answered
    (SAME, "movable", {"answers": 1}, HERE_KEPT, Ask.NOTHING, 2, {"place_same", "place_confirmed", "movable_device"}),
    (SAME, "movable", {"answers": 2, "wan_changes": 1, "denials": 1}, HERE_CLEARED, Ask.NOTHING, 5,
     {"place_same", "place_confirmed", "movable_device", "wan_changed", "denied"}),
    # an emergency call: decided and recorded as ever, acted upon afterwards by the engine
    (SAME, "fixed", {"interlock": True}, HERE_KEPT, Ask.NOTHING, 1,
     {"place_same", "place_confirmed", "fixed_device", "interlock"}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "mobility", "facts", "presented", "ask", "attempt", "reasons"), TABLE)
def test_the_table(  # noqa: PLR0917 - one row of the table
    kind: VerdictKind,
    mobility: Mobility,
    facts: dict[str, Any],
    presented: tuple[object, ...],
    ask: Ask,
    attempt: int,
    reasons: set[str],
) -> None:
    memory = Memory(places=(place(), place(2, confirmed=False)), configured_id="e_conf")
    decision = told(kind, mobility, memory=memory, **facts)
    assert presents(decision) == presented
    assert (decision.ask, decision.alert) == (ask, ask is not Ask.NOTHING)
    assert (decision.wanted.generation, decision.wanted.attempt) == (7, attempt)
    assert set(decision.reasons.true()) == reasons
    assert decision.verdict.kind is kind


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({"evidence_complete": False}, {"evidence_incomplete"}),
        ({"sip": None, "api": None}, {"no_path", "place_same"}),
        ({"flapping": True}, {"flapping", "place_same"}),
    ],
)
def test_before_the_network_is_settled_nothing_is_presented_and_nothing_asked(
    changes: dict[str, Any], reasons: set[str]
) -> None:
    decision = told(SAME, network=dataclasses.replace(NETWORK, **changes))
    assert (decision.wanted.civic, decision.ask, decision.alert) == (None, Ask.NOTHING, False)
    assert set(decision.reasons.true()) == reasons | {"place_confirmed", "fixed_device"}


@pytest.mark.parametrize("changes", [{"sip": None}, {"api": None}, {"interrupted": True}])
def test_one_of_two_paths_or_a_moment_without_sight_changes_no_decision(changes: dict[str, Any]) -> None:
    decision = told(SAME, network=dataclasses.replace(NETWORK, **changes))
    assert presents(decision) == HERE_KEPT
    assert decision.reasons.interrupted == changes.get("interrupted", False)


# ------------------------------------------------------------------ the rules

MEMORIES = [
    Memory(
        configured_id=configured_id, configured_gone=gone, last_confirmed=last, places=(one, place(2, confirmed=False))
    )
    for configured_id, gone in (("e_conf", False), (None, False), (None, True))
    for last in (None, HERE)
    for one in (place(), place(confirmed=False), place(address_id=None))
]
FLAGS = [
    {"denials": denials, "denied_after_clear": final, "refused": refused, "wan_changes": wan, "answers": answers}
    for denials, final in ((0, False), (1, False), (1, True), (3, True))
    for refused, wan, answers in itertools.product((False, True), (0, 1), (0, 1))
]
EVERYTHING = [
    (kind, place_id, mobility, configured, memory, flags)
    for kind in VerdictKind
    for place_id in ((None,) if kind is UNKNOWN else (1, 2))
    for mobility in ("fixed", "movable")
    for configured in (CONFIGURED, None)
    for memory in MEMORIES
    for flags in FLAGS
]


def everywhere() -> list[tuple[Decision, Any]]:
    return [
        (told(kind, mobility, place_id=place_id, configured=configured, memory=memory, **flags),  # type: ignore[arg-type]
         (kind, place_id, mobility, configured, memory, flags))
        for kind, place_id, mobility, configured, memory, flags in EVERYTHING
    ]  # fmt: skip


def test_s3_no_address_travels_by_itself() -> None:
    for decision, (_, place_id, mobility, configured, memory, _) in everywhere():
        wanted = decision.wanted
        if wanted.civic is None:
            assert (wanted.address_id, wanted.source, wanted.provisional) == (None, None, False)
            continue
        there = memory.place(place_id)
        if wanted.source is AddressSource.CONFIRMED_HERE:
            assert there is not None
            assert there.confirmation is not None
            assert (wanted.civic, wanted.address_id) == (there.confirmation.civic, there.confirmation.address_id)
            assert not wanted.provisional
        else:
            assert (mobility, wanted.civic) == ("fixed", configured)
            assert (wanted.provisional, decision.ask, decision.alert) == (True, CONFIRM, True)


def test_s3_a_movable_device_presents_nothing_where_nobody_confirmed() -> None:
    for decision, (kind, place_id, mobility, _, memory, _) in everywhere():
        there = memory.place(place_id)
        if mobility == "movable" and (kind in {NEW, UNKNOWN} and (there is None or there.confirmation is None)):
            assert decision.wanted.civic is None
            assert decision.ask in {CONFIRM, CHOOSE}
            assert decision.alert


def test_s3_an_anchor_is_kept_only_where_the_place_is_known_and_nothing_speaks_against_it() -> None:
    for decision, (kind, *_, flags) in everywhere():
        if kind in {NEW, UNKNOWN} or flags["denials"] or flags["wan_changes"]:
            assert decision.wanted.keep_anchor is None


def test_s6_the_platforms_no_is_final_in_any_order() -> None:
    for decision, (*_, flags) in everywhere():
        if flags["denied_after_clear"] or flags["refused"]:
            assert decision.wanted.civic is None
            assert decision.ask is not Ask.NOTHING
            assert decision.alert


def test_s6_a_lost_address_is_not_registered_again_without_a_person() -> None:
    for kind, place_id in ((SAME, 1), (KNOWN, 1), (NEW, 2), (UNKNOWN, None)):
        memory = Memory(places=(place(address_id=None),), configured_gone=True)
        decision = told(kind, place_id=place_id, memory=memory)
        assert (decision.wanted.civic, decision.ask) == (None, CONFIRM)
        assert decision.reasons.address_gone


def test_s6_a_no_after_clearing_is_not_answered_by_another_try() -> None:
    before = told(SAME, denials=1)
    after = told(SAME, denials=2, denied_after_clear=True)
    assert before.wanted.attempt == after.wanted.attempt


def test_s6_whatever_happens_next_makes_the_attempt_grow() -> None:
    """An attempt number that comes back would let an old proof or registration count."""
    steps: list[dict[str, Any]] = [
        {}, {"denials": 1}, {"denials": 2, "denied_after_clear": True}, {"answers": 3},
        {"answers": 3, "wan_changes": 1},
        {"answers": 3, "wan_changes": 1, "denials": 1}, {"answers": 5, "wan_changes": 1},
    ]  # fmt: skip
    attempts = [told(SAME, **step).wanted.attempt for step in steps]
    assert attempts == sorted(attempts)
    assert attempts == [1, 2, 2, 4, 5, 6, 7]


def test_s7_without_any_address_the_device_stays_connected() -> None:
    """Presenting nothing is a wish like any other: generation and attempt stand in it, the line registers so."""
    for decision, _ in everywhere():
        assert decision.wanted.generation == 7
        assert decision.wanted.attempt >= 1


def test_s8_every_reason_is_named_and_the_same_question_has_the_same_answer() -> None:
    for (decision, _), (again, _) in zip(everywhere(), everywhere(), strict=True):
        assert decision == again
        assert decision.reasons.true()


@pytest.mark.parametrize(
    ("last", "configured", "ask"), [(HERE, None, CONFIRM), (None, CONFIGURED, CONFIRM), (None, None, CHOOSE)]
)
def test_the_question_offers_an_answer_where_there_is_a_likely_one(
    last: CivicAddress | None, configured: CivicAddress | None, ask: Ask
) -> None:
    assert told(NEW, "movable", place_id=2, configured=configured, memory=Memory(last_confirmed=last)).ask is ask


def test_a_configured_address_that_is_not_registered_yet_is_wanted_without_an_id() -> None:
    assert presents(told(NEW, place_id=2, memory=Memory())) == (CONFIGURED, None, None, AddressSource.CONFIGURED, True)

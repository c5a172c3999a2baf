"""What notices say: as sure as it is and no surer, the facts that the law names, and nothing that breaks a line."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from agent.dialstack.proof import Binding
from agent.model import (
    AddressSource,
    Ask,
    Confirmation,
    Decision,
    NetworkState,
    Place,
    Reasons,
    Registration,
    RegistrationKind,
    Verdict,
    VerdictKind,
    VoiceState,
    Wanted,
)
from agent.notify import core, words
from agent.notify.notice import Certainty, Conveyed, Event, Where
from agent.notify.where import where

from .samples import HOME, NOON, NOW, OFFICE, PROVEN, later, notice

NETWORK = NetworkState(7, None, None, (), evidence_complete=True, cause="start", event_at=0.0)
NASTY = "Lobby\r\nBcc: everybody@example.net\r\n\r\nkiosk\0\x1b[2J"


def test_the_facts_that_the_law_names_are_in_every_text() -> None:
    text = words.text(notice())
    where_to = "123 Main St, Suite 400, San Francisco, CA 94105"
    assert text == (
        f"911 was dialed from Lobby kiosk. 911 was given {where_to}. That is proven on this network. "
        f"The phone is at {where_to}. Staff confirmed that. Callback number: +14155550100."
    )


def test_a_test_call_is_a_test_everywhere() -> None:
    test = notice(number="933", test=True)
    assert words.subject(test, Event.DIALED) == "[TEST] 933 test call from Lobby kiosk"
    assert words.headline(test) == "TEST: 933 was dialed from Lobby kiosk. This is not an emergency."
    assert words.payload(test, (Event.DIALED,))["test"] is True
    assert words.fields(test, (Event.DIALED,))["TEST"] == "1"
    assert all(words.subject(test, event).startswith("[TEST]") for event in Event)


def test_a_message_is_about_the_dialing_until_that_was_told_and_then_about_the_newest() -> None:
    assert words.lead((Event.DIALED, Event.ANSWERED, Event.ENDED)) is Event.DIALED
    assert words.lead((Event.ANSWERED, Event.ENDED)) is Event.ENDED
    assert words.lead((Event.DIALED, Event.ESCALATED)) is Event.ESCALATED
    assert words.lead((Event.DIALED, Event.ESCALATED, Event.ENDED)) is Event.ENDED


def test_every_event_has_its_words_and_its_subject() -> None:
    assert set(words.NEWS) == set(Event)
    subjects = {words.subject(notice(), event) for event in Event}
    assert len(subjects) == len(Event)
    assert "EMERGENCY CALL: 911 was dialed from Lobby kiosk" in subjects
    assert "NOT ACKNOWLEDGED: 911 was dialed from Lobby kiosk" in subjects


@pytest.mark.parametrize(
    ("given_where", "told", "here"),
    [
        (PROVEN, "That is proven on this network.", "Staff confirmed that."),
        (
            Where(OFFICE, Certainty.UNCONFIRMED, OFFICE, Conveyed.PROVISIONAL),
            "but nobody has confirmed that the phone is there.",
            "Nobody has confirmed that: check.",
        ),
        (Where(told=HOME, conveyed=Conveyed.UNPROVEN), "that is not proven.", "not known where the phone is"),
        (Where(conveyed=Conveyed.UNPROVEN), "not known here; that is not proven.", "not known"),
        (Where(conveyed=Conveyed.NONE), "911 was given no address by this phone.", "not known"),
        (Where(), "It is not known yet which address 911 was given.", "not known"),
    ],
)  # fmt: skip
def test_s2_a_location_is_told_as_sure_as_it_is(given_where: Where, told: str, here: str) -> None:
    assert words.told(given_where).endswith(told)
    assert here in words.here(given_where)
    if given_where.conveyed is not Conveyed.PROVEN:
        assert "is proven" not in words.told(given_where)


def test_names_cannot_break_lines_or_steer_terminals() -> None:
    nasty = notice(device=NASTY, callback_number="1\r\n2", acknowledged_by=NASTY, acknowledged_at=NOON)
    for text in (*words.lines(nasty), *(words.subject(nasty, event) for event in Event)):
        assert text.isprintable(), text
    for value in words.fields(nasty, (Event.DIALED,)).values():
        assert value.isprintable()
    assert "\\u" not in msgspec.json.encode(words.payload(nasty, (Event.DIALED,))["device"]).decode()


def test_all_that_happened_is_told_in_order() -> None:
    over = core.acknowledged(
        core.ended(notice(answered_at=NOON + 3, late=True), later(63), "hung up"), "cli", later(70)
    )
    text = " ".join(words.lines(core.escalated(over, NOW)))
    for part in ("already under way", "Answered:", "after 60 s of talk (hung up)", "Acknowledged by cli"):
        assert part in text
    assert "Nobody has acknowledged" not in text
    assert "Nobody has acknowledged" in " ".join(words.lines(core.escalated(notice(), NOW)))


# ------------------------------------------------------------------ where


def decision(civic: object = OFFICE, source: AddressSource | None = AddressSource.CONFIRMED_HERE) -> Decision:
    wanted = Wanted(
        generation=7, attempt=1, civic=civic, address_id="e_1", keep_anchor=None, source=source,  # type: ignore[arg-type]
        provisional=source is AddressSource.CONFIGURED,
    )  # fmt: skip
    return Decision(wanted, Ask.NOTHING, Verdict(VerdictKind.SAME, 1), Reasons())


def presenting(address_id: str | None) -> VoiceState:
    return VoiceState(connected=True, registration=Registration(RegistrationKind.REGISTERED, 7, address_id, 200))


def judge(
    network: NetworkState | None = NETWORK,
    given_decision: Decision | None = None,
    *,
    presented: str | None = "e_1",
    proven: bool = True,
    place: Place | None = None,
    invite: str | None = None,
) -> Where:
    texts = {"e_1": OFFICE, "e_2": HOME}
    binding = Binding(address_id="e_1", presented_id=presented)
    return where(
        network, presenting(presented), binding, given_decision, place=place, proven=proven, text_of=texts.get,
        invite=invite,
    )  # fmt: skip


def test_a_proven_and_confirmed_place_is_certain() -> None:
    assert judge(given_decision=decision()) == PROVEN


def test_s2_without_proof_it_may_have_been_given() -> None:
    assert judge(given_decision=decision(), proven=False) == replace(PROVEN, conveyed=Conveyed.UNPROVEN)


def test_a_call_that_carried_another_id_was_not_given_the_proven_address() -> None:
    assert judge(given_decision=decision(), invite="e_2") == replace(PROVEN, told=HOME, conveyed=Conveyed.UNPROVEN)
    assert judge(given_decision=decision(), invite="e_1") == PROVEN


def test_s3_a_configured_address_is_never_certain() -> None:
    seen = judge(given_decision=decision(source=AddressSource.CONFIGURED))
    assert seen == Where(OFFICE, Certainty.UNCONFIRMED, OFFICE, Conveyed.PROVISIONAL)


def test_s12_a_network_that_is_changing_makes_the_place_uncertain() -> None:
    for network in (
        replace(NETWORK, interrupted=True),
        replace(NETWORK, flapping=True),
        replace(NETWORK, generation=8),
    ):
        assert judge(network, decision(), proven=False).certainty is Certainty.UNCONFIRMED


def test_where_nothing_may_be_presented_a_confirmed_place_is_shown_to_be_checked() -> None:
    said = Place(1, (), Confirmation(OFFICE, None, 1.0, "cli"), None, None, 1.0)
    nothing = decision(civic=None, source=None)
    assert judge(given_decision=nothing, presented=None, proven=False, place=said) == Where(
        OFFICE, Certainty.UNCONFIRMED, None, Conveyed.NONE
    )
    assert judge(given_decision=nothing, presented=None, proven=False) == Where(
        None, Certainty.UNKNOWN, None, Conveyed.NONE
    )


def test_an_agent_that_has_just_started_says_that_it_does_not_know() -> None:
    assert judge(None, None, presented=None, proven=False) == Where()
    assert judge(None, None, presented="e_2", proven=False) == Where(None, Certainty.UNKNOWN, HOME, Conveyed.UNPROVEN)

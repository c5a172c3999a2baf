"""What is said of a call that the platform did not put through: only where the address can be the reason."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.model import CallView, CivicAddress
from agent.refusals import ANNOUNCEMENT, PEER_HUNG_UP, Standing, explain

OFFICE = CivicAddress("123", "Main St", "San Francisco", "CA", "94105", unit="Suite 400")
PROVEN = Standing(proven=True, civic=OFFICE)
NOTHING = Standing(proven=False, civic=None)
UNPROVEN = Standing(proven=False, civic=OFFICE)
ANSWERED = CallView(1, "+14155550123", "out", "ended", code=200, answered_at=100.0, ended=PEER_HUNG_UP)
EARLY = CallView(1, "+14155550123", "out", "ended", code=480, refused="announcement", ended="x")
FORBIDDEN = CallView(1, "+14155550123", "out", "ended", code=403, refused="forbidden")


@pytest.mark.parametrize("view", [ANSWERED, EARLY, FORBIDDEN])
def test_without_an_address_the_likely_reason_is_said_and_what_to_do(view: CallView) -> None:
    refusal = explain(view, NOTHING, NOTHING, 108.0)
    assert refusal is not None
    assert refusal.code == "no_address"
    assert "most likely because no emergency address is registered on this network" in refusal.happened
    assert refusal.todo == "Say where this phone is, then call again."
    assert "911 and 933 still go out" in refusal.emergency


def test_with_an_address_that_is_not_bound_yet_that_is_the_reason() -> None:
    refusal = explain(FORBIDDEN, UNPROVEN, UNPROVEN, 108.0)
    assert refusal is not None
    assert refusal.code == "address_not_bound"
    assert "123 Main St, Suite 400" in refusal.happened


@pytest.mark.parametrize("view", [ANSWERED, EARLY, FORBIDDEN])
@pytest.mark.parametrize(("dialed", "ended"), [(PROVEN, PROVEN), (PROVEN, NOTHING), (NOTHING, PROVEN)])
def test_s2_it_is_never_claimed_where_the_address_was_proven(view: CallView, dialed: Standing, ended: Standing) -> None:
    assert explain(view, dialed, ended, 108.0) is None


@pytest.mark.parametrize(
    ("view", "at"),
    [
        (replace(ANSWERED, ended="Hung up here."), 108.0),
        (ANSWERED, 100.0 + ANNOUNCEMENT + 1),
        (replace(ANSWERED, state="confirmed"), 108.0),
        (replace(EARLY, direction="in"), 108.0),
        (replace(EARLY, to="911", emergency=True), 108.0),
        (replace(EARLY, refused="busy", code=486), 108.0),
        (replace(EARLY, refused="unavailable", code=480), 108.0),
        (replace(EARLY, refused="not_found", code=404), 108.0),
    ],
)
def test_other_ends_have_other_reasons(view: CallView, at: float) -> None:
    assert explain(view, NOTHING, NOTHING, at) is None

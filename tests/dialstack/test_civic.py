"""Civic addresses as people type them (platform.md 7)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.dialstack.civic import STATE_CODES, civic_from, normalize_state, same_address
from tests.dialstack.bench import CIVIC

GOOD = {
    "address_number": "123", "street": "Main St", "unit": "Suite 400", "city": "San Francisco", "state": "CA",
    "postal_code": "94105", "country": "US",
}  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("CA", "CA"), ("ca", "CA"), (" Ca ", "CA"), ("California", "CA"), ("CALIFORNIA", "CA"), ("new  york", "NY"),
        ("N.Y.", "NY"), ("d.c.", "DC"), ("District of Columbia", "DC"), ("Washington DC", "DC"),
        ("Washington, D.C.", "Washington, D.C."), ("Puerto Rico", "PR"), ("Guam", "GU"),
        ("U.S. Virgin Islands", "VI"), ("us virgin islands", "VI"), ("American Samoa", "AS"),
        ("Northern Mariana Islands", "MP"), ("Quebec", "QC"), ("Québec", "QC"), ("Newfoundland and Labrador", "NL"),
        ("Prince Edward Island", "PE"), ("Yukon", "YT"), ("Californa", "Californa"), (" Bavaria ", "Bavaria"), ("", ""),
    ],
)  # fmt: skip
def test_a_state_in_any_spelling(typed: str, code: str) -> None:
    assert normalize_state(typed) == code


def test_all_states_territories_and_provinces_are_known() -> None:
    assert len(set(STATE_CODES.values())) == 50 + 1 + 5 + 13
    assert all(
        normalize_state(name.upper()) == code == normalize_state(code.lower()) for name, code in STATE_CODES.items()
    )


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"address_number": ""}, {"address_number": "the house number is missing"}),
        ({"street": " \t"}, {"street": "the street is missing"}),
        ({"city": ""}, {"city": "the city is missing"}),
        ({"state": ""}, {"state": "the state is missing"}),
        ({"postal_code": ""}, {"postal_code": "the postal code is missing"}),
        ({"state": "Bavaria"}, {"state": "'Bavaria' is no state or province; write CA or California"}),
        ({"state": "ZZ"}, {"state": "'ZZ' is no state or province; write CA or California"}),
        ({"postal_code": "9410"},
         {"postal_code": "must have five digits (or five, a hyphen and four), such as 94105"}),
        ({"postal_code": "\uff19\uff14\uff11\uff10\uff15"},
         {"postal_code": "must have five digits (or five, a hyphen and four), such as 94105"}),
        ({"postal_code": "94105", "country": "CA", "state": "ON"}, {"postal_code": "must look like K1A 0B1"}),
        ({"country": "USA"}, {"country": "must be a two-letter country code such as US"}),
        ({"street": "x" * 121}, {"street": "must be at most 120 printable characters"}),
        ({"street": "a\x00b"}, {"street": "must be at most 120 printable characters"}),
        ({"address_number": 123}, {"address_number": "must be text"}),
        ({"city": "", "street": None}, {"street": "must be text", "city": "the city is missing"}),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_wrong_is_said_per_field(changes: dict[str, object], wrong: dict[str, str]) -> None:
    assert civic_from({**GOOD, **changes}) == (None, wrong)


def test_what_is_right_is_tidied() -> None:
    typed = {**GOOD, "street": "  Main \u00a0 St ", "state": "california", "country": "us", "unit": ""}
    assert civic_from(typed) == (replace(CIVIC, unit=""), {})
    canada = {**GOOD, "state": "Ontario", "postal_code": "m5h 2n2", "country": "ca"}
    found, wrong = civic_from(canada)
    assert (found and found.postal_code, found and found.state, wrong) == ("M5H 2N2", "ON", {})
    assert civic_from({**GOOD, "postal_code": "94105-1234"})[1] == {}
    del typed["country"], typed["unit"]
    assert civic_from(typed) == (replace(CIVIC, unit=""), {})


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"street": "MAIN STREET"}, True), ({"street": "Main St."}, True), ({"unit": "STE 400"}, True),
        ({"postal_code": "94105-1234"}, True), ({"city": "san francisco"}, True),
        ({"unit": ""}, False), ({"unit": "Suite 401"}, False), ({"address_number": "124"}, False),
        ({"street": "Main Ct"}, False), ({"street": "N Main St"}, False), ({"city": "Oakland"}, False),
        ({"state": "NV"}, False), ({"postal_code": "94106"}, False), ({"country": "CA"}, False),
    ],
    ids=str,
)  # fmt: skip
def test_the_same_door_in_another_spelling(changes: dict[str, str], *, same: bool) -> None:
    other = replace(CIVIC, **changes)
    assert same_address(CIVIC, other) is same_address(other, CIVIC) is same


def test_diagonals_are_folded() -> None:
    peachtree = replace(CIVIC, street="Peachtree Street Northeast")
    assert same_address(peachtree, replace(CIVIC, street="Peachtree St NE"))


def test_an_address_is_read_aloud_in_one_line() -> None:
    assert CIVIC.one_line() == "123 Main St, Suite 400, San Francisco, CA 94105"

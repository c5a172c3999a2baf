"""Civic elements of RFC 4776: what a network names becomes an address, or nothing at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model import CivicAddress
from agent.network import named
from agent.network.named import CivicError
from tests.network.frames import CIVIC

CONFIRMED = CivicAddress("123", "COMMONWEALTH AVE", "BOSTON", "MA", "02215", "3rd Floor, Suite 310")


def element(kind: int, text: str | bytes) -> bytes:
    raw = text.encode() if isinstance(text, str) else text
    return bytes([kind, len(raw)]) + raw


def test_the_address_that_dnsmasq_and_lldpd_send_becomes_a_complete_one() -> None:
    found = named.read(CIVIC)
    assert named.complete(found) == CivicAddress(
        "123", "Commonwealth Ave", "Boston", "MA", "02215", "Building HQ, Floor 3, Room 3.14"
    )
    assert found.floor == "3"
    assert found.one_line() == "123 Commonwealth Ave, Building HQ, Floor 3, Room 3.14, Boston, MA 02215"


@pytest.mark.parametrize(
    ("elements", "field", "text"),
    [
        (element(34, "Main") + element(18, "St"), "street", "Main St"),
        (element(16, "N") + element(34, "Main") + element(18, "St") + element(17, "W"), "street", "N Main St W"),
        (element(38, "Old") + element(34, "Mill") + element(39, "Extended"), "street", "Old Mill Extended"),
        (element(6, "Main St") + element(34, "Broadway"), "street", "Broadway"),
        (element(19, "123") + element(20, "B"), "address_number", "123B"),
        (element(19, "123") + element(20, "1/2"), "address_number", "123 1/2"),
        (element(27, "3rd Floor"), "unit", "3rd Floor"),
        (element(26, "Suite 400") + element(27, "4"), "unit", "Suite 400, Floor 4"),
        (element(26, "400"), "unit", "Unit 400"),
        (element(28, "12") + element(33, "7") + element(22, "by the window"), "unit",
         "Room 12, Desk 7, by the window"),
        (element(3, "Boston") + element(3, "Bostonia"), "city", "Boston"),
        (element(24, " 02215 "), "postal_code", "02215"),
    ],
)  # fmt: skip
def test_elements_become_fields(elements: bytes, field: str, text: str) -> None:
    assert named.read(b"\x02US" + elements).fields[field] == text


def test_a_street_suffix_without_a_street_is_no_street() -> None:
    assert "street" not in named.read(b"\x02US" + element(18, "St")).fields


def test_what_is_missing_makes_it_incomplete_and_is_not_made_up() -> None:
    found = named.read(b"\x02us" + element(19, "123") + element(34, "Main St"))
    assert named.complete(found) is None
    assert dict(found.fields) == {"address_number": "123", "street": "Main St", "country": "US"}


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"", "too short"),
        (b"\x02US", "too short"),
        (b"\x07US" + element(3, "Boston"), "unknown"),
        (b"\x02\x00\x01" + element(3, "Boston"), "country"),
        (b"\x02US\x03", "cut off"),
        (b"\x02US\x03\x09Boston", "cut off"),
        (b"\x02US" + element(3, b"Bost\xf8n"), "UTF-8"),
        (b"\x02US" + element(3, "Bos\nton"), "printed"),
        (b"\x02US" + element(3, "Bos\u202eton"), "printed"),
        (b"\x02US" + element(34, "x" * 81), "too many"),
    ],
)
def test_half_an_address_is_none(payload: bytes, why: str) -> None:
    with pytest.raises(CivicError, match=why):
        named.read(payload if len(payload) != 3 else payload[:2])


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_the_typed_error(payload: bytes) -> None:
    for data in (payload, b"\x02US" + payload):
        try:
            found = named.read(data)
        except CivicError:
            continue
        assert all(text.isprintable() for text in found.fields.values())
        assert named.differences(CONFIRMED, found) is not None
        named.complete(found)


# ------------------------------------------------------------------ comparison


@pytest.mark.parametrize(
    ("unit", "floor"),
    [
        ("Floor 3", "3"), ("3rd Floor", "3"), ("FL 3", "3"), ("Fl. 03", "3"), ("Suite 400, 12th floor", "12"),
        ("level B2", "b2"), ("Suite 400", ""), ("", ""), ("Room 3.14", ""), ("Floor 21, Room 4", "21"),
        ("Ground Floor, Room 2", "ground"),
            ("Flat 3", ""), ("Suite 400 Floor 2", "2"), ("Floor Room 2", ""),
    ],
)  # fmt: skip
def test_the_floor_is_read_out_of_what_staff_wrote(unit: str, floor: str) -> None:
    assert named.floor_of(unit) == floor


@pytest.mark.parametrize(
    ("elements", "fields"),
    [
        (CIVIC[3:], ()),  # spelled as a switch does, not as the carrier
        (element(34, "Commonwealth Avenue") + element(3, "boston"), ()),
        (element(27, "3"), ()),
        (element(27, "Third"), ()),
        (element(27, "Mezzanine"), ("floor",)),
        (element(27, "4"), ("floor",)),
        (element(19, "125"), ("address_number",)),
        (element(34, "Main St") + element(3, "Springfield"), ("street", "city")),
        (element(24, "99999"), ()),  # a postal code that a technician left out or mistyped sends nobody wrong
        (element(28, "9.99"), ()),
    ],
)
def test_only_what_both_say_can_disagree(elements: bytes, fields: tuple[str, ...]) -> None:
    assert named.differences(CONFIRMED, named.read(b"\x02US" + elements)) == fields


def test_a_floor_that_nobody_confirmed_disagrees_with_nothing() -> None:
    confirmed = CivicAddress("123", "Commonwealth Ave", "Boston", "MA", "02215", "Suite 310")
    assert named.differences(confirmed, named.read(CIVIC)) == ()

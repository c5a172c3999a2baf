"""EMERGENCY.md line by line, and as properties: what reads as 911 is sent as 911, whatever stands around it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.voice.calls.dialing import EMERGENCY, call_uri, emergency_number

DOCUMENT = Path(__file__).parents[2] / "agent" / "voice" / "EMERGENCY.md"
_ROW = re.compile(r"^\| (.*?) \| (911|933|not).*? \| .* \|$", re.MULTILINE)


@pytest.mark.parametrize(
    ("to", "number"),
    [
        ("911", "911"),
        ("9-1-1", "911"),
        ("(911)", "911"),
        ("\t911\r\n", "911"),
        ("\u202a911\u202c", "911"),
        ("\uff19\uff11\uff11", "911"),
        ("911#", "911"),
        ("9911", "911"),
        ("9,911", "911"),
        ("+911", "911"),
        ("1911", "911"),
        ("+1911", "911"),
        ("1-911", "911"),
        ("91911", "911"),
        ("*67 911", "911"),
        ("*82911", "911"),
        ("tel:911", "911"),
        ("tel:911;phone-context=+1", "911"),
        ("sip:911@example.com", "911"),
        ("SIPS:911@example.com;user=phone", "911"),
        ("sip:911:secret@example.com", "911"),
        ("sip:%39%31%31@example.com", "911"),
        ("sip:911", "911"),
        ('"Help" <sip:911@anywhere.test>;tag=1', "911"),
        ("911@example.com", "911"),
        ("urn:service:sos", "911"),
        ("URN:service:sos.fire", "911"),
        ("urn:service:sos.police", "911"),
        ("urn:service:test.sos", "933"),
        ("urn:service:test.sos.fire", "933"),
        (" 933 ", "933"),
        ("9933", "933"),
        ("+1933", "933"),
        ("112", None),
        ("8911", None),
        ("9110", None),
        ("91111", None),
        ("911911", None),
        ("0911", None),
        ("00911", None),
        ("4911", None),
        ("19331", None),
        ("411", None),
        ("988", None),
        ("sip:alice@911.example", None),
        ("sip:help911@example.com", None),
        ("sip:alice;911@example.com", None),
        ("urn:service:sosx", None),
        ("urn:service:counseling", None),
        ("nine one one", None),
        ("", None),
        ("#", None),
        ("<>", None),
        ("\u00b2", None),
    ],
)
def test_s1_emergency_numbers_are_recognized_in_every_obvious_form(to: str, number: str | None) -> None:
    assert emergency_number(to) == number


def test_what_visitors_dial_is_sent_as_911_where_configured() -> None:
    assert emergency_number("112", ("112",)) == "911"
    assert emergency_number("sip:1-1-2@example.com", ("112",)) == "911"
    assert emergency_number("1122", ("112",)) is None
    assert emergency_number("", ("112",)) is None


def test_the_document_says_what_the_code_does() -> None:
    rows = _ROW.findall(DOCUMENT.read_text(encoding="utf-8"))
    checked = 0
    for examples, sent in rows:
        for example in re.findall(r"`([^`]*)`", examples):
            text = example.replace("...", "example.com")
            if text.startswith(".") or (sent == "911" and text in {"112", "8911"}):
                continue
            assert emergency_number(text) == (None if sent == "not" else sent), text
            checked += 1
    assert checked > 30


_NOISE = st.text(st.sampled_from(" -.()/,\t\u200e\u202a\u2011"), max_size=3)


@given(st.sampled_from(sorted(EMERGENCY)), st.data())
def test_s1_no_punctuation_scheme_or_host_hides_an_emergency_number(dialed: str, data: st.DataObject) -> None:
    spread = "".join(data.draw(_NOISE) + character for character in dialed) + data.draw(_NOISE)
    around = data.draw(
        st.sampled_from(["{}", "tel:{}", "sip:{}@x.test", "sips:{}@x;a=b", '"A" <sip:{}@x>', "{}#", "{}@y"])
    )
    assert emergency_number(around.format(spread)) == EMERGENCY[dialed]


@given(st.text(max_size=40))
def test_any_text_is_either_an_emergency_number_or_not_and_never_an_error(to: str) -> None:
    assert emergency_number(to, ("112",)) in {"911", "933", None}


@given(st.from_regex(r"[2-8][0-9]{2}[2-9][0-9]{6}|[2-8][0-9]{2,3}", fullmatch=True))
def test_a_telephone_number_or_an_extension_stays_what_it_is(number: str) -> None:
    assert emergency_number(number) is None
    assert call_uri(number, "x.test") == f"sip:{number}@x.test"


@pytest.mark.parametrize("to", ["hello", "sip:a b@c", "tel:", "sip:x@y\r\nZ: 1", "", "<sip:a@b>"])
def test_what_cannot_be_dialed_is_refused_in_a_sentence(to: str) -> None:
    with pytest.raises(ValueError, match=r"^This is neither a telephone number nor a SIP address\.$"):
        call_uri(to, "x.test")

"""The small parts: SIP and SDP text, Kamailio's location table, mu-law, words, and what garbage does to them."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.simulator.binding import emergency
from agent.simulator.legs import Legs, words
from agent.simulator.registrar import RegistrarConfig, parse_location, render
from agent.simulator.sip import SipError, host_port, parse, read_sdp, user_in, write_sdp
from agent.simulator.sound import SILENCE, beeps, mu_law, speech

INVITE = (
    b"INVITE sip:911@h SIP/2.0\r\nv: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1\r\n"
    b'f: "A, B" <sip:alice@h>;tag=a\r\nt: <sip:911@h>\r\ni: x@y\r\nCSeq: 7 INVITE\r\n'
    b"Record-Route: <sip:1;lr>, <sip:2;lr>\r\nRecord-Route: <sip:3;lr>\r\nSubject: a\r\n b\r\n\r\nbody"
)


def test_compact_headers_folding_and_lists_are_read() -> None:
    message = parse(INVITE)
    assert (message.method, message.uri, message.cseq, message.body) == ("INVITE", "sip:911@h", 7, b"body")
    assert message.get("subject") == "a b"
    assert message.all("record-route") == ["<sip:1;lr>", "<sip:2;lr>", "<sip:3;lr>"]
    assert (message.tag("from"), message.tag("to"), user_in(message.get("from"))) == ("a", "", "alice")


def test_a_reply_carries_what_rfc_3261_8_2_6_asks_for() -> None:
    reply = parse(parse(INVITE).reply(180, "Ringing", "mine").encode())
    assert (reply.status, reply.method) == (180, "")
    assert reply.get("to") == "<sip:911@h>;tag=mine"
    assert reply.get("via").endswith("branch=z9hG4bK1")
    assert reply.get("cseq") == "7 INVITE"
    assert len(reply.all("record-route")) == 3


@given(st.binary(max_size=300))
def test_garbage_is_a_sip_error_and_nothing_else(data: bytes) -> None:
    for given_bytes in (data, b"INVITE sip:a SIP/2.0\r\n" + data, INVITE[: len(data)] + data):
        try:
            parse(given_bytes)
        except SipError:
            continue


@given(st.binary(max_size=300))
def test_garbage_is_no_sdp(data: bytes) -> None:
    read_sdp(b"m=audio 5 RTP/AVP 0\r\n" + data)


def test_sdp_is_written_and_read_in_both_families() -> None:
    for address in ("192.0.2.1", "2001:db8::1"):
        audio = read_sdp(write_sdp(address, 4000))
        assert audio is not None
        assert (audio.host, audio.port, audio.pcmu, audio.ipv6) == (address, 4000, True, ":" in address)


URIS = [
    ("sip:a@192.0.2.1:5070;lr", ("192.0.2.1", 5070)),
    ("sip:192.0.2.1", ("192.0.2.1", 5060)),
    ("sips:[2001:db8::1]:5061;transport=tls", ("2001:db8::1", 5061)),
]


@pytest.mark.parametrize(("uri", "target"), URIS)
def test_a_uri_says_where_to_send(uri: str, target: tuple[str, int]) -> None:
    assert host_port(uri) == target


DUMP = """{
	Domains: {
		Domain: {
			Domain: location
			AoRs: {
				Info: {
					AoR: alice
					Contacts: {
						Contact: {
							Address: sip:alice@203.0.113.10:40000;transport=tcp
							Expires: 297
							Call-ID: a:b@c
							CSeq: 4
							User-Agent: phone: 1
							CFlags: 2
							Socket: udp:192.0.2.10:5060
						}
						Contact: {
							Address: sip:alice@198.51.100.20
							Expires: permanent
							CFlags: 0
						}
					}
				}
			}
		}
	}
}
"""


def test_the_location_table_is_read_contact_by_contact() -> None:
    first, second = parse_location(DUMP)
    assert (first.aor, first.address) == ("alice", "sip:alice@203.0.113.10:40000;transport=tcp")
    assert (first.expires, first.call_id, first.cseq, first.natted) == (297, "a:b@c", 4, True)
    assert (first.user_agent, first.socket) == ("phone: 1", "udp:192.0.2.10:5060")
    assert (second.expires, second.natted) == (0, False)
    assert parse_location("error: 500") == []


def test_every_placeholder_of_the_configuration_is_filled_in() -> None:
    config = RegistrarConfig(
        Path("/run/x"), ("192.0.2.10", "2001:db8::10"), 5060, "dialstack.ai", "http://127.0.0.1:1", "192.0.2.10:5070"
    )
    text = render(config)
    assert "listen=udp:[2001:db8::10]:5060" in text
    assert "mhomed=yes" in text
    assert not [line for line in text.splitlines() if "@" in line and not line.startswith(("#", "modparam", "    "))]
    assert "tls.so" not in text


def test_mu_law_matches_g_711() -> None:
    known = {0: 0xFF, 8: 0xFE, -8: 0x7E, 1000: 0xCE, -1000: 0x4E, 32767: 0x80, -32768: 0x00}
    assert {sample: mu_law(sample) for sample in known} == known


def test_beeps_have_the_length_asked_for_and_are_not_silent() -> None:
    sound = beeps(1.3)
    assert len(sound) == 10400
    assert set(sound) != {SILENCE}


def test_without_espeak_there_are_beeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    text = "A sentence that nobody ever said before."
    assert asyncio.run(speech(text)) == beeps(len(text) / 14)


def test_with_espeak_there_is_speech() -> None:
    if not shutil.which("espeak-ng"):
        pytest.skip("espeak-ng is not installed")
    sound = asyncio.run(speech("Nine three three."))
    assert 4000 < len(sound) < 40000
    assert sound != beeps(len("Nine three three.") / 14)


@pytest.mark.parametrize("number", ["911", "933", "+1 911", "1911", "9-911", "(933)", "urn:service:sos"])
def test_the_usual_spellings_are_emergency_numbers(number: str) -> None:
    assert emergency(number)


@pytest.mark.parametrize("number", ["9111", "4155550911", "0911", "91", "", "112", "+49911"])
def test_other_numbers_are_not(number: str) -> None:
    assert not emergency(number)


def test_legs_are_changed_by_name_and_type() -> None:
    assert Legs().changed({"ring": 3}).ring == 3
    with pytest.raises(ValueError, match=r"^no such setting: rings$"):
        Legs().changed({"rings": 3})
    with pytest.raises(ValueError, match="ring"):
        Legs().changed({"ring": "long"})
    with pytest.raises(ValueError, match="read_back"):
        Legs().changed({"read_back": "music"})
    assert words("psap", "911", None).startswith("9 1 1, this is a simulation.")

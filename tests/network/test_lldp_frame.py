"""LLDP frames: what switches send is understood, and nothing that anybody sends is believed too far."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.network import named
from agent.network.lldp.announcement import Schedule, announcement
from agent.network.lldp.frame import LldpError, decode
from agent.network.lldp.neighbors import MAX_PER_LINK, Neighbors
from tests.network.frames import CIVIC, IEEE_8021, PHONE, STATION, SWITCH, frame, location, med, med_switch, tlv

WHOLE = frame(
    b"\x04\x02\x00\x00\x00\x00\x01", b"\x05Gi1/0/3", 120,
    tlv(4, b"Desk 7"), tlv(5, b"access-2"), tlv(127, IEEE_8021 + b"\x01\x00\x6e"), med_switch(),
    med(2, bytes([1]) + (1 << 22 | 111 << 9 | 46).to_bytes(3)), location(), med(3, b"\x03" + b"18005551212"),
)  # fmt: skip
"""Everything that is understood."""


def test_a_switch_says_who_it_is_which_port_and_where() -> None:
    found = decode(WHOLE)
    assert (found.chassis, found.port, found.ttl) == ("02:00:00:00:00:01", "Gi1/0/3", 120)
    assert (found.system_name, found.port_words, found.vlan, found.voice_vlan) == ("access-2", "Desk 7", 110, 111)
    assert (found.switch, found.med, found.elin) == (True, True, "18005551212")
    assert found.address == named.read(CIVIC)


def test_padding_behind_the_end_and_a_missing_end_are_usual() -> None:
    assert decode(WHOLE + bytes(40)) == decode(WHOLE)
    assert decode(WHOLE[:-2]) == decode(WHOLE)


@pytest.mark.parametrize(
    ("capabilities", "more", "switch"),
    [
        (SWITCH, b"", True),
        (1 << 3, b"", True),  # WLAN access point
        (1 << 4, b"", True),  # router
        (STATION, b"", False),
        (SWITCH | PHONE, b"", False),  # a desk phone with a socket for a PC
        (SWITCH, med_switch(3), False),
        (SWITCH, med_switch(1), False),
        (SWITCH, med_switch(4), True),
        (None, med_switch(4), False),
    ],
)
def test_only_a_bridge_router_or_access_point_is_the_switch(capabilities: int, more: bytes, *, switch: bool) -> None:
    assert decode(frame(b"\x07a", b"\x07b", 120, more, capabilities=capabilities)).switch is switch


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "first"),
        (bytes(60), "first"),
        (b"\x02", "cut off"),
        (tlv(1, b"\x07a") + tlv(2, b"\x07b"), "first"),
        (tlv(2, b"\x07b") + tlv(1, b"\x07a") + tlv(3, b"\0x"), "first"),
        (tlv(1, b"\x07") + tlv(2, b"\x07b") + tlv(3, b"\0x"), "empty"),
        (tlv(1, b"\x07" + b"a" * 256) + tlv(2, b"\x07b") + tlv(3, b"\0x"), "too long"),
        (tlv(1, b"\x07a") + tlv(2, b"\x07b") + tlv(3, b"x"), "cut off"),
        (frame(b"\x07a", b"\x07b", 120, tlv(2, b"\x07c")), "twice"),
        (frame(b"\x07a", b"\x07b", 120, tlv(3, b"\0\0")), "twice"),
        (WHOLE[:-2] + b"\x0a\xff" + b"x" * 5, "cut off"),
        (WHOLE + bytes(1500), "too long"),
    ],
)
def test_a_malformed_frame_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(LldpError, match=why):
        decode(data)


def test_of_two_that_say_the_same_kind_of_thing_the_first_counts() -> None:
    found = decode(frame(b"\x07a", b"\x07b", 120, tlv(5, b"first"), tlv(5, b"second"), location(),
                         location(CIVIC.replace(b"123", b"999"))))  # fmt: skip
    assert found.system_name == "first"
    assert found.address is not None
    assert found.address.fields["address_number"] == "123"


@pytest.mark.parametrize("cut", range(1, len(CIVIC)))
def test_a_location_that_is_cut_off_is_no_location_and_the_port_still_counts(cut: int) -> None:
    found = decode(frame(b"\x07a", b"\x07b", 120, med(3, bytes([2, len(CIVIC)]) + CIVIC[:cut])))
    assert (found.address, found.address_problem) == (None, "it is cut off")
    assert (found.switch, found.port) == (True, "b")


def test_the_location_of_the_dhcp_server_is_not_the_phones() -> None:
    assert decode(frame(b"\x07a", b"\x07b", 120, location(b"\x00" + CIVIC[1:]))).address is None


@pytest.mark.parametrize("number", [b"911", b"1800555121x", b"1" * 26, b"", b"\xef\xbc\x91" * 5])
def test_an_elin_is_ten_to_twenty_five_digits(number: bytes) -> None:
    assert decode(frame(b"\x07a", b"\x07b", 120, med(3, b"\x03" + number))).elin == ""


def test_names_are_the_same_for_the_same_bytes_and_different_for_different_ones() -> None:
    raw = [b"\x07ge1", b"\x07ge1 ", b"\x07ge\x001", b"\x07\xff", b"\x07" + b"x" * 200, b"\x07" + b"x" * 199, b"\x07<b>",
           b"\x03\x02\x00\x00\x00\x00\x01", b"\x04\x01\xc0\x00\x02\x01"]  # fmt: skip
    names = [decode(frame(port=one)).port for one in raw]
    assert len(set(names)) == len(names)
    assert all(name.isprintable() and len(name) <= 64 for name in names)
    assert names[-2:] == ["02:00:00:00:00:01", "192.0.2.1"]


def test_chassis_and_port_cannot_be_read_as_another_pair() -> None:
    one, other = decode(frame(b"\x07a b", b"\x07c")), decode(frame(b"\x07a", b"\x07b c"))
    assert f"{one.chassis} {one.port}" != f"{other.chassis} {other.port}"


def test_descriptions_are_nothing_but_text() -> None:
    found = decode(
        frame(b"\x07a", b"\x07b", 120, tlv(5, b"sw\x1b[31m\n\xff" + b"y" * 300), tlv(4, "a\u202eb".encode()))
    )
    assert found.system_name.startswith("sw [31m �yy")
    assert len(found.system_name) == 64
    assert found.port_words == "a b"


@given(st.one_of(st.binary(max_size=1600), st.lists(st.tuples(st.integers(0, 127), st.binary(max_size=511)))))
def test_no_bytes_raise_anything_but_the_typed_error(data: bytes | list[tuple[int, bytes]]) -> None:
    if isinstance(data, list):
        data = frame(b"\x07a", b"\x07b", 120, *(tlv(kind, value) for kind, value in data))
    try:
        found = decode(data)
    except LldpError:
        return
    assert f"{found.chassis}{found.port}{found.system_name}{found.port_words}{found.elin}".isprintable()


@given(st.integers(1, 3), st.binary(max_size=300))
def test_no_med_value_raises_anything_but_the_typed_error(subtype: int, value: bytes) -> None:
    assert decode(frame(b"\x07a", b"\x07b", 120, med(subtype, value))).port == "b"


def test_the_phone_announces_itself_as_a_telephone_and_is_no_switch_to_others() -> None:
    found = decode(announcement(bytes.fromhex("020000000050"), "Empfang Süd"))
    assert (found.chassis, found.port, found.ttl) == ("02:00:00:00:00:50", "02:00:00:00:00:50", 120)
    assert (found.switch, found.med, found.system_name) == (False, False, "Empfang Süd")


def test_a_plugged_cable_gets_four_frames_a_second_apart_and_more_only_where_a_switch_listens() -> None:
    def sent(*, med_from: float, until: float) -> list[float]:
        schedule, now, times = Schedule(10.0), 10.0, []
        while schedule.next_at is not None and schedule.next_at <= until:
            now = schedule.next_at
            assert schedule.due(now)
            assert not schedule.due(now - 0.01)
            times.append(now)
            schedule.sent(now, med=now >= med_from)
        return times

    assert sent(med_from=1000, until=900) == [10, 11, 12, 13]
    assert sent(med_from=0, until=80) == [10, 11, 12, 13, 43, 73]


def test_whoever_is_heard_after_the_phone_fell_silent_is_told_who_it_is() -> None:
    schedule = Schedule(None, 0)
    schedule.heard(50.0)
    assert (schedule.next_at, schedule.burst) == (50.0, 4)
    schedule.sent(50.0, med=True)
    schedule.heard(50.5)
    assert schedule.next_at == 51.0, "a fast start that runs goes on"


# ------------------------------------------------------------------ the table


def neighbors(*frames: bytes, now: float = 0.0) -> Neighbors:
    table = Neighbors()
    for data in frames:
        table.hear(2, decode(data), now)
    return table


def test_a_neighbor_is_known_for_as_long_as_it_said() -> None:
    table = neighbors(frame(ttl=120))
    assert table.next_expiry() == 120
    assert not table.expire(119.9)
    assert len(table.switches([2])) == 1
    assert table.expire(120)
    assert table.switches([2]) == ()


def test_a_neighbor_that_takes_leave_is_forgotten_at_once() -> None:
    table = neighbors(frame())
    assert table.hear(2, decode(frame(ttl=0)), 1.0)
    assert table.switches([2]) == ()
    assert not table.hear(2, decode(frame(ttl=0)), 2.0)


def test_hearing_the_same_again_is_no_news_and_holds_on() -> None:
    table = neighbors(frame())
    assert not table.hear(2, decode(frame()), 30.0)
    assert table.next_expiry() == 150


def test_telephones_and_computers_do_not_crowd_out_the_switch() -> None:
    crowd = [frame(port=b"\x07pc%d" % number, capabilities=STATION) for number in range(20)]
    table = neighbors(*crowd, frame(port=b"\x07ge1"))
    assert [one.port for one in table.switches([2])] == ["ge1"]


def test_what_is_remembered_is_bounded() -> None:
    table = neighbors(*(frame(port=b"\x07%d" % number) for number in range(1000)))
    assert len(table.switches([2])) == MAX_PER_LINK


def test_a_link_that_was_away_is_forgotten_and_no_other_one() -> None:
    table = neighbors(frame())
    table.hear(3, decode(frame(port=b"\x07ge9")), 0.0)
    assert table.forget(2)
    assert [one.port for one in table.switches([2, 3])] == ["ge9"]

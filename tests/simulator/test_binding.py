"""Platform.md 3.1 to 3.3, rule by rule, over a real WebSocket from real (loopback) networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.simulator.behavior import Behavior
from agent.simulator.binding import Saved, canonical, judge, same_network
from agent.simulator.core import Platform
from agent.simulator.sessions import Register
from tests.simulator.world import (
    ADDRESSES,
    HOME,
    MAIN_STREET,
    NEXT_DOOR,
    OFFICE,
    FakeClock,
    Phone,
    World,
    run,
    world,
)


async def _clear(w: World, number: str) -> None:
    answer = await w.rest("DELETE", f"{ADDRESSES}/{number}/registered_ip", key=await w.token())
    assert (answer.status, answer.body) == (204, "")


def test_platform_3_1_1_the_presented_id_binds_to_the_network_of_the_connection(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            number = await w.address()
            phone = await w.session(number, source=HOME)
            assert await phone.types_until_pong() == []
            assert await w.anchor(number) == HOME

    run(main())


def test_platform_3_1_2_creating_an_address_does_not_touch_a_live_session(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            phone = await w.session()
            number = await w.address()
            assert await phone.types_until_pong() == []
            assert await w.anchor(number) is None
            assert not w.platform.may_call("user_1", "4155550100", OFFICE)

    run(main())


@pytest.mark.parametrize("drops", [False, True])
def test_platform_3_1_2_clearing_the_anchor_leaves_a_live_session_bound_unless_told_otherwise(
    tmp_path: Path, *, drops: bool
) -> None:
    async def main() -> None:
        async with world(tmp_path, behavior={"clear_drops_binding": drops}) as w:
            number = await w.address()
            phone = await w.session(number)
            await _clear(w, number)
            assert await phone.types_until_pong() == []
            assert w.platform.may_call("user_1", "4155550100", OFFICE) is not drops

    run(main())


def test_platform_3_1_3_no_proxy_header_is_believed(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            number = await w.address()
            client = await w.client(OFFICE)
            headers = {"X-Forwarded-For": "203.0.113.7", "Forwarded": "for=203.0.113.7"}
            url = w.simulator.urls["signalling"]
            phone = Phone(await client.ws_connect(url, protocols=("dialstack.webrtc.v1",), headers=headers))
            await phone.send(type="authenticate", token=await w.token(), emergency_address_id=number)
            assert (await phone.frame())["type"] == "authenticated"
            assert await w.anchor(number) == OFFICE

    run(main())


def test_platform_3_1_4_null_anchor_rule_a_set_anchor_of_this_network_is_reused_silently(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            number = await w.address()
            await (await w.session(number)).close()
            phone = await w.session(number)
            assert await phone.types_until_pong() == []
            verdicts = [e.fields["judgement"] for e in w.platform.log.entries("present")]
            assert verdicts == ["bound", "reused"]

    run(main())


def test_platform_3_1_4_null_anchor_rule_a_set_anchor_of_another_network_is_never_moved(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            number = await w.address()
            await (await w.session(number, source=OFFICE)).close()
            phone = await w.session(number, source=HOME)
            assert await phone.frame() == {"type": "network.changed"}
            assert await w.anchor(number) == OFFICE

    run(main())


def test_platform_3_1_5_clear_and_a_fresh_connection_move_an_address(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            number = await w.address()
            await (await w.session(number, source=OFFICE)).close()
            await _clear(w, number)
            assert await w.anchor(number) is None  # clearing alone binds nothing
            phone = await w.session(number, source=HOME)
            assert await phone.types_until_pong() == []
            assert await w.anchor(number) == HOME

    run(main())


def test_platform_3_1_5_clearing_twice_is_harmless(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            number = await w.address()
            await _clear(w, number)
            await _clear(w, number)

    run(main())


def test_platform_3_1_6_a_mismatch_keeps_the_session_up_and_gates_only_ordinary_calls(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, behavior={"call_refusal": "error"}) as w:
            number = await w.address()
            await (await w.session(number, source=OFFICE)).close()
            phone = await w.session(number, source=HOME)
            assert await phone.frame() == {"type": "network.changed"}
            await phone.send(type="call.create", req_id="c1", destination="+14155550100", sdp="")
            refused = await phone.frame()
            assert (refused["code"], refused["req_id"]) == ("emergency_address_required", "c1")
            assert not refused.get("fatal")
            for emergency in ("911", "933"):
                await phone.send(type="call.create", req_id="c2", destination=emergency, sdp="")
                assert (await phone.frame())["code"] == "call_failed"  # let through: there is no media here
                assert w.platform.log.count("call", number=emergency, allowed=True) == 1

    run(main())


async def _foreign(w: World) -> str:
    return await w.address("user_2")


async def _deleted(w: World) -> str:
    number = await w.address()
    await w.rest("DELETE", f"{ADDRESSES}/{number}", key=await w.token())
    return number


async def _malformed(_: World) -> Any:
    return {"not": "an id"}


MAKERS = {"foreign_id": _foreign, "deleted_id": _deleted, "malformed_id": _malformed}


@pytest.mark.parametrize("switch", MAKERS)
@pytest.mark.parametrize("answer", ["network.changed", "error", "fatal"])
def test_platform_3_1_7_an_unusable_id_gets_the_answer_of_behavior(tmp_path: Path, switch: str, answer: str) -> None:
    async def main() -> None:
        async with world(tmp_path, behavior={switch: answer}) as w:
            number = await MAKERS[switch](w)
            phone = await w.connect(number)
            frame = await phone.frame()
            if answer == "network.changed":
                assert frame["type"] == "authenticated"
                assert await phone.frame() == {"type": "network.changed"}
            else:
                assert (frame["type"], frame["code"], frame["message"]) == ("error", "invalid_message", "bad address")
                assert frame["req_id"] == "req_1"
                assert frame.get("fatal", False) is (answer == "fatal")
            if answer == "fatal":
                assert (await phone.frame())["type"] == "closed"
            assert not w.platform.may_call("user_1", "4155550100", OFFICE)

    run(main())


def test_platform_3_1_7_a_foreign_id_anchors_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            number = await w.address("user_2")
            phone = await w.session(number)
            assert await phone.types_until_pong() == ["network.changed"]
            assert await w.anchor(number, "user_2") is None

    run(main())


def test_platform_3_1_8_presenting_nothing_binds_nothing_and_says_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            number = await w.address()
            await (await w.session(number)).close()
            await w.happened("session", what="close")
            phone = await w.session()
            assert await w.anchor(number) == OFFICE
            await phone.send(type="call.create", destination="+14155550100", sdp="")
            assert await phone.types_until_pong() == []  # blocked silently
            assert w.platform.log.count("call", allowed=False) == 1

    run(main())


def test_platform_3_1_9_back_on_a_known_network_its_own_address_binds_silently(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            office, home = await w.address(), await w.address(address_number="7")
            await (await w.session(office, source=OFFICE)).close()
            await (await w.session(home, source=HOME)).close()
            back = await w.session(office, source=OFFICE)
            assert await back.types_until_pong() == []
            wrong = await w.session(home, source=OFFICE)
            assert await wrong.types_until_pong() == ["network.changed"]

    run(main())


def test_platform_3_2_a_stale_anchor_outlives_the_session_and_proves_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            number = await w.address()
            phone = await w.session(number)
            assert w.platform.may_call("user_1", "4155550100", OFFICE)
            await phone.close()
            await w.happened("session", what="close")
            assert await w.anchor(number) == OFFICE
            assert not w.platform.may_call("user_1", "4155550100", OFFICE)

    run(main())


@pytest.mark.parametrize("first", [False, True])
def test_platform_3_3_network_changed_has_no_payload_and_either_order(tmp_path: Path, *, first: bool) -> None:
    async def main() -> None:
        async with world(tmp_path, behavior={"network_changed_first": first}) as w:
            phone = await w.connect("emerg_unknown")
            frames = [await phone.frame(), await phone.frame()]
            assert {"type": "network.changed"} in frames
            assert [f["type"] for f in frames].index("network.changed") == (0 if first else 1)

    run(main())


def test_platform_3_3_network_changed_may_come_late(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, behavior={"network_changed_delay": 0.2}) as w:
            phone = await w.session("emerg_unknown")
            assert await phone.types_until_pong() == []
            assert await phone.frame() == {"type": "network.changed"}
            denied = w.platform.log.entries("network_changed")[0]
            sent = w.platform.log.entries("send", type="network.changed")[0]
            assert sent.at - denied.at >= 0.19

    run(main())


def test_platform_3_3_network_changed_may_be_missing(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, behavior={"network_changed_missing": True}) as w:
            phone = await w.session("emerg_unknown")
            assert await phone.types_until_pong() == []
            assert not w.platform.may_call("user_1", "4155550100", OFFICE)

    run(main())


@pytest.mark.parametrize(("match", "verdict"), [("exact", ["network.changed"]), ("prefix", [])])
def test_platform_10_1_the_anchor_is_compared_as_a_host_or_as_a_prefix(
    tmp_path: Path, match: str, verdict: list[str]
) -> None:
    async def main() -> None:
        async with world(tmp_path, behavior={"anchor_match": match}) as w:
            number = await w.address()
            await (await w.session(number, source=OFFICE)).close()
            phone = await w.session(number, source=NEXT_DOOR)
            assert await phone.types_until_pong() == verdict
            far = await w.session(number, source=HOME)
            assert await far.types_until_pong() == ["network.changed"]

    run(main())


NETWORKS = [
    ("203.0.113.7", "203.0.113.7", "exact", True),
    ("::ffff:203.0.113.7", "203.0.113.7", "exact", True),
    ("2001:DB8:0::1", "2001:db8::1", "exact", True),
    ("2001:db8::1", "2001:db8::2", "exact", False),
    ("2001:db8::1", "2001:db8::2", "prefix", True),
    ("2001:db8::1", "2001:db8:0:1::1", "prefix", False),
    ("203.0.113.7", "2001:db8::1", "prefix", False),
]


@pytest.mark.parametrize(("one", "other", "match", "same"), NETWORKS)
def test_platform_11_4_networks_are_compared_as_addresses_never_as_text(
    one: str, other: str, match: Any, *, same: bool
) -> None:
    assert same_network(one, other, Behavior(anchor_match=match)) is same
    saved = Saved("emerg_1", "user_1", 1, {}, "", canonical(one))
    assert judge(saved, "user_1", other, Behavior(anchor_match=match)).binds is same


@pytest.mark.parametrize(("within", "verdict"), [(60.0, ["network.changed"]), (0.0, [])])
def test_platform_10_4_an_immediate_reconnect_may_come_back_denied(
    tmp_path: Path, within: float, verdict: list[str]
) -> None:
    async def main() -> None:
        async with world(tmp_path, behavior={"reconnect_denied_within": within}) as w:
            number = await w.address()
            await (await w.session(number)).close()
            await w.happened("session", what="close")
            phone = await w.session(number)
            assert await phone.types_until_pong() == verdict
            assert await w.anchor(number) == OFFICE

    run(main())


DELETES = [(True, False, False, []), (True, True, False, ["network.changed"]), (False, False, True, [])]


@pytest.mark.parametrize(("drops", "notifies", "bound", "frames"), DELETES)
def test_platform_10_8_deleting_the_bound_address(
    tmp_path: Path, *, drops: bool, notifies: bool, bound: bool, frames: list[str]
) -> None:
    async def main() -> None:
        async with world(tmp_path, behavior={"delete_drops_binding": drops, "delete_notifies": notifies}) as w:
            number = await w.address()
            phone = await w.session(number)
            await w.rest("DELETE", f"{ADDRESSES}/{number}", key=await w.token())
            assert await phone.types_until_pong() == frames
            assert w.platform.may_call("user_1", "4155550100", OFFICE) is bound

    run(main())


def test_platform_5_911_and_933_go_through_for_nobody_from_nowhere() -> None:
    platform = Platform(FakeClock())
    for number in ("911", "933"):
        assert platform.may_call(None, number, "203.0.113.7")
    assert not platform.may_call(None, "4155550100", "203.0.113.7")


def test_platform_6_4_a_registration_that_is_not_refreshed_expires_and_its_binding_with_it() -> None:
    clock = FakeClock()
    platform = Platform(clock)
    platform.add_user("user_1", sip_username="alice", sip_password="wonderland")
    number = platform.create_address("user_1", MAIN_STREET).id
    platform.register(Register("alice", "203.0.113.7", presented=number, call_id="a", expires=60))
    clock.now += 59.9
    assert platform.may_call("user_1", "4155550100", "203.0.113.7")
    clock.now += 0.2
    assert not platform.may_call("user_1", "4155550100", "203.0.113.7")
    assert platform.registrations.live() == []


def test_platform_10_2_network_changed_may_be_pushed_in_mid_session(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            number = await w.address()
            phone = await w.session(number)
            body = {"user": "user_1", "what": "network.changed"}
            answer = await w.rest("POST", "/control/push", body, base="control")
            assert answer.body == {"sessions": 1}
            assert await phone.frame() == {"type": "network.changed"}
            assert not w.platform.may_call("user_1", "4155550100", OFFICE)

    run(main())

"""Platform.md 6.4: Kamailio as the registrar, driven by a raw SIP phone."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from agent.simulator.sip import Message
from tests.simulator.telephone import Telephone
from tests.simulator.world import ADDRESSES, HOME, OFFICE, World, run, world

pytestmark = pytest.mark.sip


def _granted(answer: Message) -> int:
    found = re.search(r"expires=(\d+)", answer.get("contact"))
    assert found, answer
    return int(found[1])


def _phone(w: World, **options: str) -> Telephone:
    return Telephone(w.simulator.urls["sip"], **options)


def test_platform_6_4_register_is_challenged_without_qop_then_accepted_and_reported(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, sip=True) as w, _phone(w) as phone:
            answer = await phone.register(present="emerg_1")
            assert answer.status == 200
            first, second = (e.fields for e in w.platform.log.entries("register"))
            assert (first["authenticated"], first["code"]) == (False, 401)
            assert second | {"contact": ""} == {
                "user": "user_1",
                "username": "alice",
                "source": OFFICE,
                "port": phone.port,
                "transport": "udp",
                "presented": "emerg_1",
                "asked": 300,
                "expires": 300,
                "call_id": phone.call_id,
                "cseq": 2,
                "contact": "",
                "user_agent": "raw test phone",
                "authenticated": True,
                "code": 200,
                "again": False,
            }
            (contact,) = await w.simulator.registrar.location_table()  # type: ignore[union-attr]
            assert (contact.aor, contact.call_id) == ("alice", phone.call_id)
            assert contact.address == f"sip:alice@127.0.0.1:{phone.port}"

    run(main())


@pytest.mark.parametrize(("asked", "granted"), [(10, 60), (60, 60), (120, 120), (3600, 300)])
def test_platform_6_4_expiry_is_clamped_silently_to_60_and_300(tmp_path: Path, asked: int, granted: int) -> None:
    async def main() -> None:
        async with world(tmp_path, sip=True) as w, _phone(w) as phone:
            answer = await phone.register(expires=asked)
            assert (answer.status, _granted(answer)) == (200, granted)
            (registration,) = w.platform.registrations.live("user_1")
            assert registration.expires_at - w.platform.clock.monotonic() == pytest.approx(granted, abs=2)

    run(main())


def test_platform_6_4_a_bad_password_is_another_401_and_nothing_is_stored(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, sip=True) as w, _phone(w) as phone:
            answer = await phone.register(password="wrong")
            assert answer.status == 401
            assert answer.get("www-authenticate").startswith('Digest realm="dialstack.ai"')
            assert await w.simulator.registrar.location_table() == []  # type: ignore[union-attr]
            assert w.platform.registrations.live() == []

    run(main())


def test_platform_6_4_an_unknown_user_is_another_401(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, sip=True) as w, _phone(w, user="mallory") as phone:
            assert (await phone.register()).status == 401

    run(main())


def test_platform_6_4_via_received_and_rport_are_in_every_answer(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, sip=True) as w, _phone(w, via="192.168.1.50") as phone:
            phone.send(phone.build("OPTIONS", "sip:dialstack.ai"))
            answers = [await phone.final(), await phone.register()]
            phone.send(phone.build("SUBSCRIBE", "sip:dialstack.ai"))
            answers.append(await phone.final())
            phone.send(phone.build("OPTIONS", "sip:dialstack.ai", rport=False))
            answers.append(await phone.final())
            assert [a.status for a in answers] == [200, 200, 405, 200]
            for answer in answers:
                assert "received=127.0.0.1" in answer.get("via")
                assert f"rport={phone.port}" in answer.get("via")

    run(main())


def test_platform_6_4_a_contact_behind_nat_is_rewritten_to_the_source_and_pinged(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, sip=True) as w, _phone(w, via="192.168.1.50") as phone:
            await phone.register()
            (contact,) = await w.simulator.registrar.location_table()  # type: ignore[union-attr]
            assert contact.address == f"sip:alice@127.0.0.1:{phone.port}"
            assert contact.natted

    run(main())


def test_platform_6_4_a_contact_without_nat_is_not_pinged(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, sip=True) as w, _phone(w, source="127.1.2.3", via="127.1.2.3") as phone:
            await phone.register()
            (contact,) = await w.simulator.registrar.location_table()  # type: ignore[union-attr]
            assert not contact.natted

    run(main())


def test_platform_6_4_unregistering_empties_the_table(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, sip=True) as w, _phone(w) as phone:
            await phone.register()
            assert len(w.platform.registrations.live()) == 1
            assert (await phone.register(expires=0)).status == 200
            assert w.platform.registrations.live() == []
            assert await w.simulator.registrar.location_table() == []  # type: ignore[union-attr]
            await phone.register()
            assert (await phone.register(expires=0, contact="*")).status == 200
            assert w.platform.registrations.live() == []

    run(main())


def test_platform_6_4_garbage_does_not_hurt_the_registrar(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, sip=True) as w, _phone(w) as phone:
            for garbage in (
                b"\x00" * 400,
                b"REGISTER\r\n\r\n",
                b"INVITE sip:911 SIP/2.0\r\nVia: x\r\n\r\n",
                b"\r\n\r\n",
            ):
                phone.send_bytes(garbage)
            assert (await phone.register()).status == 200

    run(main())


def test_platform_11_1_the_header_on_register_binds_by_the_rules_of_3_1(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, sip=True) as w, _phone(w) as phone, _phone(w, source=HOME) as moved:
            number = await w.address()
            await phone.register(present=number)
            assert await w.anchor(number) == OFFICE
            session = await w.session()
            moved.call_id, moved.cseq = phone.call_id, phone.cseq
            assert (await moved.register(present=number)).status == 200  # registered all the same
            assert await w.anchor(number) == OFFICE
            assert await session.frame() == {"type": "network.changed"}
            await w.rest("DELETE", f"{ADDRESSES}/{number}/registered_ip", key=await w.token())
            await moved.register(present=number)
            assert await w.anchor(number) == HOME
            assert [e.fields["judgement"] for e in w.platform.log.entries("present", channel="sip")] == [
                "bound",
                "mismatch",
                "bound",
            ]

    run(main())


def test_platform_6_5_the_header_may_be_ignored(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, sip=True, behavior={"sip_header": "ignore"}) as w, _phone(w) as phone:
            number = await w.address()
            await phone.register(present=number)
            assert await w.anchor(number) is None
            assert not w.platform.may_call("user_1", "4155550100", OFFICE)

    run(main())


def test_platform_10_2_a_register_that_is_refused_may_say_nothing_on_the_socket(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, sip=True, behavior={"sip_mismatch_notifies": False}) as w, _phone(w) as phone:
            session = await w.session()
            await phone.register(present="emerg_unknown")
            assert await session.types_until_pong() == []

    run(main())


def test_a_register_can_be_refused_delayed_and_dropped_on_demand(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, sip=True) as w, _phone(w) as phone:
            w.platform.faults.set("status", "SIP REGISTER", status=503, retry_after=17)
            answer = await phone.register()
            assert (answer.status, answer.get("retry-after")) == (503, "17")
            w.platform.faults.set("latency", "SIP REGISTER", seconds=0.2)
            before = w.platform.clock.monotonic()
            assert (await phone.register()).status == 200
            assert w.platform.clock.monotonic() - before >= 0.2
            w.platform.faults.set("drop_request", "SIP REGISTER", count=2)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await phone.register()
            assert w.platform.log.count("register", code=0) == 1

    run(main())


def test_a_register_whose_answer_is_lost_took_effect(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, sip=True) as w, _phone(w) as phone:
            phone.send(phone.build("REGISTER", "sip:dialstack.ai"))
            challenge = await phone.final()
            w.platform.faults.set("drop_reply", "SIP REGISTER")
            request = phone.build("REGISTER", "sip:dialstack.ai", Expires="300")
            request.headers.append(phone.authorization(challenge, "REGISTER", "sip:dialstack.ai"))
            phone.send(request)
            await w.happened("register", authenticated=True)
            assert len(w.platform.registrations.live()) == 1
            phone.send(request)  # a retransmission is counted as one
            assert (await phone.final()).status == 200
            assert w.platform.log.count("register", authenticated=True, again=False) == 1

    run(main())


def test_kamailio_can_die_and_come_back_without_its_bindings(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, sip=True) as w, _phone(w) as phone:
            await phone.register()
            for running in (False, True):
                answer = await w.rest("POST", "/control/registrar", {"running": running}, base="control")
                assert answer.body == {"running": running}
            assert (await w.rest("GET", "/control/location", base="control")).body == []
            assert (await phone.register()).status == 200
            rows = (await w.rest("GET", "/control/location", base="control")).body
            assert [row["aor"] for row in rows] == ["alice"]

    run(main())

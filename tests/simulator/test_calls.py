"""Platform.md 5: who may call whom, with real SIP and real sound."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agent.simulator.sip import Message
from tests.simulator.telephone import Telephone
from tests.simulator.world import HOME, World, run, world

pytestmark = pytest.mark.sip

SPELLINGS = ["911", "933", "+1911", "1933", "9911", "+933"]


def _phone(w: World, **options: str) -> Telephone:
    return Telephone(w.simulator.urls["sip"], **options)


@pytest.mark.parametrize("number", SPELLINGS)
def test_platform_5_emergency_calls_reach_the_psap_unregistered_and_unauthenticated(
    tmp_path: Path, number: str
) -> None:
    async def main() -> None:
        async with world(tmp_path, sip=True) as w, _phone(w, user="nobody", via="192.168.1.50") as phone:
            _, answer = await phone.invite(number)
            assert answer.status == 200
            phone.talk(answer)
            heard = await phone.listen(30)
            assert any(payload.strip(b"\xff\x7f") for payload in heard)
            started = await w.happened("call", what="start")
            assert (started.fields["leg"], started.fields["source"]) == ("psap", "127.0.0.1")
            sound = await w.happened("call", what="sound")
            assert sound.fields["port"] == phone.rtp_port()
            assert (await phone.hang_up(answer.get("to"))).status == 200
            ended = await w.happened("call", what="ended")
            assert ended.fields["by"] == "caller"
            assert ended.fields["received"] == 1

    run(main())


def test_platform_5_emergency_calls_need_nothing_of_the_platform(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, sip=True) as w, _phone(w) as phone:
            w.platform.users.clear()
            w.platform.faults.set("status", "*", count=None, status=503)
            w.platform.faults.set("latency", "*", count=None, seconds=30)
            _, answer = await phone.invite("911")
            assert answer.status == 200

    run(main())


def test_platform_5_933_reads_the_bound_address_back_and_hangs_up(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, sip=True) as w, _phone(w) as phone:
            await phone.register(present=await w.address())
            w.simulator.psap.legs = w.simulator.psap.legs.changed({"after_text": 0.0, "longest_text": 0.7})  # type: ignore[union-attr]
            text = "Your emergency address is 123 Main St, Suite 400, San Francisco, CA 94105."
            _, answer = await phone.invite("933")
            answered = await w.happened("call", what="answered")
            assert answered.fields["text"] == f"This is the 9 3 3 test. {text} Goodbye."
            bye = await _request(phone, "BYE", seconds=30)
            phone.send(bye.reply(200, "OK"))
            ended = await w.happened("call", what="ended")
            assert (ended.fields["by"], answer.status) == ("platform", 200)

    run(main())


def test_platform_5_933_says_that_there_is_no_address(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, sip=True) as w, _phone(w) as phone:
            await phone.register()
            await phone.invite("933")
            answered = await w.happened("call", what="answered")
            text = "This is the 9 3 3 test. There is no emergency address for this phone. Goodbye."
            assert answered.fields["text"] == text

    run(main())


def test_platform_0_an_ordinary_call_without_a_bound_address_gets_the_announcement_and_ends(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, sip=True) as w, _phone(w) as phone:
            await phone.register()
            w.simulator.psap.legs = w.simulator.psap.legs.changed({"after_text": 0.0, "longest_text": 0.7})  # type: ignore[union-attr]
            _, answer = await phone.invite("+14155550100", authenticate=True)
            assert answer.status == 200
            answered = await w.happened("call", what="answered")
            assert answered.fields["leg"] == "announcement"
            assert answered.fields["text"].startswith("This phone's emergency address is not registered.")
            assert any(payload.strip(b"\xff\x7f") for payload in await phone.listen(30))
            bye = await _request(phone, "BYE", seconds=30)
            phone.send(bye.reply(200, "OK"))
            await w.happened("call", what="ended", by="platform")

    run(main())


def test_platform_10_5_the_announcement_may_be_early_media_and_end_with_480(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, sip=True) as w, _phone(w) as phone:
            order = {"announcement_early": True, "after_text": 0.0, "longest_text": 0.7}
            assert (await w.rest("POST", "/control/legs", order, base="control")).status == 200
            phone_answer = asyncio.create_task(phone.invite("4155550100", authenticate=True))
            assert len(await phone.listen(5)) == 5
            async with asyncio.timeout(30):
                _, answer = await phone_answer
            assert answer.status == 480

    run(main())


def test_platform_5_an_ordinary_call_with_a_bound_address_is_answered_and_echoes(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, sip=True) as w, _phone(w) as phone, _phone(w, source=HOME) as elsewhere:
            await phone.register(present=await w.address())
            _, answer = await phone.invite("+14155550100", authenticate=True)
            assert answer.status == 200
            assert (await w.happened("call", what="answered")).fields["leg"] == "answer"
            await phone.hang_up(answer.get("to"))
            await elsewhere.invite("+14155550100", authenticate=True)
            assert w.platform.log.count("call", what="answered", leg="announcement") == 1

    run(main())


def test_platform_5_sip_calls_may_not_be_gated_at_all(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, sip=True, behavior={"sip_gated": False}) as w, _phone(w) as phone:
            _, answer = await phone.invite("4155550100", authenticate=True)
            assert answer.status == 200
            assert w.platform.log.count("call", what="gate", allowed=True) == 1

    run(main())


def test_platform_5_ordinary_calls_need_credentials(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, sip=True) as w, _phone(w, password="wrong") as phone:
            _, answer = await phone.invite("4155550100", authenticate=True)
            assert answer.status == 407
            assert w.platform.log.count("call") == 0

    run(main())


def test_platform_5_inbound_and_internal_calls_ring_a_phone_without_an_address(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, sip=True) as w, _phone(w, via="192.168.1.50") as phone:
            await phone.register()
            await w.rest("POST", "/control/callback", {"sip_username": "alice"}, base="control")
            invite = await _request(phone, "INVITE")
            assert invite.get("from").startswith("<sip:911@")
            answer = invite.reply(200, "OK", "phone-tag")
            answer.headers += [
                ("contact", f"<sip:alice@192.168.1.50:{phone.port}>"),
                ("content-type", "application/sdp"),
            ]
            offer = phone.build("X", "sip:x")
            offer.body = b""
            answer.body = _sdp(phone)
            phone.send(answer)
            assert (await _request(phone, "ACK")).method == "ACK"
            phone.talk(invite)
            assert any(payload.strip(b"\xff\x7f") for payload in await phone.listen(30))

    run(main())


def test_a_reinvite_from_a_new_network_takes_the_call_along(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, sip=True) as w, _phone(w) as phone, _phone(w, source=HOME) as moved:
            _, answer = await phone.invite("911")
            phone.talk(answer)
            await phone.listen(3)
            for name in ("call_id", "tag", "cseq", "target", "route"):
                setattr(moved, name, getattr(phone, name))
            again = await moved.reinvite(answer.get("to"))
            assert again.status == 200
            moved.talk(again)
            assert await moved.listen(3)
            sources = [e.fields["source"] for e in w.platform.log.entries("call", what="sound")]
            assert sources == ["127.0.0.1", HOME]
            assert (await moved.hang_up(answer.get("to"))).status == 200

    run(main())


def test_after_a_reinvite_the_platform_hangs_up_at_the_new_address(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, sip=True) as w, _phone(w) as phone, _phone(w, source=HOME) as moved:
            await w.rest("POST", "/control/legs", {"longest_text": 1.0, "psap_911": 0.0}, base="control")
            _, answer = await phone.invite("911")
            for name in ("call_id", "tag", "cseq", "target", "route"):
                setattr(moved, name, getattr(phone, name))
            assert (await moved.reinvite(answer.get("to"))).status == 200
            bye = await _request(moved, "BYE")
            moved.send(bye.reply(200, "OK"))
            await w.happened("call", what="ended", by="platform")

    run(main())


def test_a_ringing_call_can_be_cancelled(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, sip=True) as w, _phone(w) as phone:
            await w.rest("POST", "/control/legs", {"ring": 20}, base="control")
            request = phone._invite("sip:911@dialstack.ai")
            phone.send(request)
            await w.happened("call", what="start")
            while (await phone.receive()).status != 180:
                pass
            cancel = Message(f"CANCEL {request.uri} SIP/2.0")
            kept = {"Via", "From", "To", "Call-ID", "Max-Forwards"}
            cancel.headers = [h for h in request.headers if h[0] in kept] + [("CSeq", f"{phone.cseq} CANCEL")]
            phone.send(cancel)
            assert {(await phone.final()).status, (await phone.final()).status} == {200, 487}
            await w.happened("call", what="ended", by="cancel")

    run(main())


def test_a_call_without_a_codec_in_common_is_488(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, sip=True) as w, _phone(w) as phone:
            request = phone._invite("sip:911@dialstack.ai")
            request.body = request.body.replace(b"AVP 0 101", b"AVP 9 101")
            assert (await phone._transact(request)).status == 488
            await w.happened("call", what="ended", by="488")

    run(main())


def _sdp(phone: Telephone) -> bytes:
    from agent.simulator.sip import write_sdp

    return write_sdp(phone.via, phone.rtp_port())


async def _request(phone: Telephone, method: str, seconds: float = 10) -> Message:
    """Wait for a request of this method."""
    async with asyncio.timeout(seconds):
        while True:
            message = await phone.receive()
            if message.method == method:
                return message

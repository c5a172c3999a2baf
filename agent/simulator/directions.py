"""The two kinds of calls: `Incoming`, made by a phone, and `Outgoing`, the dispatcher calling back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from agent.simulator.call import Call
from agent.simulator.legs import words
from agent.simulator.sip import Message, SipError, new_tag, read_sdp, uri_in, user_in

if TYPE_CHECKING:
    from agent.simulator.psap import Psap


class Incoming(Call):
    """A call that a phone makes."""

    def __init__(self, psap: Psap, invite: Message, source: tuple[str, int]) -> None:
        leg = invite.get("x-sim-leg") or "psap"
        super().__init__(psap, invite.get("call-id"), leg, user_in(f"<{invite.uri}>") or invite.uri)
        self._invite = invite
        self._hop = source
        self._last: Message | None = None
        self._caller = user_in(invite.get("from"))
        self._from_ip = invite.get("x-sim-source")

    async def _talk(self) -> None:
        user = self._psap.platform.sip_user(self._caller)
        self._log("start", user=user.id if user else None, caller=self._caller, source=self._from_ip)
        offer = read_sdp(self._invite.body)
        if offer is not None and not offer.pcmu:
            await self._refuse(488, "Not Acceptable Here")
            return
        self._dialog()
        await self._open_media(offer)
        early = self.leg == "announcement" and self._psap.legs.announcement_early
        if early:
            self._reply(self._with_sdp(self._invite.reply(183, "Session Progress", self.tag)))
            await self._converse(self._words(user.id if user else None))
            await self._refuse(480, "Temporarily Unavailable")
            return
        self._reply(self._with_contact(self._invite.reply(180, "Ringing", self.tag)))
        await asyncio.sleep(self._psap.legs.ring)
        await self._answer(self._words(user.id if user else None))

    async def _answer(self, text: str) -> None:
        answer = self._with_sdp(self._invite.reply(200, "OK", self.tag))
        self._last = answer
        self._answered = answer
        self._log("answered", text=text)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._acknowledged(answer))
            await self._converse(text)
            await self._final.wait()
        self.end("platform")

    async def _acknowledged(self, answer: Message) -> None:
        if not await self._repeat(answer, self._hop, self._final):
            self._final.set()
            self.end("platform")

    def _words(self, user: str | None) -> str:
        platform = self._psap.platform
        bound = platform.bound_address(user, self._from_ip) if user and self._from_ip else None
        return words(self.leg, self.number, platform.addresses.find(bound))

    def _dialog(self) -> None:
        invite = self._invite
        self._local = f"{invite.get('to')};tag={self.tag}"
        self._remote = invite.get("from")
        self._target = uri_in(invite.get("contact"))
        self._route = invite.all("record-route")

    def _with_contact(self, message: Message) -> Message:
        host = self._psap.addresses[0]
        message.headers.append(
            ("contact", f"<sip:{self.leg}@{f'[{host}]' if ':' in host else host}:{self._psap.port}>")
        )
        return message

    def _reply(self, message: Message) -> None:
        self._last = message
        self._psap.send(message, self._hop)

    async def _refuse(self, code: int, reason: str) -> None:
        refusal = self._invite.reply(code, reason, self.tag)
        self._last = refusal
        await self._repeat(refusal, self._hop, self._final)
        self.end(str(code))

    def request(self, message: Message, source: tuple[str, int]) -> None:
        """Take a retransmission, a CANCEL, or an in-dialog request."""
        if message.method == "INVITE" and not message.tag("to"):
            if self._last is not None:
                self._psap.send(self._last, source)
        elif message.method == "CANCEL":
            self._psap.send(message.reply(200, "OK", self.tag), source)
            if self._answered is None:
                self._reply(self._invite.reply(487, "Request Terminated", self.tag))
                self.end("cancel")
        else:
            super().request(message, source)


class Outgoing(Call):
    """A call that the PSAP makes to a registered phone."""

    def __init__(self, psap: Psap, call_id: str, sip_username: str, number: str) -> None:
        super().__init__(psap, call_id, "psap", number)
        host = psap.proxy[0]
        bracketed = f"[{host}]" if ":" in host else host
        self._local = f"<sip:{number}@{bracketed}>;tag={self.tag}"
        self._remote = f"<sip:{sip_username}@{bracketed}>"
        self._target = f"sip:{sip_username}@{bracketed}:{psap.proxy[1]}"
        self._user = sip_username
        self._branch = new_tag()
        self._progress = asyncio.Event()
        self._result: asyncio.Future[Message] = asyncio.get_running_loop().create_future()

    async def _talk(self) -> None:
        self._log("start", user=self._user, back=True)
        await self._open_media(None)
        invite, hop = self._outgoing("INVITE", self._branch, self._cseq)
        invite.headers.append(("content-type", "application/sdp"))
        invite.body = self._sdp()
        if not await self._repeat(invite, hop, self._progress):
            self.end("nobody")
            return
        answer = await self._result
        if answer.status >= 300:  # noqa: PLR2004 - refused
            self.end(str(answer.status))
            return
        self._log("answered", text="call back")
        await self._converse("This is the simulated dispatcher calling you back.")
        self.end("platform")

    def response(self, message: Message) -> None:
        """Follow the INVITE to its end; acknowledge every final answer."""
        if not message.get("cseq").endswith("INVITE"):
            super().response(message)
            return
        self._progress.set()
        if message.status < 200:  # noqa: PLR2004 - provisional
            self._log("ringing", code=message.status)
            return
        self._remote = message.get("to")
        branch = self._branch
        if message.status < 300:  # noqa: PLR2004 - answered
            self._target = uri_in(message.get("contact")) or self._target
            self._route = list(reversed(message.all("record-route")))
            branch = new_tag()
            audio = read_sdp(message.body)
            if audio and not self._result.done():
                self._rtp.aim(audio.host, audio.port)
        try:
            self._psap.send(*self._outgoing("ACK", branch, self._cseq))
        except SipError:
            self.end("bad route")
        if not self._result.done():
            self._result.set_result(message)

"""What calls at a media leg share in both directions: the dialog, the sound, the end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from agent.simulator.rtp import FRAME, FRAME_SECONDS, RtpStream
from agent.simulator.sip import Audio, Message, host_port, new_tag, read_sdp, uri_in, write_sdp
from agent.simulator.sound import RATE, SILENCE, beeps, broken, speech

if TYPE_CHECKING:
    from agent.simulator.psap import Psap

T1 = 0.5
T2 = 4.0
GIVE_UP = 64 * T1
"""Seconds, RFC 3261 17."""
ALLOW = "INVITE, ACK, BYE, CANCEL, OPTIONS"


class Call:
    """What both directions share: the dialog, the sound, the end."""

    def __init__(self, psap: Psap, call_id: str, leg: str, number: str) -> None:
        self._psap = psap
        self.call_id = call_id
        self.leg = leg
        """`psap`, `announcement` or `answer`."""
        self.number = number
        self.tag = new_tag()
        self._rtp = RtpStream(self._heard)
        self._media = ("", 0)
        self._over = asyncio.Event()
        self._ended_by = ""
        self._final: asyncio.Event = asyncio.Event()
        self._answered: Message | None = None
        self._sdp_version = 0
        self._cseq = 1
        self._local = self._remote = self._target = ""
        self._route: list[str] = []

    # ------------------------------------------------------------------ life

    async def run(self) -> None:
        """Live from the first message to the last."""
        try:
            async with asyncio.TaskGroup() as group:
                talk = group.create_task(self._talk())
                await self._over.wait()
                talk.cancel()
            if self._ended_by == "platform":
                await self._bye()
        finally:
            self._rtp.close()
            self._log("ended", by=self._ended_by, received=self._rtp.received, sent=self._rtp.sent, loud=self._rtp.loud)

    async def _talk(self) -> None:
        raise NotImplementedError

    def end(self, who: str) -> None:
        """End the call; `platform` hangs up itself."""
        if not self._over.is_set():
            self._ended_by = who
            self._over.set()

    def _log(self, what: str, **fields: object) -> None:
        self._psap.platform.log.add("call", what=what, call_id=self.call_id, leg=self.leg, number=self.number, **fields)

    def _heard(self, host: str, port: int) -> None:
        self._log("sound", source=host, port=port)

    # ------------------------------------------------------------------ sound

    async def _open_media(self, offer: Audio | None) -> bytes:
        """Open RTP for an offer (or for our own) and return our SDP."""
        address = self._psap.address_for(ipv6=offer.ipv6 if offer else ":" in self._psap.addresses[0])
        self._media = (address, await self._rtp.start(address))
        if offer:
            self._rtp.aim(offer.host, offer.port)
        return self._sdp()

    def _sdp(self) -> bytes:
        self._sdp_version += 1
        return write_sdp(*self._media, self._sdp_version)

    async def _play(self, sound: bytes) -> None:
        """Send sound in real time."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        for start in range(0, len(sound), FRAME):
            self._rtp.send(sound[start : start + FRAME].ljust(FRAME, bytes([SILENCE])), first=start == 0)
            due += FRAME_SECONDS
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def _converse(self, text: str) -> None:
        """Say what the leg says, and stay as long as it stays."""
        legs = self._psap.legs
        if self.number.endswith("933") and legs.read_back != "speech":
            await self._play(broken(legs.read_back, legs.longest_text))
        else:
            await self._play((await speech(text))[: round(legs.longest_text * RATE)])
        loop = asyncio.get_running_loop()
        if self.leg == "answer":
            self._rtp.echo = True
        elif self.leg == "announcement" or self.number.endswith("933"):
            await self._play(bytes([SILENCE]) * round(legs.after_text * RATE))
            return
        end = loop.time() + legs.psap_911
        pause = bytes([SILENCE]) * RATE * 4
        while loop.time() < end and loop.time() - self._rtp.last_heard < legs.no_sound:
            if self._rtp.echo:
                await asyncio.sleep(1.0)
            else:
                await self._play(beeps(0.2) + pause)

    # ------------------------------------------------------------------ dialog

    def request(self, message: Message, source: tuple[str, int]) -> None:
        """Take an in-dialog request."""
        if message.method == "ACK":
            self._final.set()
        elif message.method == "BYE":
            self._psap.send(message.reply(200, "OK"), source)
            self._final.set()
            self.end("caller")
        elif message.method == "INVITE":
            self._reinvite(message, source)
        elif message.method == "OPTIONS":
            self._psap.send(message.reply(200, "OK"), source)
        else:
            self._psap.send(message.reply(405, "Method Not Allowed"), source)

    def _reinvite(self, message: Message, source: tuple[str, int]) -> None:
        """Follow the other side to its new address; the route set stays (RFC 3261 12.2)."""
        offer = read_sdp(message.body)
        if offer and not offer.pcmu:
            self._psap.send(message.reply(488, "Not Acceptable Here"), source)
            return
        self._target = uri_in(message.get("contact")) or self._target
        if offer:
            self._rtp.aim(offer.host, offer.port)
        self._log("reinvite", target=self._target)
        self._psap.send(self._with_sdp(message.reply(200, "OK")), source)

    def response(self, message: Message) -> None:
        """Take a response to a request of ours."""
        if message.get("cseq").endswith("BYE") and message.status >= 200:  # noqa: PLR2004 - final
            self._final.set()

    def _with_sdp(self, message: Message) -> Message:
        host = self._psap.addresses[0]
        contact = f"<sip:{self.leg}@{f'[{host}]' if ':' in host else host}:{self._psap.port}>"
        message.headers += [("contact", contact), ("allow", ALLOW), ("content-type", "application/sdp")]
        message.body = self._sdp()
        return message

    def _outgoing(self, method: str, branch: str, cseq: int) -> tuple[Message, tuple[str, int]]:
        """Return an in-dialog request and where to send it."""
        host = self._psap.addresses[0]
        bracketed = f"[{host}]" if ":" in host else host
        headers = [
            ("via", f"SIP/2.0/UDP {bracketed}:{self._psap.port};branch=z9hG4bK{branch};rport"),
            ("max-forwards", "70"),
            ("from", self._local),
            ("to", self._remote),
            ("call-id", self.call_id),
            ("cseq", f"{cseq} {method}"),
            *(("route", route) for route in self._route),
        ]
        if method in {"INVITE", "ACK"}:
            headers.append(("contact", f"<sip:{self.leg}@{bracketed}:{self._psap.port}>"))
        hop = host_port(uri_in(self._route[0])) if self._route else self._psap.proxy
        return Message(f"{method} {self._target} SIP/2.0", headers), hop

    async def _bye(self) -> None:
        """Hang up; the BYE is repeated until it is answered or nobody is left (RFC 3261 17.1.2)."""
        self._final.clear()
        self._cseq += 1
        message, hop = self._outgoing("BYE", new_tag(), self._cseq)
        await self._repeat(message, hop, self._final)

    async def _repeat(self, message: Message, target: tuple[str, int], done: asyncio.Event) -> bool:
        """Send until `done`; return False when nobody answered."""
        wait, left = T1, GIVE_UP
        while left > 0 and not done.is_set():
            self._psap.send(message, target)
            try:
                async with asyncio.timeout(min(wait, left)):
                    await done.wait()
            except TimeoutError:
                left -= wait
                wait = min(2 * wait, T2)
        return done.is_set()

"""A raw SIP phone over UDP: digest, dialogs, and RTP, in as few lines as that takes."""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
import struct
from types import TracebackType
from typing import Self

from agent.simulator.sip import Message, host_port, parse, read_sdp, uri_in, write_sdp

REALM = "dialstack.ai"
PRESENT = "X-DialStack-Emergency-Address"
WAIT = 10.0


class _Socket(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.packets: asyncio.Queue[tuple[bytes, tuple[str, int]]] = asyncio.Queue()
        self.transport: asyncio.DatagramTransport | None = None

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.packets.put_nowait((data, addr))


class Telephone:
    """Async context manager; `via` is the address that it believes to have."""

    def __init__(
        self,
        registrar: str,
        *,
        user: str = "alice",
        password: str = "wonderland",  # noqa: S107 - the test user's
        source: str = "127.0.0.1",
        via: str = "",
    ) -> None:
        self.registrar = host_port(registrar)
        self.user = user
        self.password = password
        self.source = source
        self.via = via or source
        self.call_id = f"{secrets.token_hex(8)}@phone"
        self.tag = secrets.token_hex(4)
        self.cseq = 0
        self.port = 0
        self.remote_tag = ""
        self.target = ""
        self.route: list[str] = []
        self.sip = _Socket()
        self.rtp = _Socket()
        self.answer_code = 200

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for made in (self.sip, self.rtp):
            made.transport, _ = await loop.create_datagram_endpoint(lambda made=made: made, local_addr=(self.source, 0))  # type: ignore[misc]
        assert self.sip.transport is not None
        self.port = self.sip.transport.get_extra_info("sockname")[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for socket in (self.sip, self.rtp):
            if socket.transport is not None:
                socket.transport.close()
        await asyncio.sleep(0)  # the loop closes them in its next round

    # ------------------------------------------------------------------ messages

    def send(self, message: Message) -> None:
        assert self.sip.transport is not None
        self.sip.transport.sendto(message.encode(), self.registrar)

    def send_bytes(self, data: bytes) -> None:
        assert self.sip.transport is not None
        self.sip.transport.sendto(data, self.registrar)

    async def receive(self) -> Message:
        """Return the next SIP message; keep-alives are skipped."""
        while True:
            data, _ = await asyncio.wait_for(self.sip.packets.get(), WAIT)
            if data.strip(b"\r\n\0"):
                return parse(data)

    async def final(self) -> Message:
        """Return the next final response."""
        while True:
            message = await self.receive()
            if message.status >= 200:
                return message

    def build(self, method: str, uri: str, *, to: str = "", rport: bool = True, **extra: str) -> Message:
        """Return a request with the next CSeq (ACK and CANCEL keep it)."""
        if method not in {"ACK", "CANCEL"}:
            self.cseq += 1
        own = f"<sip:{self.user}@{self.via}:{self.port}>"
        sender = f"<sip:{self.user}@{REALM}>"
        branch = f"z9hG4bK{secrets.token_hex(6)}" + (";rport" if rport else "")
        headers = [
            ("Via", f"SIP/2.0/UDP {self.via}:{self.port};branch={branch}"),
            ("Max-Forwards", "70"),
            ("From", f"{sender};tag={self.tag}"),
            ("To", to or (sender if method == "REGISTER" else f"<{uri}>")),
            ("Call-ID", self.call_id),
            ("CSeq", f"{self.cseq} {method}"),
            ("Contact", own),
            ("User-Agent", "raw test phone"),
        ]
        headers += [(name.replace("_", "-"), value) for name, value in extra.items()]
        return Message(f"{method} {uri} SIP/2.0", headers)

    def authorization(self, challenge: Message, method: str, uri: str, password: str | None = None) -> tuple[str, str]:
        """Return the header that answers a 401 or 407 (RFC 2617 without qop)."""
        proxy = challenge.status == 407
        asked = challenge.get("proxy-authenticate" if proxy else "www-authenticate")
        fields = dict(re.findall(r'(\w+)="([^"]*)"', asked))
        assert "qop" not in asked
        realm, nonce = fields["realm"], fields["nonce"]

        def md5(text: str) -> str:
            return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

        secret = md5(f"{self.user}:{realm}:{password or self.password}")
        response = md5(f"{secret}:{nonce}:{md5(f'{method}:{uri}')}")
        value = f'Digest username="{self.user}", realm="{realm}", nonce="{nonce}", uri="{uri}", response="{response}"'
        return ("Proxy-Authorization" if proxy else "Authorization", value)

    # ------------------------------------------------------------------ registration

    async def register(
        self, *, expires: int = 300, present: str | None = None, password: str | None = None, contact: str = ""
    ) -> Message:
        """REGISTER, answer the challenge, and return the final answer."""
        uri = f"sip:{REALM}"
        answer: Message | None = None
        while True:
            request = self.build("REGISTER", uri, Expires=str(expires))
            if contact:
                request.headers = [(n, contact if n == "Contact" else v) for n, v in request.headers]
            if present is not None:
                request.headers.append((PRESENT, present))
            challenge = answer
            if challenge is not None:
                request.headers.append(self.authorization(challenge, "REGISTER", uri, password))
            self.send(request)
            answer = await self.final()
            if answer.status != 401 or challenge is not None:
                return answer

    # ------------------------------------------------------------------ calls

    def rtp_port(self) -> int:
        assert self.rtp.transport is not None
        port: int = self.rtp.transport.get_extra_info("sockname")[1]
        return port

    async def invite(self, number: str, *, authenticate: bool = False) -> tuple[Message, Message]:
        """Call a number; return (request, final answer), acknowledged."""
        uri = f"sip:{number}@{REALM}"
        request = self._invite(uri)
        answer = await self._transact(request)
        if authenticate and answer.status == 407:
            request = self._invite(uri)
            request.headers.append(self.authorization(answer, "INVITE", uri))
            answer = await self._transact(request)
        return request, answer

    def _invite(self, uri: str, to: str = "") -> Message:
        request = self.build("INVITE", uri, to=to, Content_Type="application/sdp")
        request.body = write_sdp(self.via, self.rtp_port())
        return request

    async def _transact(self, request: Message) -> Message:
        self.send(request)
        answer = await self.final()
        if answer.status < 300:
            self.target = uri_in(answer.get("contact"))
            self.route = list(reversed(answer.all("record-route")))
            self.remote_tag = answer.tag("to")
            self.send(self.in_dialog("ACK", answer.get("to")))
        else:
            ack = Message(
                f"ACK {request.uri} SIP/2.0", [h for h in request.headers if h[0] in {"Via", "From", "Call-ID"}]
            )
            ack.headers += [("To", answer.get("to")), ("CSeq", f"{self.cseq} ACK"), ("Max-Forwards", "70")]
            self.send(ack)
        return answer

    def in_dialog(self, method: str, to: str) -> Message:
        request = self.build(method, self.target, to=to)
        request.headers += [("Route", route) for route in self.route]
        return request

    async def reinvite(self, to: str) -> Message:
        """Offer the current RTP port again, from the current address."""
        request = self.in_dialog("INVITE", to)
        request.headers.append(("Content-Type", "application/sdp"))
        request.body = write_sdp(self.via, self.rtp_port())
        self.send(request)
        answer = await self.final()
        self.send(self.in_dialog("ACK", to))
        return answer

    async def hang_up(self, to: str) -> Message:
        self.send(self.in_dialog("BYE", to))
        return await self.final()

    # ------------------------------------------------------------------ sound

    def talk(self, answer: Message, payload: bytes = b"\x12" * 160) -> None:
        """Send one packet of PCMU to where the answer's SDP says."""
        audio = read_sdp(answer.body)
        assert audio is not None
        assert self.rtp.transport is not None
        packet = struct.pack("!BBHII", 0x80, 0, secrets.randbelow(60000), 0, 7) + payload
        self.rtp.transport.sendto(packet, (audio.host, audio.port))

    async def listen(self, packets: int) -> list[bytes]:
        """Return the payloads of so many RTP packets."""
        heard: list[bytes] = []
        while len(heard) < packets:
            data, _ = await asyncio.wait_for(self.rtp.packets.get(), WAIT)
            assert data[0] == 0x80
            assert data[1] & 0x7F == 0
            heard.append(data[12:])
        return heard

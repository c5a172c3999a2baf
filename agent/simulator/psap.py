"""The far ends of all calls: PSAP, announcement and telephone network, as one small SIP user agent with sound."""

from __future__ import annotations

import asyncio
import contextlib

from agent.simulator.call import Call
from agent.simulator.core import Platform
from agent.simulator.directions import Incoming, Outgoing
from agent.simulator.legs import Legs
from agent.simulator.sip import Message, SipError, new_tag, parse

MAX_CALLS = 200
"""At once: 50 packets a second each."""


class Psap(asyncio.DatagramProtocol):
    """Listens for Kamailio; owns every call."""

    def __init__(self, platform: Platform, addresses: tuple[str, ...]) -> None:
        self.platform = platform
        self.addresses = addresses
        self.legs = Legs()
        self.proxy: tuple[str, int] = (addresses[0], 5060)
        """Kamailio, for calls back."""
        self.port = 0
        self.calls: dict[str, Call] = {}
        """By Call-ID."""
        self._transport: asyncio.DatagramTransport | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, port: int) -> int:
        """Open the SIP socket and return its port."""
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: self, local_addr=(self.addresses[0], port)
        )
        self._transport = transport
        self.port = int(transport.get_extra_info("sockname")[1])
        return self.port

    async def stop(self) -> None:
        """Drop every call."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._transport is not None:
            self._transport.close()
        await asyncio.sleep(0)  # the loop closes the sockets in its next round

    def address_for(self, *, ipv6: bool) -> str:
        """Return the address for media in this family."""
        return next((a for a in self.addresses if (":" in a) == ipv6), self.addresses[0])

    def send(self, message: Message, target: tuple[str, int]) -> None:
        """Send one SIP message."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(message.encode(), target)

    def call_back(self, sip_username: str, number: str = "911") -> str:
        """Ring a registered phone, as a dispatcher does after a dropped call; return the Call-ID."""
        call = Outgoing(self, f"{new_tag()}@simulator", sip_username, number)
        self._run(call)
        return call.call_id

    def _run(self, call: Call) -> None:
        self.calls[call.call_id] = call
        task = asyncio.create_task(call.run(), name=f"call-{call.call_id}")
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._done(done, call))

    def _done(self, task: asyncio.Task[None], call: Call) -> None:
        self._tasks.discard(task)
        self.calls.pop(call.call_id, None)
        if not task.cancelled() and task.exception() is not None:
            self.platform.log.add("problem", what="call", call_id=call.call_id, error=repr(task.exception()))

    # ------------------------------------------------------------------ messages

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Hand a message to its call; what is no SIP is dropped."""
        with contextlib.suppress(SipError):
            message = parse(data)
            source = (addr[0], addr[1])
            if message.status:
                self._response(message)
            else:
                self._request(message, source)

    def error_received(self, exc: Exception) -> None:
        """Kamailio is not there: calls end by their own timers."""

    def _response(self, message: Message) -> None:
        call = self.calls.get(message.get("call-id"))
        if call is not None:
            call.response(message)

    def _request(self, message: Message, source: tuple[str, int]) -> None:
        call = self.calls.get(message.get("call-id"))
        if call is not None:
            call.request(message, source)
        elif message.method == "INVITE" and not message.tag("to"):
            if len(self.calls) >= MAX_CALLS:
                self.send(message.reply(486, "Busy Here", new_tag()), source)
                return
            self._run(Incoming(self, message, source))
        elif message.method == "OPTIONS":
            self.send(message.reply(200, "OK", new_tag()), source)
        elif message.method != "ACK":
            self.send(message.reply(481, "Call/Transaction Does Not Exist"), source)

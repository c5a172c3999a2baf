"""The open signalling sockets: delivers what the core wants to send, in order, late or not at all."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

from aiohttp import web

from agent.simulator.core import Platform
from agent.simulator.faults import FaultKind
from agent.simulator.sessions import Send


class Socket:
    """One WebSocket with its queue of outgoing frames."""

    def __init__(self, response: web.WebSocketResponse, transport: asyncio.BaseTransport | None) -> None:
        self.response = response
        self.transport = transport
        self.queue: asyncio.Queue[Send] = asyncio.Queue()
        self.saying_goodbye = False

    def abort(self) -> None:
        """Cut the connection without a goodbye."""
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()

    async def write(self, close_code: int) -> None:
        """Send what is queued until a frame ends the session or the peer is gone."""
        with contextlib.suppress(ConnectionError):
            while True:
                send = await self.queue.get()
                await self.response.send_json(send.frame)
                if send.close:
                    self.saying_goodbye = True
                    await self.response.close(code=close_code)
                    return


class Hub:
    """Knows which socket belongs to which session."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._sockets: dict[str, Socket] = {}
        self._timers: set[asyncio.TimerHandle] = set()

    def attach(self, session: str, socket: Socket) -> None:
        """From now on frames for this session go to this socket."""
        self._sockets[session] = socket

    def detach(self, session: str) -> None:
        """The socket is gone."""
        self._sockets.pop(session, None)

    def deliver(self, sends: Iterable[Send]) -> None:
        """Queue frames; those with a delay are queued later, those with a `missing` fault never."""
        for send in sends:
            delay, missing = send.delay, False
            if send.frame["type"] != "network.changed":  # the core asked for that one's faults itself
                for fault in self._platform.faults.take(f"WS {send.frame['type']}"):
                    delay += fault.seconds if fault.kind is FaultKind.LATENCY else 0.0
                    missing = missing or fault.kind is not FaultKind.LATENCY
            if missing:
                continue
            if delay:
                timer = asyncio.get_running_loop().call_later(delay, self._queue, send)
                self._timers = {t for t in self._timers if not t.cancelled()} | {timer}
            else:
                self._queue(send)

    def _queue(self, send: Send) -> None:
        socket = self._sockets.get(send.session)
        if socket is not None:
            self._platform.log.add(
                "send", session=send.session, type=send.frame["type"], code=send.frame.get("code", "")
            )
            socket.queue.put_nowait(send)

    def abort(self, sessions: Iterable[str]) -> None:
        """Cut these sessions' connections, as a router that lost its state does."""
        for session in sessions:
            socket = self._sockets.get(session)
            if socket is not None:
                socket.abort()

    def close(self) -> None:
        """Forget the timers; cut everything."""
        for timer in self._timers:
            timer.cancel()
        self.abort(list(self._sockets))

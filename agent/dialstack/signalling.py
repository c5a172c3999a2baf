"""The signalling WebSocket (platform.md 4): authenticate with the id, hear `network.changed`, keep alive."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import msgspec

from agent.config.settings import PlatformSettings
from agent.dialstack.answers import captive_portal, retry_after
from agent.dialstack.frames import TOKEN_CODES, Frame, answers, ended, parse, refusal
from agent.dialstack.ports import Closed, Denied, Ended, Token
from agent.dialstack.rest import USER_AGENT, transport_problem
from agent.errors import AgentError, Backoff, Retry
from agent.say import say

__all__ = ["SUBPROTOCOL", "TOKEN_CODES", "WebSocketSession", "WebSocketSignalling", "signalling_url"]

SUBPROTOCOL = "dialstack.webrtc.v1"
AUTHENTICATED_WAIT = 20.0
"""Seconds for `authenticated` after the socket opened (platform.md 4.4)."""
LIVENESS = 5.0
"""Seconds after a ping in which any frame must arrive (platform.md 4.4)."""
REFRESH_WAIT = 15.0
CLOSE_WAIT = 1.0
"""Seconds for a polite goodbye: the platform sees the session end either way."""
FRAME_LIMIT = 256 * 1024

_ENDS = (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)


def signalling_url(settings: PlatformSettings) -> str:
    """Return the WebSocket URL: the configured one, or derived from the API's (platform.md 1.3)."""
    if settings.signalling:
        return settings.signalling
    parts = urlsplit(settings.api)
    host = parts.netloc
    if host.lower().startswith("api."):
        host = f"webrtc.{host[4:]}"
    path = parts.path.rstrip("/")
    if not path.endswith("/v1/webrtc"):
        path += "/v1/webrtc"
    return urlunsplit(({"https": "wss", "http": "ws"}.get(parts.scheme, parts.scheme), host, path, "", ""))


class WebSocketSession:
    """One authenticated connection; `events()` ends with `Closed`."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, presented_id: str | None, ping_interval: float) -> None:
        self._socket = socket
        self._presented_id = presented_id
        self._interval = ping_interval
        self._ids = (f"req_{number}" for number in itertools.count(1))
        self._queue: asyncio.Queue[Denied | Closed] = asyncio.Queue()
        self._replies: dict[str, asyncio.Future[Frame]] = {}
        self._heard = asyncio.Event()
        self._denied = False
        self._end: Closed | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.user_id = ""

    @property
    def presented_id(self) -> str | None:
        """See Session."""
        return self._presented_id

    @property
    def alive(self) -> bool:
        """See Session."""
        return self._end is None

    @property
    def denied(self) -> bool:
        """See Session."""
        return self._denied

    async def authenticate(self, token: Token) -> None:
        """Send the first frame and wait for `authenticated`; raises AgentError."""
        request = next(self._ids)
        frame = {"type": "authenticate", "req_id": request, "token": token.secret}
        if self._presented_id is not None:
            frame["emergency_address_id"] = self._presented_id
        try:
            async with asyncio.timeout(AUTHENTICATED_WAIT):
                await self._send(frame)
                await self._await_authenticated(request)
        except TimeoutError as error:
            raise Retry(say("The platform did not answer the sign-in."), code="timeout") from error
        self._tasks = [
            asyncio.create_task(self._read(), name="signalling-read"),
            asyncio.create_task(self._keep_alive(), name="signalling-ping"),
        ]

    async def _await_authenticated(self, request: str) -> None:
        while True:
            frame = await self._receive()
            if frame is None:
                raise Retry(say("The platform closed the connection during sign-in."), code="connection_lost")
            if frame.type == "network.changed":
                self._deny()
            elif frame.type == "error" and (frame.fatal or answers(frame, request)):
                raise refusal(frame)
            elif frame.type == "authenticated" and frame.req_id in {None, request}:
                self.user_id = frame.user_id
                return

    async def _receive(self) -> Frame | None:
        """Return the next frame that can be read, None at the end."""
        while True:
            message = await self._socket.receive()
            if message.type in _ENDS:
                return None
            self._heard.set()
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            if (frame := parse(message.data)) is not None:
                return frame

    async def _read(self) -> None:
        last = Closed(Ended.LOST, say("the connection was lost"))
        while True:
            frame = await self._receive()
            if frame is None:
                break
            if frame.type == "network.changed":
                self._deny()
            self._settle(frame)
            if frame.type == "error" and frame.fatal:
                last = Closed(ended(frame.code), f"{frame.code}: {frame.message}"[:200])
                break
        self._finish(last)

    def _settle(self, frame: Frame) -> None:
        """Hand the reply to a refresh to whoever waits for it."""
        for request, waiting in self._replies.items():
            ours = frame.fatal or (frame.type in {"auth.refreshed", "error"} and answers(frame, request))
            if ours and not waiting.done():
                waiting.set_result(frame)

    def _deny(self) -> None:
        self._denied = True
        self._queue.put_nowait(Denied())

    def _finish(self, end: Closed) -> None:
        if self._end is None:
            self._end = end
            self._queue.put_nowait(end)
            for waiting in self._replies.values():
                if not waiting.done():
                    waiting.set_exception(_lost())

    async def _keep_alive(self) -> None:
        while self.alive:
            await asyncio.sleep(self._interval)
            if self.alive and not await self.check():
                self._finish(Closed(Ended.LOST, say("nothing was heard from the platform")))
                await self.close()

    async def events(self) -> AsyncIterator[Denied | Closed]:
        """See Session."""
        while True:
            event = await self._queue.get()
            yield event
            if isinstance(event, Closed):
                return

    async def check(self) -> bool:
        """See Session."""
        if not self.alive:
            return False
        self._heard.clear()
        try:
            async with asyncio.timeout(LIVENESS):
                await self._send({"type": "ping", "req_id": next(self._ids)})
                await self._heard.wait()
        except (TimeoutError, AgentError):
            return False
        return self.alive

    async def refresh(self, token: Token) -> None:
        """See Session."""
        if not self.alive:
            raise _lost()
        request = next(self._ids)
        reply = self._replies[request] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(REFRESH_WAIT):
                await self._send({"type": "auth.refresh", "req_id": request, "token": token.secret})
                frame = await reply
        except TimeoutError as error:
            raise Retry(say("The platform did not answer the new token."), code="timeout") from error
        finally:
            self._replies.pop(request, None)
        if frame.type == "error":
            raise refusal(frame)

    async def _send(self, frame: dict[str, str]) -> None:
        try:
            await self._socket.send_str(msgspec.json.encode(frame).decode())
        except (ConnectionError, aiohttp.ClientError) as error:
            raise _lost() from error

    async def close(self) -> None:
        """See Session."""
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        self._finish(Closed(Ended.LOST, "closed here"))
        with contextlib.suppress(Exception):
            async with asyncio.timeout(CLOSE_WAIT):
                await self._socket.close()


class WebSocketSignalling:
    """`Signalling` over aiohttp; the HTTP session is the REST client's, so both leave through one path."""

    def __init__(self, settings: PlatformSettings, http: Callable[[], aiohttp.ClientSession]) -> None:
        self._settings = settings
        self._http = http

    async def open(self, token: Token, present_id: str | None, source: str | None) -> WebSocketSession:  # noqa: ARG002
        """See Signalling."""
        try:
            socket = await self._http().ws_connect(
                signalling_url(self._settings), protocols=(SUBPROTOCOL,), max_msg_size=FRAME_LIMIT,
                headers={"User-Agent": USER_AGENT}, autoping=True,
            )  # fmt: skip
        except aiohttp.WSServerHandshakeError as error:
            raise _handshake(error) from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise transport_problem(error) from error
        session = WebSocketSession(socket, present_id, self._settings.ping_interval)
        try:
            await session.authenticate(token)
        except BaseException:
            await session.close()
            raise
        return session


def _handshake(error: aiohttp.WSServerHandshakeError) -> AgentError:
    if error.status // 100 in {2, 3}:
        return captive_portal()
    if error.status == HTTPStatus.TOO_MANY_REQUESTS or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        text = say("The platform's signalling has trouble (HTTP {status}).", status=error.status)
        return Backoff(text, retry_after=retry_after(error.headers or {}), code="server_error")
    return Backoff(
        say("The platform refused the signalling connection (HTTP {status}).", status=error.status),
        code="request_refused",
    )


def _lost() -> Retry:
    return Retry(say("The connection to the platform was lost."), code="connection_lost")

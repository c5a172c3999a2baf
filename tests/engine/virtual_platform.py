"""The platform in virtual time: the real REST client and the simulator's core, with a network that can fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from agent.config.settings import PlatformSettings
from agent.dialstack.answers import problem
from agent.dialstack.frames import TOKEN_CODES
from agent.dialstack.ports import Closed, Denied, Ended, Token
from agent.dialstack.rest import RestClient
from agent.errors import AgentError, Backoff, NeedsHuman, Retry
from agent.simulator.core import Platform
from agent.simulator.refusal import Refusal
from agent.simulator.sessions import Send
from tests.engine.virtual_loop import VirtualClock

USER = "user_1"
PING = 15.0
LIVENESS = 5.0


@dataclass(slots=True)
class Weather:
    """What is wrong with the network and the platform at the moment."""

    public: str | None = None
    """The address that the platform sees; None: nothing gets through."""
    api_down: bool = False
    latency: float = 0.02
    lose_replies: int = 0
    """Answers to the next so many requests are lost although the requests are carried out."""
    errors: list[int] = field(default_factory=list)
    """HTTP statuses for the next requests."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing that really happened, for checking the rules independently of the agent's own books."""

    at: float
    kind: str
    """`read` (a GET showed an anchor), `accepted` (signalling), `registered` (SIP), `denied`, `presented`, `write`."""
    address: str | None
    where: str | None = None
    """The session for `accepted` and `denied`, the site for everything else."""


class VirtualRest(RestClient):
    """RestClient whose wire is the simulator's core."""

    def __init__(self, world: VirtualPlatform) -> None:
        super().__init__(PlatformSettings(), world)
        self._world = world

    async def _send(
        self, method: str, path: str, token: Token, body: object, headers: Mapping[str, str] | None
    ) -> tuple[bytes, str]:
        world = self._world
        await asyncio.sleep(world.weather.latency)
        if world.weather.public is None or world.weather.api_down:
            await asyncio.sleep(8.0)
            raise Retry("The platform did not answer in time.", code="timeout")
        if world.weather.errors:
            status = world.weather.errors.pop(0)
            raise problem(status, {"Retry-After": "3"}, b"<html>", "text/html")
        try:
            answer = world.answer(method, path, token, body, headers or {})
        except Refusal as error:
            raise problem(error.status, {}, msgspec.json.encode(error.body()), "application/json") from error
        if world.weather.lose_replies:
            world.weather.lose_replies -= 1
            await asyncio.sleep(8.0)
            raise Retry("The platform did not answer in time.", code="timeout")
        await asyncio.sleep(world.weather.latency)
        return msgspec.json.encode(answer), "application/json"


class VirtualSession:
    """A signalling connection from one public address; a move turns it into a black hole."""

    def __init__(self, world: VirtualPlatform, session_id: str, presented_id: str | None) -> None:
        self._world = world
        self.id = session_id
        self._presented_id = presented_id
        self._queue: asyncio.Queue[Denied | Closed] = asyncio.Queue()
        self._denied = False
        self.public = world.weather.public
        self.over = False
        self._ping = asyncio.create_task(self._keep_alive())

    @property
    def presented_id(self) -> str | None:
        return self._presented_id

    @property
    def alive(self) -> bool:
        return not self.over

    @property
    def denied(self) -> bool:
        return self._denied

    def reachable(self) -> bool:
        weather = self._world.weather
        return not self.over and weather.public == self.public and not weather.api_down

    def deliver(self, send: Send) -> None:
        if not self.reachable():
            return
        if send.frame["type"] == "network.changed":
            self._denied = True
            self._world.saw("denied", self._presented_id, session=self.id)
            self._queue.put_nowait(Denied())
        elif send.frame["type"] == "error" and (send.frame.get("fatal") or send.close):
            code = str(send.frame["code"])
            how = Ended.TOKEN if code in TOKEN_CODES else Ended.LOST
            self.finish(Closed(Ended.REPLACED if code == "session_replaced" else how, code))

    def finish(self, end: Closed) -> None:
        if not self.over:
            self.over = True
            self._queue.put_nowait(end)

    async def _keep_alive(self) -> None:
        while not self.over:
            await asyncio.sleep(PING)
            if not await self.check():
                self.finish(Closed(Ended.LOST, "no pong"))

    async def events(self) -> AsyncIterator[Denied | Closed]:
        while True:
            event = await self._queue.get()
            yield event
            if isinstance(event, Closed):
                return

    async def check(self) -> bool:
        await asyncio.sleep(self._world.weather.latency if self.reachable() else LIVENESS)
        return self.reachable()

    async def refresh(self, token: Token) -> None:
        await asyncio.sleep(self._world.weather.latency)
        if not self.reachable():
            raise Retry("The platform did not answer the new token.", code="timeout")
        frame = {"type": "auth.refresh", "req_id": "r", "token": token.secret}
        for send in self._world.core.signalling.receive(self.id, frame):
            if send.frame["type"] == "error":
                raise NeedsHuman("refused", code="token_refused")

    async def close(self) -> None:
        self._ping.cancel()
        self.finish(Closed(Ended.LOST, "closed here"))
        if self._world.weather.public == self.public:
            self._world.core.signalling.close(self.id, "closed by the client")
        self._world.sessions.pop(self.id, None)


class VirtualPlatform:
    """Core, weather, tokens and wires; also `TokenSource` and `Signalling`."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.core = Platform(clock)
        self.core.add_user(USER, sip_username="kiosk", sip_password="secret")
        self.weather = Weather()
        self.sessions: dict[str, VirtualSession] = {}
        self.seen: list[Seen] = []
        self._token: Token | None = None
        self.token_fails = False
        self.here: Callable[[], str] = lambda: ""
        """Names the site that the device is at."""

    def saw(self, kind: str, address: str | None, *, session: str | None = None) -> None:
        self.seen.append(Seen(self.clock.monotonic(), kind, address, session or self.here()))

    # ---- TokenSource

    async def get(self) -> Token:
        if self.token_fails:
            raise NeedsHuman("The token has expired.", code="token_expired")
        if self._token is None or (self._token.expires_at or 0) - 60 <= self.clock.boottime():
            minted = self.core.mint({"user": USER})
            self._token = Token(minted["client_secret"], USER, self.clock.boottime() + 86400)
        return self._token

    async def renew(self, refused: Token) -> Token:
        if self._token is refused:
            self._token = None
        return await self.get()

    def forget(self) -> None:
        self._token = None

    # ---- REST

    def answer(self, method: str, path: str, token: Token, body: object, headers: Mapping[str, str]) -> object:
        user = self.core.claims(token.secret).user
        parts = urlsplit(path)
        rest = [unquote(part) for part in parts.path.split("/")[4:]]
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if not rest and method == "GET":
            return self.core.list_addresses(user, query.get("limit"), query.get("page"))
        if not rest:
            saved = self.core.create_address(user, body, headers.get("Idempotency-Key"))
            self.saw("write", saved.id)
            return saved.resource()
        if method == "GET":
            resource = self.core.get_address(user, rest[0]).resource()
            if resource["registered_ip"]:
                self.saw("read", rest[0])
            return resource
        self.saw("write", rest[0])
        if rest[1:]:
            self.saw("clear", rest[0])
        act = self.core.clear_anchor if rest[1:] == ["registered_ip"] else self.core.delete_address
        self.deliver(act(user, rest[0]))
        return {}

    # ---- Signalling

    async def open(self, token: Token, present_id: str | None, source: str | None) -> VirtualSession:  # noqa: ARG002
        await asyncio.sleep(self.weather.latency * 2)
        if self.weather.public is None or self.weather.api_down:
            await asyncio.sleep(8.0)
            raise Retry("The platform did not answer in time.", code="timeout")
        session = self.core.signalling.open(self.weather.public)
        opened = VirtualSession(self, session.id, present_id)
        self.sessions[session.id] = opened
        frame: dict[str, object] = {"type": "authenticate", "req_id": "a", "token": token.secret}
        if present_id is not None:
            frame["emergency_address_id"] = present_id
            self.saw("presented", present_id)
        later: list[Send] = []
        for send in self.core.signalling.receive(session.id, frame):
            if send.session == session.id and send.frame["type"] == "error":
                await opened.close()
                raise self._refusal(str(send.frame["code"]))
            later.append(send)
        self.saw("accepted", present_id, session=session.id)
        self.deliver(later)
        return opened

    @staticmethod
    def _refusal(code: str) -> AgentError:
        if code in TOKEN_CODES:
            return NeedsHuman("refused", code="token_refused")
        if code == "invalid_message":
            return NeedsHuman("refused", code="present_refused")
        return Backoff("refused", code=code)

    def deliver(self, sends: list[Send]) -> None:
        """Let frames arrive, as late as the platform was told to be."""
        loop = asyncio.get_running_loop()
        for send in sends:
            loop.call_later(send.delay + self.weather.latency, self._arrive, send)

    def _arrive(self, send: Send) -> None:
        session = self.sessions.get(send.session)
        if session is not None:
            session.deliver(send)

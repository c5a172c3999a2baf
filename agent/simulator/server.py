"""The whole simulator in one object: REST, signalling, control, the registrar and the media legs."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp import web

from agent.clock import Clock
from agent.simulator.behavior import Behavior
from agent.simulator.control import Control, refusals
from agent.simulator.core import Platform
from agent.simulator.hub import Hub
from agent.simulator.psap import Psap
from agent.simulator.registrar import Registrar, RegistrarConfig
from agent.simulator.rest import Rest
from agent.simulator.signalling import PING_INTERVAL, PONG_WAIT, SignallingServer
from agent.simulator.sip_control import SipControl

AIOHTTP = tuple(int(part) for part in aiohttp.__version__.split(".")[:2])
SHUTDOWN = 0.5
"""Seconds for requests under way when the simulator ends."""
TICK = 0.5
"""Seconds between looks at expired tokens and registrations."""
DEMO_USER = {"id": "user_demo", "sip_username": "demo", "sip_password": "demo-password"}


@dataclass(frozen=True, slots=True)
class SimulatorConfig:
    """Where it listens and whom it knows; a port 0 means any free one."""

    run: Path
    """Runtime folder: Kamailio's configuration and sockets, `control.sock`."""
    addresses: tuple[str, ...] = ("127.0.0.1",)
    """IPv4 or IPv6; everything public listens on each of them, the first one is in the URLs."""
    api_port: int = 8080
    tls_port: int = 8443
    """REST and signalling over TLS, where a certificate is given."""
    control_port: int = 8099
    sip_port: int = 5060
    sips_port: int = 5061
    psap_port: int = 5070
    """Where the media legs hear SIP from Kamailio."""
    realm: str = "dialstack.ai"
    sip: bool = True
    """Start Kamailio and the media legs."""
    tls_cert: Path | None = None
    tls_key: Path | None = None
    users: tuple[Mapping[str, Any], ...] = (DEMO_USER,)
    """Arguments of `Platform.add_user`, the user's id as `id`."""
    behavior: Mapping[str, Any] = field(default_factory=dict)
    faults: tuple[Mapping[str, Any], ...] = ()
    ping_interval: float = PING_INTERVAL
    pong_wait: float = PONG_WAIT


class Simulator:
    """Async context manager; `urls` is filled once it is entered."""

    def __init__(self, config: SimulatorConfig, clock: Clock | None = None) -> None:
        self.config = config
        self.platform = Platform(clock, Behavior().changed(config.behavior))
        for user in config.users:
            rest = {name: value for name, value in user.items() if name != "id"}
            self.platform.add_user(str(user["id"]), **rest)
        for fault in config.faults:
            self.platform.faults.set(**fault)
        self.hub = Hub(self.platform)
        self.psap: Psap | None = None
        self.registrar: Registrar | None = None
        self.urls: dict[str, str] = {}
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start everything; raise OSError or RuntimeError with what did not start."""
        self.config.run.mkdir(parents=True, exist_ok=True)
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hub.close()
        await self._stack.aclose()

    async def _start(self) -> None:
        config = self.config
        sip = SipControl(self.platform, self.hub)
        control = await self._start_control(sip)
        self.urls["control"] = f"http://127.0.0.1:{control}"
        self.urls["control_socket"] = str(config.run / "control.sock")
        await self._start_public()
        if config.sip:
            await self._start_sip(control, sip)
        ticker = asyncio.create_task(self._tick(), name="simulator-tick")
        self._stack.push_async_callback(_end, ticker)

    async def _start_control(self, sip: SipControl) -> int:
        app = web.Application(middlewares=[refusals])
        app.add_routes([*Control(self.platform, self.hub).routes(), *sip.routes()])
        runner = await self._runner(app)
        listener = _listen("127.0.0.1", self.config.control_port)
        await web.SockSite(runner, listener).start()
        path = self.config.run / "control.sock"
        path.unlink(missing_ok=True)
        await web.UnixSite(runner, str(path)).start()
        port: int = listener.getsockname()[1]
        return port

    async def _start_public(self) -> None:
        config = self.config
        signalling = SignallingServer(
            self.platform, self.hub, ping_interval=config.ping_interval, pong_wait=config.pong_wait
        )
        runner = await self._runner(Rest(self.platform, self.hub, signalling).application())
        port, host = config.api_port, _bracketed(config.addresses[0])
        for address in config.addresses:
            listener = _listen(address, port)
            port = listener.getsockname()[1]
            await web.SockSite(runner, listener).start()
        self.urls |= {"api": f"http://{host}:{port}", "signalling": f"ws://{host}:{port}/v1/webrtc"}
        if config.tls_cert is None or config.tls_key is None:
            return
        context = SSLContext(PROTOCOL_TLS_SERVER)
        context.load_cert_chain(config.tls_cert, config.tls_key)
        port = config.tls_port
        for address in config.addresses:
            listener = _listen(address, port)
            port = listener.getsockname()[1]
            await web.SockSite(runner, listener, ssl_context=context).start()
        self.urls |= {"api_tls": f"https://{host}:{port}", "signalling_tls": f"wss://{host}:{port}/v1/webrtc"}

    async def _start_sip(self, control: int, sip: SipControl) -> None:
        config = self.config
        self.psap = Psap(self.platform, config.addresses)
        psap_port = await self.psap.start(config.psap_port)
        self._stack.push_async_callback(self.psap.stop)
        host = config.addresses[0]
        tls = config.tls_cert is not None and config.tls_key is not None
        self.registrar = Registrar(
            RegistrarConfig(
                run=config.run,
                addresses=config.addresses,
                port=config.sip_port or _free_port(host),
                tls_port=(config.sips_port or _free_port(host)) if tls else None,
                realm=config.realm,
                control=f"http://127.0.0.1:{control}",
                psap=f"{_bracketed(host)}:{psap_port}",
                tls_cert=config.tls_cert,
                tls_key=config.tls_key,
            )
        )
        sip.attach(self.registrar, self.psap)
        self.psap.proxy = (host, self.registrar.config.port)
        await self.registrar.start()
        self._stack.push_async_callback(self.registrar.stop)
        self.urls["sip"] = f"sip:{_bracketed(host)}:{self.registrar.config.port}"
        if tls:
            self.urls["sips"] = f"sip:{_bracketed(host)}:{self.registrar.config.tls_port};transport=tls"

    async def _runner(self, app: web.Application) -> web.AppRunner:
        # Debian 12's aiohttp 3.8 does not know the argument and would take it for a handler's.
        quick: dict[str, Any] = {"shutdown_timeout": SHUTDOWN} if AIOHTTP >= (3, 9) else {}
        runner = web.AppRunner(app, access_log=None, **quick)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        return runner

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self.hub.deliver(self.platform.tick())


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.create_server((address, port), family=family, backlog=512)


def _free_port(address: str) -> int:
    """Return a port that is free for UDP and TCP now."""
    while True:
        with _listen(address, 0) as stream, socket.socket(stream.family, socket.SOCK_DGRAM) as datagram:
            port: int = stream.getsockname()[1]
            with contextlib.suppress(OSError):
                datagram.bind((address, port))
                return port

"""The web server of the page and the API: loopback TCP for the device's screen, a Unix socket for the command line."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from datetime import tzinfo
from typing import TYPE_CHECKING

from aiohttp import web

from agent.clock import Clock, SystemClock
from agent.control import Control
from agent.errors import AgentError, NeedsHuman
from agent.page import api, guard, language, problems
from agent.page.door import Door
from agent.page.live import Streams
from agent.page.render import Renderer
from agent.page.routes import RouteTable
from agent.page.sockets import UnixListener, listen_tcp
from agent.page.views import Flashes, HomeViews
from agent.page.views_more import MoreViews, problem_page
from agent.settings import PageSettings

KEEP_ALIVE = 30.0
"""Seconds that an idle connection is kept for a browser's next request."""
MAX_HEAD = 8190
"""Bytes of a request line and of one header."""
SHUTDOWN = 2.0
"""Seconds that requests in progress get when the agent stops."""
PORT_RETRY = (2.0, 5.0, 15.0, 60.0)
"""Seconds between attempts to open a port that another program holds; the last one repeats."""

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

log = logging.getLogger(__name__)


class PageServer:
    """Serves page and API for one `Control`.

    `names` are host names, beyond the loopback ones, under which the device's own browser may open the page.
    """

    def __init__(
        self,
        control: Control,
        settings: PageSettings,
        *,
        clock: Clock | None = None,
        zone: tzinfo | None = None,
        names: Iterable[str] = (),
    ) -> None:
        self.port: int | None = None
        """The TCP port in use; None while the page has none."""
        self.problem: NeedsHuman | None = None
        """Why the page has no port, for the notices; None when it has one or needs none."""
        self._control = control
        self._settings = settings
        self._names = frozenset(name.lower() for name in names if name)
        self._renderer = Renderer(clock or SystemClock(), zone)
        self._streams = Streams(control)
        self.application: web.Application | None = None
        """What is served, once started."""
        self.routes = RouteTable()
        """The role that each route takes."""
        self._runner: web.AppRunner | None = None
        self._doors: list[Door] = []
        self._tcp: asyncio.Server | None = None
        self._unix: UnixListener | None = None
        self._retry: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the Unix socket, then the port; raises NeedsHuman only when the Unix socket cannot be had.

        A port in use is logged, kept in `problem` and tried again.
        """
        self.application = self._application()
        self._runner = web.AppRunner(
            self.application,
            access_log=None,
            keepalive_timeout=KEEP_ALIVE,
            max_line_size=MAX_HEAD,
            max_field_size=MAX_HEAD,
            handle_signals=False,
        )
        await self._runner.setup()
        try:
            self._unix = await UnixListener.open(self._settings.socket, self._door())
        except NeedsHuman:
            await self.stop()
            raise
        if self._settings.enabled and not await self._open_port():
            self._retry = asyncio.create_task(self._keep_opening(), name="page-port")

    async def stop(self) -> None:
        """Close both sockets and every connection; harmless when called twice."""
        if self._retry is not None:
            self._retry.cancel()
            await asyncio.gather(self._retry, return_exceptions=True)
            self._retry = None
        if self._tcp is not None:
            self._tcp.close()
            self._tcp = self.port = None
        if self._unix is not None:
            self._unix.close()
            self._unix = None
        self._streams.close()
        if self._runner is not None:
            runner, self._runner = self._runner, None
            if runner.server is not None:
                await runner.server.shutdown(SHUTDOWN)
            await runner.cleanup()

    def _door(self) -> Door:
        if self._runner is None or self._runner.server is None:
            raise RuntimeError("the page is not started")
        door = Door(self._runner.server)
        self._doors.append(door)
        return door

    async def _open_port(self) -> bool:
        try:
            self._tcp = await listen_tcp(self._settings.listen, self._settings.port, self._door())
        except NeedsHuman as error:
            if self.problem is None or str(self.problem) != str(error):
                log.warning("%s", error)
            self.problem = error
            return False
        self.port = self._tcp.sockets[0].getsockname()[1]
        self.problem = None
        return True

    async def _keep_opening(self) -> None:
        attempt = 0
        while True:
            await asyncio.sleep(PORT_RETRY[min(attempt, len(PORT_RETRY) - 1)])
            attempt += 1
            if await self._open_port():
                log.info("the page is back on port %s", self.port)
                return

    def _application(self) -> web.Application:
        application = web.Application(
            middlewares=[language.middleware, self._middleware()], client_max_size=guard.MAX_BODY
        )
        flashes = Flashes()
        for routes in (
            api.Api(self._control, self._streams).routes(),
            HomeViews(self._control, self._renderer, self._streams, flashes).routes(),
            MoreViews(self._control, self._renderer, flashes).routes(),
        ):
            self.routes.add(application, routes)
        application.on_response_prepare.append(_protect)
        return application

    def _middleware(self) -> Middleware:
        @web.middleware
        async def supervise(request: web.Request, handler: Handler) -> web.StreamResponse:
            for door in self._doors:
                door.heard(request.protocol)
            for_program = request.path.startswith("/api/")
            try:
                guard.check_host(request, self._names)
                guard.check_origin(request)
                guard.admit(request, guard.recognize(request), self.routes.role(request))
                if for_program:
                    guard.check_api(request)
                return await handler(request)
            except web.HTTPException as error:
                if error.status < web.HTTPBadRequest.status_code:
                    raise
                problem: AgentError = problems.from_http(error)
            except AgentError as error:
                problem = error
            except Exception:  # the supervisor of requests: one that fails must not take the page along
                log.exception("request failed: %s %s", request.method, request.path)
                problem = problems.internal()
            if for_program:
                return api.problem(problem)
            return problem_page(self._control, self._renderer, request, problem)

        return supervise


async def _protect(request: web.Request, response: web.StreamResponse) -> None:
    guard.finish(request, guard.HEADERS, response)

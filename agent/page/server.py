"""The web server of the page and the API: loopback TCP for the device's screen, a Unix socket for the command line."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
from collections.abc import Awaitable, Callable, Iterable
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from agent.calling import Calling
from agent.clock import Clock, SystemClock
from agent.config.settings import PageSettings
from agent.control import Control
from agent.errors import AgentError, NeedsHuman
from agent.page import language
from agent.page.access import guard
from agent.page.access.access import Access
from agent.page.access.announce import Announcer
from agent.page.access.door import Door
from agent.page.access.gate import Gate
from agent.page.access.link import LinkServer
from agent.page.access.screen import ScreenPort
from agent.page.access.sockets import UnixListener
from agent.page.access.visitor import Channel
from agent.page.api import core as api
from agent.page.api import scrape
from agent.page.api.calls import CallsApi
from agent.page.api.live import Streams, gone
from agent.page.api.notices import NoticeApi
from agent.page.problems import as_of
from agent.page.render import Renderer
from agent.page.views.access import AccessViews, to_sign_in
from agent.page.views.doctor import DoctorViews
from agent.page.views.history import HistoryViews
from agent.page.views.home import Flashes, HomeViews
from agent.page.views.more import MoreViews, overview_for, problem_page
from agent.page.views.notices import NoticeViews
from agent.page.views.settings import SettingsViews
from agent.page.views.setup import SetupViews
from agent.page.views.test_call import TestCallViews
from agent.page.workshop import Workshop
from agent.runtime.supervisor import supervise
from agent.runtime.tasks import end

KEEP_ALIVE = 30.0
"""Seconds that an idle connection is kept for a browser's next request."""
MAX_HEAD = 8190
"""Bytes of a request line and of one header."""
SHUTDOWN = 2.0
"""Seconds that requests in progress get when the agent stops."""
SIGN_IN = frozenset({"sign_in", "technician_only"})
"""Codes of errors that a PIN helps against."""

if TYPE_CHECKING:
    from agent.model import Gap

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
        access: Access | None = None,
        state: Path | None = None,
        metrics: Callable[[], str] | None = None,
        calling: Calling | None = None,
        workshop: Workshop | None = None,
    ) -> None:
        self._metrics = metrics
        self._control = control
        self._settings = settings
        self._clock = clock or SystemClock()
        self._state = state
        self._calling = calling
        self._workshop = workshop
        self._calls: CallsApi | None = None
        self.access = access or Access(settings, self._clock)
        """Who may do what, and the PINs."""
        host = socket.gethostname().lower()
        self._own_names = (host, f"{host}.local", *names)
        self.gate = Gate(self.access, self._names(), self._answer)
        self._renderer = Renderer(self._clock, zone)
        self._renderer.has_workshop = workshop is not None
        self._streams = Streams(control)
        self.application: web.Application | None = None
        """What is served, once started."""
        self._runner: web.AppRunner | None = None
        self.screen = ScreenPort(lambda: self._door(Channel.SCREEN))
        self._unix: UnixListener | None = None
        self._link: LinkServer | None = None
        self._announcer = Announcer(self._announced)
        self._tasks: list[asyncio.Task[None]] = []

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
            auto_decompress=False,  # no page of ours sends packed bodies; 300 KB can be 300 MB
            handle_signals=False,
        )
        logging.getLogger("aiohttp.server").addFilter(_is_ours)
        await self._runner.setup()
        try:
            self._unix = await UnixListener.open(self._settings.socket, self._door(Channel.SOCKET))
        except NeedsHuman:
            await self.stop()
            raise
        await self.screen.use(self._settings)
        self._supervise("page-port", self.screen.run)
        self._link = LinkServer(
            self._settings, self.access, self._door(Channel.LINK), clock=self._clock, folder=self._state,
            names=self._names(), on_change=self._announcer.look,
        )  # fmt: skip
        self._supervise("page-link", self._link.run)
        self._supervise("page-announce", self._announcer.run)

    async def configure(self, settings: PageSettings) -> None:
        """Go by other settings from now on; requests and connections that are going on end as they began.

        Each further request is judged by what is in force when it comes.
        """
        self._settings = settings
        self.access.use(settings)
        self.gate.names = self._names()
        if self._link is not None:
            self._link.use(settings, self._names())
            await self.screen.use(settings)
        self._announcer.look()

    def clock_set(self) -> None:
        """Look at what depends on the date again: the wall clock was set."""
        self.access.links.reconsider()

    def holds(self, port: int) -> bool:
        """Tell whether a TCP port is one of the page's own."""
        return self.screen.holds(port) or (self._link is not None and self._link.holds(port))

    @property
    def port(self) -> int | None:
        """Return the TCP port on the device's own screen; None while there is none."""
        return self.screen.port

    @property
    def problem(self) -> NeedsHuman | None:
        """Return why the page has not the port that the settings name."""
        return self.screen.problem

    @property
    def link(self) -> LinkServer | None:
        """Return the page on the link; None where it is not wanted."""
        return None if guard.is_loopback(self._settings.listen) or not self._settings.enabled else self._link

    async def stop(self) -> None:
        """Close all sockets and every connection; harmless when called twice."""
        tasks, self._tasks = self._tasks, []
        await end(*tasks)
        self.screen.close()
        if self._unix is not None:
            self._unix.close()
            self._unix = None
        self._streams.close()
        if self._calls is not None:
            self._calls.close()
        if self._runner is not None:
            runner, self._runner = self._runner, None
            if runner.server is not None:
                await runner.server.shutdown(SHUTDOWN)
            await runner.cleanup()

    def problems(self) -> tuple[str, ...]:
        """Return what keeps people from the page, for the notices."""
        link = self.link.problem if self.link else None
        errors = [error.happened for error in (self.problem, link) if error is not None]
        return (*errors, *([self.access.pins.problem] if self.access.pins.problem else []))

    def _door(self, channel: Channel) -> Door:
        if self._runner is None or self._runner.server is None:
            raise RuntimeError("the page is not started")
        return self.gate.door(self._runner.server, channel)

    def _names(self) -> tuple[str, ...]:
        """Return the names under which this device answers."""
        return tuple(dict.fromkeys((*self._settings.names, *self._own_names)))

    def _announced(self) -> tuple[str, int] | None:
        """Return the name and the port to announce, None where nothing is."""
        port = self.link.port() if self.link is not None and self._settings.announce else None
        return (self._control.overview().device, port) if port is not None else None

    def _supervise(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        kept = supervise(name, work, clock=self._clock, rng=random.Random(), on_gap=_no_gap)  # noqa: S311 - jitter
        self._tasks.append(asyncio.create_task(kept, name=name))

    def _application(self) -> web.Application:
        application = web.Application(
            middlewares=[language.middleware, self.gate.middleware()], client_max_size=guard.MAX_BODY
        )
        flashes = Flashes()
        for routes in (
            api.Api(self._control, self._streams).routes(),
            HomeViews(self._control, self._renderer, self._streams, flashes).routes(),
            MoreViews(self._control, self._renderer, flashes).routes(),
            NoticeViews(self._control, self._renderer, flashes).routes(),
            NoticeApi(self._control).routes(),
            HistoryViews(self._control, self._renderer).routes(),
            AccessViews(self.access, self._control, self._renderer, flashes, lambda: self.link).routes(),
        ):
            self.gate.routes.add(application, routes)
        if self._metrics is not None:
            self.gate.routes.add(application, scrape.routes(self._metrics))
        if self._workshop is not None:
            shop = self._workshop
            for more in (
                SettingsViews(shop, self._control, self._renderer, flashes).routes(),
                SetupViews(shop, self._control, self._renderer, flashes, self.access).routes(),
                DoctorViews(shop, self._control, self._renderer).routes(),
            ):
                self.gate.routes.add(application, more)
        if self._calling is not None:
            self._calls = CallsApi(self._calling)
            self.gate.routes.add(application, self._calls.routes())
            tests = TestCallViews(self._control, self._calling.tester, self._renderer, flashes)
            self.gate.routes.add(application, tests.routes())
        application.on_response_prepare.append(_protect)
        return application

    def _answer(self, request: web.Request, problem: AgentError) -> web.StreamResponse:
        """Turn an error into JSON, a page, or the page that asks for the PIN."""
        overview = overview_for(self._control, request, problem)
        problem = as_of(problem, overview)
        if request.path.startswith("/api/"):
            return api.problem(problem)
        if problem.code in SIGN_IN and request.method in guard.SAFE:
            return gone() if request.path == "/events" else to_sign_in(request)
        return problem_page(self._renderer, request, problem, overview)


async def _protect(request: web.Request, response: web.StreamResponse) -> None:
    guard.finish(request, guard.HEADERS, response)


def _is_ours(record: logging.LogRecord) -> bool:
    """Tell whether a failed request is worth a line: what a stranger sends malformed must not fill the journal."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError | web.RequestPayloadError)


def _no_gap(_gap: Gap) -> None:
    """The page sees nothing of the network itself, so nothing was missed."""

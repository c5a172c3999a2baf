"""Diagnostics: a check-up with its progress, and the bundle for support."""

from __future__ import annotations

from aiohttp import web

from agent.control import Control
from agent.doctor import bundle
from agent.doctor.examine import ALL
from agent.page.access import guard
from agent.page.api.core import PREFIX, answer
from agent.page.render import Renderer
from agent.page.routes import Role, Route, get, post
from agent.page.views.home import html
from agent.page.workshop import Workshop


class DoctorViews:
    """The check-up for people and for the command line."""

    def __init__(self, workshop: Workshop, control: Control, renderer: Renderer) -> None:
        self._workshop = workshop
        self._control = control
        self._renderer = renderer

    def routes(self) -> list[Route]:
        """Return what this class answers."""
        return [
            get("/diagnostics", self.show, Role.TECHNICIAN),
            post("/diagnostics", self.start, Role.TECHNICIAN),
            post("/diagnostics/bundle", self.download, Role.TECHNICIAN),
            post(f"{PREFIX}/diagnostics", self.run, Role.TECHNICIAN),
            post(f"{PREFIX}/diagnostics/bundle", self.collect, Role.TECHNICIAN),
        ]

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Show the newest check-up, finished or under way."""
        checkup = self._workshop.checkup
        whole = checkup.scope == ALL  # a step of the set-up tests a few layers, and says so on its own page
        report = checkup.report if whole and not checkup.running else None
        page = self._renderer.page(
            "diagnostics.html", self._control.overview(), guard.csrf_token(request),
            results=checkup.results if whole else (), running=whole and checkup.running,
            at=report.at if report else None,
        )  # fmt: skip
        return html(page)

    async def start(self, request: web.Request) -> web.StreamResponse:
        """Begin a check-up."""
        await guard.read_form(request)
        self._workshop.checkup.start()
        raise web.HTTPSeeOther("/diagnostics")

    async def download(self, request: web.Request) -> web.StreamResponse:
        """Make a check-up and hand over the bundle."""
        await guard.read_form(request)
        report = await self._workshop.checkup.run()
        name = bundle.name_at(report.at)
        texts = await self._workshop.bundle(report)
        disposition = f'attachment; filename="{name}.tar.gz"'
        headers = {"Content-Disposition": disposition}
        return web.Response(body=bundle.pack(texts, name), content_type="application/gzip", headers=headers)

    async def run(self, _request: web.Request) -> web.StreamResponse:
        """Make a check-up and return its report."""
        return answer((await self._workshop.checkup.run()).plain())

    async def collect(self, _request: web.Request) -> web.StreamResponse:
        """Make a check-up and return it with the files of the bundle."""
        report = await self._workshop.checkup.run()
        files = dict(await self._workshop.bundle(report))
        return answer({"report": report.plain(), "name": bundle.name_at(report.at), "files": files})

"""Emergency calls on the page: who was told, and the button that says that somebody takes care of it."""

from __future__ import annotations

from aiohttp import web

from agent.control import Control, Delivery
from agent.page.access import guard
from agent.page.problems import PageError
from agent.page.render import Renderer
from agent.page.routes import Role, Route, get, post
from agent.page.views.home import Flashes, html
from agent.say import say

SHOWN = 50
"""Notices on the page."""


class NoticeViews:
    """The list of notices, the acknowledgement and the test."""

    def __init__(self, control: Control, renderer: Renderer, flashes: Flashes) -> None:
        self._control = control
        self._renderer = renderer
        self._flashes = flashes

    def routes(self) -> list[Route]:
        """Return what this class answers."""
        return [
            get("/notices", self.notices, Role.STAFF),
            post("/notices/acknowledge", self.acknowledge, Role.STAFF),
            post("/notices/test", self.test, Role.TECHNICIAN),
        ]

    async def notices(self, request: web.Request) -> web.StreamResponse:
        """Show the newest notices."""
        return self._page(request, None)

    async def acknowledge(self, request: web.Request) -> web.StreamResponse:
        """Take the word of a person; they come back to Home, where the address is."""
        fields = await guard.read_form(request)
        notice_id = fields.get("id", "")
        if not notice_id:
            raise PageError(
                400,
                say("No emergency call was named."),
                todo=say("Go back and press the button once more."),
                code="malformed",
            )
        self._control.acknowledge(notice_id, guard.who(request))
        self._flashes.put(guard.csrf_token(request), say("Acknowledged. Go and help."))
        raise web.HTTPSeeOther("/")

    async def test(self, request: web.Request) -> web.StreamResponse:
        """Send a test notice through every channel and show how each fared."""
        await guard.read_form(request)
        return self._page(request, await self._control.test_notices())

    def _page(self, request: web.Request, tested: tuple[Delivery, ...] | None) -> web.Response:
        csrf = guard.csrf_token(request)
        page = self._renderer.page(
            "notices.html", self._control.overview(), csrf, notices=self._control.notices(SHOWN), tested=tested
        )
        return html(page)

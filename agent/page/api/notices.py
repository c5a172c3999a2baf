"""The JSON API of emergency notices: list, acknowledge, test (API.md)."""

from __future__ import annotations

from aiohttp import web

from agent.control import Control
from agent.page.access import guard
from agent.page.api import wire
from agent.page.api.core import PREFIX, answer, limit_of
from agent.page.routes import Role, Route, get, post

MAX_NOTICES = 500
"""`notices?limit`: as many as are kept."""


class NoticeApi:
    """Handlers; every one may raise AgentError."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def routes(self) -> list[Route]:
        """Return what this class answers."""
        return [
            get(f"{PREFIX}/notices", self.notices, Role.STAFF),
            post(PREFIX + "/notices/{id}/acknowledge", self.acknowledge, Role.STAFF),
            post(f"{PREFIX}/notices/test", self.test, Role.TECHNICIAN),
        ]

    async def notices(self, request: web.Request) -> web.StreamResponse:
        """Return the newest notices."""
        return answer(wire.Notices(self._control.notices(limit_of(request, MAX_NOTICES))))

    async def acknowledge(self, request: web.Request) -> web.StreamResponse:
        """Record that a person takes care of a call."""
        await guard.read_body(request)
        return answer(self._control.acknowledge(request.match_info["id"], guard.who(request)))

    async def test(self, request: web.Request) -> web.StreamResponse:
        """Send a test notice through every channel and return how each fared."""
        await guard.read_body(request)
        return answer(wire.Deliveries(await self._control.test_notices()))

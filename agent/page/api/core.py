"""The JSON API under /api/v1 (API.md): for the command line and for programs on the device."""

from __future__ import annotations

import re

from aiohttp import web

from agent.control import Control, Overview
from agent.errors import AgentError
from agent.page.access import guard
from agent.page.api import wire
from agent.page.api.live import Streams
from agent.page.problems import PageError, headers_of, status_of
from agent.page.routes import Role, Route, delete, get, post, stream

PREFIX = "/api/v1"
MAX_DECISIONS = 1000
"""`decisions?limit`: beyond it the database is the place to look."""
_NUMBER = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)


class Api:
    """Handlers; every one may raise AgentError, which `problem` turns into an answer."""

    def __init__(self, control: Control, streams: Streams) -> None:
        self._control = control
        self._streams = streams

    def routes(self) -> list[Route]:
        """Return what this class answers."""
        return [
            get(f"{PREFIX}/status", self.status, Role.STAFF),
            stream(f"{PREFIX}/events", self.events, Role.STAFF),
            get(f"{PREFIX}/addresses", self.addresses, Role.STAFF),
            post(f"{PREFIX}/addresses", self.add, Role.STAFF),
            delete(PREFIX + "/addresses/{id}", self.forget, Role.TECHNICIAN),
            post(PREFIX + "/addresses/{id}/clear", self.clear, Role.TECHNICIAN),
            post(f"{PREFIX}/confirm", self.confirm, Role.STAFF),
            get(f"{PREFIX}/decisions", self.decisions, Role.STAFF),
            get(f"{PREFIX}/places", self.places, Role.STAFF),
        ]

    async def status(self, _request: web.Request) -> web.StreamResponse:
        """Return the Overview."""
        return answer(self._control.overview())

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Stream Overviews as `status` events, with `beat` events in between."""
        return await self._streams.serve(request, "status", wire.encode)

    async def addresses(self, _request: web.Request) -> web.StreamResponse:
        """Return the saved addresses."""
        return answer(wire.Addresses(await self._control.addresses()))

    async def add(self, request: web.Request) -> web.StreamResponse:
        """Register an address; binds nothing."""
        body = wire.decode(await guard.read_body(request), wire.CivicBody)
        return answer(await self._control.add_address(body.civic()), 201)

    async def forget(self, request: web.Request) -> web.StreamResponse:
        """Delete a saved address."""
        await self._control.forget_address(request.match_info["id"])
        return answer(wire.Done())

    async def clear(self, request: web.Request) -> web.StreamResponse:
        """Clear the network binding of a saved address."""
        await self._control.clear_address(request.match_info["id"])
        return answer(wire.Done())

    async def confirm(self, request: web.Request) -> web.StreamResponse:
        """Confirm that the device is at an address; answered once it is on disk (S5)."""
        body = wire.decode(await guard.read_body(request), wire.ConfirmBody)
        if (body.address_id is None) == (body.civic is None) or body.address_id == "":
            raise PageError(
                400,
                "Exactly one of address_id and civic must be given.",
                todo="See agent/page/API.md.",
                code="malformed",
            )
        civic = body.civic.civic() if body.civic else None
        overview: Overview = await self._control.confirm(
            address_id=body.address_id, civic=civic, who=guard.who(request), question_id=body.question_id
        )
        return answer(overview)

    async def decisions(self, request: web.Request) -> web.StreamResponse:
        """Return the newest decisions."""
        return answer(wire.Decisions(self._control.decisions(limit_of(request, MAX_DECISIONS))))

    async def places(self, _request: web.Request) -> web.StreamResponse:
        """Return the known places."""
        return answer(wire.Places(self._control.places()))


def limit_of(request: web.Request, most: int) -> int:
    """Return `limit` of the query, 50 without one; raises PageError 400 for less than 1 and more than `most`."""
    text = request.query.get("limit", "50")
    if not (_NUMBER.fullmatch(text) and int(text) <= most):
        raise PageError(400, f"limit must be 1 to {most}.", todo="Ask for fewer.", code="malformed")
    return int(text)


def answer(value: object, status: int = 200) -> web.Response:
    """Return a value as JSON."""
    return web.Response(body=wire.encode(value), status=status, content_type="application/json")


def problem(error: AgentError) -> web.Response:
    """Return an error as JSON."""
    return web.Response(
        body=wire.encode_error(error),
        status=status_of(error),
        content_type="application/json",
        headers=headers_of(error),
    )

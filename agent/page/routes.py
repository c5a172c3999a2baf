"""Routes of page and API, each with the role that it takes: what is not in a table is not served.

Every views class returns its own table from `routes()`:

    def routes(self) -> list[Route]:
        return [
            get("/", self.home, Role.STAFF),
            post("/settings", self.save, Role.TECHNICIAN),
        ]

Handlers need not check anything themselves; `guard.visitor(request)` says who is asking, and templates see the same
as `visitor`.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Role(enum.IntEnum):
    """What somebody may do; each may do what the ones before may."""

    ANYONE = 0
    """Signed in or not: style sheets, the page that asks for the PIN."""
    STAFF = 1
    """Look, answer the question, choose or add an address, acknowledge, call 933."""
    TECHNICIAN = 2
    """Settings, deleting, set-up, diagnostics, PINs, the audit."""


@dataclass(frozen=True, slots=True)
class Route:
    """One way into the daemon."""

    method: str
    path: str
    """As aiohttp writes it: `/addresses/{id}`."""
    handler: Handler
    role: Role
    with_head: bool = False
    """HEAD is answered, too."""


def get(path: str, handler: Handler, role: Role) -> Route:
    """Return a route that only looks; HEAD comes with it."""
    return Route("GET", path, handler, role, with_head=True)


def stream(path: str, handler: Handler, role: Role) -> Route:
    """Return a route whose answer goes on and on; HEAD would have no end."""
    return Route("GET", path, handler, role)


def post(path: str, handler: Handler, role: Role) -> Route:
    """Return a route that changes something."""
    return Route("POST", path, handler, role)


def delete(path: str, handler: Handler, role: Role) -> Route:
    """Return a route that removes something."""
    return Route("DELETE", path, handler, role)


class RouteTable:
    """All routes of one server; the role of a request, TECHNICIAN for what is served and not known (fail closed)."""

    def __init__(self) -> None:
        self._roles: dict[web.AbstractRoute, Role] = {}

    def add(self, application: web.Application, routes: Iterable[Route]) -> None:
        """Serve routes."""
        for route in routes:
            resource = application.router.add_resource(route.path)
            for method in (route.method, "HEAD") if route.with_head else (route.method,):
                self._roles[resource.add_route(method, route.handler)] = route.role

    def role(self, request: web.Request) -> Role:
        """Return the role that a request takes; to hear that there is no such page, one need not be a technician."""
        if request.match_info.http_exception is not None:
            return Role.STAFF
        return self._roles.get(request.match_info.route, Role.TECHNICIAN)

    def all(self) -> tuple[tuple[str, str, Role], ...]:
        """Return (method, path, role) of every route, sorted."""
        return tuple(
            sorted(
                (route.method, route.resource.canonical if route.resource else "", role)
                for route, role in self._roles.items()
            )
        )

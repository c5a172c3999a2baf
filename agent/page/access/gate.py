"""The gate that every request passes: where from, under which name, from which site, and with what role (S9)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from aiohttp import web

from agent.errors import AgentError
from agent.page import problems
from agent.page.access import guard
from agent.page.access.access import Access
from agent.page.access.door import Door
from agent.page.access.links import same_address
from agent.page.access.visitor import Channel, Visitor
from agent.page.routes import Role, RouteTable
from agent.say import say

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

log = logging.getLogger(__name__)

Respond = Callable[[web.Request, AgentError], web.StreamResponse]

_ASKED_AGAIN = say("What was entered was not accepted.")


class Gate:
    """Lets requests in and writes down who changed what; `respond` turns an error into an answer."""

    def __init__(self, access: Access, names: Iterable[str], respond: Respond) -> None:
        self.routes = RouteTable()
        """The role that each route takes."""
        self._access = access
        self.names = tuple(names)
        """Names under which this device answers."""
        self._respond = respond
        self._doors: list[Door] = []

    def door(self, server: web.Server, channel: Channel) -> Door:
        """Return the protocol factory for a listening socket of that kind."""
        door = Door(server, channel)
        self._doors.append(door)
        return door

    def middleware(self) -> Middleware:
        """Return what aiohttp calls for every request."""

        @web.middleware
        async def supervise(request: web.Request, handler: Handler) -> web.StreamResponse:
            for door in self._doors:
                door.heard(request.protocol)
            try:
                self._judge(request)
                response = await handler(request)
            except web.HTTPException as error:
                if error.status < web.HTTPBadRequest.status_code:
                    self._record(request, "")
                    raise
                problem: AgentError = problems.from_http(error)
            except AgentError as error:
                problem = error
            except Exception:  # the supervisor of requests: one that fails must not take the page along
                log.exception("request failed: %s %s", request.method, request.path)
                problem = problems.internal()
            else:
                refused = response.status >= web.HTTPBadRequest.status_code  # a form that is shown again
                self._record(request, _ASKED_AGAIN if refused else "")
                return response
            # our own words for it, or its name: the platform's may repeat what was typed
            own = isinstance(problem, problems.PageError)
            self._record(request, problem.happened if own else problems.code_of(problem))
            return self._respond(request, problem)

        return supervise

    def _judge(self, request: web.Request) -> None:
        """Find out who asks and let them in, or raise PageError."""
        channel, (here, there) = self._channel(request), guard.ends(request)
        guard.introduce(request, Visitor(channel, Role.ANYONE, there if channel is Channel.LINK else ""))
        guard.introduce(request, self._access.recognize(request, channel))
        guard.check_host(request, lambda host: self._is_ours(host, channel, here))
        guard.check_origin(request)
        needed = self.routes.role(request)
        guard.admit(guard.visitor(request), needed)
        guard.may_stay(request, lambda: self._access.still(request, channel, needed))
        if request.path.startswith("/api/"):
            guard.check_api(request)

    def _channel(self, request: web.BaseRequest) -> Channel:
        """Return the way that a request came; the least trusted one where it is not known."""
        return next((door.channel for door in self._doors if door.knows(request.protocol)), Channel.LINK)

    def _is_ours(self, host: str, channel: Channel, here: str) -> bool:
        """Tell whether a name or address in `Host` means this device, by the way that the request came."""
        if host in {name.lower().rstrip(".") for name in self.names if name}:
            return True
        if channel is not Channel.LINK:
            return guard.is_loopback(host)
        return same_address(host, here) and self._access.links.is_mine(host)

    def _record(self, request: web.Request, refusal: str) -> None:
        """Write whatever would change something into the audit, refusals too; what was typed never."""
        if request.method in guard.SAFE:
            return
        if not refusal and not guard.noted(request) and self.routes.role(request) is Role.ANYONE:
            return  # a language was chosen: nobody signed in for that, and it must not fill the audit
        resource = request.match_info.route.resource
        action = f"{request.method} {resource.canonical if resource else '(nothing there)'}"
        detail = guard.noted(request) or refusal
        self._access.record(guard.visitor(request), action, done=not refusal, detail=detail)

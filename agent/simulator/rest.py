"""The REST API of platform.md 1.2, 1.3 and 2 over HTTP, with error envelopes and the faults that are ordered."""

from __future__ import annotations

import itertools
import json
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from aiohttp import web

from agent.simulator.addresses import PATH
from agent.simulator.core import SECRET_KEY, Platform
from agent.simulator.http_faults import apply_faults
from agent.simulator.hub import Hub
from agent.simulator.refusal import Refusal
from agent.simulator.signalling import SignallingServer, peer
from agent.simulator.tokens import iso

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ICE_TTL = 3600
_user_of_request: ContextVar[str | None] = ContextVar("user_of_request", default=None)


class Rest:
    """The public HTTP application: REST and the upgrade to signalling."""

    def __init__(self, platform: Platform, hub: Hub, signalling: SignallingServer) -> None:
        self._platform = platform
        self._hub = hub
        self._signalling = signalling
        self._ids = itertools.count(1)

    def application(self) -> web.Application:
        """Return the aiohttp application."""
        app = web.Application(middlewares=[self._identify, self._fail, self._refuse], client_max_size=64 * 1024)
        one = PATH + "/{id}"
        app.add_routes(
            [
                web.post("/v1/user_sessions", self._mint),
                web.post("/v1/users/{id}/revoke_sessions", self._revoke),
                web.post(PATH, self._create),
                web.get(PATH, self._list),
                web.get(one, self._get),
                web.delete(one, self._delete),
                web.delete(one + "/registered_ip", self._clear),
                web.get("/v1/webrtc/ice-servers", self._ice_servers),
                web.get("/v1/webrtc", self._signalling.handle),
            ]
        )
        return app

    # ------------------------------------------------------------------ around every request

    @web.middleware
    async def _identify(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        number = f"req_{next(self._ids):06d}"
        _user_of_request.set(None)
        response = await handler(request)
        if not response.prepared:
            response.headers["X-Request-Id"] = number
        if not isinstance(response, web.WebSocketResponse):
            self._platform.log.add(
                "request",
                method=request.method,
                path=request.path,
                status=response.status,
                source=peer(request),
                user=_user_of_request.get(),
                idempotency_key=request.headers.get("Idempotency-Key"),
                user_agent=request.headers.get("User-Agent", ""),
                request_id=number,
            )
        return response

    @web.middleware
    async def _fail(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        return await apply_faults(self._platform, request, handler)

    @web.middleware
    async def _refuse(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Refusal as refusal:
            return self._refusal(refusal)
        except web.HTTPException as error:
            return web.json_response({"error": error.reason}, status=error.status)

    def _refusal(self, refusal: Refusal) -> web.Response:
        behavior = self._platform.behavior
        semantic = refusal.status == 422  # noqa: PLR2004 - only this one's form is an open question
        shape = behavior.refusal_shape if semantic else "documented"
        body = refusal.body(shape, details=behavior.refusal_details or not semantic)
        if isinstance(body, str):
            return web.Response(text=body, status=refusal.status)
        return web.json_response(body, status=refusal.status)

    # ------------------------------------------------------------------ credentials

    def _user(self, request: web.Request) -> str:
        token = _bearer(request)
        if token == SECRET_KEY:
            raise Refusal(403, "A user token is required")
        user = self._platform.claims(token).user
        _user_of_request.set(user)
        return user

    def _platform_key(self, request: web.Request) -> None:
        token = _bearer(request)
        if token == SECRET_KEY:
            return
        self._platform.claims(token)
        raise Refusal(403, "A platform secret key is required")

    # ------------------------------------------------------------------ handlers

    async def _mint(self, request: web.Request) -> web.Response:
        self._platform_key(request)
        return web.json_response(self._platform.mint(await _json(request)), status=201)

    async def _revoke(self, request: web.Request) -> web.Response:
        self._platform_key(request)
        answer, sends = self._platform.revoke(request.match_info["id"])
        self._hub.deliver(sends)
        return web.json_response(answer)

    async def _create(self, request: web.Request) -> web.Response:
        user = self._user(request)
        saved = self._platform.create_address(user, await _json(request), request.headers.get("Idempotency-Key"))
        return web.json_response(saved.resource(), status=self._platform.behavior.create_status)

    async def _list(self, request: web.Request) -> web.Response:
        user = self._user(request)
        page = self._platform.list_addresses(user, request.query.get("limit"), request.query.get("page"))
        return web.json_response(page)

    async def _get(self, request: web.Request) -> web.Response:
        user = self._user(request)
        return web.json_response(self._platform.get_address(user, request.match_info["id"]).resource())

    async def _delete(self, request: web.Request) -> web.Response:
        user = self._user(request)
        self._hub.deliver(self._platform.delete_address(user, request.match_info["id"]))
        return web.Response(status=204)

    async def _clear(self, request: web.Request) -> web.Response:
        user = self._user(request)
        self._hub.deliver(self._platform.clear_anchor(user, request.match_info["id"]))
        return web.Response(status=204)

    async def _ice_servers(self, request: web.Request) -> web.Response:
        self._user(request)
        expires_at = iso(self._platform.clock.wall() + ICE_TTL)
        return web.json_response({"ice_servers": [{"urls": ["stun:stun.invalid:3478"]}], "expires_at": expires_at})


def _bearer(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Refusal(401, "Missing or invalid credential")
    return token.strip()


async def _json(request: web.Request) -> Any:
    text = await request.text()
    try:
        return json.loads(text) if text else None
    except ValueError as error:
        raise Refusal(400, "The body is not JSON") from error

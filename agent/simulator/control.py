"""The control port: behavior, faults, log, state and users; for people and tests on this machine only."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

from aiohttp import web

from agent.simulator.behavior import BehaviorError
from agent.simulator.core import Platform
from agent.simulator.hub import Hub
from agent.simulator.log import Entry
from agent.simulator.refusal import Refusal

LONGEST_WAIT = 60.0
"""Seconds that `GET /control/log` may wait for a new entry."""


class Control:
    """Handlers of `/control/...`."""

    def __init__(self, platform: Platform, hub: Hub) -> None:
        self._platform = platform
        self._hub = hub

    def routes(self) -> list[web.RouteDef]:
        """Return what to add to the control application."""
        return [
            web.get("/control/state", self._state),
            web.get("/control/log", self._log),
            web.get("/control/behavior", self._behavior),
            web.post("/control/behavior", self._set_behavior),
            web.get("/control/faults", self._faults),
            web.post("/control/faults", self._set_fault),
            web.delete("/control/faults", self._clear_faults),
            web.delete("/control/faults/{id}", self._clear_faults),
            web.get("/control/users", self._users),
            web.post("/control/users", self._add_user),
            web.post("/control/tokens", self._token),
            web.post("/control/revoke", self._revoke),
            web.post("/control/push", self._push),
            web.post("/control/cut", self._cut),
            web.post("/control/addresses/{id}", self._rewrite),
        ]

    # ------------------------------------------------------------------ reading

    async def _state(self, request: web.Request) -> web.Response:
        user = request.query.get("user")
        platform = self._platform
        platform.registrations.expire()
        users = [user] if user else list(platform.users)
        return web.json_response(
            {
                "addresses": {name: [saved.resource() for saved in platform.addresses.of(name)] for name in users},
                "sessions": [session.row() for session in platform.signalling.live(user)],
                "registrations": [registration.row() for registration in platform.registrations.live(user)],
            }
        )

    async def _log(self, request: web.Request) -> web.Response:
        """Return entries from `since` on; with `wait`, hold the answer until there is one."""
        since, kind = int(request.query.get("since", 0)), request.query.get("kind")
        wait = min(LONGEST_WAIT, float(request.query.get("wait", 0)))
        found = self._platform.log.entries(kind, since=since)
        if not found and wait:
            await self._next_entry(kind, wait)
            found = self._platform.log.entries(kind, since=since)
        rows = [entry.row() for entry in found]
        return web.json_response({"next": self._platform.log.next_number, "entries": rows})

    async def _next_entry(self, kind: str | None, wait: float) -> None:
        came = asyncio.Event()

        def listen(entry: Entry) -> None:
            if kind in {None, entry.kind}:
                came.set()

        self._platform.log.listeners.append(listen)
        try:
            async with asyncio.timeout(wait):
                await came.wait()
        except TimeoutError:
            pass
        finally:
            self._platform.log.listeners.remove(listen)

    async def _behavior(self, _: web.Request) -> web.Response:
        return web.json_response(dataclasses.asdict(self._platform.behavior))

    async def _faults(self, _: web.Request) -> web.Response:
        return web.json_response(self._platform.faults.rows())

    async def _users(self, _: web.Request) -> web.Response:
        rows = [
            {"id": u.id, "account": u.account, "sip_username": u.sip_username} for u in self._platform.users.values()
        ]
        return web.json_response(rows)

    # ------------------------------------------------------------------ ordering

    async def _set_behavior(self, request: web.Request) -> web.Response:
        try:
            self._platform.behavior = self._platform.behavior.changed(await _body(request))
        except BehaviorError as error:
            raise Refusal(400, str(error)) from error
        return await self._behavior(request)

    async def _set_fault(self, request: web.Request) -> web.Response:
        try:
            fault = self._platform.faults.set(**await _body(request))
        except (TypeError, ValueError) as error:
            raise Refusal(400, str(error)) from error
        return web.json_response(fault.row(), status=201)

    async def _clear_faults(self, request: web.Request) -> web.Response:
        number = request.match_info.get("id")
        self._platform.faults.clear(int(number) if number else None)
        return web.Response(status=204)

    async def _add_user(self, request: web.Request) -> web.Response:
        body = await _body(request)
        if not str(body.get("id", "")).startswith("user_"):
            raise Refusal(400, "`id` must start with user_ (platform.md 1.2)")
        try:
            user = self._platform.add_user(body.pop("id"), **body)
        except TypeError as error:
            raise Refusal(400, str(error)) from error
        return web.json_response(
            {"id": user.id, "account": user.account, "sip_username": user.sip_username}, status=201
        )

    async def _token(self, request: web.Request) -> web.Response:
        return web.json_response(self._platform.mint(await _body(request)), status=201)

    async def _revoke(self, request: web.Request) -> web.Response:
        answer, sends = self._platform.revoke(str((await _body(request)).get("user")))
        self._hub.deliver(sends)
        return web.json_response(answer)

    async def _push(self, request: web.Request) -> web.Response:
        """Make the platform speak: `network.changed`, `call.incoming`, or end sessions with an error code."""
        body = await _body(request)
        user, what = str(body.get("user")), str(body.get("what"))
        if what == "network.changed":
            sends = self._platform.push_network_changed(user)
        elif what == "call.incoming":
            call = {"call_id": "call_1", "from": "+14155550100", "from_name": "Noise", "to": user}
            sends = self._platform.signalling.incoming(user, call)
        else:
            live = self._platform.signalling.live(user)
            sends = [s for one in live for s in self._platform.signalling.end(one.id, what, "Ordered over control.")]
        self._hub.deliver(sends)
        return web.json_response({"sessions": len({send.session for send in sends})})

    async def _cut(self, request: web.Request) -> web.Response:
        """Cut a user's signalling connections without a goodbye."""
        live = self._platform.signalling.live(str((await _body(request)).get("user")))
        self._hub.abort([session.id for session in live])
        return web.json_response({"sessions": len(live)})

    async def _rewrite(self, request: web.Request) -> web.Response:
        """Change fields of an address behind its user's back."""
        changes = {name: str(value) for name, value in (await _body(request)).items()}
        saved = self._platform.addresses.rewrite(request.match_info["id"], changes)
        self._platform.log.add("write", what="rewrite", user=saved.user, address=saved.id)
        return web.json_response(saved.resource())


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError as error:
        raise Refusal(400, "The body is not JSON") from error
    if not isinstance(body, dict):
        raise Refusal(400, "The body must be a JSON object")
    return body


@web.middleware
async def refusals(request: web.Request, handler: Any) -> web.StreamResponse:
    """Answer a `Refusal` on the control port."""
    try:
        response: web.StreamResponse = await handler(request)
    except Refusal as refusal:
        return web.json_response(refusal.body(), status=refusal.status)
    return response

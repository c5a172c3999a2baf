"""What Kamailio asks the platform (`/internal/...`), and what the control port orders of the SIP side."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from agent.simulator.core import Platform
from agent.simulator.hub import Hub
from agent.simulator.refusal import Refusal
from agent.simulator.sessions import Register

if TYPE_CHECKING:
    from agent.simulator.psap import Psap
    from agent.simulator.registrar import Registrar


class SipControl:
    """Handlers; `attach` says where the registrar and the media legs are."""

    def __init__(self, platform: Platform, hub: Hub) -> None:
        self._platform = platform
        self._hub = hub
        self._registrar: Registrar | None = None
        self._psap: Psap | None = None

    def attach(self, registrar: Registrar, psap: Psap) -> None:
        """The SIP side is about to start."""
        self._registrar = registrar
        self._psap = psap

    def routes(self) -> list[web.RouteDef]:
        """Return what to add to the control application."""
        return [
            web.post("/internal/password", self._password),
            web.post("/internal/register", self._register),
            web.post("/internal/call", self._call),
            web.get("/control/location", self._location),
            web.post("/control/registrar", self._power),
            web.post("/control/legs", self._legs),
            web.post("/control/callback", self._callback),
        ]

    # ------------------------------------------------------------------ asked by Kamailio

    async def _password(self, request: web.Request) -> web.Response:
        user = self._platform.sip_user((await _form(request)).get("user", ""))
        if user is None or user.sip_password is None:
            return web.Response(status=404)
        return web.Response(text=user.sip_password)

    async def _register(self, request: web.Request) -> web.Response:
        """Answer `code=..;save=..;retry=..;` for the configuration to act on."""
        form = await _form(request)
        expires = form.get("expires", "")
        answer = self._platform.register(
            Register(
                username=form.get("user", ""),
                source=form.get("source", ""),
                port=int(form.get("port", "0")),
                transport=form.get("transport", "udp").lower(),
                presented=form.get("presented") or None,  # Kamailio says "" for a header that is not there
                expires=int(expires) if expires.isdecimal() else None,
                call_id=form.get("call_id", ""),
                contact=form.get("contact", ""),
                user_agent=form.get("user_agent", ""),
                authenticated=form.get("authenticated") == "1",
                cseq=int(form.get("cseq", "0")),
            )
        )
        self._hub.deliver(answer.sends)
        if answer.delay:
            await asyncio.sleep(answer.delay)
        return web.Response(text=f"code={answer.code};save={int(answer.save)};retry={answer.retry_after or 0};")

    async def _call(self, request: web.Request) -> web.Response:
        """Answer `open` or `gated` for a call to a number that is no emergency number."""
        form = await _form(request)
        user = self._platform.sip_user(form.get("user", ""))
        number = form.get("number", "")
        allowed = self._platform.may_call(user.id if user else None, number, form.get("source", ""))
        self._platform.log.add(
            "call", what="gate", user=user.id if user else None, number=number, allowed=allowed, emergency=False
        )
        return web.Response(text="open" if allowed else "gated")

    # ------------------------------------------------------------------ ordered over control

    def _running(self) -> tuple[Registrar, Psap]:
        if self._registrar is None or self._psap is None:
            raise Refusal(409, "The simulator runs without SIP")
        return self._registrar, self._psap

    async def _location(self, _: web.Request) -> web.Response:
        """Return Kamailio's location table."""
        registrar, _psap = self._running()
        return web.json_response([contact.row() for contact in await registrar.location_table()])

    async def _power(self, request: web.Request) -> web.Response:
        """`{"running": false}` stops Kamailio (its bindings are lost), `true` starts it."""
        registrar, _ = self._running()
        if (await request.json()).get("running"):
            await registrar.start()
        else:
            await registrar.stop()
        return web.json_response({"running": registrar.running})

    async def _legs(self, request: web.Request) -> web.Response:
        """Set how long the media legs ring and talk."""
        _, psap = self._running()
        try:
            psap.legs = psap.legs.changed(await request.json())
        except ValueError as error:
            raise Refusal(400, str(error)) from error
        return web.json_response(psap.legs.row())

    async def _callback(self, request: web.Request) -> web.Response:
        """The PSAP calls a registered phone back."""
        _, psap = self._running()
        user = str((await request.json()).get("sip_username"))
        return web.json_response({"call_id": psap.call_back(user)}, status=202)


async def _form(request: web.Request) -> dict[str, str]:
    """Return the form without what Kamailio writes for a header that is not there."""
    return {name: str(value) for name, value in (await request.post()).items() if value != "<null>"}

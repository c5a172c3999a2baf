"""The names that the line depends on, looked up beside everything else: the registrar's, and this machine's own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from agent.say import say
from agent.voice import resolve

if TYPE_CHECKING:
    from agent.voice.service import Service

RESOLVE_EVERY: Final = 300.0
"""Seconds between lookups of a registrar's name that is known."""
RESOLVE_RETRY: Final = 5.0
"""Seconds between lookups of one that is not."""
_NO_OWN_NAME: Final = say("This machine's own name does not resolve: calls can start late. Add it to /etc/hosts.")


async def keep_registrar(service: Service) -> None:
    """Keep the registrar's address known; the last good one serves while there is no better."""
    registrar = service.settings.registrar
    while registrar:
        address = await resolve.resolve(registrar)
        if address is not None and address != service.line.address:
            service.line.address = address
            service.look()
        known = address or service.line.address
        unknown = None if known else say("The registrar {name} has no address.", name=registrar)
        service.problems.set("registrar_unknown", unknown)
        if resolve.literal(registrar):
            return
        await asyncio.sleep(RESOLVE_EVERY if address else RESOLVE_RETRY)


async def check_own_name(service: Service) -> None:
    """Say so when PJSIP would stall over the name of this machine."""
    ok = await resolve.own_name_resolves()
    service.problems.set("own_name", None if ok else _NO_OWN_NAME)

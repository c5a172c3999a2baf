"""Names become addresses here and nowhere else, so that no lookup ever blocks PJSIP or an emergency call."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Final

from agent.voice import watch

DEADLINE: Final = 2.0
"""Seconds to wait for a name; the last good address serves in the meantime."""
OWN_NAME_DEADLINE: Final = 0.5
"""Seconds in which this machine's own name must resolve: PJSIP asks for it with every call (facts.md 5)."""


def literal(host: str) -> str | None:
    """Return the host as an address if it is one, else None."""
    try:
        return str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return None


async def resolve(host: str, deadline: float = DEADLINE) -> str | None:
    """Return an address of a host, those with a path first, then IPv4; None when there is none in time."""
    fixed = literal(host)
    if fixed is not None or not host:
        return fixed
    try:
        async with asyncio.timeout(deadline):
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except (OSError, TimeoutError, UnicodeError):
        return None
    addresses = [str(entry[4][0]) for entry in sorted(found, key=lambda entry: entry[0] != socket.AF_INET)]
    return next((address for address in addresses if watch.look(address)), addresses[0] if addresses else None)


async def own_name_resolves() -> bool:
    """Return whether this machine's own name resolves fast, without the network's help."""
    try:
        async with asyncio.timeout(OWN_NAME_DEADLINE):
            await asyncio.get_running_loop().getaddrinfo(socket.gethostname(), None, family=socket.AF_INET)
    except (OSError, TimeoutError, UnicodeError):
        return False
    return True

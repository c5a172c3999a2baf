"""Checks of the platform, as the agent meets it: API, clock, token, signalling."""

from __future__ import annotations

import asyncio
import email.utils
import time
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from agent.clock import SANE_WALL
from agent.dialstack.answers import WireList, decode
from agent.dialstack.ports import Token
from agent.dialstack.rest import ADDRESSES, USER_AGENT, RestClient, request, transport_problem
from agent.dialstack.signalling import SUBPROTOCOL, signalling_url
from agent.dialstack.tokens import Tokens, other_user
from agent.doctor.result import NO_LOCATION, Result, fail, failed, ok, skip, warn
from agent.doctor.world import World
from agent.errors import AddressGone, AgentError
from agent.say import say

SKEW_WARN, SKEW_FAIL = 60.0, 300.0
"""Seconds that the clock may be off: beyond the second, tokens and certificates are refused."""
SOON = 600.0
"""Seconds before its end at which a token from a file is worth a word."""
NO_NETWORK = say("Not tested: there is no network.")
NOT_REACHED = say("Not tested: the platform was not reached.")


async def api(world: World) -> Result:
    """Does the platform answer, and is it the platform? An unsigned request must be refused as such."""
    if not world.online:
        return skip("api", NO_NETWORK)
    host = urlsplit(world.settings.platform.api).netloc
    kept: dict[str, str] = {}
    rest = RestClient(world.settings.platform, None)
    await rest.use_path(world.source)
    began = time.monotonic()
    try:
        url = f"{world.settings.platform.api}{ADDRESSES}?limit=1"
        decode(*await request(rest.http(), "GET", url, {}, kept=kept), WireList)
    except AddressGone:
        return fail(
            "api",
            say("{host} answers, but it is not the platform's API (HTTP 404).", host=host),
            NO_LOCATION,
            say("Correct the platform's URL in the settings."),
            "not_the_api",
        )
    except AgentError as error:
        if error.code != "token_refused":
            return _refused(host, error)
    else:
        return fail(
            "api",
            say("{host} answers everybody: it is not the platform, or something in between answers for it.", host=host),
            NO_LOCATION,
            say("Correct the platform's URL in the settings."),
            "not_the_api",
        )
    finally:
        await rest.close()
        world.server_date = _date(kept.get("Date", ""))
    world.reached = True
    took = round((time.monotonic() - began) * 1000)
    return ok("api", say("{host} answers, in {milliseconds} ms.", host=host, milliseconds=took))


def _refused(host: str, error: AgentError) -> Result:
    """Return the daemon's own words, and plainer ones for a certificate of somebody else."""
    text = error.happened
    if error.code == "certificate" and ("mismatch" in text or "doesn't match" in text or "not valid for" in text):
        return fail(
            "api",
            say("The certificate of {host} is for another name.", host=host),
            NO_LOCATION,
            say("Correct the platform's URL, or check whether this network intercepts TLS."),
            "certificate_name",
        )
    if error.code == "certificate":
        return fail(
            "api",
            say("The certificate of {host} is not from an authority that this phone trusts.", host=host),
            NO_LOCATION,
            error.todo,
            "certificate",
        )
    return failed("api", error)


def _date(text: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError):
        return None


async def clock(world: World) -> Result:
    """Is the clock right? Tokens and certificates are judged by it."""
    now = world.clock.wall()
    todo = say("Check the time server (NTP) of this network.")
    if now < SANE_WALL:
        return fail("clock", say("The clock of this device is not set."), NO_LOCATION, todo, "clock_unset")
    if world.server_date is None:
        return skip("clock", say("The clock is set; there is nothing to compare it with while the platform is away."))
    off = now - world.server_date
    text = say("The clock of this device is off by {seconds} s.", seconds=round(off))
    if abs(off) > SKEW_FAIL:
        return fail("clock", text, NO_LOCATION, todo, "clock_wrong")
    if abs(off) > SKEW_WARN:
        return warn("clock", text, say("911 and 933 still go out."), todo, "clock_off")
    return ok("clock", say("The clock is right."))


async def token(world: World) -> Result:
    """Is there a token, is it this phone's, and does the platform take it?"""
    rest = RestClient(world.settings.platform, None)
    await rest.use_path(world.source)
    tokens = Tokens(world.settings.token, world.clock, rest.post_for_token)
    rest.tokens = tokens
    try:
        found = await tokens.get()
        if world.user and found.user and found.user != world.user:
            raise other_user(world.user, found.user)
        if not world.online:
            return skip("token", NO_NETWORK)
        if not world.reached:
            return skip("token", NOT_REACHED)
        saved = await rest.list()
    except AgentError as error:
        return failed("token", error)
    finally:
        await rest.close()
    return _accepted(world, found, len(saved))


def _accepted(world: World, found: Token, saved: int) -> Result:
    left = None if found.expires_at is None else found.expires_at - world.clock.boottime()
    user = found.user or say("an unnamed user")
    if left is not None and left < SOON and world.settings.token.source == "file":
        return warn(
            "token",
            say("The token of {user} is accepted, but ends in {minutes} min.", user=user, minutes=int(left // 60)),
            say("After that 911 goes out without a proven location."),
            say("Put a new one in place, or let an endpoint or a program provide tokens."),
            "token_ends_soon",
        )
    return ok(
        "token",
        say("The token of {user} is accepted; {count} addresses are saved there.", user=user, count=saved),
    )


async def signalling(world: World) -> Result:
    """Can the signalling connection be opened? It is not signed in to: that would be another session of the user."""
    if not world.online:
        return skip("signalling", NO_NETWORK)
    if "signalling" not in world.settings.platform.presentation:
        return skip("signalling", say("Not used by this configuration."), "not_used")
    url = signalling_url(world.settings.platform)
    rest = RestClient(world.settings.platform, None)
    await rest.use_path(world.source)
    try:
        await _upgrade(rest, url)
    except aiohttp.WSServerHandshakeError as error:
        return fail(
            "signalling",
            say("{host} refuses the connection (HTTP {status}).", host=urlsplit(url).netloc, status=error.status),
            NO_LOCATION,
            say("Check the signalling URL in the settings, and whether a proxy stands in between."),
            "signalling_refused",
        )
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        return failed("signalling", transport_problem(error))
    except AgentError as error:
        return failed("signalling", error)
    finally:
        await rest.close()
    return ok("signalling", say("{host} takes connections.", host=urlsplit(url).netloc))


async def _upgrade(rest: RestClient, url: str) -> None:
    socket: Any = await rest.http().ws_connect(url, protocols=(SUBPROTOCOL,), headers={"User-Agent": USER_AGENT})
    async with asyncio.timeout(1.0):
        await socket.close()

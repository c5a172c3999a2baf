"""Checks of the network, from the cable outward: link, address, router, names."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from urllib.parse import urlsplit

from agent.doctor.result import NO_CALL, Result, fail, ok, skip, warn
from agent.doctor.world import World
from agent.light.wording import KINDS
from agent.model import LinkKind
from agent.network.netlink import Reader
from agent.network.resolve import look_up
from agent.network.snapshot import build
from agent.network.solicit import solicit
from agent.say import listed, say

LOOKUP = 4.0
"""Seconds for a name: a dead name server is known by then."""
ROUTER_WAIT = 1.0
"""Seconds for a router to say its hardware address; it does within milliseconds."""
ROUTER_LOOK = 0.1
"""Seconds between looks for it."""
CARRIERS = frozenset({LinkKind.ETHERNET, LinkKind.WIFI, LinkKind.CELLULAR})


def hosts(world: World) -> tuple[str, str]:
    """Return the hosts of registrar and platform."""
    return world.settings.sip.registrar, urlsplit(world.settings.platform.api).hostname or ""


async def look(world: World) -> None:
    """Read the network as the kernel has it, with the ways to registrar and platform."""
    reader = Reader()
    sip, api = (world.names.get(host, ()) for host in hosts(world))
    try:
        dump = await reader.read(sip, api)
    finally:
        reader.close()
    network = world.settings.network
    world.snapshot = build(dump, network.portable_interfaces, network.ignore_interfaces)
    world.online = world.snapshot.sip is not None or world.snapshot.api is not None


async def link(world: World) -> Result:
    """Is a cable in, or Wi-Fi connected?"""
    cards = [one for one in world.snapshot.links if one.kind in CARRIERS]
    up = [one for one in cards if one.usable]
    if up:
        return ok(
            "link",
            say(
                "Connected: {names}.",
                names=listed(say("{name} ({kind})", name=one.name, kind=KINDS[one.kind]) for one in up),
            ),
        )
    if not cards:
        return fail(
            "link", say("This device has no network interface."), NO_CALL, say("Have the device looked at."), "no_card"
        )
    return fail(
        "link",
        say("Nothing is connected: {names}.", names=", ".join(one.name for one in cards)),
        NO_CALL,
        say("Plug the network cable in, or check the switch and the Wi-Fi."),
        "no_link",
    )


async def address(world: World) -> Result:
    """Did the network give the device an address?"""
    up = {one.index: one.name for one in world.snapshot.links if one.kind in CARRIERS and one.usable}
    if not up:
        return skip("address", say("Not tested: nothing is connected."))
    mine = [one for one in world.snapshot.addresses if one.index in up]
    good = [one for one in mine if not ipaddress.ip_address(one.address).is_link_local]
    if good:
        named = ", ".join(f"{one.address}/{one.prefix} ({up[one.index]})" for one in good)
        return ok("address", say("The device has the address {names}.", names=named))
    return fail(
        "address",
        say("The network gave the device no address."),
        NO_CALL,
        say("Check the DHCP server of this network, or whether this socket is switched on."),
        "no_address",
    )


async def gateway(world: World) -> Result:
    """Is there a way out, and does the router answer?"""
    path = world.snapshot.api or world.snapshot.sip
    if path is None:
        if not any(one.kind in CARRIERS and one.usable for one in world.snapshot.links):
            return skip("gateway", say("Not tested: nothing is connected."))
        todo = say("Check the router and the DHCP server of this network.")
        return fail("gateway", say("There is no way out of this network."), NO_CALL, todo, "no_route")
    router = world.snapshot.gateway(path)
    if router is None:
        return ok("gateway", say("No router is needed: {interface} leads there directly.", interface=path.interface))
    for _ in range(int(ROUTER_WAIT / ROUTER_LOOK)):
        if (path.ifindex, router) in world.snapshot.neighbors:
            return ok("gateway", say("The router {router} answers.", router=router))
        solicit(world.snapshot, (path,))
        await asyncio.sleep(ROUTER_LOOK)
        with contextlib.suppress(OSError, TimeoutError):
            await look(world)
    return warn(
        "gateway",
        say("The router {router} does not answer.", router=router),
        say("It may be that calls do not get out; the place cannot be told by the router."),
        say("Check the router; some answer nothing and still work."),
        "router_silent",
    )


async def dns(world: World) -> Result:
    """Can the host names be looked up? Fills in their addresses."""
    wanted = [host for host in dict.fromkeys(hosts(world)) if host]
    problems = [found for found in await asyncio.gather(*(_name(world, host) for host in wanted)) if found]
    if problems:
        return problems[0]
    literal = all(_is_literal(host) for host in wanted)
    if literal:
        return ok("dns", say("Addresses are configured; there is no name to look up."))
    return ok("dns", say("Looked up: {names}.", names=", ".join(host for host in wanted if not _is_literal(host))))


async def _name(world: World, host: str) -> Result | None:
    if _is_literal(host):
        world.names[host] = (host.strip("[]"),)
        return None
    try:
        async with asyncio.timeout(LOOKUP):
            found = await look_up(host)
    except socket.gaierror as error:
        if error.errno in {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}:
            return _unknown(host)
        return _silent(host)
    except (TimeoutError, OSError):
        return _silent(host)
    except UnicodeError:
        return _unknown(host)
    world.names[host] = tuple(sorted(dict.fromkeys(found), key=lambda one: ":" in one))
    return None


def _unknown(host: str) -> Result:
    return fail(
        "dns",
        say("The host name {host} does not exist.", host=host),
        say("If it is the registrar's, calls go to its last known address; without one they cannot."),
        say("Correct the name in the settings, or have the name server looked at."),
        "dns_unknown",
    )


def _silent(host: str) -> Result:
    return fail(
        "dns",
        say("The name server does not answer: {host} cannot be looked up.", host=host),
        say("Calls go to the registrar's last known address; without one they cannot."),
        say("Check the name server that this network hands out, and whether the Internet works here."),
        "dns_silent",
    )


def _is_literal(host: str) -> bool:
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host.strip("[]"))
        return True
    return False

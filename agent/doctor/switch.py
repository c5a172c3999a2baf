"""The check of what the network switch says (LLDP): which port this is, and whether it can be heard at all."""

from __future__ import annotations

from agent.doctor.result import GOES_OUT, Result, ok, skip, warn
from agent.doctor.world import World
from agent.heard import Heard, Hearing
from agent.model import LinkKind
from agent.say import say
from agent.surroundings import UNASKED


async def switch(world: World) -> Result:
    """Is one network switch heard on the cable in use?"""
    path = world.snapshot.sip or world.snapshot.api
    overview = world.overview
    if world.settings.network.lldp == "off":
        return skip("switch", say("Not tested: the network switch is not asked, as the settings say."), "lldp_off")
    if overview is None:
        return skip("switch", say("Not tested: the agent does not answer."))
    if path is None or path.kind is not LinkKind.ETHERNET:
        return skip("switch", say("Not tested: no cable is in use."))
    return _heard(overview.heard)


def _heard(heard: Heard) -> Result:
    if heard.hearing is Hearing.NO_RIGHT:
        return warn("switch", say("The network switch cannot be asked."), GOES_OUT, UNASKED, "no_right")
    if heard.port is not None:
        name = heard.port.system_name or heard.port.chassis
        text = say("This phone is plugged into port {port} of {switch}.", port=heard.port.port, switch=name)
        return ok("switch", text)
    if heard.ports:
        return warn(
            "switch",
            say("Several network switches are heard on one cable: a device between passes on what they say."),
            say("A move within this building would not be noticed. 911 and 933 still go out."),
            say("Plug this phone into a socket of its own."),
            "several_switches",
        )
    return ok("switch", say("No network switch says which port this is; the place is told by the router alone."))

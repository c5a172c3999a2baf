"""Where is this device plugged in? Observations from a snapshot, and their comparison with known places; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from agent.model import Observation, Path, Place, Strength, Verdict, VerdictKind
from agent.network.snapshot import Snapshot

SHARED_MACS = (
    ("00:00:5e:00:01:", "00:00:5e:00:02:"),  # VRRP (RFC 9568 7.3) for IPv4 and IPv6, CARP
    ("00:00:0c:07:ac:", "00:05:73:a0:0"),  # HSRP version 1, HSRP for IPv6
    ("00:00:0c:9f:f",),  # HSRP version 2
    ("00:07:b4:00:", "00:07:b4:01:", "00:07:b4:02:", "00:07:b4:03:"),  # GLBP
)
"""Hardware addresses that routers share by protocol: the same in thousands of offices."""
PORT = "switch_port"
"""Kind of the observation that names chassis and port of the network switch."""
_HARDWARE = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5} ")
_SHARED = tuple(prefix for prefixes in SHARED_MACS for prefix in prefixes)


def is_shared_mac(mac: str) -> bool:
    """Tell whether a hardware address belongs to a redundancy protocol and not to one router."""
    return mac.lower().startswith(_SHARED)


def observe(snapshot: Snapshot, path: Path | None, macs: Mapping[str, str]) -> tuple[Observation, ...]:
    """Return what the links say about the place, in a fixed order.

    `macs` holds the hardware address of each interface's gateway, as far as it is trusted (`evidence.py`). Tunnels,
    containers, loopback and portable interfaces give nothing (failure 7).
    """
    seen: dict[tuple[str, str], Observation] = {}
    paths = ([path] if path else []) + list(snapshot.uplinks)
    for one in paths:
        link = snapshot.link(one.interface)
        if not link or not link.tells_place:
            continue
        on_path = path is not None and one.interface == path.interface
        values: list[tuple[str, str | None, Strength]] = [("subnet", snapshot.subnet(one), Strength.WEAK)]
        if link.vlan is not None:
            values.append(("vlan", str(link.vlan), Strength.WEAK))
        if mac := macs.get(one.interface):
            shared = is_shared_mac(mac)
            kind, strength = ("shared_gateway_mac", Strength.WEAK) if shared else ("gateway_mac", Strength.STRONG)
            values.append((kind, mac, strength))
        if (heard := snapshot.heard.get(one.ifindex)) and (port := heard.port):
            values.append((PORT, f"{port.chassis} {port.port}", Strength.STRONG))
            values.append(("switch_name", port.system_name, Strength.WEAK))
            values.append(("port_vlan", str(port.vlan or ""), Strength.WEAK))
        if wifi := snapshot.wifi.get(one.ifindex):
            values += [("bssid", wifi.bssid, Strength.STRONG), ("ssid", wifi.ssid, Strength.WEAK)]
        for kind, value, strength in values:
            if value:
                key = (one.interface, f"{kind}{one.family if kind == 'subnet' else ''}")
                seen.setdefault(key, Observation(kind, value, one.interface, strength, on_path=on_path))
    return tuple(sorted(seen.values()))


# How a place is recognized
#
# 1. Only the interface that carries the path can say where the device *is*. A hot-spot or a second cable may travel
#    along: what other interfaces say never decides, but it is kept in `against` where it disagrees.
# 2. A place matches strongly if one of its strong observations (gateway_mac, bssid; for ports see 6 and 7) has the kind
#    and value of a strong observation made on the path. The interface's name is not compared: a phone with two sockets
#    is still there. For the current place a router that was only seen beside the path counts, too: when the first
#    uplink fails, the second one carries the path in the same office. Interfaces that travel along are configured as
#    portable.
# 3. A place matches weakly if the path has *no* strong evidence and the shared gateway address, the subnet and the
#    public address all agree. Two of the three are not enough: 192.168.1.0/24 behind a VRRP router is everywhere.
# 4. A roam inside one place: several BSSIDs belong to a place. A BSSID never seen before, with the gateway_mac of the
#    place, is that place. SSIDs never decide: a chain has the same one in every shop.
# 5. Where strong observations on the path speak for different places (an access point that was taken home, two floors
#    behind one router), a place is out if one of them is another place's alone. None is left: UNKNOWN, staff decide.
# 6. A place that is known by switch ports does not match where another port is heard on the path: it was carried to
#    another socket behind the same router, maybe to another floor. A place that has no port on record matches as if
#    none were heard, and learns it; so does one of which no port is heard (yet): the router alone brings it back fast.
# 7. A port never carries a place against the router: a switch may travel along. Without a router that tells (none that
#    answers, a shared address) it carries one whose subnet agrees, if its chassis is a hardware address: names are
#    given by hand, and a chain of shops may have a `switch-1 port 3` in each.
# 8. The current place matches: SAME. Else other places match: KNOWN, the most recently seen one of the strong ones,
#    or of the weak ones. None matches: NEW with strong evidence, UNKNOWN without.


def judge(
    observations: Iterable[Observation],
    places: Iterable[Place],
    current_place_id: int | None,
    public_address: str | None,
) -> Verdict:
    """Compare what is seen with what is known; `public_address` is what the registrar sees us come from, if fresh."""
    observations, places = tuple(observations), tuple(places)
    here = [one for one in observations if one.on_path]
    strong = [one for one in here if one.strength is Strength.STRONG]
    carried = {
        place.id: _carrying(here, place, public_address, current=place.id == current_place_id) for place in places
    }
    matching = sorted(
        (place for place in places if carried[place.id]),
        key=lambda place: (place.id == current_place_id, place.last_seen, place.id),
    )
    agreeing = [place for place in matching if not _against(strong, places, place)]  # rule 5
    disagreement, matching = bool(matching) and not agreeing, agreeing
    if not matching:
        against = _against(observations, places, None)
        if strong and not disagreement:
            return Verdict(VerdictKind.NEW, None, tuple(strong), against)
        return Verdict(VerdictKind.UNKNOWN, None, (), against)
    winner = matching[-1]
    kind = VerdictKind.SAME if winner.id == current_place_id else VerdictKind.KNOWN
    return Verdict(kind, winner.id, tuple(carried[winner.id]), _against(observations, places, winner))


def _carrying(
    here: Sequence[Observation], place: Place, public_address: str | None, *, current: bool
) -> list[Observation]:
    """Return the observations on the path that make this the place; none: it is not."""
    strong = [one for one in here if one.strength is Strength.STRONG]
    ports = [one for one in strong if one.kind == PORT]
    others = [one for one in strong if one.kind != PORT]
    shared = _common(ports, place, beside=current)
    if ports and not shared and ports_of(place):
        return []  # rule 6
    if others:
        found = _common(others, place, beside=current)
        return [*found, *shared] if found else []
    subnets = {one.value for one in place.observations if one.kind == "subnet"}
    near = [one for one in here if one.kind == "subnet" and one.value in subnets]
    if near and any(_HARDWARE.match(one.value) for one in shared):  # rule 7
        return [*shared, *near]
    return _weak_match(here, place, public_address)


def ports_of(place: Place) -> frozenset[str]:
    """Return the switch ports that a place is known by."""
    return frozenset(one.value for one in place.observations if one.kind == PORT and one.on_path)


def contradiction(
    observations: Iterable[Observation], places: Iterable[Place], place: Place, public_address: str | None
) -> Observation | None:
    """Return the switch port that says that the device is not at this place, although it was judged to be there.

    A port is heard seconds after the router; where it agrees or only adds to what is known, nothing follows.
    """
    observations = tuple(observations)
    known = {(one.kind, one.value) for one in place.observations}
    heard = [one for one in observations if one.kind == PORT and one.on_path and (one.kind, one.value) not in known]
    if not heard or judge(observations, places, place.id, public_address).place_id == place.id:
        return None
    return heard[0]


def _common(seen: Iterable[Observation], place: Place, *, beside: bool) -> list[Observation]:
    known = {
        (one.kind, one.value)
        for one in place.observations
        if one.strength is Strength.STRONG and (one.on_path or beside)
    }
    return [one for one in seen if (one.kind, one.value) in known]


def _weak_match(here: Iterable[Observation], place: Place, public_address: str | None) -> list[Observation]:
    """Rule 3: all three or nothing."""
    known = {(one.kind, one.value) for one in place.observations}
    agreeing = [one for one in here if (one.kind, one.value) in known]
    kinds = {one.kind for one in agreeing}
    same_public = public_address is not None and public_address == place.public_address
    return agreeing if same_public and {"shared_gateway_mac", "subnet"} <= kinds else []


def _against(
    observations: Iterable[Observation], places: Iterable[Place], winner: Place | None
) -> tuple[Observation, ...]:
    """Return the strong observations that speak for another place than the one that was found."""
    elsewhere = {
        (known.kind, known.value)
        for place in places
        if winner is None or place.id != winner.id
        for known in place.observations
        if known.strength is Strength.STRONG
    }
    return tuple(
        one
        for one in observations
        if one.strength is Strength.STRONG and (one.kind, one.value) in elsewhere and not _is_of(one, winner)
    )


def _is_of(seen: Observation, place: Place | None) -> bool:
    return place is not None and (seen.kind, seen.value) in {(one.kind, one.value) for one in place.observations}

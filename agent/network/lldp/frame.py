"""One LLDP frame, decoded (IEEE 802.1AB-2016 clause 8 and 9.2.7; ANSI/TIA-1057 clause 10); pure, and never trusting."""

from __future__ import annotations

import hashlib
import ipaddress
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from agent.heard import NamedAddress, SwitchPort
from agent.network import named

ETHERTYPE = 0x88CC
GROUP = bytes.fromhex("0180c200000e")
"""Nearest bridge: no switch forwards it, so whoever is heard is at the other end of the cable (or beyond a hub)."""
MAX_FRAME = 1500
"""Bytes of an LLDPDU: it fits into one frame, or it is none."""
MAX_ID = 64
"""Characters of a chassis or port name; longer ones are told apart by a digest."""
MAX_WORDS = 64
"""Characters kept of a description."""

END, CHASSIS, PORT, TTL, PORT_WORDS, SYSTEM_NAME, CAPABILITIES, ORGANIZATION = 0, 1, 2, 3, 4, 5, 7, 127
HEADER = struct.Struct("!H")
IEEE_8021, MED = b"\x00\x80\xc2", b"\x00\x12\xbb"
BRIDGE, ACCESS_POINT, ROUTER, TELEPHONE = 1 << 2, 1 << 3, 1 << 4, 1 << 5
"""Bits of system capabilities (802.1AB table 8-4)."""
MED_CAPABILITIES, MED_POLICY, MED_LOCATION = 1, 2, 3
MED_SWITCH = 4
"""MED device type: network connectivity; 1 to 3 are endpoints."""
CIVIC, ELIN = 2, 3
VOICE = 1
"""Application type of a MED network policy."""
IANA_FAMILIES = {1: 4, 2: 16}
"""Address family -> bytes of an address."""


class LldpError(ValueError):
    """A frame that cannot be believed; the text says why."""


@dataclass(frozen=True, slots=True)
class Neighbor:
    """What one frame says about who sent it."""

    chassis: str
    port: str
    ttl: int
    """Seconds for which it holds; 0: the neighbor takes leave."""
    switch: bool = False
    """Bridge, router or access point, and neither a telephone nor a MED endpoint: the other end of the cable."""
    med: bool = False
    """It speaks LLDP-MED as a network connectivity device."""
    system_name: str = ""
    port_words: str = ""
    vlan: int | None = None
    """VLAN of untagged frames on this port (802.1 port VLAN id)."""
    voice_vlan: int | None = None
    address: NamedAddress | None = None
    """Civic location by LLDP-MED."""
    address_problem: str = ""
    """Why the civic location could not be read."""
    elin: str = ""
    """Emergency location identification number; empty: none."""

    def switch_port(self) -> SwitchPort:
        """Return it as the other end of the cable."""
        return SwitchPort(self.chassis, self.port, self.system_name, self.port_words, self.vlan, self.voice_vlan)

    @property
    def key(self) -> tuple[str, str]:
        """What tells one neighbor from another."""
        return self.chassis, self.port


def decode(data: bytes) -> Neighbor:
    """Return what an LLDPDU (the payload of the Ethernet frame) says; raises LldpError and nothing else."""
    if len(data) > MAX_FRAME:
        raise LldpError("the frame is too long")
    tlvs = _split(data)
    if [kind for kind, _ in tlvs[:3]] != [CHASSIS, PORT, TTL]:
        raise LldpError("chassis, port and time to live must come first")
    if any(kind in {CHASSIS, PORT, TTL} for kind, _ in tlvs[3:]):
        raise LldpError("chassis, port or time to live comes twice")  # 9.2.7.7.1
    chassis, port, ttl = (value for _, value in tlvs[:3])
    if len(ttl) < HEADER.size:
        raise LldpError("the time to live is cut off")
    found = Neighbor(_identity(chassis, CHASSIS).replace(" ", "_"), _identity(port, PORT), HEADER.unpack_from(ttl)[0])
    seen: set[tuple[int, bytes]] = set()
    endpoint = False
    for kind, value in tlvs[3:]:
        key = kind, value[:4] if kind == ORGANIZATION else b""
        if kind == ORGANIZATION and value[:4] in {MED + bytes([MED_POLICY]), MED + bytes([MED_LOCATION])}:
            key = kind, value[:5]  # one for each application, one for each format
        if key in seen:
            continue  # a second one says nothing (9.2.7.7.2)
        seen.add(key)
        found = _take(found, kind, value)
        endpoint = endpoint or _is_endpoint(kind, value)
    return replace(found, switch=found.switch and not endpoint, med=found.med and not endpoint)


def _split(data: bytes) -> list[tuple[int, bytes]]:
    """Return (type, value) of every TLV up to the end; what follows it is padding."""
    found: list[tuple[int, bytes]] = []
    while data:
        if len(data) < HEADER.size:
            raise LldpError("the frame is cut off")
        (head,) = HEADER.unpack_from(data)
        kind, length = head >> 9, head & 0x1FF
        if kind == END:
            break
        if len(data) < HEADER.size + length:
            raise LldpError("the frame is cut off")
        found.append((kind, data[HEADER.size : HEADER.size + length]))
        data = data[HEADER.size + length :]
    return found


# --------------------------------------------------------------------------- who it is

_MAC_KINDS = {CHASSIS: 4, PORT: 3}
_NETWORK_KINDS = {CHASSIS: 5, PORT: 4}


def _identity(value: bytes, tlv: int) -> str:
    """Return a chassis or port id as text that is the same for the same id, and another one for another."""
    if not 2 <= len(value) <= 256:  # noqa: PLR2004 - subtype and 1 to 255 bytes
        raise LldpError("a name is empty or too long")
    kind, raw = value[0], value[1:]
    if kind == _MAC_KINDS[tlv] and len(raw) == len(GROUP):
        return raw.hex(":")
    if kind == _NETWORK_KINDS[tlv] and len(raw) - 1 == IANA_FAMILIES.get(raw[0]):
        return str(ipaddress.ip_address(raw[1:]))
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = ""
    if not text.isprintable() or text != " ".join(text.split()) or not text:
        text = f"0x{raw.hex()}"
    if len(text) > MAX_ID:
        text = f"{text[: MAX_ID - 13]}~{hashlib.sha256(raw).hexdigest()[:12]}"
    return text


def _words(value: bytes) -> str:
    """Return a description for people: nothing in it can be anything but text."""
    text = "".join(char if char.isprintable() else " " for char in value.decode(errors="replace"))
    return " ".join(text.split())[:MAX_WORDS]


# --------------------------------------------------------------------------- what it says


def _capabilities(found: Neighbor, value: bytes) -> Neighbor:
    if len(value) < 2 * HEADER.size:
        return found
    (enabled,) = HEADER.unpack_from(value, HEADER.size)
    return replace(found, switch=bool(enabled & (BRIDGE | ROUTER | ACCESS_POINT)) and not enabled & TELEPHONE)


def _port_vlan(found: Neighbor, value: bytes) -> Neighbor:
    vlan = int.from_bytes(value[:2])
    return replace(found, vlan=vlan) if len(value) >= HEADER.size and 0 < vlan < 0xFFF else found  # noqa: PLR2004


def _med_capabilities(found: Neighbor, value: bytes) -> Neighbor:
    return replace(found, med=len(value) > HEADER.size and value[2] == MED_SWITCH)


def _policy(found: Neighbor, value: bytes) -> Neighbor:
    """TIA-1057 10.2.3.2: application, U, T, X, VLAN (12 bits), priority (3), DSCP (6)."""
    if len(value) < 4 or value[0] != VOICE:  # noqa: PLR2004 - bytes
        return found
    bits = int.from_bytes(value[1:4])
    vlan, known, tagged = bits >> 9 & 0xFFF, not bits >> 23 & 1, bits >> 22 & 1
    return replace(found, voice_vlan=vlan) if known and tagged and 0 < vlan < 0xFFF else found  # noqa: PLR2004


def _location(found: Neighbor, value: bytes) -> Neighbor:
    """TIA-1057 10.2.4: coordinates are left alone, 911 takes a civic address."""
    if value[:1] == bytes([CIVIC]):
        body = value[2:]
        try:
            if len(value) < HEADER.size or value[1] > len(body):
                raise named.CivicError("it is cut off")
            if named.describes_client(body):
                return replace(found, address=named.read(body[: value[1]]))
        except named.CivicError as error:
            return replace(found, address_problem=str(error))
    elif value[:1] == bytes([ELIN]):
        number = value[1:]
        if 10 <= len(number) <= 25 and number.isdigit():  # noqa: PLR2004 - TIA-1057 10.2.4.3.3
            return replace(found, elin=number.decode("ascii"))
    return found


_Reader = Callable[[Neighbor, bytes], Neighbor]
_TLVS: Mapping[int, _Reader] = {
    CAPABILITIES: _capabilities,
    PORT_WORDS: lambda found, value: replace(found, port_words=_words(value)),
    SYSTEM_NAME: lambda found, value: replace(found, system_name=_words(value)),
}
_ORGANIZATIONS: Mapping[bytes, _Reader] = {
    IEEE_8021 + b"\x01": _port_vlan,
    MED + bytes([MED_CAPABILITIES]): _med_capabilities,
    MED + bytes([MED_POLICY]): _policy,
    MED + bytes([MED_LOCATION]): _location,
}


def _take(found: Neighbor, kind: int, value: bytes) -> Neighbor:
    """Return what is known with one more TLV; unknown ones say nothing."""
    if kind == ORGANIZATION:
        reader = _ORGANIZATIONS.get(value[:4])
        return reader(found, value[4:]) if reader else found
    read = _TLVS.get(kind)
    return read(found, value) if read else found


def _is_endpoint(kind: int, value: bytes) -> bool:
    """Whether a TLV says that the sender is a MED endpoint: a telephone with a socket for a PC is no switch."""
    tail = value[4:]
    is_med = kind == ORGANIZATION and value[:4] == MED + bytes([MED_CAPABILITIES])
    return is_med and len(tail) > HEADER.size and 1 <= tail[2] < MED_SWITCH

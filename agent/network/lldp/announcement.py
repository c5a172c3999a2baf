"""Our own LLDP-MED frame: switches tell where a port is only to a telephone that announces itself; pure."""

from __future__ import annotations

import struct

from agent.network.lldp import frame

LIFE = 120
"""Seconds for which a switch may believe it: four times the interval (802.1AB 9.2.5.22)."""
MAC_CHASSIS, MAC_PORT = 4, 3
"""Subtypes of ids that are hardware addresses."""
MED_CAPABLE = 0b0000_0101
"""MED capabilities (bit 0) and location (bit 2) are understood; a VLAN policy is not asked for: the VLAN is not ours to
change."""
CLASS_III = 3
"""MED device type: a communication device, which places emergency calls (TIA-1057 6.1)."""


def tlv(kind: int, value: bytes) -> bytes:
    """Return one TLV (802.1AB 8.4)."""
    return struct.pack("!H", kind << 9 | len(value)) + value


def announcement(mac: bytes, name: str) -> bytes:
    """Return the LLDPDU of a telephone with this hardware address and name."""
    med = struct.pack("!HB", MED_CAPABLE, CLASS_III)
    parts = (
        (frame.CHASSIS, bytes([MAC_CHASSIS]) + mac),
        (frame.PORT, bytes([MAC_PORT]) + mac),
        (frame.TTL, struct.pack("!H", LIFE)),
        (frame.SYSTEM_NAME, name.encode()[:255]),
        (frame.CAPABILITIES, struct.pack("!HH", frame.TELEPHONE, frame.TELEPHONE)),
        (frame.ORGANIZATION, frame.MED + bytes([frame.MED_CAPABILITIES]) + med),
        (frame.END, b""),
    )
    return b"".join(tlv(kind, value) for kind, value in parts)

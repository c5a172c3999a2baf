"""Our own LLDP-MED frame, and when it is sent: switches tell where a port is only to a telephone; pure."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from agent.network.lldp import frame

FAST_START, FAST_GAP = 4, 1.0
"""Frames and seconds between them when a cable was plugged in (TIA-1057 11.2.1)."""
INTERVAL = 30.0
"""Seconds between later ones, and only while a switch is heard that speaks LLDP-MED (802.1AB 9.2.5.19)."""
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


@dataclass(slots=True)
class Schedule:
    """When the phone announces itself on one cable; times are monotonic seconds."""

    next_at: float | None
    """None: not before somebody new is heard."""
    burst: int = FAST_START
    """Frames of the fast start that are left."""

    def due(self, now: float) -> bool:
        """Tell whether a frame is due."""
        return self.next_at is not None and now >= self.next_at

    def sent(self, now: float, *, med: bool) -> None:
        """Note a frame that went out; `med`: a switch is heard that listens to telephones."""
        self.burst = max(0, self.burst - 1)
        if self.burst:
            self.next_at = now + FAST_GAP
        else:
            self.next_at = now + INTERVAL if med else None

    def heard(self, now: float) -> None:
        """Begin anew where a switch is heard after the phone fell silent: a device between was plugged in anew."""
        if self.next_at is None:
            self.next_at, self.burst = now, FAST_START

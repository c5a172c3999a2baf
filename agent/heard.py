"""What the network itself says about the place where the phone is plugged in: values that flow, no behavior."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


class Hearing(enum.StrEnum):
    """Can the network switch be heard at all (LLDP)?"""

    OFF = "off"
    """Switched off by the configuration, or not started."""
    ON = "on"
    NO_RIGHT = "no_right"
    """The agent may not open the socket, and the helper does not answer."""


@dataclass(frozen=True, slots=True)
class NamedAddress:
    """An address as a switch or a DHCP server names it (RFC 4776); any field may be empty."""

    fields: Mapping[str, str] = field(default_factory=dict)
    """Field of `CivicAddress` -> text; what was not named is missing."""
    floor: str = ""
    """The floor alone, as it was named."""

    def one_line(self) -> str:
        """Return what was named, as people read it."""
        get = self.fields.get
        street = " ".join(part for part in (get("address_number"), get("street")) if part)
        region = " ".join(part for part in (get("state"), get("postal_code")) if part)
        return ", ".join(part for part in (street, get("unit"), get("city"), region) if part)


@dataclass(frozen=True, slots=True)
class SwitchPort:
    """The other end of the cable."""

    chassis: str
    port: str
    """Together they identify it, for as long as the switch is not replaced."""
    system_name: str = ""
    port_words: str = ""
    """Description of the port."""
    vlan: int | None = None
    """VLAN of untagged frames on this port."""
    voice_vlan: int | None = None
    """VLAN that the switch has for telephones (LLDP-MED network policy)."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What is heard on one link."""

    hearing: Hearing = Hearing.OFF
    ports: tuple[SwitchPort, ...] = ()
    """Exactly one is evidence; several mean that a device between passes on what is meant for others."""
    named: NamedAddress | None = None
    """Where the network says that this is; a suggestion, never more (S3)."""
    source: Literal["lldp", "dhcp", ""] = ""
    """Who named it."""
    elin: str = ""
    """Emergency location identification number by LLDP-MED."""

    @property
    def port(self) -> SwitchPort | None:
        """Return the one switch port, None when there is none or no telling which."""
        return self.ports[0] if len(self.ports) == 1 else None


NOTHING = Heard()

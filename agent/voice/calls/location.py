"""The confirmed address as an emergency call carries it: Geolocation and PIDF-LO (RFC 6442, 4119, 5139); pure."""

from __future__ import annotations

import time
from dataclasses import dataclass
from html import escape
from typing import Final

from agent.model import CivicAddress
from agent.voice.events import Body

KIND: Final = "application/pidf+xml"
_ELEMENTS: Final = (
    ("country", "country"),
    ("A1", "state"),
    ("A3", "city"),
    ("RD", "street"),
    ("HNO", "address_number"),
    ("UNIT", "unit"),
    ("PC", "postal_code"),
)
"""Element of RFC 5139 3.4 -> field, in the order of its schema."""
_PIDF: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:gp="urn:ietf:params:xml:ns:pidf:geopriv10"'
    ' xmlns:gb="urn:ietf:params:xml:ns:pidf:geopriv10:basicPolicy"'
    ' xmlns:ca="urn:ietf:params:xml:ns:pidf:geopriv10:civicAddr" entity="{entity}">'
    '<tuple id="here"><status><gp:geopriv><gp:location-info><ca:civicAddress xml:lang="en">{civic}</ca:civicAddress>'
    "</gp:location-info><gp:usage-rules><gb:retransmission-allowed>true</gb:retransmission-allowed></gp:usage-rules>"
    "<gp:method>Manual</gp:method></gp:geopriv></status><timestamp>{now}</timestamp></tuple></presence>"
)
"""Small on purpose: more than 1300 bytes in all send a request to TCP (RFC 3261 18.1.1)."""


@dataclass(frozen=True, slots=True)
class Location:
    """What the agent said about where this phone is."""

    generation: int
    """The path generation in which it holds."""
    civic: CivicAddress
    confirmed: bool


def location_body(civic: CivicAddress, *, entity: str, content_id: str, wall: float) -> Body:
    """Return the PIDF-LO of a confirmed address; `entity` is our address of record, `wall` seconds since 1970."""
    fields = [(element, str(getattr(civic, name))) for element, name in _ELEMENTS]
    elements = "".join(f"<ca:{element}>{escape(text)}</ca:{element}>" for element, text in fields if text)
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(wall))
    return Body(KIND, content_id, _PIDF.format(entity=escape(entity), civic=elements, now=now))


def geolocation_headers(content_id: str) -> tuple[tuple[str, str], ...]:
    """Return the headers that point to the body and allow routing by it (RFC 6442 4.1, 4.2)."""
    return (("Geolocation", f"<cid:{content_id}>"), ("Geolocation-Routing", "yes"))

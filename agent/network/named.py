"""Addresses as networks name them: civic elements of RFC 4776, the same in LLDP-MED and in DHCP option 99; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from agent.dialstack.civic import FIELDS, civic_from, words
from agent.heard import NamedAddress
from agent.model import CivicAddress

MAX_TEXT = 80
"""Characters of one element: no street name comes near."""
COUNTRY = 2
"""Bytes of the country code (ISO 3166)."""
HEAD = 2
"""Bytes of type and length before each element."""


class CivicError(ValueError):
    """The bytes are no civic address; the text says what is wrong with them."""


def complete(named: NamedAddress) -> CivicAddress | None:
    """Return the address if nothing that the platform needs is missing."""
    return civic_from(named.fields)[0]


# RFC 4776 3.4, RFC 5139, RFC 6848: the elements that say something here.
_STATE, _CITY, _STREET_OLD, _STREET = 1, 3, 6, 34
_PRE_MODIFIER, _PRE, _SUFFIX, _POST, _POST_MODIFIER = 38, 16, 18, 17, 39
_NUMBER, _NUMBER_SUFFIX, _POSTAL = 19, 20, 24
_FLOOR = 27
_UNIT = (
    (25, "Building", ("building", "bldg", "tower", "wing")),
    (26, "Unit", ("unit", "suite", "ste", "apartment", "apt", "#")),
    (_FLOOR, "Floor", ("floor", "fl", "level", "basement", "ground", "lobby", "mezzanine")),
    (28, "Room", ("room", "rm", "office", "hall")),
    (33, "Desk", ("desk", "seat", "cubicle", "cube", "workstation")),
)
"""Element, the word put before its value, and words that say it already."""
_ADDITIONAL = 22
"""LOC: whatever else there is to say, such as `Desk 7`."""


def read(payload: bytes) -> NamedAddress:
    """Return the address in a civic location without its length (RFC 4776 3.1: what, country code, elements).

    Raises CivicError when anything about the bytes is wrong: half an address could be another one.
    """
    if len(payload) <= COUNTRY:
        raise CivicError("it is too short")
    what, country = payload[0], payload[1 : 1 + COUNTRY]
    if what > 2:  # noqa: PLR2004 - of the server, of the network element, of the client
        raise CivicError(f"it describes something unknown ({what})")
    if not re.fullmatch(rb"[A-Za-z]{2}", country):
        raise CivicError("its country code is not one")
    found = _elements(payload[1 + COUNTRY :])
    return _named(found, country.decode("ascii").upper())


def describes_client(payload: bytes) -> bool:
    """Tell whether a location is the device's own, or of the switch beside it (RFC 4776 3.1: `what`)."""
    return payload[:1] in {b"\x01", b"\x02"}


def _elements(data: bytes) -> dict[int, str]:
    """Return the first text of each type; later ones are translations (RFC 4776 3.3)."""
    found: dict[int, str] = {}
    while data:
        if len(data) < HEAD:
            raise CivicError("it is cut off")
        kind, length = data[0], data[1]
        if len(data) < HEAD + length:
            raise CivicError("it is cut off")
        raw, data = data[HEAD : HEAD + length], data[HEAD + length :]
        try:
            text = raw.decode()
        except UnicodeDecodeError as error:
            raise CivicError("it is not UTF-8") from error
        text = " ".join(text.split(" "))
        if not text.isprintable() or len(text) > MAX_TEXT:
            raise CivicError("it has characters that cannot be printed, or too many")
        if text.strip():
            found.setdefault(kind, text.strip())
    return found


def _named(found: Mapping[int, str], country: str) -> NamedAddress:
    get = found.get
    name = (_PRE_MODIFIER, _PRE)
    base = _STREET if _STREET in found else _STREET_OLD
    street = " ".join(part for kind in (*name, base, _SUFFIX, _POST, _POST_MODIFIER) if (part := get(kind)))
    number = (get(_NUMBER) or "") + _suffix(get(_NUMBER_SUFFIX))
    unit = [_with_word(get(kind), word, known) for kind, word, known in _UNIT]
    unit.append(get(_ADDITIONAL) or "")
    values = {
        "address_number": number,
        "street": street if base in found else "",
        "unit": ", ".join(part for part in unit if part)[: MAX_TEXT * 2],
        "city": get(_CITY) or "",
        "state": get(_STATE) or "",
        "postal_code": get(_POSTAL) or "",
        "country": country,
    }
    return NamedAddress({name: values[name] for name in FIELDS if values[name]}, get(_FLOOR) or "")


def _suffix(text: str | None) -> str:
    """`1/2` stands apart from its number, `B` does not."""
    return "" if not text else f" {text}" if text[0].isdigit() else text


def _with_word(value: str | None, word: str, known: tuple[str, ...]) -> str:
    """Return `Floor 3` for `3`, and `3rd Floor` as it is."""
    if not value:
        return ""
    said = {part.rstrip(".,") for part in value.casefold().split()}
    return value if said & set(known) or value[0] == "#" else f"{word} {value}"


# --------------------------------------------------------------------------- comparison

_FLOOR_BEFORE = re.compile(r"\b(?:fl|level|lvl) (?!rm\b|ste\b|apt\b|unit\b)(\w+)")
_FLOOR_AFTER = re.compile(r"\b(\w+) fl\b")
_ORDINAL = re.compile(r"(\d+)(?:st|nd|rd|th)")
_FLOORS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


def floor_of(unit: str) -> str:
    """Return the floor that a suite, floor or room text names: `3` for `Suite 400, 3rd Floor`; empty: none."""
    for part in unit.split(","):
        text = words(part)
        after = _FLOOR_AFTER.search(text)
        ordinal = after is not None and (_ORDINAL.fullmatch(after[1]) or after[1] in _FLOORS)
        if found := after if ordinal else _FLOOR_BEFORE.search(text) or after:
            return _plain_floor(found[1])
    return ""


def _plain_floor(text: str) -> str:
    """Return `3` for `3`, `03`, `3rd`, `Third` and `3rd Floor`."""
    plain = words(text).removeprefix("fl ").removesuffix(" fl")
    if plain in _FLOORS:
        return str(_FLOORS.index(plain) + 1)
    ordinal = _ORDINAL.fullmatch(plain)
    plain = ordinal[1] if ordinal else plain
    return plain.lstrip("0") or plain


def differences(confirmed: CivicAddress, named: NamedAddress) -> tuple[str, ...]:
    """Return the fields in which a network names another door than the one that staff confirmed.

    Tolerant: only what both say is compared, spelling and the carrier's abbreviations apart; of the unit only the
    floor, which is where an ambulance goes wrong. `floor` stands for that; the others are fields of `CivicAddress`.
    """
    compared = ("address_number", "street", "city", "country")
    found = [
        name
        for name in compared
        if named.fields.get(name) and words(named.fields[name]) != words(_text(confirmed, name))
    ]
    if (said := named.floor and _plain_floor(named.floor)) and (known := floor_of(confirmed.unit)) and said != known:
        found.append("floor")
    return tuple(found)


def _text(civic: CivicAddress, name: str) -> str:
    return str(getattr(civic, name))

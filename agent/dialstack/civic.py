"""Civic addresses as people type them and as the platform takes them (platform.md sections 2.1 and 7)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from agent.model import CivicAddress
from agent.say import say

_STATES = """
AL Alabama;AK Alaska;AZ Arizona;AR Arkansas;CA California;CO Colorado;CT Connecticut;DE Delaware;FL Florida;GA Georgia;
HI Hawaii;ID Idaho;IL Illinois;IN Indiana;IA Iowa;KS Kansas;KY Kentucky;LA Louisiana;ME Maine;MD Maryland;
MA Massachusetts;MI Michigan;MN Minnesota;MS Mississippi;MO Missouri;MT Montana;NE Nebraska;NV Nevada;NH New Hampshire;
NJ New Jersey;NM New Mexico;NY New York;NC North Carolina;ND North Dakota;OH Ohio;OK Oklahoma;OR Oregon;PA Pennsylvania;
RI Rhode Island;SC South Carolina;SD South Dakota;TN Tennessee;TX Texas;UT Utah;VT Vermont;VA Virginia;WA Washington;
WV West Virginia;WI Wisconsin;WY Wyoming;DC District of Columbia;DC Washington DC;PR Puerto Rico;GU Guam;
VI U.S. Virgin Islands;VI US Virgin Islands;VI Virgin Islands;AS American Samoa;MP Northern Mariana Islands;
AB Alberta;BC British Columbia;MB Manitoba;NB New Brunswick;NL Newfoundland and Labrador;NS Nova Scotia;
NT Northwest Territories;NU Nunavut;ON Ontario;PE Prince Edward Island;QC Quebec;SK Saskatchewan;YT Yukon
"""
"""Code and name, as the platform's own address form knows them, plus a few spellings that people use."""

_MAX_LENGTH = 120
"""Characters in a field: no street name comes near, and a pasted novel is stopped."""


def _fold(text: str) -> str:
    """Return the text without accents, case, dots and doubled spaces."""
    plain = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    return " ".join(plain.replace(".", " ").casefold().split())


STATE_CODES: dict[str, str] = {
    _fold(name): code
    for code, name in (entry.strip().split(" ", 1) for entry in _STATES.replace("\n", "").split(";") if entry.strip())
}
_CODES = frozenset(STATE_CODES.values())


def normalize_state(text: str) -> str:
    """Return the two-letter code of a state in any spelling; what is unknown comes back trimmed, for the platform."""
    folded = _fold(text)
    if folded in STATE_CODES:
        return STATE_CODES[folded]
    squeezed = folded.replace(" ", "").upper()
    return squeezed if len(squeezed) == len("CA") else text.strip()


FIELDS = ("address_number", "street", "unit", "city", "state", "postal_code", "country")
_REQUIRED = {
    "address_number": say("the house number is missing"),
    "street": say("the street is missing"),
    "city": say("the city is missing"),
    "state": say("the state is missing"),
    "postal_code": say("the postal code is missing"),
}
_US_ZIP = re.compile(r"\d{5}(-\d{4})?", re.ASCII)
_CA_POSTAL = re.compile(r"[A-Z]\d[A-Z] ?\d[A-Z]\d", re.ASCII)


def civic_from(fields: Mapping[str, object]) -> tuple[CivicAddress | None, dict[str, str]]:
    """Return (address, {}) or (None, {field: what is wrong}) from what a person or a file gave.

    Only what can be known here is checked: that the address exists, the platform decides (MSAG).
    """
    wrong: dict[str, str] = {}
    clean: dict[str, str] = {}
    for name in FIELDS:
        value = fields.get(name, "")
        if not isinstance(value, str):
            wrong[name] = say("must be text")
            continue
        clean[name] = " ".join(value.split())
        if len(clean[name]) > _MAX_LENGTH or not clean[name].isprintable():
            wrong[name] = say("must be at most {count} printable characters", count=_MAX_LENGTH)
        elif not clean[name] and name in _REQUIRED:
            wrong[name] = _REQUIRED[name]
    if wrong:
        return None, wrong
    clean["country"] = clean["country"].upper() or "US"
    clean["state"] = normalize_state(clean["state"])
    clean["postal_code"] = clean["postal_code"].upper()
    wrong = _check_codes(clean)
    return (None, wrong) if wrong else (CivicAddress(**clean), {})


def _check_codes(clean: Mapping[str, str]) -> dict[str, str]:
    wrong: dict[str, str] = {}
    country = clean["country"]
    if not re.fullmatch(r"[A-Z]{2}", country):
        wrong["country"] = say("must be a two-letter country code such as US")
    if country in {"US", "CA"} and clean["state"] not in _CODES:
        wrong["state"] = say("{state} is no state or province; write CA or California", state=repr(clean["state"]))
    pattern = {"US": _US_ZIP, "CA": _CA_POSTAL}.get(country)
    if pattern and not pattern.fullmatch(clean["postal_code"]):
        wrong["postal_code"] = say("must have five digits (or five, a hyphen and four), such as 94105")
        if country == "CA":
            wrong["postal_code"] = say("must look like K1A 0B1")
    return wrong


def same_address(one: CivicAddress, other: CivicAddress) -> bool:
    """Tell whether two addresses mean the same door, spelling of case, dots and spaces apart.

    Used to reconcile a lost reply with what the platform lists; the carrier's abbreviations are folded.
    """
    return _key(one) == _key(other)


_ABBREVIATIONS = {
    "street": "st", "avenue": "ave", "boulevard": "blvd", "road": "rd", "drive": "dr", "lane": "ln", "court": "ct",
    "place": "pl", "square": "sq", "highway": "hwy", "parkway": "pkwy", "suite": "ste", "apartment": "apt",
    "floor": "fl", "room": "rm", "north": "n", "south": "s", "east": "e", "west": "w",
    "northeast": "ne", "northwest": "nw", "southeast": "se", "southwest": "sw",
}  # fmt: skip


def words(text: str) -> str:
    """Return a text as it is compared: case, accents, dots, commas and the carrier's abbreviations folded."""
    return " ".join(_ABBREVIATIONS.get(word, word) for word in _fold(text).replace(",", " ").split())


def _key(civic: CivicAddress) -> tuple[str, ...]:
    return (
        words(civic.address_number),
        words(civic.street),
        words(civic.unit),
        words(civic.city),
        civic.state.upper(),
        civic.postal_code.replace(" ", "").split("-")[0],
        civic.country.upper(),
    )

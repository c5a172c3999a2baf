"""A small Master Street Address Guide: what the carrier would validate an address against."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from agent.simulator.refusal import Refusal

UNSPECIFIC = "The address could not be validated."


@dataclass(frozen=True, slots=True)
class Street:
    """One stretch of street."""

    name: str
    city: str
    state: str
    postal_code: str
    low: int
    high: int
    latitude: float
    longitude: float
    units: bool = True
    """Suites, floors and the like exist here."""
    country: str = "US"


STREETS = (
    Street("Main St", "San Francisco", "CA", "94105", 1, 999, 37.7911, -122.3959),
    Street("Elm St", "San Francisco", "CA", "94105", 1, 999, 37.7812, -122.4237),
    Street("Market St", "San Francisco", "CA", "94103", 1, 2999, 37.7749, -122.4194),
    Street("Broadway", "Oakland", "CA", "94607", 1, 2500, 37.8013, -122.2727),
    Street("Elm Ct", "Oakland", "CA", "94611", 1, 99, 37.8312, -122.2442, units=False),
    Street("Congress Ave", "Austin", "TX", "78701", 1, 1900, 30.2672, -97.7431),
    Street("Elm St", "Dallas", "TX", "75201", 100, 3999, 32.7812, -96.7970),
    Street("W 34th St", "New York", "NY", "10001", 1, 599, 40.7506, -73.9935),
    Street("Fifth Ave", "New York", "NY", "10011", 1, 199, 40.7359, -73.9925),
    Street("Michigan Ave", "Chicago", "IL", "60611", 100, 1099, 41.8936, -87.6244),
    Street("Pike St", "Seattle", "WA", "98101", 1, 1099, 47.6101, -122.3365),
    Street("Peachtree St NE", "Atlanta", "GA", "30303", 1, 999, 33.7581, -84.3877),
    Street("Pennsylvania Ave NW", "Washington", "DC", "20004", 400, 1599, 38.8951, -77.0267),
    Street("Boylston St", "Boston", "MA", "02116", 1, 899, 42.3503, -71.0756),
    Street("Larimer St", "Denver", "CO", "80202", 1000, 1999, 39.7491, -104.9984),
    Street("Farm Rd", "Ashton", "IA", "51232", 1, 99, 43.3119, -95.7906, units=False),
    Street("Bay St", "Toronto", "ON", "M5H 2N2", 1, 499, 43.6509, -79.3807, country="CA"),
)

_SUFFIXES = {
    "street": "st",
    "avenue": "ave",
    "boulevard": "blvd",
    "road": "rd",
    "court": "ct",
    "drive": "dr",
    "lane": "ln",
    "west": "w",
    "north": "n",
    "east": "e",
    "south": "s",
    "northeast": "ne",
    "northwest": "nw",
}


def _key(text: str) -> str:
    words = re.sub(r"[.,]", " ", text.lower()).split()
    return " ".join(_SUFFIXES.get(word, word) for word in words)


def normalize(given: Mapping[str, str], *, canada: bool = True) -> dict[str, str | float]:
    """Return the carrier's form of a civic address with `formatted_address`, `latitude` and `longitude`.

    Raises `Refusal` 422: with `details` on the first field that is wrong, or unspecific where the state is no
    upper-case two-letter code (platform.md 7).
    """
    country = given.get("country") or "US"
    if not re.fullmatch(r"[A-Z]{2}", given["state"]) or country not in {"US", "CA"} or (country == "CA" and not canada):
        raise Refusal(422, UNSPECIFIC)
    street = _find(given, country)
    number = given.get("address_number", "")
    if not number:
        raise _wrong("address_number", "The house number is missing.")
    digits = re.match(r"\d+", number)
    if digits is None or not street.low <= int(digits[0]) <= street.high:
        raise _wrong("address_number", f"{street.name} has the numbers {street.low} to {street.high}.")
    unit = given.get("unit", "")
    if unit and not street.units:
        raise _wrong("unit", f"{number} {street.name} has no suites or floors.")
    return _result(street, number, unit)


def _find(given: Mapping[str, str], country: str) -> Street:
    inside = [street for street in STREETS if street.state == given["state"] and street.country == country]
    if not inside:
        raise _wrong("state", f"No streets are known in {given['state']}.")
    town = [street for street in inside if _key(street.city) == _key(given["city"])]
    if not town:
        raise _wrong("city", f"There is no {given['city']} in {given['state']}.{_hint(given['city'], inside, 'city')}")
    named = [street for street in town if _key(street.name) == _key(given["street"])]
    if not named:
        place = f"{town[0].city}, {given['state']}"
        raise _wrong("street", f"There is no {given['street']} in {place}.{_hint(given['street'], town, 'name')}")
    wanted = given["postal_code"].replace(" ", "").upper()
    for street in named:
        own = street.postal_code.replace(" ", "")
        if wanted == own or re.fullmatch(rf"{own}-\d{{4}}", wanted):
            return street
    raise _wrong("postal_code", f"{named[0].name} in {named[0].city} has {named[0].postal_code}.")


def _hint(typed: str, streets: list[Street], field: str) -> str:
    names = {_key(getattr(street, field)): str(getattr(street, field)) for street in streets}
    close = difflib.get_close_matches(_key(typed), names, n=1, cutoff=0.6)
    return f" Did you mean {names[close[0]]}?" if close else ""


def _wrong(field: str, reason: str) -> Refusal:
    return Refusal(422, UNSPECIFIC, code="address_not_found", details={field: reason})


def _result(street: Street, number: str, unit: str) -> dict[str, str | float]:
    line = ", ".join(part for part in (f"{number} {street.name}", unit, street.city) if part)
    result: dict[str, str | float] = {
        "address_number": number,
        "street": street.name,
        "unit": unit,
        "city": street.city,
        "state": street.state,
        "postal_code": street.postal_code,
        "country": street.country,
        "formatted_address": f"{line}, {street.state} {street.postal_code}, {street.country}",
        "latitude": street.latitude,
        "longitude": street.longitude,
    }
    if not unit:
        del result["unit"]
    return result

"""The address form: what staff typed, what is wrong with it in plain words, and the address it makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.dialstack.civic import FIELDS, civic_from
from agent.errors import AddressRefused, AgentError
from agent.model import CivicAddress
from agent.say import Said, say

NO_UNIT = "no_unit"
"""The checkbox that says: the street address alone finds this phone."""

QUESTION = "question_id"
"""What is answered: `Overview.question_id` of the page that the person saw."""
AGAIN = "again"
"""The button that goes back to the form with what was typed."""
LABELS = {
    "address_number": say("Number"),
    "street": say("Street"),
    "unit": say("Suite, floor or room"),
    "city": say("City"),
    "state": say("State"),
    "postal_code": say("ZIP code"),
    "country": say("Country"),
}
PLAIN = {
    "the house number is missing": say("Enter the number of the building."),
    "the street is missing": say("Enter the name of the street."),
    "the city is missing": say("Enter the city."),
    "the state is missing": say("Enter the state."),
    "the postal code is missing": say("Enter the ZIP or postal code."),
    "must have five digits (or five, a hyphen and four), such as 94105": say(
        "The ZIP code has five digits, or five, a hyphen and four: 94105."
    ),
    "must look like K1A 0B1": say("The postal code looks like K1A 0B1."),
    "must be at most 120 printable characters": say("This is too long, or has characters that cannot be printed."),
}
MALFORMED = {
    "state": ("'", say("This is no state or province. Write it as CA or as California.")),
    "country": ("must be", say("Choose a country.")),
}
"""Field -> (how the daemon's words about it begin, what is said instead)."""
UNIT_MISSING = say("Enter the suite, floor or room, or tick the box below if there is none.")


@dataclass(frozen=True, slots=True)
class AddressForm:
    """A form as it is shown: values kept, errors beside their fields."""

    values: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    """Field -> sentence, in the order of the form."""
    general: tuple[str, ...] = ()
    """Sentences that belong to no field."""
    question_id: str = ""
    """The question that the address answers, as it was when the form was opened; empty: the one that is open now."""

    def first_error(self) -> str:
        """Return the field to move to, empty when all are right."""
        return next(iter(self.errors), "")


def _sentence(name: str, text: str) -> str:
    """Return what is wrong with a field in our words, else in the platform's, as a sentence."""
    plain = PLAIN.get(text)
    if plain is not None:
        return plain
    if name in MALFORMED and text.startswith(MALFORMED[name][0]):
        return MALFORMED[name][1]
    if isinstance(text, Said):
        return text
    text = text.strip()
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _in_order(errors: Mapping[str, str]) -> dict[str, str]:
    found = {name: errors[name] for name in FIELDS if errors.get(name)}
    return {name: _sentence(name, text) for name, text in found.items()}


def blank(civic: CivicAddress | None = None) -> AddressForm:
    """Return the form to begin with, filled with an address that is to be corrected."""
    values = dict.fromkeys(FIELDS, "") | {"country": "US"}
    if civic is not None:
        values |= {name: str(getattr(civic, name)) for name in FIELDS}
    return AddressForm(values)


def suggested(fields: Mapping[str, str]) -> AddressForm:
    """Return the form to begin with, filled with what the network names; it may be incomplete."""
    return AddressForm(dict.fromkeys(FIELDS, "") | {"country": "US"} | dict(fields))


def read(fields: Mapping[str, str]) -> tuple[CivicAddress | None, AddressForm]:
    """Return the address, or None and the form that says why not."""
    values = {name: fields.get(name, "") for name in FIELDS}
    if fields.get(NO_UNIT):
        values[NO_UNIT] = "yes"
    civic, wrong = civic_from({name: values[name] for name in FIELDS})
    if not values["unit"].strip() and NO_UNIT not in values:
        civic, wrong = None, {**wrong, "unit": UNIT_MISSING}
    return civic, AddressForm(values, _in_order(wrong), question_id=fields.get(QUESTION, ""))


def _plain(text: str) -> str:
    return " ".join(text.replace(".", " ").replace(",", " ").casefold().split())


def as_typed(typed: CivicAddress, normalized: CivicAddress) -> bool:
    """Tell whether the platform kept what was typed, upper case, dots and spaces apart."""
    return all(_plain(getattr(typed, name)) == _plain(getattr(normalized, name)) for name in FIELDS)


def changed(typed: CivicAddress, normalized: CivicAddress) -> tuple[tuple[str, str, str], ...]:
    """Return (label, typed, as the platform writes it) of every field that differs."""
    pairs = ((name, str(getattr(typed, name)), str(getattr(normalized, name))) for name in FIELDS)
    return tuple((LABELS[name], before, after) for name, before, after in pairs if _plain(before) != _plain(after))


def refused(form: AddressForm, error: AgentError) -> AddressForm:
    """Return the form with what the platform (or the daemon) said, beside the fields where it names them."""
    fields = error.fields if isinstance(error, AddressRefused) else {}
    errors = _in_order(fields)
    others = tuple(f"{name}: {text}" for name, text in fields.items() if name not in FIELDS)
    general = (error.happened, *others, error.emergency, error.todo)
    about = "" if error.code == "place_changed" else form.question_id  # said, and asked anew
    return AddressForm(form.values, errors, tuple(text for text in general if text), about)

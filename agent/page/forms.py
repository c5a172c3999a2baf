"""The address form: what staff typed, what is wrong with it in plain words, and the address it makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.dialstack.civic import FIELDS, civic_from
from agent.errors import AddressRefused, AgentError
from agent.model import CivicAddress

NO_UNIT = "no_unit"
"""The checkbox that says: the street address alone finds this phone."""

PLAIN = {
    "the house number is missing": "Enter the number of the building.",
    "the street is missing": "Enter the name of the street.",
    "the city is missing": "Enter the city.",
    "the state is missing": "Enter the state.",
    "the postal code is missing": "Enter the ZIP or postal code.",
}
UNIT_MISSING = "Enter the suite, floor or room, or tick the box below if there is none."


@dataclass(frozen=True, slots=True)
class AddressForm:
    """A form as it is shown: values kept, errors beside their fields."""

    values: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    """Field -> sentence, in the order of the form."""
    general: tuple[str, ...] = ()
    """Sentences that belong to no field."""

    def first_error(self) -> str:
        """Return the field to move to, empty when all are right."""
        return next(iter(self.errors), "")


def _sentence(text: str) -> str:
    text = PLAIN.get(text, text).strip()
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _in_order(errors: Mapping[str, str]) -> dict[str, str]:
    return {name: _sentence(errors[name]) for name in FIELDS if errors.get(name)}


def blank(civic: CivicAddress | None = None) -> AddressForm:
    """Return the form to begin with, filled with an address that is to be corrected."""
    values = dict.fromkeys(FIELDS, "") | {"country": "US"}
    if civic is not None:
        values |= {name: str(getattr(civic, name)) for name in FIELDS}
    return AddressForm(values)


def read(fields: Mapping[str, str]) -> tuple[CivicAddress | None, AddressForm]:
    """Return the address, or None and the form that says why not."""
    values = {name: fields.get(name, "") for name in FIELDS}
    if fields.get(NO_UNIT):
        values[NO_UNIT] = "yes"
    civic, wrong = civic_from({name: values[name] for name in FIELDS})
    if not values["unit"].strip() and NO_UNIT not in values:
        civic, wrong = None, {**wrong, "unit": UNIT_MISSING}
    return civic, AddressForm(values, _in_order(wrong))


def refused(form: AddressForm, error: AgentError) -> AddressForm:
    """Return the form with what the platform (or the daemon) said, beside the fields where it names them."""
    fields = error.fields if isinstance(error, AddressRefused) else {}
    errors = _in_order(fields)
    others = tuple(f"{name}: {text}" for name, text in fields.items() if name not in FIELDS)
    general = (error.happened, *others, error.emergency, error.todo)
    return AddressForm(form.values, errors, tuple(text for text in general if text))

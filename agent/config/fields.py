"""Every setting as a field of a form: what it is, its value now, where that comes from, and back to a value."""

from __future__ import annotations

import enum
import re
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from agent.config.help import meaning, plain
from agent.config.load import Layers
from agent.config.overlay import Change
from agent.config.schema import NEEDS_RESTART, ONLY_PACKAGED, SCHEMA, SECRET_FILES
from agent.config.settings import Settings


class Kind(enum.StrEnum):
    """How a field is entered."""

    TEXT = "text"
    NUMBER = "number"
    CHOICE = "choice"
    SWITCH = "switch"
    LIST = "list"
    """One value a line."""
    SECRET = "secret"  # noqa: S105 - a kind of field
    """Only ever written, never shown (S10)."""


class Origin(enum.StrEnum):
    """Where a value comes from."""

    DEFAULT = "default"
    PACKAGED = "packaged"
    HERE = "here"


@dataclass(frozen=True, slots=True)
class Field:
    """One setting."""

    key: str
    """`section.name`."""
    kind: Kind
    choices: tuple[str, ...]
    value: str
    """As the form shows it: `yes` or nothing for a switch, a line for each entry of a list, nothing for a secret."""
    packaged: str
    """What the packaged file, or the default, says."""
    origin: Origin
    changed: Change | None
    """Who set it here last, and when."""
    help: str
    editable: bool
    at_start: bool
    """It is taken up when the agent starts, not at once."""
    is_set: bool
    """A secret is there; for others, whether there is any value."""

    @property
    def section(self) -> str:
        """Return the section."""
        return self.key.partition(".")[0]

    @property
    def name(self) -> str:
        """Return the name in the section."""
        return self.key.partition(".")[2]


def fields(layers: Layers, section: str) -> tuple[Field, ...]:
    """Return the fields of a section, in the order of the settings; raises KeyError for an unknown one."""
    return tuple(_fields(layers, section))


def _fields(layers: Layers, section: str) -> Iterator[Field]:
    kind_of, validators = SCHEMA[section]
    hints = typing.get_type_hints(kind_of)
    now, base = getattr(layers.settings, section), getattr(Settings(), section)
    overlay, packaged = layers.overlay, layers.packaged.get(section, {})
    for name in validators:
        key = f"{section}.{name}"
        kind, choices = _kind(key, hints[name])
        secret = kind is Kind.SECRET
        here = key in layers.kept if secret else key in overlay.values
        named = packaged.get(name) is not None and packaged[name] != ""  # a list has no hash, so no set of both
        origin = Origin.HERE if here else Origin.PACKAGED if named else Origin.DEFAULT
        value = getattr(now, name)
        yield Field(
            key=key, kind=kind, choices=choices, value="" if secret else _text(value),
            packaged="" if secret else _text(packaged.get(name, getattr(base, name))), origin=origin,
            changed=overlay.changed.get(key), help=meaning(key),
            editable=key not in ONLY_PACKAGED, at_start=key in NEEDS_RESTART, is_set=value not in {None, "", ()},
        )  # fmt: skip


def _kind(key: str, hint: object) -> tuple[Kind, tuple[str, ...]]:
    if key in SECRET_FILES:
        return Kind.SECRET, ()
    if typing.get_origin(hint) is types.UnionType:
        hint = next(one for one in typing.get_args(hint) if one is not type(None))
    if typing.get_origin(hint) is typing.Literal:
        return Kind.CHOICE, tuple(str(one) for one in typing.get_args(hint))
    if typing.get_origin(hint) is tuple:
        return Kind.LIST, ()
    simple = {bool: Kind.SWITCH, int: Kind.NUMBER, float: Kind.NUMBER}
    return (simple.get(hint, Kind.TEXT) if isinstance(hint, type) else Kind.TEXT), ()


def _text(value: object) -> str:
    found = plain(value)
    if isinstance(found, bool):
        return "yes" if found else ""
    if isinstance(found, list):
        return "\n".join(str(one) for one in found)
    return str(found)


def read(known: tuple[Field, ...], given: Mapping[str, str]) -> tuple[dict[str, object | None], dict[str, str | None]]:
    """Return (values, secrets) that a form changes, by key; what is as it was shown stays out.

    `given` is by key; a switch that is missing is off, another field that is missing is not touched, and an empty
    secret is left as it is.
    """
    values: dict[str, object | None] = {}
    secrets: dict[str, str | None] = {}
    for field in known:
        text = given.get(field.key, "" if field.kind is Kind.SWITCH else None)
        if text is None or not field.editable:
            continue
        text = text.replace("\r\n", "\n").strip()
        if field.kind is Kind.SECRET:
            if text:
                secrets[field.key] = text
        elif text != field.value:
            values[field.key] = _value(field.kind, text)
    return values, secrets


_COMMA = re.compile(r"[0-9]+,[0-9]{1,2}")
"""A number as it is written in French; three places behind a comma are thousands elsewhere, and refused."""


def _value(kind: Kind, text: str) -> object:
    """Return the TOML value of a text; what does not fit stays a text, for the validator to refuse."""
    if kind is Kind.SWITCH:
        return text == "yes"
    if kind is Kind.LIST:
        return [line.strip() for line in text.split("\n") if line.strip()]
    if kind is Kind.NUMBER:
        for number in (int, float):
            try:
                return number(text.replace(",", ".") if _COMMA.fullmatch(text) else text)
            except ValueError:
                continue
    return text

"""Sentences on their way: kept with their parts in a text column or a line of JSON, to be told in any language."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

from agent.say import Said, say, say_n, sentences

_NONE = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What parts that make no sentence raise; ValueError covers what is no JSON."""


def parts(text: Said) -> dict[str, Any]:
    """Return what a sentence is made of, as JSON has it."""
    found: dict[str, Any] = {"message": text.message}
    if text.values:
        found["values"] = {name: _value(value) for name, value in text.values.items()}
    if text.plural is not None:
        found |= {"plural": text.plural, "number": text.number}
    return found


def _value(value: object) -> object:
    if isinstance(value, Said):
        return parts(value)
    return value if isinstance(value, str | int | float) else str(value)


def whole(found: Mapping[str, Any]) -> Said:
    """Return the sentence that these parts make; raises what `_NONE` names when they make none."""
    values = {name: whole(one) if isinstance(one, dict) else one for name, one in found.get("values", {}).items()}
    message, plural = found["message"], found.get("plural")
    if not isinstance(message, str) or not all(isinstance(one, str | int | float) for one in values.values()):
        raise TypeError("parts of no sentence")
    if not message:
        return sentences(*(one if isinstance(one, str) else str(one) for one in values.values()))
    if plural is not None:
        values.pop("count", None)
        return say_n(message, plural, found["number"], **values)
    return say(message, **values)


def pack(text: str) -> str:
    """Return a sentence for a text column, so that it can be told in any language later; other text as it is."""
    return json.dumps(parts(text), ensure_ascii=False, separators=(",", ":")) if isinstance(text, Said) else text


@functools.lru_cache(maxsize=256)
def unpack(text: str) -> str:
    """Return what `pack` was given; text that it did not write comes back as it is."""
    if not text.startswith('{"message":'):
        return text
    try:
        return whole(json.loads(text))
    except _NONE:
        return text


def told(text: str, found: object) -> str:
    """Return a text as the sentence that these parts make of it; the text itself when they do not make it."""
    try:
        said = whole(found) if isinstance(found, dict) else text
    except _NONE:
        return text
    return said if said == text else text

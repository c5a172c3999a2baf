"""Sentences in a text column: kept with their parts, so that the page can tell them in any language later."""

from __future__ import annotations

import functools

import msgspec

from agent.say import Said, say, say_n, sentences


class _Packed(msgspec.Struct, omit_defaults=True):
    """A sentence in the database."""

    message: str
    values: dict[str, str | int | float | _Packed] = {}
    plural: str | None = None
    number: int = 0


def pack(text: str) -> str:
    """Return a sentence for a text column, so that it can be told in any language later; other text as it is."""
    return msgspec.json.encode(_pack(text)).decode() if isinstance(text, Said) else text


def _pack(text: Said) -> _Packed:
    values = {name: _value(value) for name, value in text.values.items()}
    return _Packed(text.message, values, text.plural, text.number)


def _value(value: object) -> str | int | float | _Packed:
    if isinstance(value, Said):
        return _pack(value)
    return value if isinstance(value, str | int | float) else str(value)


@functools.lru_cache(maxsize=256)
def unpack(text: str) -> str:
    """Return what `pack` was given; text that it did not write comes back as it is."""
    if not text.startswith('{"message":'):
        return text
    try:
        return _unpack(msgspec.json.decode(text, type=_Packed))
    except (msgspec.MsgspecError, LookupError, ValueError):
        return text


def _unpack(packed: _Packed) -> Said:
    values = {name: _unpack(value) if isinstance(value, _Packed) else value for name, value in packed.values.items()}
    if not packed.message:
        return sentences(*(value if isinstance(value, str) else str(value) for value in values.values()))
    if packed.plural is not None:
        values.pop("count", None)
        return say_n(packed.message, packed.plural, packed.number, **values)
    return say(packed.message, **values)

"""Sentences that are English everywhere and can still be told in the reader's language.

`say("911 sends help to {address}.", address=where)` is the English text, a `str` like any other: logs, command line,
database and JSON get it as it is. It also remembers what it was made of, so that the page can tell it in Spanish or
French (`agent/page/language.py`). The first argument is always a literal: it is the key of the catalogs, which
`make translations` collects (agent/page/I18N.md). Values may be sentences themselves. What is joined by hand (`+`,
`" ".join`, f-strings) forgets what it was made of: join with `sentences` or `listed`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import gettext  # the voice process says sentences and tells none


class Said(str):
    """A sentence in English that remembers its message and its values."""

    __slots__ = ("message", "number", "plural", "values")

    message: str
    """Key of the catalog; empty where the values are whole sentences, told one after the other."""
    plural: str | None
    number: int
    values: dict[str, object]

    def __new__(
        cls, text: str, message: str, values: Mapping[str, object], plural: str | None = None, number: int = 0
    ) -> Self:
        """Keep the parts beside the text."""
        said = super().__new__(cls, text)
        said.message, said.values, said.plural, said.number = message, dict(values), plural, number
        return said

    def __reduce__(self) -> tuple[object, ...]:
        """Copies keep the parts."""
        return Said, (str(self), self.message, self.values, self.plural, self.number)


def say(message: str, /, **values: object) -> Said:
    """Return a sentence with `{name}` filled in from the values; of objects such as errors only the text is kept."""
    kept = {name: value if isinstance(value, str | int | float) else str(value) for name, value in values.items()}
    return Said(message.format(**kept) if kept else message, message, kept)


def say_n(one: str, many: str, count: int, /, **values: object) -> Said:
    """Return a sentence in the form that the number asks for; `{count}` is the number."""
    values = {"count": count, **values}
    return Said((one if count == 1 else many).format(**values), one, values, many, count)


def sentences(*parts: str) -> Said:
    """Return sentences one after the other; empty ones are left out."""
    kept = [part for part in parts if part]
    return Said(" ".join(kept), "", {str(number): part for number, part in enumerate(kept)})


def listed(names: Iterable[str]) -> str:
    """Return names as a list in a sentence; they may be sentences themselves."""
    first, *rest = [*names] or [""]
    return say("{first}, {rest}", first=first, rest=listed(rest)) if rest else first


def said(error: Exception) -> str:
    """Return what an error says, as the sentence that it was raised with where it was one."""
    first = error.args[0] if error.args else ""
    return first if isinstance(first, Said) else str(error)


def tell(text: str, language: gettext.NullTranslations) -> str:
    """Return a sentence in a language; what is not a sentence of ours (an address, words of the platform) as it is.

    A translation that cannot be filled in is not told: better English than no sentence in an emergency.
    """
    if not isinstance(text, Said):
        return text
    values = {name: tell(value, language) if isinstance(value, str) else value for name, value in text.values.items()}
    if not text.message:
        return " ".join(str(value) for value in values.values())
    if text.plural is not None:
        told = language.ngettext(text.message, text.plural, text.number)
    else:
        told = language.gettext(text.message)
    try:
        return told.format(**values) if values else told
    except (LookupError, ValueError):
        return str(text)


def plain(value: object) -> object:
    """Return a sentence as plain text: the `enc_hook` of msgspec, which takes no subclass of `str` by itself."""
    if isinstance(value, Said):
        return str(value)
    raise NotImplementedError(f"no JSON for {type(value).__name__}")

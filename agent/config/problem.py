"""One thing that is wrong with the configuration: an English line for terminals, and its parts for the page."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from agent.say import Said, say


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong in a file, and how far it reaches."""

    line: str
    """Of `problem`."""
    section: str = ""
    """Empty: it concerns no section alone."""
    key: str = ""
    """In the section; empty: all of it."""
    aside: bool = False
    """It concerns a side matter only: everything else goes on, the address too (S1)."""


class Parts(NamedTuple):
    """What a line is made of."""

    key: str
    """`section.key`, `address`, or empty where a whole file is meant."""
    what: str
    """What must be, a fragment that begins small."""


def problem(file: Path, key: str, what: str, value: str = "") -> Said:
    """Return the line `FILE: section.key: what must be; is VALUE`; it can be told in any language."""
    if value:
        return say("{file}: {key}: {what}; is {value}", file=str(file), key=key, what=what, value=value)
    if key:
        return say("{file}: {key}: {what}", file=str(file), key=key, what=what)
    return say("{file}: {what}", file=str(file), what=what)


def parts(line: str) -> Parts:
    """Return key and words of a line of `problem`; of any other text no key and the text itself."""
    if not isinstance(line, Said) or "file" not in line.values:
        return Parts("", line)
    return Parts(str(line.values.get("key", "")), _text(line.values["what"]))


def _text(value: object) -> str:
    return value if isinstance(value, str) else str(value)


def no_such_key(key: str, keys: Iterable[str]) -> Said:
    """Return that there is no such key, and the one that was meant or all that there are."""
    keys = list(keys)
    if near := nearest(key, keys):
        return say("no such key; did you mean {near}?", near=near)
    return say("no such key; there are {names}", names=", ".join(keys))


def no_such_section(name: str, names: Iterable[str]) -> Said:
    """Return the same for a section."""
    names = list(names)
    if near := nearest(name, names):
        return say("no such section; did you mean {near}?", near=near)
    return say("no such section; there are {names}", names=", ".join(names))


def nearest(name: str, names: Iterable[str]) -> str:
    """Return the name that was probably meant; empty: none is like it."""
    return next(iter(difflib.get_close_matches(name, list(names), 1)), "")

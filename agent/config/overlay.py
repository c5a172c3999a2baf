"""Settings made on the page: a file in the state folder over the packaged `agent.toml`, replaced in one step (S5).

Both processes read it; only the agent writes it. `<paths.state>/settings.toml` holds what was changed here and nothing
else, `settings.toml.copy` the same once more, `settings.toml.next` what waits for the end of an emergency call (S4),
and `secrets/` one file for each secret that was entered on the page (`vault.py`). Whatever is wrong with them, reading
never raises.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import tomli

from agent.config import vault
from agent.config.files import rename, replace
from agent.config.problem import problem
from agent.say import said, say, sentences
from agent.system_words import os_words

NAME: Final = "settings.toml"
COPY: Final = "settings.toml.copy"
NEXT: Final = "settings.toml.next"

FORMAT: Final = 1
MAX_FILE: Final = 256 * 1024
"""Bytes; 20 versions of a page of text are a tenth of it."""
MAX_HISTORY: Final = 20
"""Versions kept for undo."""
_OURS: Final = frozenset({"changed", "history", "end"})
"""Tables of the file that are no sections of the configuration."""
_HEADER: Final = (
    "# Written by dialstack-agent: what was changed on its page, over the packaged agent.toml.\n"
    "# Change it there; to go back to the packaged file, reset it there or remove this file and its .copy.\n\n"
)

Values = dict[str, object]
"""`section.key` (or `address`, as a whole) -> TOML value."""


class OverlayDamaged(Exception):
    """The file is there but cannot be what was written."""


@dataclass(frozen=True, slots=True)
class Change:
    """Who changed a key last, and when."""

    at: float
    """Unix seconds."""
    who: str


@dataclass(frozen=True, slots=True)
class Version:
    """One change of several keys at once, with what is needed to take it back."""

    at: float
    who: str
    keys: tuple[str, ...]
    """Whose values were changed."""
    before: Values = field(default_factory=dict)
    """Keys that are not in here came from the packaged file."""
    after: Values = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Key of a secret that was changed -> name of the change, under which what was before is kept for a while; empty:
    there was none before."""

    @property
    def names(self) -> tuple[str, ...]:
        """Return every key that was changed."""
        return tuple(dict.fromkeys((*self.keys, *self.secrets)))


@dataclass(frozen=True, slots=True)
class Overlay:
    """Everything in the file."""

    values: Values = field(default_factory=dict)
    changed: Mapping[str, Change] = field(default_factory=dict)
    history: tuple[Version, ...] = ()
    """Newest last."""

    def tables(self) -> dict[str, dict[str, object]]:
        """Return the values as sections of a configuration."""
        found: dict[str, dict[str, object]] = {}
        for key, value in self.values.items():
            section, _, name = key.partition(".")
            if name:
                found.setdefault(section, {})[name] = value
            elif isinstance(value, dict):
                found[section] = dict(value)
        return found

    def revision(self) -> str:
        """Return what tells this state from every other: times do not, a clock may be set back."""
        changes = [(one.at, one.who, one.keys, dict(one.secrets)) for one in self.history]
        text = json.dumps([self.values, changes], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def at_revision(self, revision: str) -> Overlay | None:
        """Return the overlay as it was at a revision, as far back as the history goes."""
        past = self
        while past.revision() != revision:
            if not past.history:
                return None
            past = past.undone(past.history[-1], "", 0.0)
        return past

    def with_values(
        self, changes: Mapping[str, object | None], who: str, at: float, secrets: Mapping[str, str] | None = None
    ) -> Overlay:
        """Return the overlay with these values; None gives a key back to the packaged file.

        `secrets` are those of `Version`.
        """
        keys = tuple(key for key, value in changes.items() if self.values.get(key) != value)
        values = {key: value for key, value in self.values.items() if key not in keys}
        after = {key: value for key in keys if (value := changes[key]) is not None}
        before = {key: self.values[key] for key in keys if key in self.values}
        version = Version(at, who, keys, before, after, secrets or {})
        history = (*self.history, version) if version.names else self.history
        changed = {**self.changed, **{key: Change(at, who) for key in version.names}}
        return Overlay({**values, **after}, changed, history[-MAX_HISTORY:])

    def undone(self, version: Version, who: str, at: float) -> Overlay:
        """Return the overlay as it was before a version, which is gone from the history."""
        values = {key: value for key, value in self.values.items() if key not in version.keys} | dict(version.before)
        changed = {**self.changed, **{key: Change(at, who) for key in version.names}}
        return Overlay(values, changed, tuple(one for one in self.history if one is not version))


# ------------------------------------------------------------------ reading


def read(folder: Path) -> tuple[Overlay, str | None]:
    """Return the overlay in force and what is wrong with its file, in a sentence; never raises (S1).

    A damaged or lost file is replaced by its copy: without its account a phone could not dial 911.
    """
    denied = False
    try:
        found = read_file(folder / NAME)
    except (OverlayDamaged, OSError) as error:
        why = os_words(error) if isinstance(error, OSError) else said(error)
        denied = isinstance(error, PermissionError)  # a folder that is closed to us looks empty
    else:
        if found is not None:
            return found, None
        why = say("it is missing although its copy is there")
    try:
        copy = read_file(folder / COPY)
    except (OverlayDamaged, OSError):
        copy = None
    if copy is not None:
        return copy, problem(folder / NAME, "", say("not readable: {why}; its copy is used", why=why))
    there = denied or any(os.path.lexists(folder / name) for name in (NAME, COPY))
    lost = problem(folder / NAME, "", say("not readable: {why}; what was set on the page does not hold", why=why))
    return Overlay(), lost if there else None


def read_file(path: Path) -> Overlay | None:
    """Return the overlay in a file, None if there is no file; raises OverlayDamaged or OSError."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE + 1)
    except FileNotFoundError:
        return None
    try:
        if len(raw) > MAX_FILE:
            raise OverlayDamaged(say("it is too large"))
        return _overlay(tomli.loads(raw.decode()))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise OverlayDamaged(say("it is damaged ({error})", error=type(error).__name__)) from error


def _overlay(document: dict[str, Any]) -> Overlay:
    """Read a parsed file; the last table tells that nothing was cut off."""
    if document["end"]["format"] != FORMAT:
        there = str(document["end"]["format"])
        raise OverlayDamaged(say("its format is {there}, this program knows {known}", there=there, known=FORMAT))
    values: Values = {}
    for section, table in document.items():
        if section == "address":
            values[section] = dict(table)
        elif section not in _OURS:
            values |= {f"{section}.{key}": value for key, value in table.items()}
    return Overlay(
        values,
        {key: Change(float(one["at"]), str(one["who"])) for key, one in document.get("changed", {}).items()},
        tuple(
            Version(
                float(one["at"]),
                str(one["who"]),
                tuple(one["keys"]),
                one.get("before", {}),
                one.get("after", {}),
                {str(key): str(name) for key, name in one.get("secrets", {}).items()},
            )
            for one in document.get("history", ())
        ),
    )


# ------------------------------------------------------------------ writing


def write(folder: Path, overlay: Overlay, *, waiting: bool = False) -> None:
    """Put the overlay on disk, durable when this returns; raises OSError. `waiting`: for the end of an emergency."""
    text = _text(overlay)
    folder.mkdir(parents=True, exist_ok=True)
    for name in (NEXT,) if waiting else (NAME, COPY):
        replace(folder / name, text)


def promote(folder: Path) -> bool:
    """Put what waited into force, secrets first; return whether there was anything. Raises OSError.

    `NEXT` is written last and goes last: a power cut at any moment leaves all of a change to be done, or none (S5).
    """
    try:
        waiting = read_file(folder / NEXT)
    except OverlayDamaged:
        (folder / NEXT).replace(_aside(folder / NEXT))
        waiting = None
    if waiting is None:
        vault.discard(folder)
        return False
    vault.promote(folder)
    with contextlib.suppress(OSError):  # no room: the file itself needs none
        replace(folder / COPY, _text(waiting))
    rename(folder / NEXT, folder / NAME)
    return True


def recover(folder: Path) -> str | None:
    """Set a damaged file aside and go on with its copy; return what happened, None if all is well (S5)."""
    found, problem = read(folder)
    if problem is None:
        return None
    aside = _aside(folder / NAME)
    kept = say("The copy of them is used.")
    if not found.values:
        kept = say("What the packaged file says is used: check every setting.")
    try:
        if (folder / NAME).exists():
            replace(aside, (folder / NAME).read_bytes())
        if found.values or found.history:
            write(folder, found)
        else:
            (folder / NAME).unlink(missing_ok=True)
            (folder / COPY).unlink(missing_ok=True)
    except OSError as error:
        stuck = say("The settings made on the page cannot be read and not be set aside ({why}).", why=os_words(error))
        return sentences(stuck, kept)
    gone = say("The settings made on the page were damaged and have been set aside ({name}).", name=aside.name)
    return sentences(gone, kept)


def _aside(path: Path) -> Path:
    return path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}")


def _text(overlay: Overlay) -> bytes:
    import tomli_w  # only the agent writes

    document: dict[str, Any] = {**overlay.tables()}
    document["changed"] = {key: {"at": one.at, "who": one.who} for key, one in overlay.changed.items()}
    document["history"] = [
        {
            "at": one.at,
            "who": one.who,
            "keys": list(one.keys),
            "before": dict(one.before),
            "after": dict(one.after),
            "secrets": dict(one.secrets),
        }
        for one in overlay.history
    ]
    document["end"] = {"format": FORMAT}
    return (_HEADER + tomli_w.dumps(document)).encode()

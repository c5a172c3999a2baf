"""What each setting means, taken from the docstrings of `settings.py`: for the settings page and for `agent.toml`.

`python -m agent.config.help > config/agent.toml` writes the packaged file anew.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import json
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.config.schema import SCHEMA
from agent.config.settings import Settings
from agent.say import Said, say

COLUMN = 40
"""Where comments stand in agent.toml, if the value lets them."""
WIDTH = 120
_HEAD = """\
# Configuration of dialstack-agent and dialstack-voice. Every key is here with its default.
# Check a change with `dialstack-agent check-config`; all errors are shown at once. Secrets are never written here: they
# stand in files of their own (mode 0600), are given as systemd credentials, or are entered on the page.
# What is set on the device's page stands over this file, in settings.toml of the state folder, and survives upgrades.
"""
_ADDRESS = """\
#[address]                              # where this device is; required for mobility = "fixed"
#address_number = "123"
#street = "Main St"
#unit = "Suite 400"                     # suite, floor or room: dispatchers need it
#city = "San Francisco"
#state = "CA"                           # any spelling: California is understood
#postal_code = "94105"
#country = "US"
"""


@dataclass(frozen=True, slots=True)
class SectionHelp:
    """A section in words."""

    title: str
    """`the account that registers and calls`."""
    keys: Mapping[str, str]
    """Key -> what it means, one or more sentences."""


@functools.cache
def sections() -> Mapping[str, SectionHelp]:
    """Return the help for every section of SCHEMA but `[address]`; reads the sources once."""
    return {name: _read(kind) for name, (kind, _) in SCHEMA.items() if name != "address"}


def _read(kind: type[object]) -> SectionHelp:
    source = inspect.getsourcefile(kind)
    if source is None:
        return SectionHelp("", {})
    found: dict[str, str] = {}
    for statement in ast.parse(Path(source).read_text(encoding="utf-8")).body:
        if not (isinstance(statement, ast.ClassDef) and statement.name == kind.__name__):
            continue
        name = ""
        for part in statement.body:
            if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
                name = part.target.id
            elif isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant) and name:
                found[name] = " ".join(str(part.value.value).split())
                name = ""
    words = " ".join((inspect.getdoc(kind) or "").partition(": ")[2].split())
    return SectionHelp(words.rstrip("."), found)


# ------------------------------------------------------------------ the settings page


def title(section: str) -> Said:
    """Return what a section is, as a heading."""
    return _for_page(sections()[section].title)


def meaning(key: str) -> Said:
    """Return what a setting means, by `section.name`; empty for one that says nothing."""
    section, _, name = key.partition(".")
    return _for_page(sections()[section].keys.get(name, ""))


def messages() -> Iterator[str]:
    """Yield every sentence of both, for the catalogs."""
    for section, told in sections().items():
        yield title(section).message
        yield from (meaning(f"{section}.{name}").message for name in told.keys)


def _for_page(text: str) -> Said:
    """Return it without the quotation marks of TOML, begun with a capital letter."""
    text = re.sub(r'"([^"]+)"', r"“\1”", text.replace('. "":', ". Empty:").replace('""', "empty"))
    return say(text[:1].upper() + text[1:])


# ------------------------------------------------------------------ the packaged file


def agent_toml() -> str:
    """Return the text of `config/agent.toml`: every key, its default and what it means."""
    parts = [_HEAD]
    for item in dataclasses.fields(Settings):
        if item.name == "address":
            parts.append(_ADDRESS)
            continue
        told, defaults = sections()[item.name], getattr(Settings(), item.name)
        lines = [_commented(f"[{item.name}]", told.title)]
        for field in dataclasses.fields(defaults):
            value = plain(getattr(defaults, field.name))
            lines.append(_commented(f"{field.name} = {_toml(value)}", _lower(told.keys.get(field.name, ""))))
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def plain(value: object) -> object:
    """Return a setting as the value that TOML has for it."""
    if value is None:
        return ""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _toml(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)  # for these kinds of values the two are the same


def _lower(text: str) -> str:
    """Begin small, unless it is a name such as PEM or WebSocket."""
    name = any(letter.isupper() for letter in text.partition(" ")[0][1:])
    return (text if name else text[:1].lower() + text[1:]).removesuffix(".")


def _commented(left: str, text: str) -> str:
    if not text:
        return left
    room = max(COLUMN, len(left) + 2)
    lines = textwrap.wrap(text, WIDTH - COLUMN - 2, break_long_words=False, break_on_hyphens=False)
    if room > COLUMN:
        first = textwrap.wrap(text, WIDTH - room - 2, break_long_words=False, break_on_hyphens=False)[0]
        rest = text[len(first) :].strip()
        lines = [first, *textwrap.wrap(rest, WIDTH - COLUMN - 2, break_long_words=False, break_on_hyphens=False)]
    head = f"{left:<{room}}# {lines[0]}"
    return "\n".join([head, *(f"{'':<{COLUMN}}# {line}" for line in lines[1:])])


if __name__ == "__main__":
    sys.stdout.write(agent_toml())

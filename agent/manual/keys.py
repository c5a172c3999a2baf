"""What `config/agent.toml` says about every key: the packaged file is the one place where they are explained."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_SECTION = re.compile(r"#?\[(?P<name>[\w.]+)\]\s*(?:#\s*(?P<text>.*))?")
_KEY = re.compile(
    r"(?P<off>#?)(?P<name>\w+) = (?P<value>(?:\"[^\"]*\"|\[[^\]]*\]|[^#\"\[\]])*?)\s*(?:#\s*(?P<text>.*))?"
)
_MORE = re.compile(r"#?\s+#\s?(?P<text>.*)")


@dataclass(slots=True)
class Key:
    """One key: its default as it stands in the file, and what it means."""

    name: str
    default: str
    meaning: str


@dataclass(slots=True)
class Section:
    """One section with its keys, in the order of the file."""

    name: str
    meaning: str
    optional: bool
    """Commented out in the packaged file."""
    keys: list[Key] = field(default_factory=list)


def read(text: str) -> list[Section]:
    """Return the sections of a commented configuration; raises ValueError for a line that fits nowhere."""
    sections: list[Section] = []
    last: Section | Key | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or (last is None and line.startswith("#") and not line.startswith("#[")):
            continue
        if found := _SECTION.fullmatch(line):
            last = Section(found["name"], found["text"] or "", optional=line.startswith("#"))
            sections.append(last)
        elif sections and (found := _KEY.fullmatch(line)):
            last = Key(found["name"], found["value"], found["text"] or "")
            sections[-1].keys.append(last)
        elif last is not None and (found := _MORE.fullmatch(line)):
            last.meaning = f"{last.meaning} {found['text']}".strip()
        else:
            raise ValueError(f"line {number} is neither section, key nor comment: {line}")
    return sections

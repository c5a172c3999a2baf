"""A man page as text for man(7): escaping, sections, paragraphs, tagged lists; nothing else is needed."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

WIDTH = 78
"""Characters of a source line, escapes included: linters ask for less than 80."""


class Page:
    """Collects one page; `text()` returns its source."""

    def __init__(self, name: str, section: int, date: str, version: str, meaning: str) -> None:
        self._lines = [
            f'.TH "{escape(name.upper())}" "{section}" "{date}" "dialstack\\-agent {escape(version)}" "DialStack"',
            ".nh",
            ".ad l",
        ]
        self.section("NAME")
        self._lines.append(f"{escape(name)} \\- {escape(meaning)}")

    def section(self, title: str) -> None:
        """Begin a section."""
        self._lines.append(f".SH {escape(title)}")

    def part(self, title: str) -> None:
        """Begin a part of a section."""
        self._lines.append(f".SS {escape(title)}")

    def add(self, text: str) -> None:
        """Add paragraphs; those that are indented stay as they are."""
        for block in textwrap.dedent(text).strip("\n").split("\n\n"):
            if block.startswith((" ", "$")):
                self.literal(block)
            else:
                self._lines += [*self._paragraph(), *_wrapped(block)]

    def _paragraph(self) -> list[str]:
        """Return the macro between two paragraphs; a title begins one by itself."""
        return [] if self._lines[-1].startswith((".SH", ".SS")) else [".PP"]

    def literal(self, text: str) -> None:
        """Add lines that must not be filled."""
        lines = [_line(line) for line in textwrap.dedent(text).splitlines()]
        self._lines += [*self._paragraph(), ".RS 4", ".nf", *lines, ".fi", ".RE"]

    def entry(self, tag: str, text: str, *, indent: int = 4) -> None:
        """Add an entry of a list: a bold tag and what it means."""
        self._lines += [f".TP {indent}", f"\\fB{escape(tag)}\\fR", *(_wrapped(text) or ["\\&"])]

    def see_also(self, pages: Sequence[str]) -> None:
        """Add references such as `systemctl(1)`."""
        self.section("SEE ALSO")
        names = [page.partition("(") for page in pages]
        listed = [f"\\fB{escape(name)}\\fR({rest}" for name, _, rest in names]
        self._lines.append(",\n".join(listed))

    def text(self) -> str:
        """Return the source."""
        return "\n".join(self._lines) + "\n"


def escape(text: str) -> str:
    """Return text in which man(7) sees nothing but letters."""
    return (
        text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq").replace("'", "\\(aq").replace("`", "\\(ga")
    )


def _line(text: str) -> str:
    escaped = escape(text)
    return "\\&" + escaped if escaped.startswith((".", "'")) or not escaped else escaped


def _wrapped(text: str) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        if lines and len(escape(f"{lines[-1]} {word}")) <= WIDTH:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return [_line(line) for line in lines]

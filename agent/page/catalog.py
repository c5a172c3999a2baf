"""Reads the translators' .po files into the standard library's gettext: one source of truth, nothing to compile.

The subset of the format that Babel and gettext write: comments, flags, contexts, plurals and strings over several
lines (GNU gettext manual, "The Format of PO Files"). Entries that are fuzzy, obsolete or empty do not count.
"""

from __future__ import annotations

import ast
import gettext
import io
import struct
from pathlib import Path

MAGIC = 0x950412DE
"""First word of a compiled catalog (GNU gettext manual, "The Format of GNU MO Files")."""


def load(path: Path) -> gettext.NullTranslations:
    """Return the translations of a .po file; raises ValueError for a line that is none."""
    return gettext.GNUTranslations(io.BytesIO(_compiled(read(path.read_text(encoding="utf-8")))))


def read(text: str) -> dict[str, str]:
    """Return key -> translation as gettext keeps them: plural forms are joined with NUL."""
    entries = (_entry(block.splitlines()) for block in text.split("\n\n"))
    return dict(entry for entry in entries if entry is not None)


def _entry(lines: list[str]) -> tuple[str, str] | None:
    """Return key and translation of one entry; None for one that does not count."""
    parts: dict[str, str] = {}
    keyword = ""
    for line in lines:
        if line.startswith("#") or not line.strip():
            continue
        text = line
        if not line.startswith('"'):
            keyword, _, text = line.partition(" ")
        if not keyword:
            raise ValueError(f"not a line of a catalog: {line!r}")
        parts[keyword] = parts.get(keyword, "") + _unquoted(text.strip(), line)
    fuzzy = any(line.startswith("#,") and "fuzzy" in line for line in lines)
    if "msgid" not in parts or (fuzzy and parts["msgid"]):
        return None
    return _joined(parts)


def _unquoted(text: str, line: str) -> str:
    """Return what stands between the quotation marks; nearly every text has no escapes and is taken as it is."""
    inside = text[1:-1]
    if len(text) > 1 and text[0] == text[-1] == '"' and "\\" not in inside and '"' not in inside:
        return inside
    value = ast.literal_eval(text)
    if not isinstance(value, str):
        raise ValueError(f"not a line of a catalog: {line!r}")  # noqa: TRY004 - it is the line that is wrong
    return value


def _joined(parts: dict[str, str]) -> tuple[str, str] | None:
    key, forms = parts["msgid"], [parts.get("msgstr", "")]
    if "msgctxt" in parts:
        key = f"{parts['msgctxt']}\x04{key}"
    if "msgid_plural" in parts:
        key = f"{key}\0{parts['msgid_plural']}"
        forms = [text for name, text in sorted(parts.items()) if name.startswith("msgstr[")]
    return (key, "\0".join(forms)) if all(forms) else None


def _compiled(entries: dict[str, str]) -> bytes:
    """Return the entries as a .mo file."""
    keys, values = bytearray(), bytearray()
    table: list[tuple[int, int, int, int]] = []
    for key, value in sorted(entries.items()):
        one, other = key.encode(), value.encode()
        table.append((len(one), len(keys), len(other), len(values)))
        keys += one + b"\0"
        values += other + b"\0"
    head = struct.calcsize("<7I")
    start = head + len(table) * 16
    out = bytearray(struct.pack("<7I", MAGIC, 0, len(table), head, head + len(table) * 8, 0, start))
    for length, offset, _, _ in table:
        out += struct.pack("<II", length, start + offset)
    for _, _, length, offset in table:
        out += struct.pack("<II", length, start + len(keys) + offset)
    return bytes(out + keys + values)

"""Plain log lines on stderr, structured as key=value; journald adds the time. Never a secret (S10)."""

from __future__ import annotations

import sys
from typing import Final

_PRIORITY: Final = {"error": "<3>", "warning": "<4>", "info": "<6>", "debug": "<7>"}
"""Prefixes that journald reads (sd-daemon(3))."""


def log(event: str, level: str = "info", **fields: object) -> None:
    """Write one line; values are quoted when they hold blanks or quotes."""
    words = [f"event={event}", *(f"{name}={_quoted(value)}" for name, value in fields.items() if value is not None)]
    sys.stderr.write(f"{_PRIORITY.get(level, '')}{' '.join(words)}\n")
    sys.stderr.flush()


def _quoted(value: object) -> str:
    text = str(value).replace("\n", " ").replace("\r", " ")
    if not text or any(character in text for character in ' "='):
        return '"' + text.replace("\\", "\\\\").replace('"', "'") + '"'
    return text

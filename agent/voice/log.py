"""One line per event: a record with fields in systemd's journal, else key=value on stderr. Never a secret (S10)."""

from __future__ import annotations

import contextlib
import sys
from typing import Final

from agent.model import Registration
from agent.runtime.journal import Journal, attached

_PRIORITY: Final = {"error": 3, "warning": 4, "info": 6, "debug": 7}
"""syslog's numbers, and the prefixes that journald reads (sd-daemon(3))."""
_JOURNAL: Final = Journal("dialstack-voice") if attached() else None


def log(event: str, level: str = "info", **fields: object) -> None:
    """Write one line or record; never raises. Values on stderr are quoted when they hold blanks or quotes."""
    words = [f"{name}={_quoted(value)}" for name, value in fields.items() if value is not None]
    priority = _PRIORITY.get(level, 6)
    if _JOURNAL is not None and _JOURNAL.write(event, " ".join([event, *words]), priority, fields):
        return
    with contextlib.suppress(OSError):  # a reader that is gone must not take the phone along
        sys.stderr.write(f"<{priority}>event={event} {' '.join(words)}".rstrip() + "\n")
        sys.stderr.flush()


def log_registration(registration: Registration) -> None:
    """Write how a registration stands."""
    log(
        "registration",
        kind=registration.kind,
        generation=registration.generation,
        attempt=registration.attempt,
        presents=registration.presented_id,
        code=registration.code,
        reason=registration.reason or None,
        expires=registration.expires,
        via=registration.via_received,
        retry_in=None if registration.retry_in is None else round(registration.retry_in, 1),
    )


def _quoted(value: object) -> str:
    text = str(value).replace("\n", " ").replace("\r", " ")
    if not text or any(character in text for character in ' "='):
        return '"' + text.replace("\\", "\\\\").replace('"', "'") + '"'
    return text

"""One line per event: records with fields in systemd's journal, JSON with clocks for machines, words for people."""

from __future__ import annotations

import logging
import os
import time
from typing import Any

import msgspec

from agent.runtime.journal import Journal, attached

_logger = logging.getLogger("agent")
_encode = msgspec.json.Encoder(enc_hook=str).encode
_PRIORITY = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6, logging.DEBUG: 7}
"""Level -> syslog priority."""


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", None) or {"event": "log", "text": record.getMessage()}
        if record.exc_info:
            fields = {**fields, "traceback": self.formatException(record.exc_info)}
        return _encode({"t": time.monotonic(), "level": record.levelname.lower(), **fields}).decode()


class JournalHandler(logging.StreamHandler[Any]):
    """Writes records with their fields to the journal, plain lines to standard error where there is none."""

    def __init__(self, journal: Journal) -> None:
        super().__init__()
        self._journal = journal
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler; blocks never, and a message that cannot be made costs the message only."""
        try:
            written = self._write(record)
        except (TypeError, ValueError, KeyError):
            self.handleError(record)
        else:
            if not written:
                super().emit(record)

    def _write(self, record: logging.LogRecord) -> bool:
        fields = dict(getattr(record, "fields", None) or {"event": "log"})
        event = str(fields.pop("event"))
        text = self.format(record)
        if event == "status":
            text = f"{str(fields['kind']).upper()}: {fields['sentence']}"
        code = {
            "CODE_FILE": record.pathname, "CODE_LINE": record.lineno, "CODE_FUNC": record.funcName,
            "DIALSTACK_LOGGER": record.name,
        }  # fmt: skip
        return self._journal.write(event, text, _PRIORITY.get(record.levelno, 6), fields, code)


def setup() -> None:
    """Write to the journal when it is there, else plain lines; DIALSTACK_AGENT_LOG=json: JSON on standard error."""
    json_wanted = os.environ.get("DIALSTACK_AGENT_LOG") == "json"
    handler: logging.Handler
    if attached() and not json_wanted:
        handler = JournalHandler(Journal("dialstack-agent"))
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(_JsonFormatter() if json_wanted else logging.Formatter("%(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)


def trace(event: str, **fields: Any) -> None:
    """Log an event with named fields. Never pass a secret (S10)."""
    if _logger.isEnabledFor(logging.INFO):
        words = " ".join(f"{name}={value}" for name, value in fields.items() if value is not None and value != "")
        _logger.info("%s %s", event, words, extra={"fields": {"event": event, **fields}}, stacklevel=2)

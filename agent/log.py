"""One line per event: words for people in the journal, JSON with clocks for the demo and for machines."""

from __future__ import annotations

import logging
import os
import time
from typing import Any

import msgspec

_logger = logging.getLogger("agent")
_encode = msgspec.json.Encoder(enc_hook=str).encode


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", None) or {"event": "log", "text": record.getMessage()}
        if record.exc_info:
            fields = {**fields, "traceback": self.formatException(record.exc_info)}
        return _encode({"t": time.monotonic(), "level": record.levelname.lower(), **fields}).decode()


def setup() -> None:
    """Write to standard error: plain lines (the journal adds the time), or JSON with DIALSTACK_AGENT_LOG=json."""
    handler = logging.StreamHandler()
    if os.environ.get("DIALSTACK_AGENT_LOG") == "json":
        handler.setFormatter(_JsonFormatter())
    else:
        handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)


def trace(event: str, **fields: Any) -> None:
    """Log an event with named fields. Never pass a secret (S10)."""
    if _logger.isEnabledFor(logging.INFO):
        words = " ".join(f"{name}={value}" for name, value in fields.items() if value is not None and value != "")
        _logger.info("%s %s", event, words, extra={"fields": {"event": event, **fields}})

"""The newest lines of the log, kept in memory: a device without a journal has a history of its own to show."""

from __future__ import annotations

import logging
import time
from collections import deque

KEPT = 1000
"""Lines: an hour of an unsettled network."""
WIDTH = 1000
"""Characters of a line."""


class Recent(logging.Handler):
    """Keeps what was logged last."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: deque[str] = deque(maxlen=KEPT)

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(record.created))
        self.lines.append(f"{when} {record.levelname} {record.getMessage()}"[:WIDTH])

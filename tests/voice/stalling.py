"""`dialstack-voice` whose first INVITE stalls inside the stack, and whose watchdog is not more patient in a call."""

from __future__ import annotations

import os
import time
from pathlib import Path

from agent.voice import line, watchdog
from agent.voice.__main__ import main
from agent.voice.events import Dial
from agent.voice.pjsip.stack import Stack

STALL = "DIALSTACK_TEST_STALL"
"""Environment: each INVITE that finds this file takes it away and stalls."""
FOR_EVER = 60.0
"""Seconds: longer than any test."""


class Stalling(Stack):
    """A stack of which every other part is real."""

    def call(self, dial: Dial) -> int:
        """Stall, as PJSIP's makeCall does over a dead name server; the GIL is free meanwhile, as it is there."""
        stall = Path(os.environ.get(STALL, "/nowhere"))
        if stall.exists():
            stall.unlink()
            time.sleep(FOR_EVER)
        return super().call(dial)


if __name__ == "__main__":
    watchdog.PATIENCE.update(call=0.0, emergency=0.0)
    watchdog.HANGS_LIMIT = 0  # type: ignore[misc]
    line.Stack = Stalling  # type: ignore[attr-defined]
    raise SystemExit(main())

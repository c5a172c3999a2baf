"""A thread that notices a main thread stuck inside PJSIP and starts the process anew in place (failure 14).

PJSIP's calls release the GIL, so this thread runs while the main thread hangs. A call of which sound may still be
heard is judged more patiently; a busy main thread ticks.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, Literal

from agent.voice.log import log

PERIOD: Final = 1.0
"""Seconds between looks: one wakeup a second."""
DEADLINE: Final = 3.0
"""Seconds without a tick: longer than a 1 s DNS stall and the slow tick of the pump together."""
PATIENCE: Final = {"": 0.0, "call": 10.0, "emergency": 15.0}
"""The same at least, while somebody talks: to anybody, to a dispatcher, who is then called again. Lookups by three dead
name servers take less (RES_OPTIONS of __main__.py)."""
HANGS: Final = "DIALSTACK_VOICE_HANGS"
"""Environment: how often in a row this process hung. Each time doubles the deadline: whatever stalls every INVITE for
some seconds must not be ended over and over before the INVITE has left (S1)."""
HANGS_LIMIT: Final = 4
CALM: Final = 60.0
"""Seconds without a hang after which the next one is the first again."""
REEXEC: Final = "DIALSTACK_VOICE_REEXEC"
"""Environment: set to the monotonic time of the exec, tells the next life that it follows a hang."""


FAILURES_LIMIT: Final = 3
"""Attempts to take everything along into a new life; then it begins with nothing."""


class Watchdog:
    """Watches `beat()`; the main thread says `talking` and calls `beat()` at every tick.

    `hangs` is how often in a row this process hung before.
    """

    def __init__(
        self,
        act: Callable[[], None] | None = None,
        *,
        deadline: float = DEADLINE,
        hangs: int = 0,
        give_up: Callable[[], None] | None = None,
    ) -> None:
        self.talking: Literal["", "call", "emergency"] = ""
        """Who is talked to."""
        self._last = time.monotonic()
        self._act = act or reexec
        self._give_up = give_up or reexec
        self._deadline = deadline
        self.hangs = hangs
        """In a row, so far."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self.beat()
        self._thread.start()

    def beat(self) -> None:
        """The main thread lives."""
        self._last = time.monotonic()

    def stop(self) -> None:
        """Stop watching; the thread ends."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        began = before = time.monotonic()
        failed = 0
        period = min(PERIOD, self._deadline / 3)
        while not self._stop.wait(period):
            now = time.monotonic()
            overslept = now - before > 2 * period
            before = now
            if now - began > CALM:
                self.hangs = 0
            limit = max(PATIENCE[self.talking], self._deadline * 2 ** min(self.hangs, HANGS_LIMIT))
            # Stopped as a whole (SIGSTOP, starvation): the main thread had no chance to tick either.
            if not overslept and now - self._last > limit:
                log("hung", "error", silent=round(now - self._last, 1), again=self.hangs, action="starting anew")
                os.environ[HANGS] = str(self.hangs + 1)
                try:
                    self._act()
                except Exception as error:  # noqa: BLE001 - the supervisor: whatever is wrong, the phone comes back
                    failed += 1
                    log("handover_failed", "error", reason=repr(error), times=failed)
                    if failed >= FAILURES_LIMIT:
                        self._give_up()
                else:
                    return


def reexec(kept: Sequence[int] = ()) -> None:
    """Replace this process by a fresh one: same PID, same command line, only 0-2 and `kept` stay open."""
    environment = {**os.environ, REEXEC: str(time.monotonic())}
    edge = 3
    for descriptor in sorted({*kept, 65536}):
        os.closerange(edge, descriptor)
        edge = descriptor + 1
    try:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)  # noqa: S606
    finally:  # it does not return: with its descriptors closed this process is nothing, the manager starts another
        os._exit(1)

"""Word to systemd: ready, how the line stands, alive, and more time for a stop (sd_notify(3))."""

from __future__ import annotations

import asyncio
from typing import Final

from agent.model import Registration, RegistrationKind
from agent.systemd import notify, watchdog_interval
from agent.voice.call_values import Interlock

EXTENSION: Final = 30.0
"""Seconds that every word of a stop that waits buys."""


class Manager:
    """Remembers what the line does, so that one sentence says all of it."""

    def __init__(self) -> None:
        self._registration = "Starting."
        self._interlock = ""
        self._stopping = ""

    def ready(self) -> None:
        """The socket is open; registering may take as long as it takes."""
        notify(READY="1", STATUS=self._sentence())

    def registration(self, registration: Registration) -> None:
        """Say how the registration stands."""
        said = f" ({registration.code} {registration.reason})" if registration.code else ""
        self._registration = {
            RegistrationKind.REGISTERED: "Registered.",
            RegistrationKind.REGISTERING: "Registering.",
            RegistrationKind.FAILED: f"Not registered{said}.",
            RegistrationKind.OFFLINE: "No network.",
        }[registration.kind]
        notify(STATUS=self._sentence())

    def interlock(self, interlock: Interlock) -> None:
        """Say that an emergency call or its window is on."""
        self._interlock = f"Not to be disturbed: {interlock.why}. " if interlock.active else ""
        notify(STATUS=self._sentence())

    def stopping(self, sentence: str) -> None:
        """Say why the process has not stopped yet, and ask for more time."""
        self._stopping = f"{sentence} "
        notify(STOPPING="1", STATUS=self._sentence(), EXTEND_TIMEOUT_USEC=str(round(EXTENSION * 1_000_000)))

    async def keep_alive(self) -> None:
        """Tell the manager's watchdog that this thread lives, if it wants to know."""
        interval = watchdog_interval()
        while interval is not None:
            notify(WATCHDOG="1")
            await asyncio.sleep(interval)

    def _sentence(self) -> str:
        return self._stopping + self._interlock + self._registration

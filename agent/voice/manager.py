"""Word to systemd: ready, how the line stands, alive, and more time for a stop (sd_notify(3))."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path as FilePath
from typing import Final

from agent.model import Registration, RegistrationKind
from agent.runtime.systemd import notify, watchdog_interval
from agent.voice.calls.values import Interlock

EXTENSION: Final = 30.0
"""Seconds that every word of a stop that waits buys."""


MARK: Final = "emergency"
"""File in the runtime folder from dialing 911 to the end of the callback window: systemd/dialstack-inhibit.path then
keeps the device awake, as this process has no right to ask for it."""


class Manager:
    """Remembers what the line does, so that one sentence says all of it."""

    def __init__(self) -> None:
        folder = os.environ.get("RUNTIME_DIRECTORY")
        self._mark = FilePath(folder) / MARK if folder else None
        self._registration = "Starting."
        self._interlock = ""
        self._stopping = ""

    def ready(self) -> None:
        """The socket is open; registering may take as long as it takes."""
        self._keep_awake(on=bool(self._interlock))
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
        self._keep_awake(on=interlock.active)
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

    def _keep_awake(self, *, on: bool) -> None:
        if self._mark is not None:
            with contextlib.suppress(OSError):
                if on:
                    self._mark.touch()
                else:
                    self._mark.unlink(missing_ok=True)

    def _sentence(self) -> str:
        return self._stopping + self._interlock + self._registration

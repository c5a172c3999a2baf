"""Settings of the line that changed in the files: taken at once when idle, else after the call (S4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from agent.config.settings import SipSettings
from agent.say import say
from agent.voice.log import log

if TYPE_CHECKING:
    from agent.voice.service import Service

Read = tuple[SipSettings, str, list[str]]
"""Settings, password, and what is wrong with them."""


class Reload:
    """Knows what is in force and what stands in the files."""

    def __init__(self, service: Service, reread: Callable[[], Read] | None, in_force: Read) -> None:
        self._service = service
        self._reread, self._in_force = reread, in_force
        self.due = False
        """Something else stands in the files, and waits."""

    def now(self) -> None:
        """Let a fresh process take them, in place and in 60 ms: no part of the old account survives by accident."""
        if self._reread is None:
            return
        service = self._service
        self.due = self._reread() != self._in_force
        busy = bool(service.calls.up) or service.calls.interlock.active
        waits = say("New settings of the phone line are saved; they wait until the call is over.")
        service.problems.set("settings_waiting", waits if self.due and busy else None)
        if self.due and not busy:
            log("reload", registrar=service.settings.registrar)
            service.state.instruction = None  # it was about the old account
            service.save()
            service.saver.shutdown(wait=True)
            service.lives.start_anew()

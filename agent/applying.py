"""Makes changed settings true in the running process, part by part, without touching a call (S4)."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from agent.config.current import Configuration
from agent.config.load import Layers
from agent.config.settings import Settings
from agent.config.side import consequences
from agent.runtime.log import trace

if TYPE_CHECKING:
    from agent.desk import Desk
    from agent.engine import Engine
    from agent.network.watch import NetworkWatcher
    from agent.platform_side import PlatformSide
    from agent.voice.socket.client import VoiceClient

LIVE: Final = frozenset({"sip", "platform", "token", "device", "network", "address"})
"""Sections that are taken up at once; the others at the next start of the agent, which the settings page says."""
AUDIT_WAIT: Final = 3.0
"""Seconds for the network to be read once more, so that the phone line hears of its new registrar in one go."""
TOKEN_SECRETS: Final = ("token.file", "token.endpoint_secret_file")
"""Keys whose secret may have changed although the settings did not."""


class Applier:
    """Knows who must hear of which section."""

    def __init__(
        self,
        configuration: Configuration,
        engine: Engine,
        desk: Desk,
        *,
        platform: PlatformSide,
        watcher: NetworkWatcher,
        voice: VoiceClient,
    ) -> None:
        self._configuration = configuration
        self._engine = engine
        self._desk = desk
        self._platform = platform
        self._watcher = watcher
        self._voice = voice
        self.waits_for_restart: frozenset[str] = frozenset()
        """Sections that were changed since the start and are taken up at the next one."""
        configuration.apply = self.apply
        configuration.held = self.held

    def held(self) -> bool:
        """Tell whether an emergency call or its callback window is on, or could be: unknown is not over (S12)."""
        scene = self._engine.scene()
        return scene.voice.interlock or not (scene.voice.connected or scene.voice_overdue)

    async def run(self) -> None:
        """Let in what waited as soon as an emergency is over, until cancelled."""
        version = -1
        while True:
            version = await self._engine.wait_change(version)
            if self._configuration.waiting and not self.held():
                await self._configuration.release()

    async def apply(self, old: Layers, new: Layers) -> None:
        """See `configuration.Apply`: where the phone is comes first, the phone line last."""
        was, now = old.settings, new.settings
        changed = sections(was, now)
        trace("settings_applied", sections=sorted(changed), problems=len(new.problems))
        self.waits_for_restart |= changed - LIVE
        for problem in set(new.problems) - set(old.problems):
            trace("config", problem=problem)
        self._engine.configure(now, new.grave, consequences(new.mistakes))
        fresh_secret = any(old.overlay.changed.get(key) != new.overlay.changed.get(key) for key in TOKEN_SECRETS)
        if fresh_secret or changed & {"platform", "token"}:
            await self._platform.renew(now)
            self._desk.use(self._platform.rest)
        elif old.grave and not new.grave:
            self._engine.adopt(self._platform.worker)
        hosts = (now.sip.registrar, urlsplit(now.platform.api).hostname or "")
        if "network" in changed or hosts != (was.sip.registrar, urlsplit(was.platform.api).hostname or ""):
            self._watcher.configure(now.network, *hosts)
            if self._watcher.hints is not None:
                with contextlib.suppress(TimeoutError):  # a watcher that fails is another's to cure
                    async with asyncio.timeout(AUDIT_WAIT):
                        await self._watcher.audit()
        self._voice.reload()


def sections(was: Settings, now: Settings) -> frozenset[str]:
    """Return the names of the sections that differ."""
    return frozenset(name for name in was.__slots__ if getattr(was, name) != getattr(now, name))

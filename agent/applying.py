"""Makes changed settings true in the running process, part by part, without touching a call (S4)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from agent.config.current import Configuration
from agent.config.load import Layers
from agent.config.problem import Mistake
from agent.config.schema import NEEDS_RESTART
from agent.config.settings import Settings
from agent.config.side import consequences
from agent.page.access.probe import probe
from agent.runtime.log import trace

if TYPE_CHECKING:
    from agent.calling import Calling
    from agent.desk import Desk
    from agent.engine import Engine
    from agent.network.watch import NetworkWatcher
    from agent.notify.side import NoticeSide
    from agent.page.server import PageServer
    from agent.platform_side import PlatformSide
    from agent.voice.socket.client import VoiceClient

AUDIT_WAIT: Final = 3.0
"""Seconds for the network to be read once more, so that the phone line hears of its new registrar in one go."""
TOKEN_SECRETS: Final = ("token.file", "token.endpoint_secret_file")
NOTICE_SECRETS: Final = ("notify_webhook.secret_file", "notify_email.password_file")
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
        notices: NoticeSide,
        calling: Calling,
        page: PageServer,
    ) -> None:
        self._configuration = configuration
        self._engine = engine
        self._desk = desk
        self._platform = platform
        self._watcher = watcher
        self._voice = voice
        self._notices = notices
        self._calling = calling
        self._page = page
        self._started_with = configuration.layers.settings
        configuration.apply = self.apply
        configuration.held = self.held
        configuration.probe = lambda old, new: probe(page, old.page, new.page)

    def waits_for_restart(self) -> frozenset[str]:
        """Return the keys that are otherwise than at the start and are taken up at the next one only."""
        was, now = self._started_with, self._configuration.layers.settings
        return frozenset(key for key in NEEDS_RESTART if _value(was, key) != _value(now, key))

    def held(self) -> bool:
        """Tell whether an emergency call or its callback window is on, or could be: unknown is not over (S12)."""
        scene = self._engine.scene()
        return scene.voice.interlock or not (scene.voice.connected or scene.voice_overdue)

    async def run(self) -> None:
        """Let in what waited as soon as an emergency is over, and forget what was replaced, until cancelled."""
        version = -1
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._configuration.tidies_in()):
                    version = await self._engine.wait_change(version)
            await self._configuration.tidy()
            if self._configuration.waiting and not self.held():
                await self._configuration.release()

    async def apply(self, old: Layers, new: Layers) -> None:
        """See `configuration.Apply`: where the phone is comes first, the phone line last."""
        was, now = old.settings, new.settings
        changed = sections(was, now)
        trace("settings_applied", sections=sorted(changed), problems=len(new.problems))
        report(one for one in new.mistakes if one not in old.mistakes)
        self._engine.configure(now, new.grave, consequences(new.mistakes))
        if _entered(old, new, TOKEN_SECRETS) or changed & {"platform", "token"}:
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
        self._notices.configure(fresh_secrets=_entered(old, new, NOTICE_SECRETS))
        self._calling.use(now)
        await self._page.configure(now.page)


def report(mistakes: Iterable[Mistake]) -> None:
    """Write mistakes of the configuration into the journal."""
    for one in mistakes:
        trace("config", kind="side" if one.aside else None, problem=one.line)


def sections(was: Settings, now: Settings) -> frozenset[str]:
    """Return the names of the sections that differ."""
    return frozenset(name for name in was.__slots__ if getattr(was, name) != getattr(now, name))


def _entered(old: Layers, new: Layers, keys: tuple[str, ...]) -> bool:
    """Tell whether one of these secrets was entered, taken back or forgotten."""
    return any(old.overlay.changed.get(key) != new.overlay.changed.get(key) for key in keys)


def _value(settings: Settings, key: str) -> object:
    section, _, name = key.partition(".")
    return getattr(getattr(settings, section), name)

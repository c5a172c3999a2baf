"""The configuration in force: what a person changes is checked, kept on disk, then applied, or waits for a call to end.

The only writer of the overlay (`overlay.py`). Nothing is applied during an emergency (S4): until it is over, the
files that both processes read stay as they are, and the change lies beside them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path

from agent.clock import Clock
from agent.config import overlay as config_overlay
from agent.config.load import Layers, layers_with, load_layers
from agent.config.overlay import Overlay
from agent.config.problem import parts
from agent.config.schema import ONLY_PACKAGED, SCHEMA, SECRET_FILES
from agent.config.settings import Settings
from agent.errors import NeedsHuman
from agent.runtime.log import trace
from agent.say import say
from agent.system_words import os_words

WAITS = say("An emergency call or its callback time is on: the new settings are saved and wait until it is over.")
MAX_SECRET = 8 * 1024
"""Characters of a secret: a token has one or two thousand."""

Apply = Callable[[Layers, Layers], Awaitable[None]]
"""Make the second layers true where the first ones were; must not raise for what the settings say."""


class SettingsRefused(NeedsHuman):
    """Settings that cannot be; nothing was changed. `fields`: key -> what is wrong with it."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__(
            say("These settings were not saved."),
            emergency=say("Nothing was changed; 911 and 933 still go out."),
            todo=say("Correct the fields that are marked."),
            code="settings_refused",
        )
        self.fields = dict(fields)


class Configuration:
    """Knows the layers, changes the upper one, and has changes applied."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self._clock = clock
        folder = load_layers(path).settings.paths.state
        self.damage = config_overlay.recover(folder)
        """What happened to a damaged overlay at this start; None: it was sound."""
        self.layers = load_layers(path)
        self.folder = self.layers.settings.paths.state
        self.apply: Apply | None = None
        self.held: Callable[[], bool] = lambda: False
        """Whether an emergency is on, or could be."""
        self.probe: Callable[[Settings, Settings], Mapping[str, str]] = lambda _old, _new: {}
        """Try out settings before they are kept; returns key -> what is wrong."""
        self._lock = asyncio.Lock()

    @property
    def waiting(self) -> bool:
        """Something is saved that is not in force yet."""
        secrets = self.folder / config_overlay.SECRETS
        return (self.folder / config_overlay.NEXT).exists() or any(secrets.glob("*.next"))

    def edited(self) -> Overlay:
        """Return the overlay that the next change builds on: what waits, else what is in force."""
        try:
            waiting = config_overlay.read_file(self.folder / config_overlay.NEXT)
        except (config_overlay.OverlayDamaged, OSError):
            waiting = None
        return self.layers.overlay if waiting is None else waiting

    def shown(self) -> Layers:
        """Return the layers as they will be once what waits is in force."""
        return layers_with(self.path, self.edited(), self.folder)

    # ------------------------------------------------------------------ changing

    async def change(
        self, values: Mapping[str, object | None], secrets: Mapping[str, str | None] | None = None, *, who: str
    ) -> bool:
        """Set keys (None: back to the packaged file) and secrets (None: forget); durable when this returns (S5).

        `secrets` is by key of SECRET_FILES. Returns whether it is in force, False while it waits. Raises
        SettingsRefused with every field that is wrong, and NeedsHuman when it cannot be kept.
        """
        secrets = secrets or {}
        async with self._lock:
            now, base = self._clock.wall(), self.edited()
            named = dict(values)
            for key, text in secrets.items():
                if text is not None and self._file_of(key, base) is not None:
                    named[key] = ""
            fresh = base.with_values(named, who, now)
            for key in secrets:
                fresh = fresh.touched(key, who, now)
            self._check(base, fresh, secrets)
            return await self._keep(fresh, secrets, who, tuple({*named, *secrets}))

    async def undo(self, *, who: str) -> tuple[str, ...]:
        """Take back the newest change; return its keys, none when there is none. Raises as `change`."""
        async with self._lock:
            base = self.edited()
            if not base.history:
                return ()
            fresh = base.undone(who, self._clock.wall())
            self._check(base, fresh, {})
            keys = base.history[-1].keys
            await self._keep(fresh, {}, who, keys)
            return keys

    async def reset(self, keys: Iterable[str], *, who: str) -> bool:
        """Give keys back to the packaged file, with the secrets that were entered for them; see `change`."""
        keys = tuple(keys)
        return await self.change(
            dict.fromkeys(keys), {key: None for key in keys if key in SECRET_FILES}, who=who
        )  # a secret's key without its secret would leave it in use

    async def release(self) -> bool:
        """Put in force what waited; return whether there was anything."""
        async with self._lock:
            if self.held() or not self.waiting:
                return False
            await self._on_disk(lambda: config_overlay.promote(self.folder))
            await self._reload()
            return True

    # ------------------------------------------------------------------ inside

    def _file_of(self, key: str, overlay: Overlay) -> object:
        """Return the file that a key of SECRET_FILES names itself, in either layer."""
        section, _, name = key.partition(".")
        return overlay.values.get(key, self.layers.packaged.get(section, {}).get(name)) or None

    def _check(self, base: Overlay, fresh: Overlay, secrets: Mapping[str, str | None]) -> None:
        fields: dict[str, str] = {}
        for key, value in fresh.values.items():
            section, _, name = key.partition(".")
            known = key == "address" or (section in SCHEMA and name in SCHEMA[section][1])
            if value != base.values.get(key) and (not known or key in ONLY_PACKAGED):
                fields[key] = say("can only be set in the packaged file")
        if fields:
            raise SettingsRefused(fields)
        old, new = (layers_with(self.path, overlay, self.folder) for overlay in (base, fresh))
        for line in new.problems:
            if line not in old.problems:
                wrong = parts(line)
                fields.setdefault(wrong.key, wrong.what)
        if not fields:
            fields |= self.probe(old.settings, new.settings)
        for key, text in secrets.items():
            if text is not None and (not text.strip() or len(text) > MAX_SECRET or not text.strip().isprintable()):
                fields[key] = say("must be one line of text")
        if fields:
            raise SettingsRefused(fields)

    async def _keep(self, fresh: Overlay, secrets: Mapping[str, str | None], who: str, keys: tuple[str, ...]) -> bool:
        waiting = self.held() or self.waiting

        def write() -> None:
            for key, text in secrets.items():
                if text is None and not waiting:
                    config_overlay.forget_secret(self.folder, SECRET_FILES[key])
                else:  # what waits and is empty is to be forgotten
                    config_overlay.write_secret(self.folder, SECRET_FILES[key], text or "", waiting=waiting)
            config_overlay.write(self.folder, fresh, waiting=waiting)

        await self._on_disk(write)
        trace("settings_changed", keys=sorted(keys), who=who, waits=waiting)
        if not waiting:
            await self._reload()
        return not waiting

    async def _on_disk(self, work: Callable[[], object]) -> None:
        try:
            await asyncio.to_thread(work)
        except OSError as error:
            raise NeedsHuman(
                say(
                    "The settings could not be saved: {strerror} ({filename}).",
                    strerror=os_words(error),
                    filename=error.filename,
                ),
                emergency=say("What was in force before still is; 911 and 933 still go out."),
                todo=say("Have the device's storage checked."),
                code="settings_not_saved",
            ) from error

    async def _reload(self) -> None:
        old, self.layers = self.layers, load_layers(self.path)
        if self.apply is not None:
            await self.apply(old, self.layers)

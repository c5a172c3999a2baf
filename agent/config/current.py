"""The configuration in force: what a person changes is checked, kept on disk, then applied, or waits for a call to end.

The only writer of the overlay (`overlay.py`) and of the secrets (`vault.py`). Nothing is applied during an emergency
(S4): until it is over, the files that both processes read stay as they are, and the change lies beside them.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets as random_names
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from agent.clock import SANE_WALL, Clock
from agent.config import overlay as config_overlay
from agent.config import vault
from agent.config.load import Layers, layers_with, load_layers
from agent.config.overlay import Overlay, Version
from agent.config.problem import parts
from agent.config.schema import ONLY_PACKAGED, SCHEMA, SECRET_FILES
from agent.config.settings import Settings
from agent.errors import NeedsHuman
from agent.runtime.log import trace
from agent.say import say
from agent.system_words import os_words

WAITS = say("An emergency call or its callback time is on: the new settings are saved and wait until it is over.")
KEEP_BEFORE = 3600.0
"""Seconds that a secret which was replaced is kept, so that the change can be taken back: a technician's visit. No
longer, for it may have been replaced because somebody knows it."""
MAX_SECRET = 8 * 1024
"""Characters of a secret: a token has one or two thousand."""

T = TypeVar("T")
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
        self._forget_at: dict[Path, float] = {}
        """Secret that was replaced -> boottime seconds at which it goes."""
        self._watch_over(at_start=True)

    @property
    def waiting(self) -> bool:
        """Something is saved that is not in force yet."""
        return (self.folder / config_overlay.NEXT).exists()

    def edited(self) -> Overlay:
        """Return the overlay that the next change builds on: what waits, else what is in force."""
        try:
            waiting = config_overlay.read_file(self.folder / config_overlay.NEXT)
        except (config_overlay.OverlayDamaged, OSError):
            waiting = None
        return self.layers.overlay if waiting is None else waiting

    def shown(self) -> Layers:
        """Return the layers as they will be once what waits is in force."""
        return self.shown_as(self.edited())

    def shown_as(self, overlay: Overlay) -> Layers:
        """Return the layers as they would be with another overlay."""
        return layers_with(self.path, overlay, self.folder)

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
            names = {key: self._name_change(key) for key in secrets}
            secrets = {key: text for key, text in secrets.items() if text is not None or names[key]}
            fresh = base.with_values(named, who, now, {key: names[key] for key in secrets})
            self._check(base, fresh, secrets)
            return await self._keep(fresh, secrets, who, fresh.history[-1] if fresh.history != base.history else None)

    def undoable(self) -> Version | None:
        """Return the change that `undo` takes back: the newest that can be, None where there is none.

        Passed over are changes whose secret before is not kept any more, and those of the same keys before them.
        """
        passed: set[str] = set()
        for one in reversed(self.edited().history):
            if self._is_kept(one) and passed.isdisjoint(one.names):
                return one
            passed |= set(one.names)
        return None

    async def undo(self, *, who: str) -> tuple[str, ...]:
        """Take back the newest change that can be; return its keys, none when there is none. Raises as `change`."""
        async with self._lock:
            base, last = self.edited(), self.undoable()
            if last is None:
                return ()
            fresh = base.undone(last, who, self._clock.wall())
            self._check(base, fresh, {})
            await self._keep(fresh, await self._before(last), who, last, taken_back=True)
            return last.names

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

    async def _keep(
        self,
        fresh: Overlay,
        secrets: Mapping[str, str | None],
        who: str,
        version: Version | None,
        *,
        taken_back: bool = False,
    ) -> bool:
        """Write it so that it waits, which is whole or not at all, then let it in unless there is an emergency (S5)."""
        waiting = self.held() or self.waiting

        def write() -> None:
            if not waiting:
                vault.discard(self.folder)
            for key, change in version.secrets.items() if version is not None and not taken_back else ():
                if change:
                    vault.keep_before(self.folder, SECRET_FILES[key], change)
            for key, text in secrets.items():  # what waits and is empty is to be forgotten
                vault.write_secret(self.folder, SECRET_FILES[key], text or "", waiting=True)
            config_overlay.write(self.folder, fresh, waiting=True)
            if not waiting:
                config_overlay.promote(self.folder)

        await self._on_disk(write)
        names = version.names if version is not None else ()
        trace("settings_changed", keys=sorted(names), who=who, waits=waiting)
        if not waiting:
            await self._reload()
        self._watch_over()
        await self._tidy()
        return not waiting

    # ------------------------------------------------------------------ secrets that were replaced

    def tidies_in(self) -> float | None:
        """Return the seconds until `tidy` has something to do; None: nothing is kept."""
        first = min(self._forget_at.values(), default=None)
        return None if first is None else max(0.0, first - self._clock.boottime())

    async def tidy(self) -> None:
        """Remove the secrets that were replaced long enough ago or belong to no change; on a failing disk later."""
        async with self._lock:
            await self._tidy()

    async def _tidy(self) -> None:
        now = self._clock.boottime()
        self._forget_at = {path: at for path, at in self._forget_at.items() if at > now}
        kept = frozenset(self._forget_at)
        with contextlib.suppress(OSError):
            if not self.waiting:
                vault.discard(self.folder)  # of a change that a power cut kept from being made
            await asyncio.to_thread(vault.tidy, self.folder, kept)

    def _watch_over(self, *, at_start: bool = False) -> None:
        """Note until when each secret that was replaced is kept: only the one of the newest change of its name.

        The time counts by the clock that does not step; how much of it passed before this start the wall clock has to
        say, as far as it can be believed (failure 11).
        """
        newest = {key: one for one in self.edited().history for key in one.secrets}
        now, wall, found = self._clock.boottime(), self._clock.wall(), {}
        for key, one in newest.items():
            path = self._files(one).get(key)
            if path is not None and path.exists():
                passed = wall - one.at if at_start and SANE_WALL <= one.at <= wall else 0.0
                found[path] = self._forget_at.get(path, now + max(0.0, KEEP_BEFORE - passed))
        self._forget_at = found

    def _name_change(self, key: str) -> str:
        """Return the name under which the secret before a change is kept; empty: there is none to keep."""
        try:
            there = vault.newest(self.folder, SECRET_FILES[key])
        except (OSError, ValueError):
            there = ""
        return random_names.token_hex(4) if there else ""

    def _is_kept(self, version: Version) -> bool:
        """Tell whether a change can be taken back as a whole."""
        files = self._files(version).values()
        return all(path is None or (path in self._forget_at and path.exists()) for path in files)

    async def _before(self, version: Version) -> dict[str, str | None]:
        """Return the secrets that a change replaced, None for those that were not there."""
        files = self._files(version).items()
        return await self._on_disk(lambda: {key: None if file is None else file.read_text() for key, file in files})

    def _files(self, version: Version) -> dict[str, Path | None]:
        """Return where the secrets are that a change replaced, None for those that were not there; by key."""
        named = {key: name for key, name in version.secrets.items() if key in SECRET_FILES}
        return {
            key: vault.before_file(self.folder, SECRET_FILES[key], name) if name else None
            for key, name in named.items()
        }

    # ------------------------------------------------------------------ on disk, and in force

    async def _on_disk(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(work)
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

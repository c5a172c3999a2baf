"""Opens this device's database at the start; without one the agent works all the same, and says what that means."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path

from agent import identity
from agent.config.settings import Settings
from agent.runtime.log import trace
from agent.say import said, say
from agent.storage.database import StoreTooNew
from agent.storage.store import Store


def open_store(settings: Settings) -> tuple[Store, str | None]:
    """Return the store, or one in memory and why: places are then forgotten at the next start, which is said."""
    path = settings.paths.state / "agent.db"
    try:
        return _own_store(path), None
    except StoreTooNew as error:
        why = say(
            "{path}: {error}; install the newer version again, or move the file away", path=str(path), error=said(error)
        )
    except (sqlite3.Error, OSError) as error:
        why = say(
            "{path}: the database cannot be opened: {error}; confirmations would not survive a restart",
            path=str(path),
            error=said(error),
        )
        with contextlib.suppress(sqlite3.Error):  # a full disk in an upgrade: what was confirmed still counts
            return Store(None, copy_of=path), why
    return Store(None), why


def _own_store(path: Path) -> Store:
    """Return this device's store; what another device left there is set aside, which is said and recorded."""
    moved = identity.claim(path.parent, identity.read())
    store = Store(path)
    if moved is not None:
        store.add_event(time.time(), "other_device", None, moved.name)
        trace("other_device", moved=str(moved))
    return store

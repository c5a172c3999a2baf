"""The SQLite file under the store: schema, migrations, and what happens to a damaged one (S5)."""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from agent.model import CivicAddress, Observation
from agent.notify.notice import Notice, Progress
from agent.say import say

KEEP_BACKUPS = 2
"""Copies from before a migration: the last step back and the one before it; each is as large as the database."""

_RECORDS_OF_PLACES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE places (
  id INTEGER PRIMARY KEY, observations TEXT NOT NULL, anchor TEXT, public_address TEXT, last_seen REAL NOT NULL
);
CREATE TABLE confirmations (
  id INTEGER PRIMARY KEY, place_id INTEGER NOT NULL REFERENCES places(id), user_id TEXT NOT NULL,
  address_id TEXT, civic TEXT NOT NULL, at REAL NOT NULL, who TEXT NOT NULL
);
CREATE INDEX confirmations_by_place ON confirmations (place_id, id);
CREATE TABLE civics (
  user_id TEXT NOT NULL, address_id TEXT NOT NULL, civic TEXT NOT NULL, gone INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (user_id, address_id)
) WITHOUT ROWID;
CREATE TABLE selected (user_id TEXT PRIMARY KEY, address_id TEXT, at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE decisions (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, generation INTEGER NOT NULL, verdict TEXT NOT NULL, place_id INTEGER,
  reasons TEXT NOT NULL, evidence TEXT NOT NULL, wanted TEXT NOT NULL, cause TEXT NOT NULL
);
CREATE TABLE events (id INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, seconds REAL, detail TEXT NOT NULL);
"""

_AUDIT = """
CREATE TABLE audit (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, who TEXT NOT NULL, origin TEXT NOT NULL, action TEXT NOT NULL,
  done INTEGER NOT NULL, detail TEXT NOT NULL
);
CREATE INDEX audit_by_outcome ON audit (done, id);
"""

_TEST_CALLS = """
CREATE TABLE test_calls (id INTEGER PRIMARY KEY, at REAL NOT NULL, evidence TEXT NOT NULL);
CREATE TABLE test_answers (
  id INTEGER PRIMARY KEY, test_id INTEGER NOT NULL, same INTEGER NOT NULL, at REAL NOT NULL, who TEXT NOT NULL
);
CREATE INDEX test_answers_by_test ON test_answers (test_id, id);
"""

_NOTICES = """
CREATE TABLE notices (uid TEXT PRIMARY KEY, call TEXT NOT NULL UNIQUE, dialed_at REAL NOT NULL, notice TEXT NOT NULL);
CREATE TABLE notice_progress (
  uid TEXT NOT NULL REFERENCES notices(uid) ON DELETE CASCADE, channel TEXT NOT NULL, progress TEXT NOT NULL,
  PRIMARY KEY (uid, channel)
) WITHOUT ROWID;
"""

_LIGHTS = """
CREATE TABLE lights (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, cause TEXT NOT NULL, sentence TEXT NOT NULL
);
CREATE INDEX lights_by_time ON lights (at);
"""

MIGRATIONS: tuple[str, ...] = (_RECORDS_OF_PLACES, _AUDIT, _TEST_CALLS, _NOTICES, _LIGHTS)
"""SQL that makes version 1, 2, ... (its position) out of the one before; what was published is never edited.

Each runs in one transaction together with its number, without foreign keys, which are checked before the commit.
"""
SCHEMA_VERSION = len(MIGRATIONS)

_RECORDS: tuple[tuple[str, object], ...] = (
    ("SELECT observations FROM places", tuple[Observation, ...]),
    ("SELECT civic FROM confirmations", CivicAddress),
    ("SELECT civic FROM civics", CivicAddress),
    ("SELECT notice FROM notices", Notice),
    ("SELECT progress FROM notice_progress", Progress),
)


class StoreTooNew(Exception):
    """The database was written by a newer version; it is left untouched."""


class MigrationFailed(sqlite3.OperationalError):
    """A step of the schema could not be made; the file holds the version before it and is not damaged."""


def open_database(path: Path | None) -> sqlite3.Connection:
    """Return a sound, migrated database; raises sqlite3.DatabaseError when it is damaged.

    Before an existing file is migrated, a copy is kept beside it (`agent.db.before-v2`): what an older version opens
    again. Raises StoreTooNew for a file of a newer version and MigrationFailed or OSError when the disk does not let
    it be migrated; the file is then as it was.
    """
    database = _connect(path)
    try:
        _known_version(database)  # before anything is written: even the journal's mode stands in the file
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        verdict = database.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        version = _version(database)
        if path is not None and 0 < version < len(MIGRATIONS):
            _keep_copy(database, path, version + 1)
        _migrate(database)
    except BaseException:
        database.close()
        raise
    return database


def copy_into_memory(path: Path) -> sqlite3.Connection:
    """Return a migrated copy in memory of a file that cannot be migrated where it is (a full disk, read only).

    Raises what `open_database` raises, and sqlite3.OperationalError when there is nothing to copy.
    """
    database = _connect(None)
    journal = path.with_name(f"{path.name}-wal")
    # without a journal nothing needs to be written for reading, which a full disk would not let happen
    way = "mode=ro" if journal.exists() and journal.stat().st_size else "mode=ro&immutable=1"
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?{way}", uri=True)) as source:
            source.backup(database)
        _migrate(database)
    except BaseException:
        database.close()
        raise
    return database


def _connect(path: Path | None) -> sqlite3.Connection:
    database = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
    database.row_factory = sqlite3.Row
    return database


def _version(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA user_version").fetchone()[0])


def _known_version(database: sqlite3.Connection) -> int:
    """Return the version; raises StoreTooNew."""
    version = _version(database)
    if version > len(MIGRATIONS):
        raise StoreTooNew(
            say(
                "the database has version {version}, this program knows {known}", version=version, known=len(MIGRATIONS)
            )
        )
    return version


def _migrate(database: sqlite3.Connection) -> None:
    """Take every step that is missing, read every record back, and switch foreign keys on."""
    version = _known_version(database)
    for number, step in enumerate(MIGRATIONS[version:], version + 1):
        _take_step(database, number, step)
    _check_records(database)
    database.execute("PRAGMA foreign_keys = ON")


def _take_step(database: sqlite3.Connection, number: int, step: str) -> None:
    """Make one version out of the one before, as a whole or not at all."""
    try:
        database.executescript(f"BEGIN IMMEDIATE; {step}")
        broken = database.execute("PRAGMA foreign_key_check").fetchone()
        if broken is not None:
            raise sqlite3.IntegrityError(f"a row of {broken[0]} points nowhere")
        database.execute(f"PRAGMA user_version = {number}")
        database.execute("COMMIT")
    except sqlite3.Error as error:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise MigrationFailed(
            say("version {number} of the database cannot be made: {error}", number=number, error=error)
        ) from error


def _keep_copy(database: sqlite3.Connection, path: Path, number: int) -> None:
    """Put a copy beside the file, whole and on disk before it has its name; the oldest beyond KEEP_BACKUPS go."""
    target = path.with_name(f"{path.name}.before-v{number}")
    draft = path.with_name(f"{path.name}.before.tmp")
    draft.unlink(missing_ok=True)
    try:
        database.execute("VACUUM INTO ?", (str(draft),))
        _flush(draft)
        draft.rename(target)
        _flush(path.parent)
    except (sqlite3.Error, OSError) as error:
        draft.unlink(missing_ok=True)
        raise MigrationFailed(
            say("no copy could be kept before version {number} is made: {error}", number=number, error=error)
        ) from error
    for old in backups(path)[:-KEEP_BACKUPS]:
        old.unlink(missing_ok=True)


def backups(path: Path) -> Sequence[Path]:
    """Return the copies from before migrations of a database, that of the lowest version first."""
    found = (file for file in path.parent.glob(f"{path.name}.before-v*") if _number(file) > 0)
    return sorted(found, key=_number)


def _number(backup: Path) -> int:
    text = backup.name.rpartition("-v")[2]
    return int(text) if text.isascii() and text.isdigit() else 0


def _flush(path: Path) -> None:
    """Wait until a file or the names in a folder are on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _check_records(database: sqlite3.Connection) -> None:
    """Raise sqlite3.DatabaseError for a record that cannot be read back: quick_check does not look into texts."""
    database.text_factory = bytes  # damaged text is found by the decoder, not in the middle of a query
    try:
        for query, kind in _RECORDS:
            for row in database.execute(query):
                msgspec.json.decode(row[0], type=kind)
    except (msgspec.MsgspecError, ValueError, TypeError) as error:
        raise sqlite3.DatabaseError(f"a record cannot be read: {error}") from error
    finally:
        database.text_factory = str


def set_aside(path: Path) -> Path:
    """Move a damaged database out of the way, with its journal, and return where it is (S5)."""
    name = f"{path.name}.damaged-{int(time.time())}"
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    target = next(found for found in map(path.with_name, names) if not found.exists())  # never over an earlier one
    for suffix in ("", "-wal", "-shm"):
        source = path.with_name(path.name + suffix)
        if source.exists():
            source.rename(target.with_name(target.name + suffix))
    return target

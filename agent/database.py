"""The SQLite file under the store: schema, migrations, and what happens to a damaged one (S5)."""

from __future__ import annotations

import itertools
import sqlite3
import time
from pathlib import Path

import msgspec

from agent.model import CivicAddress, Observation

SCHEMA_VERSION = 1

_SCHEMA = """
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


_RECORDS: tuple[tuple[str, object], ...] = (
    ("SELECT observations FROM places", tuple[Observation, ...]),
    ("SELECT civic FROM confirmations", CivicAddress),
    ("SELECT civic FROM civics", CivicAddress),
)


class StoreTooNew(Exception):
    """The database was written by a newer version; it is left untouched."""


def open_database(path: Path | None) -> sqlite3.Connection:
    """Return a sound, migrated database; raises sqlite3.DatabaseError when it is damaged."""
    database = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
    try:
        database.row_factory = sqlite3.Row
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("PRAGMA foreign_keys = ON")
        verdict = database.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise StoreTooNew(f"the database has version {version}, this program knows {SCHEMA_VERSION}")
        if version == 0:
            database.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
        _check_records(database)
    except BaseException:
        database.close()
        raise
    return database


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

"""What must survive a power cut: places, confirmations, decisions, the id in use per user (S5, S8)."""

from __future__ import annotations

import contextlib
import functools
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from agent.decide import Memory
from agent.model import CivicAddress, Confirmation, Observation, Place
from agent.say import plain, say
from agent.storage.audit import Audit
from agent.storage.database import copy_into_memory, open_database, set_aside
from agent.storage.packed import pack, unpack
from agent.storage.past import Past

KEEP_DECISIONS = 5000
"""Rows: months of an ordinary device, half a megabyte."""


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """One recorded decision (S8)."""

    at: float
    generation: int
    verdict: str
    place_id: int | None
    reasons: tuple[str, ...]
    evidence: tuple[str, ...]
    wanted: str
    cause: str


class Store:
    """SQLite with WAL and `synchronous=FULL`: when a method that writes returns, the record is on disk.

    Not thread-safe by itself; its owner serializes the calls. Raises sqlite3.Error when the disk fails.
    """

    def __init__(self, path: Path | None, *, copy_of: Path | None = None) -> None:
        """Open or create the database; `None` keeps it in memory (virtual time). Damage: see `set_aside`.

        `copy_of`: in memory, but with what that file holds.
        """
        self.durable = path is not None
        """False: in memory only, forgotten at the next start."""
        self.set_aside: Path | None = None
        """Where a damaged database was put; None: it was sound."""
        if copy_of is not None:
            self._db = copy_into_memory(copy_of)
            return
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            self._db = open_database(path)
        except sqlite3.DatabaseError as error:
            if path is None or isinstance(error, sqlite3.OperationalError):
                raise
            self.set_aside = set_aside(path)
            self._db = open_database(path)
            self.add_event(
                time.time(),
                "database_damaged",
                None,
                say("set aside as {name}: {error}", name=self.set_aside.name, error=error),
            )

    @functools.cached_property
    def audit(self) -> Audit:
        """The audit of the page, kept in the same file."""
        return Audit(self._db)

    @functools.cached_property
    def past(self) -> Past:
        """The record of the light, kept in the same file."""
        return Past(self._db)

    def close(self) -> None:
        """Close the database; what was written stays."""
        self._db.close()

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        """Return rows of a table that another module owns (agent/notify/book.py)."""
        return self._db.execute(query, values).fetchall()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Write to such a table; on disk when it ends, nothing at all when it raises."""
        with self._write():
            yield self._db

    # ------------------------------------------------------------------ memory

    def memory(self, user_id: str) -> Memory:
        """Return what `decide()` needs, for one user (platform.md 9.5: ids never cross users)."""
        places = tuple(self._place(row, user_id) for row in self._db.execute("SELECT * FROM places ORDER BY id"))
        configured = self._meta(f"configured:{user_id}")
        current = self._meta("current_place")
        last = self._db.execute(
            "SELECT civic FROM confirmations WHERE user_id = ? ORDER BY id DESC LIMIT 1", (user_id,)
        ).fetchone()
        gone = configured is not None and self._is_gone(user_id, configured)
        return Memory(
            places=places,
            current_place_id=int(current) if current is not None else None,
            configured_id=None if gone else configured,
            configured_gone=gone,
            last_confirmed=msgspec.json.decode(last[0], type=CivicAddress) if last else None,
        )

    def _place(self, row: sqlite3.Row, user_id: str) -> Place:
        newest = self._db.execute(
            "SELECT * FROM confirmations WHERE place_id = ? AND user_id = ? ORDER BY id DESC LIMIT 1",
            (row["id"], user_id),
        ).fetchone()
        confirmation = None
        if newest:
            gone = newest["address_id"] is None or self._is_gone(user_id, newest["address_id"])
            confirmation = Confirmation(
                civic=msgspec.json.decode(newest["civic"], type=CivicAddress),
                address_id=None if gone else newest["address_id"],
                at=newest["at"],
                who=newest["who"],
            )
        return Place(
            id=row["id"],
            observations=msgspec.json.decode(row["observations"], type=tuple[Observation, ...]),
            confirmation=confirmation,
            anchor=row["anchor"],
            public_address=row["public_address"],
            last_seen=row["last_seen"],
        )

    def add_place(self, observations: Sequence[Observation], at: float) -> int:
        """Record a new place as the current one and return its id."""
        with self._write():
            cursor = self._db.execute(
                "INSERT INTO places (observations, last_seen) VALUES (?, ?)", (_json(tuple(observations)), at)
            )
            self._set_meta("current_place", str(cursor.lastrowid))
        return int(cursor.lastrowid or 0)

    def see_place(self, place_id: int, observations: Sequence[Observation], at: float) -> None:
        """Make a place the current one, with the observations that it has now."""
        with self._write():
            self._db.execute(
                "UPDATE places SET observations = ?, last_seen = ? WHERE id = ?",
                (_json(tuple(observations)), at, place_id),
            )
            self._set_meta("current_place", str(place_id))

    def set_anchor(self, place_id: int, anchor: str | None, public_address: str | None) -> None:
        """Remember what the last proof at a place looked like."""
        with self._write():
            self._db.execute(
                "UPDATE places SET anchor = ?, public_address = ? WHERE id = ?", (anchor, public_address, place_id)
            )

    def confirm(self, place_id: int, *, user_id: str, address_id: str, civic: CivicAddress, at: float, who: str) -> int:
        """Record that staff confirmed an address at a place; on disk when it returns its number (S5)."""
        with self._write():
            cursor = self._db.execute(
                "INSERT INTO confirmations (place_id, user_id, address_id, civic, at, who) VALUES (?, ?, ?, ?, ?, ?)",
                (place_id, user_id, address_id, _json(civic), at, who),
            )
            self._db.execute("UPDATE places SET anchor = NULL WHERE id = ?", (place_id,))
            self._remember(user_id, address_id, civic)
        return int(cursor.lastrowid or 0)

    def refile(self, confirmations: Sequence[int], place_id: int) -> None:
        """File confirmations under another place: they were about that one, as evidence that came late shows."""
        with self._write():
            for number in confirmations:
                self._db.execute("UPDATE confirmations SET place_id = ? WHERE id = ?", (place_id, number))

    # ------------------------------------------------------------------ addresses

    def remember_address(self, user_id: str, address_id: str, civic: CivicAddress, *, configured: bool = False) -> None:
        """Keep an address's text, so that it can be registered again if the platform loses it."""
        with self._write():
            self._remember(user_id, address_id, civic)
            if configured:
                self._set_meta(f"configured:{user_id}", address_id)

    def _remember(self, user_id: str, address_id: str, civic: CivicAddress) -> None:
        self._db.execute(
            "INSERT INTO civics (user_id, address_id, civic) VALUES (?, ?, ?) "
            "ON CONFLICT (user_id, address_id) DO UPDATE SET civic = excluded.civic, gone = 0",
            (user_id, address_id, _json(civic)),
        )

    def forget_configured(self, user_id: str) -> None:
        """Drop the id of the configured address: its text was changed in the configuration."""
        with self._write():
            self._db.execute("DELETE FROM meta WHERE key = ?", (f"configured:{user_id}",))

    def address_gone(self, user_id: str, address_id: str) -> None:
        """Record that the platform lost an address (404); its text stays (platform.md 11.5)."""
        with self._write():
            self._db.execute("UPDATE civics SET gone = 1 WHERE user_id = ? AND address_id = ?", (user_id, address_id))
            self._db.execute("DELETE FROM selected WHERE user_id = ? AND address_id = ?", (user_id, address_id))

    def _is_gone(self, user_id: str, address_id: str) -> bool:
        row = self._db.execute(
            "SELECT gone FROM civics WHERE user_id = ? AND address_id = ?", (user_id, address_id)
        ).fetchone()
        return bool(row and row[0])

    def lost_addresses(self, user_id: str) -> tuple[CivicAddress, ...]:
        """Return the texts of addresses that the platform lost."""
        rows = self._db.execute("SELECT civic FROM civics WHERE user_id = ? AND gone = 1", (user_id,))
        return tuple(msgspec.json.decode(row[0], type=CivicAddress) for row in rows)

    def civic(self, user_id: str, address_id: str) -> CivicAddress | None:
        """Return the text of an address that was seen before."""
        row = self._db.execute(
            "SELECT civic FROM civics WHERE user_id = ? AND address_id = ?", (user_id, address_id)
        ).fetchone()
        return msgspec.json.decode(row[0], type=CivicAddress) if row else None

    def select(self, user_id: str, address_id: str | None, at: float) -> None:
        """Persist the id in use, per user."""
        with self._write():
            self._db.execute(
                "INSERT INTO selected (user_id, address_id, at) VALUES (?, ?, ?) "
                "ON CONFLICT (user_id) DO UPDATE SET address_id = excluded.address_id, at = excluded.at",
                (user_id, address_id, at),
            )

    def selected(self, user_id: str) -> str | None:
        """Return the id that was in use last."""
        row = self._db.execute("SELECT address_id FROM selected WHERE user_id = ?", (user_id,)).fetchone()
        return row[0] if row else None

    # ------------------------------------------------------------------ records

    def add_decision(self, row: DecisionRow) -> None:
        """Record a decision; the oldest beyond KEEP_DECISIONS go."""
        with self._write():
            cursor = self._db.execute(
                "INSERT INTO decisions (at, generation, verdict, place_id, reasons, evidence, wanted, cause) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (row.at, row.generation, row.verdict, row.place_id, _json(row.reasons), _json(row.evidence),
                 row.wanted, pack(row.cause)),
            )  # fmt: skip
            self._db.execute("DELETE FROM decisions WHERE id <= ?", ((cursor.lastrowid or 0) - KEEP_DECISIONS,))

    def decisions(self, limit: int) -> tuple[DecisionRow, ...]:
        """Return the newest decisions, newest first."""
        rows = self._db.execute("SELECT * FROM decisions ORDER BY id DESC LIMIT ?", (limit,))
        return tuple(
            DecisionRow(
                at=row["at"],
                generation=row["generation"],
                verdict=row["verdict"],
                place_id=row["place_id"],
                reasons=msgspec.json.decode(row["reasons"], type=tuple[str, ...]),
                evidence=msgspec.json.decode(row["evidence"], type=tuple[str, ...]),
                wanted=row["wanted"],
                cause=unpack(row["cause"]),
            )
            for row in rows
        )

    def add_event(self, at: float, kind: str, seconds: float | None, detail: str) -> None:
        """Record a gap (S12), an exposure window or damage."""
        with self._write():
            self._db.execute(
                "INSERT INTO events (at, kind, seconds, detail) VALUES (?, ?, ?, ?)", (at, kind, seconds, pack(detail))
            )
            self._db.execute("DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - ?", (KEEP_DECISIONS,))

    def events(self, kind: str, limit: int = 50) -> tuple[tuple[float, float | None, str], ...]:
        """Return (wall time, seconds, detail) of the newest events of a kind, newest first."""
        rows = self._db.execute(
            "SELECT at, seconds, detail FROM events WHERE kind = ? ORDER BY id DESC LIMIT ?", (kind, limit)
        )
        return tuple((row[0], row[1], unpack(row[2])) for row in rows)

    def user(self) -> str | None:
        """Return the user that this device has been."""
        return self._meta("user")

    def set_user(self, user_id: str) -> None:
        """Remember the user that this device is; what was confirmed before any was known is the first one's (S5)."""
        with self._write():
            if self._meta("user") is None:
                self._db.execute("UPDATE confirmations SET user_id = ? WHERE user_id = ''", (user_id,))
                self._db.execute("UPDATE OR REPLACE civics SET user_id = ? WHERE user_id = ''", (user_id,))
            self._set_meta("user", user_id)

    # ------------------------------------------------------------------ inside

    @contextlib.contextmanager
    def _write(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _meta(self, key: str) -> str | None:
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def _set_meta(self, key: str, value: str) -> None:
        self._db.execute(
            "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (key, value),
        )


def _json(value: object) -> str:
    return msgspec.json.encode(value, enc_hook=plain).decode()

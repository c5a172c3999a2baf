"""Who changed what, from where, and who was refused: durable and bounded, in the database (S8, S9)."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from agent.say import say_n, sentences
from agent.storage.packed import pack, unpack

KEEP = 2000
"""Rows kept of what was done, and as many of what was refused: refusals cannot wash the rest out."""
REFUSAL_BURST = 20.0
REFUSAL_EVERY = 10.0
"""Refusals written at once, and seconds in which one more may be: a flood must not wear the card out (S11)."""
MAX_TEXT = 200
"""Characters of each text."""


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One line of the audit."""

    at: float
    """Unix seconds."""
    who: str
    """`cli`, `local screen`, `staff`, `technician`, `nobody`."""
    origin: str
    """Address on the link, else empty."""
    action: str
    """`POST /confirm`."""
    done: bool
    """False: refused or failed."""
    detail: str = ""
    """In words; never what was typed."""


class Audit:
    """The audit in a database whose owner serializes the calls; raises sqlite3.Error when the disk fails."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database
        self._allowance = REFUSAL_BURST
        self._allowed_at = 0.0
        self._skipped = 0

    def add(self, row: AuditRow) -> None:
        """Record a row, on disk when it returns; refusals beyond their pace are counted in the next one."""
        detail = row.detail
        if not row.done:
            self._allowance += max(0.0, row.at - self._allowed_at) / REFUSAL_EVERY
            self._allowance, self._allowed_at = min(REFUSAL_BURST, self._allowance), row.at
            if self._allowance < 1:
                self._skipped += 1
                return
            self._allowance -= 1
            if self._skipped:
                more = say_n(
                    "(one more refusal before this one)", "({count} more refusals before this one)", self._skipped
                )
                detail = sentences(detail, more)
                self._skipped = 0
        who, origin, action = (text[:MAX_TEXT] for text in (row.who, row.origin, row.action))
        kept = pack(detail) if len(detail) <= MAX_TEXT else detail[:MAX_TEXT]
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.execute(
                "INSERT INTO audit (at, who, origin, action, done, detail) VALUES (?, ?, ?, ?, ?, ?)",
                (row.at, who, origin, action, int(row.done), kept),
            )
            self._db.execute(
                "DELETE FROM audit WHERE done = ?1 AND id <= "
                "(SELECT id FROM audit WHERE done = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                (int(row.done), KEEP),
            )
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def rows(self, limit: int) -> tuple[AuditRow, ...]:
        """Return the newest rows, newest first."""
        found = self._db.execute("SELECT * FROM audit ORDER BY id DESC LIMIT ?", (limit,))
        return tuple(
            AuditRow(row["at"], row["who"], row["origin"], row["action"], bool(row["done"]), unpack(row["detail"]))
            for row in found
        )

"""The record of the light and what happened beside it: durable, bounded, written a moment after the light itself."""

from __future__ import annotations

import sqlite3
from collections import deque
from dataclasses import dataclass

import msgspec

from agent.light.timeline import Mark, State
from agent.model import CivicAddress, StatusKind
from agent.people import who
from agent.say import say
from agent.storage.packed import pack, unpack

KEEP = 20_000
"""Rows: a year of an ordinary device, some days of one that flaps all the time; four megabytes."""
MAX_WAITING = 1000
"""Changes that wait for the disk: a disk that fails for hours costs records, not memory."""
SAME_CALL = 30.0
"""Seconds between the order to make a test call and its dialing, at most; the next one cannot be dialed as soon."""
OFF = "off"
"""The kind of a stretch in which the agent did not run: nobody knows what was the case."""
_ALIVE = "alive"


@dataclass(frozen=True, slots=True)
class _Change:
    at: float
    kind: str
    cause: str
    sentence: str


class Past:
    """What the light was, in a database whose owner serializes the calls; raises sqlite3.Error when the disk fails."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database
        self._waiting: deque[_Change] = deque(maxlen=MAX_WAITING)

    def changed(self, at: float, kind: StatusKind, cause: str, sentence: str) -> None:
        """Take a change of the light; `keep` writes it, so that the light never waits for the disk."""
        self._waiting.append(_Change(at, kind.value, cause, pack(sentence)))

    def opened(self) -> None:
        """Record that nothing is known from the last sign of life until now, unless the end was recorded."""
        alive = self._db.execute("SELECT value FROM meta WHERE key = ?", (_ALIVE,)).fetchone()
        last = self._db.execute("SELECT at, kind FROM lights ORDER BY id DESC LIMIT 1").fetchone()
        if last is None or last["kind"] == OFF:
            return
        at = max(last["at"], float(alive["value"])) if alive else last["at"]
        self._write([_Change(at, OFF, "not_running", "")], at)

    def keep(self, at: float) -> None:
        """Write what waits, and that the agent was alive at that time."""
        waiting = list(self._waiting)
        self._write(waiting, at)
        for _ in waiting:
            self._waiting.popleft()

    def closed(self, at: float) -> None:
        """Write what waits and that the agent ends."""
        self._waiting.append(_Change(at, OFF, "stopped", ""))
        self.keep(at)

    def _write(self, changes: list[_Change], alive: float) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany(
                "INSERT INTO lights (at, kind, cause, sentence) VALUES (?, ?, ?, ?)",
                [(one.at, one.kind, one.cause, one.sentence) for one in changes],
            )
            self._db.execute("DELETE FROM lights WHERE id <= (SELECT max(id) FROM lights) - ?", (KEEP,))
            self._db.execute(
                "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (_ALIVE, repr(alive)),
            )
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # ------------------------------------------------------------------ reading

    def states(self, since: float) -> tuple[State, ...]:
        """Return the states since a wall time with the one before them, oldest first, those that wait included."""
        rows = self._db.execute(
            "SELECT * FROM lights WHERE id >= coalesce((SELECT max(id) FROM lights WHERE at <= ?), 0) ORDER BY id",
            (since,),
        )
        kept = [State(row["at"], row["kind"], row["cause"], unpack(row["sentence"])) for row in rows]
        return (*kept, *(State(one.at, one.kind, one.cause, unpack(one.sentence)) for one in self._waiting))

    def marks(self, since: float) -> tuple[Mark, ...]:
        """Return what happened since a wall time, oldest first: moves, confirmations, calls and tests, gaps."""
        found = [
            *self._moves(since), *self._confirmations(since), *self._calls(since), *self._gaps(since),
            *self._disagreements(since),
        ]  # fmt: skip
        return tuple(sorted(found, key=lambda mark: mark.at))

    def _moves(self, since: float) -> list[Mark]:
        rows = self._db.execute(
            "SELECT at, cause FROM (SELECT id, at, place_id, cause, lag(place_id) OVER (ORDER BY id) AS before "
            "FROM decisions WHERE place_id IS NOT NULL) WHERE at >= ? AND place_id != before ORDER BY id",
            (since,),
        )
        return [
            Mark(row["at"], "moved", say("Moved to another place: {cause}.", cause=unpack(row["cause"])))
            for row in rows
        ]

    def _confirmations(self, since: float) -> list[Mark]:
        rows = self._db.execute("SELECT at, civic, who FROM confirmations WHERE at >= ? ORDER BY id", (since,))
        return [
            Mark(
                row["at"],
                "confirmed",
                say(
                    "Confirmed: {address}, by {who}.",
                    address=msgspec.json.decode(row["civic"], type=CivicAddress).one_line(),
                    who=who(row["who"]),
                ),
            )
            for row in rows
        ]

    def _calls(self, since: float) -> list[Mark]:
        told = self._db.execute(
            "SELECT dialed_at, json_extract(notice, '$.test') FROM notices WHERE dialed_at >= ?", (since,)
        ).fetchall()
        tests = [row[0] for row in self._db.execute("SELECT at FROM test_calls WHERE at >= ?", (since,))]
        # 933 dialed by hand is told, too, and has no test call of its own
        tests += [at for at, is_test in told if is_test and not any(abs(at - one) < SAME_CALL for one in tests)]
        return [
            *(Mark(at, "call", say("Emergency call.")) for at, is_test in told if not is_test),
            *(Mark(at, "test", say("Test call to 933.")) for at in tests),
        ]

    def _gaps(self, since: float) -> list[Mark]:
        rows = self._db.execute("SELECT at, detail FROM events WHERE at >= ? AND kind LIKE 'gap:%'", (since,))
        return [
            Mark(row["at"], "gap", say("Blind for a while: {detail}.", detail=unpack(row["detail"]))) for row in rows
        ]

    def _disagreements(self, since: float) -> list[Mark]:
        rows = self._db.execute("SELECT at, detail FROM events WHERE at >= ? AND kind = 'disagreement'", (since,))
        return [Mark(row["at"], "disagreement", unpack(row["detail"])) for row in rows]

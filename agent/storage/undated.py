"""Records made before the clock was set get their time as soon as it is known how wrong the clock was (failure 11)."""

from __future__ import annotations

from agent.clock import SANE_WALL
from agent.storage.store import Store

_TABLES = """
SELECT m.name FROM sqlite_master m WHERE m.type = 'table'
  AND 2 = (SELECT count(*) FROM pragma_table_info(m.name) c WHERE c.name IN ('id', 'at'))
"""


class Undated:
    """Knows which records are of this run: those of an earlier one belong to another wrong clock and stay as they are.

    Whoever shows a time before SANE_WALL says "before the clock was set" instead of a date.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._last = {name: self._newest(name) for (name,) in store.rows(_TABLES)}

    def _newest(self, table: str) -> int:
        [(newest,)] = self._store.rows(f"SELECT coalesce(max(id), 0) FROM {table}")  # noqa: S608 - names of our schema
        return int(newest)

    def correct(self, step: float) -> None:
        """Take a step of the wall clock, in seconds; raises sqlite3.Error."""
        with self._store.transaction() as database:
            for table, last in self._last.items():
                database.execute(
                    f"UPDATE {table} SET at = at + ? WHERE id > ? AND at < ?",  # noqa: S608 - names of our schema
                    (step, last, SANE_WALL),
                )
            database.execute("UPDATE places SET last_seen = last_seen + ? WHERE last_seen < ?", (step, SANE_WALL))

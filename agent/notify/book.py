"""Notices and how far each channel is with them, on disk: an emergency call is told although the agent is restarted."""

from __future__ import annotations

import msgspec

from agent.notify.notice import Notice, Progress
from agent.storage.store import Store

KEEP = 500
"""Notices: years of an ordinary device, half a megabyte."""


class NoticeBook:
    """The two tables; raises sqlite3.Error when the disk fails, and the caller goes on without it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def notices(self) -> dict[str, Notice]:
        """Return all notices by uid, oldest first."""
        rows = self._store.rows("SELECT notice FROM notices ORDER BY dialed_at, uid")
        found = (msgspec.json.decode(row[0], type=Notice) for row in rows)
        return {notice.uid: notice for notice in found}

    def progress(self, channel: str) -> dict[str, Progress]:
        """Return by uid how far a channel is."""
        rows = self._store.rows("SELECT uid, progress FROM notice_progress WHERE channel = ?", channel)
        return {row[0]: msgspec.json.decode(row[1], type=Progress) for row in rows}

    def save(self, notice: Notice) -> None:
        """Write a notice; the oldest beyond KEEP go."""
        with self._store.transaction() as db:
            db.execute(
                "INSERT INTO notices (uid, call, dialed_at, notice) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (uid) DO UPDATE SET notice = excluded.notice",
                (notice.uid, notice.call, notice.dialed_at, msgspec.json.encode(notice).decode()),
            )
            db.execute(
                "DELETE FROM notices WHERE uid IN (SELECT uid FROM notices ORDER BY dialed_at DESC LIMIT -1 OFFSET ?)",
                (KEEP,),
            )

    def advance(self, uid: str, channel: str, progress: Progress) -> None:
        """Write how far a channel is with a notice; one that is not kept any more is no error."""
        with self._store.transaction() as db:
            db.execute(
                "INSERT INTO notice_progress (uid, channel, progress) SELECT uid, ?, ? FROM notices WHERE uid = ? "
                "ON CONFLICT (uid, channel) DO UPDATE SET progress = excluded.progress",
                (channel, msgspec.json.encode(progress).decode(), uid),
            )

"""Where the evidence of test calls is kept: a row each, and the newest recordings as WAV files, all bounded."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Final

import msgspec

from agent.storage.packed import pack, unpack
from agent.storage.store import Store
from agent.testcall.evidence import Answer, Evidence

KEEP_ROWS: Final = 500
"""Test calls: one a day for a year and more."""
KEEP_BYTES: Final = 32 * 1024 * 1024
"""Of recordings: half a minute takes half a megabyte (8 kHz, 16 bits) or a whole one (16 kHz)."""
FOLDER: Final = "test-calls"


class Shelf:
    """Evidence on disk; raises sqlite3.Error when the database cannot be written."""

    def __init__(self, store: Store, state: Path, keep: int) -> None:
        self._store = store
        self._folder = state / FOLDER
        self.keep = keep
        """Recordings that are kept."""

    def add(self, evidence: Evidence, recording: Path | None) -> Evidence:
        """File a test call and its recording; return it with its number. The oldest beyond the limits go."""
        row = msgspec.structs.replace(evidence, id=0, recording=False, answers=(), detail=pack(evidence.detail))
        with self._store.transaction() as db:
            number = db.execute(
                "INSERT INTO test_calls (at, evidence) VALUES (?, ?)",
                (row.at, msgspec.json.encode(row, enc_hook=str).decode()),
            ).lastrowid
            db.execute("DELETE FROM test_calls WHERE id <= ?", ((number or 0) - KEEP_ROWS,))
            db.execute("DELETE FROM test_answers WHERE test_id NOT IN (SELECT id FROM test_calls)")
        filed = msgspec.structs.replace(row, id=number or 0, detail=evidence.detail)
        kept = recording is not None and self._take(recording, self.file(filed))
        self._prune()
        return msgspec.structs.replace(filed, recording=kept)

    def _take(self, recording: Path, target: Path) -> bool:
        """Copy a recording to where it is kept; on disk before it is called kept."""
        fresh = target.with_suffix(".new")
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            shutil.copyfile(recording, fresh)
            with fresh.open("rb") as written:
                os.fsync(written.fileno())
            fresh.replace(target)
        except OSError:  # a full disk costs the recording, not the evidence
            with contextlib.suppress(OSError):
                fresh.unlink()
            return False
        with contextlib.suppress(OSError):  # it is the voice process's folder, which bounds itself
            recording.unlink()
        return True

    def _prune(self) -> None:
        """Remove the oldest recordings beyond the limits, and what a crash left behind."""
        with contextlib.suppress(OSError):
            for half in self._folder.glob("*.new"):
                half.unlink()
            left = KEEP_BYTES
            newest = sorted(self._folder.glob("*.wav"), key=_order, reverse=True)
            for place, file in enumerate(newest):
                left -= file.stat().st_size
                if place and (place >= self.keep or left < 0):
                    file.unlink()

    def file(self, evidence: Evidence) -> Path:
        """Return where the recording of a test call is, if it is kept."""
        return self._folder / f"{int(evidence.at)}-{evidence.id}.wav"  # numbers begin anew after a database was lost

    def newest(self, limit: int) -> tuple[Evidence, ...]:
        """Return the newest test calls, newest first; a row that cannot be read is left out."""
        rows = self._store.rows("SELECT id, evidence FROM test_calls ORDER BY id DESC LIMIT ?", limit)
        return tuple(found for row in rows if (found := self._read(row[0], row[1])) is not None)

    def find(self, number: int) -> Evidence | None:
        """Return one test call."""
        rows = self._store.rows("SELECT id, evidence FROM test_calls WHERE id = ?", number)
        return self._read(rows[0][0], rows[0][1]) if rows else None

    def _read(self, number: int, text: str) -> Evidence | None:
        try:
            row = msgspec.json.decode(text, type=Evidence)
        except msgspec.MsgspecError:
            return None
        answers = self._store.rows("SELECT same, at, who FROM test_answers WHERE test_id = ? ORDER BY id", number)
        said = tuple(Answer(bool(same), at, who) for same, at, who in answers)
        found = msgspec.structs.replace(row, id=number, answers=said, detail=unpack(row.detail))
        return msgspec.structs.replace(found, recording=self.file(found).exists())

    def answer(self, number: int, answer: Answer) -> None:
        """Record what a person said of a test call; on disk when it returns."""
        with self._store.transaction() as db:
            db.execute(
                "INSERT INTO test_answers (test_id, same, at, who) VALUES (?, ?, ?, ?)",
                (number, answer.same, answer.at, answer.who),
            )


def _order(file: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in file.stem.split("-") if part.isdecimal())

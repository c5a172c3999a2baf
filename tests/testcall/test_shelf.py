"""The evidence is on disk when it is filed, survives a restart, and never fills the disk."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from agent.storage.store import Store
from agent.testcall import shelf as subject
from agent.testcall.evidence import Answer, Evidence, Result
from agent.testcall.shelf import Shelf
from tests.testcall.test_schedule import HERE

WHEN = 1_795_500_000.0


def evidence(at: float = WHEN, result: Result = Result.SPEECH) -> Evidence:
    return Evidence(0, at, "local screen", result, HERE, detail="200 OK", answer_seconds=0.4, call_seconds=14.0)


def wav(folder: Path, size: int = 100) -> Path:
    file = folder / "fresh.wav"
    file.write_bytes(b"x" * size)
    return file


def test_s8_what_was_filed_is_there_after_a_restart_with_all_that_people_said(tmp_path: Path) -> None:
    store = Store(tmp_path / "agent.db")
    shelf = Shelf(store, tmp_path, keep=3)
    filed = shelf.add(evidence(), wav(tmp_path))
    shelf.answer(filed.id, Answer(same=False, at=WHEN + 60, who="local screen"))
    shelf.answer(filed.id, Answer(same=True, at=WHEN + 90, who="cli"))
    store.close()
    (found,) = Shelf(Store(tmp_path / "agent.db"), tmp_path, keep=3).newest(10)
    assert found.tested == HERE
    assert found.comparable
    assert [(one.same, one.who) for one in found.answers] == [(False, "local screen"), (True, "cli")]
    assert found.answer is not None
    assert found.answer.same
    assert not (tmp_path / "fresh.wav").exists(), "it was moved"


def test_the_oldest_recordings_go_and_what_was_found_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf(Store(None), tmp_path, keep=3)
    for number in range(5):
        shelf.add(evidence(WHEN + number), wav(tmp_path))
    assert [one.recording for one in shelf.newest(10)] == [True, True, True, False, False]
    monkeypatch.setattr(subject, "KEEP_BYTES", 250)
    shelf.add(evidence(WHEN + 9), wav(tmp_path))
    assert [one.recording for one in shelf.newest(10)] == [True, True, False, False, False, False]


def test_rows_are_bounded_and_their_answers_go_with_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "KEEP_ROWS", 2)
    store = Store(None)
    shelf = Shelf(store, tmp_path, keep=3)
    first = shelf.add(evidence(), None)
    shelf.answer(first.id, Answer(same=True, at=WHEN, who="cli"))
    for number in (1, 2):
        shelf.add(evidence(WHEN + number), None)
    assert len(shelf.newest(10)) == 2
    assert shelf.find(first.id) is None
    assert store.rows("SELECT * FROM test_answers") == []


def test_a_recording_of_an_earlier_database_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    Shelf(Store(None), tmp_path, keep=3).add(evidence(), wav(tmp_path))
    fresh = Shelf(Store(None), tmp_path, keep=3)
    filed = fresh.add(evidence(WHEN + 100), None)
    found = fresh.find(filed.id)
    assert found is not None
    assert not found.recording


def test_a_recording_that_cannot_be_kept_costs_not_the_evidence(tmp_path: Path) -> None:
    (tmp_path / subject.FOLDER).write_text("a file where the folder should be")
    shelf = Shelf(Store(None), tmp_path, keep=3)
    filed = shelf.add(evidence(), wav(tmp_path))
    assert not filed.recording
    assert shelf.newest(1) == (filed,)


def test_a_row_that_cannot_be_read_hides_no_other(tmp_path: Path) -> None:
    store = Store(None)
    shelf = Shelf(store, tmp_path, keep=3)
    good = shelf.add(evidence(), None)
    with store.transaction() as db:
        db.execute("INSERT INTO test_calls (at, evidence) VALUES (1, '{')")
    assert shelf.newest(10) == (good,)


def test_a_rest_of_a_crash_is_removed(tmp_path: Path) -> None:
    shelf = Shelf(Store(None), tmp_path, keep=3)
    shelf.add(evidence(), wav(tmp_path))
    half = tmp_path / subject.FOLDER / "7-7.new"
    half.write_bytes(b"half")
    shelf.add(evidence(WHEN + 1), wav(tmp_path))
    assert not half.exists()
    assert msgspec.json.encode(shelf.newest(1)[0], enc_hook=str)

"""An update changes the database in whole steps, keeps a copy from before, and loses nothing on the way (S5)."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.config.settings import PathSettings, Settings
from agent.model import CivicAddress
from agent.storage import database
from agent.storage.database import MIGRATIONS, MigrationFailed, StoreTooNew, backups, copy_into_memory, open_database
from agent.storage.opening import open_store
from agent.storage.store import Store

OFFICE = CivicAddress("123", "Main St", "San Francisco", "CA", "94105", "Suite 400")
USER = "user_1"
LATER = (
    "CREATE TABLE one (n INTEGER); INSERT INTO one SELECT count(*) FROM confirmations;",
    "CREATE TABLE two (n INTEGER); INSERT INTO two SELECT n + 1 FROM one;",
    "ALTER TABLE two ADD COLUMN word TEXT NOT NULL DEFAULT 'x';",
)
"""What versions to come may do."""
BASE = len(MIGRATIONS)
"""The version of today."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a database of today's version with one confirmed place."""
    store = Store(tmp_path / "agent.db")
    place = store.add_place((), 1.0)
    store.confirm(place, user_id=USER, address_id="e_1", civic=OFFICE, at=2.0, who="cli")
    store.close()
    return tmp_path / "agent.db"


@contextlib.contextmanager
def knowing(*later: str) -> Iterator[None]:
    """Be a program that knows these steps after today's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "MIGRATIONS", (*MIGRATIONS, *later))
        yield


def look(file: Path) -> tuple[int, set[str], int]:
    """Return version, tables of later versions, and confirmations, read without the program."""
    with contextlib.closing(sqlite3.connect(file)) as raw:
        version = raw.execute("PRAGMA user_version").fetchone()[0]
        tables = {row[0] for row in raw.execute("SELECT name FROM sqlite_master WHERE name IN ('one', 'two')")}
        return version, tables, raw.execute("SELECT count(*) FROM confirmations").fetchone()[0]


def test_s5_every_missing_step_is_taken_in_order_and_a_copy_from_before_is_kept(path: Path) -> None:
    with knowing(*LATER):
        opened = open_database(path)
        assert [tuple(row) for row in opened.execute("SELECT * FROM two")] == [(2, "x")]
        assert opened.execute("PRAGMA foreign_keys").fetchone()[0] == 1
        opened.close()
    assert look(path) == (BASE + 3, {"one", "two"}, 1)
    [copy] = backups(path)
    assert (copy.name, look(copy)) == (f"agent.db.before-v{BASE + 1}", (BASE, set(), 1))


def test_s5_the_copy_opens_with_the_older_version(path: Path) -> None:
    with knowing(*LATER):
        open_database(path).close()
    with knowing():
        with pytest.raises(StoreTooNew, match=f"the database has version {BASE + 3}, this program knows {BASE}"):
            open_database(path)
        backups(path)[0].replace(path)
        store = Store(path)
        assert [place.confirmation.civic for place in store.memory(USER).places if place.confirmation] == [OFFICE]
        store.close()


def test_a_new_file_and_one_that_is_up_to_date_need_no_copy(path: Path, tmp_path: Path) -> None:
    with knowing(*LATER):
        open_database(tmp_path / "new.db").close()
        open_database(path).close()
        before = [(copy.name, copy.stat().st_mtime_ns) for copy in backups(path)]
        open_database(path).close()
        assert [(copy.name, copy.stat().st_mtime_ns) for copy in backups(path)] == before
    assert backups(tmp_path / "new.db") == []
    assert look(tmp_path / "new.db")[0] == BASE + 3


def test_no_more_than_two_copies_are_kept(path: Path) -> None:
    for count in range(1, 4):
        with knowing(*LATER[:count]):
            open_database(path).close()
    assert [(copy.name, look(copy)[0]) for copy in backups(path)] == [
        (f"agent.db.before-v{BASE + 2}", BASE + 1),
        (f"agent.db.before-v{BASE + 3}", BASE + 2),
    ]


CHILD = """
import os, signal, sys
from pathlib import Path
from agent.storage import database
from tests.test_migrations import LATER, MIGRATIONS
path, moment = Path(sys.argv[1]), sys.argv[2]
steps = [*MIGRATIONS, *LATER]

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

if moment == "copying":
    database._flush = die
elif moment == "copied":
    database._take_step = die
elif moment.startswith("in-"):
    number = int(moment[3:])
    steps[len(MIGRATIONS) + number - 1] += "SELECT die();"
elif moment.startswith("after-"):
    number, real = len(MIGRATIONS) + int(moment[6:]), database._take_step

    def step(opened, this, sql):
        real(opened, this, sql)
        if this == number:
            die()

    database._take_step = step
connect = database._connect

def with_death(where):
    opened = connect(where)
    opened.create_function("die", 0, die)
    return opened

database._connect = with_death
database.MIGRATIONS = tuple(steps)
database.open_database(path)
"""


@pytest.mark.parametrize(
    ("moment", "left"),
    [
        ("copying", 0), ("copied", 0), ("in-1", 0), ("after-1", 1), ("in-2", 1), ("after-2", 2), ("in-3", 2),
        ("after-3", 3),
    ],
)  # fmt: skip
def test_s5_kill_9_during_an_update_leaves_a_whole_version_that_the_next_start_finishes(
    path: Path, moment: str, left: int
) -> None:
    ended = subprocess.run([sys.executable, "-c", CHILD, str(path), moment], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert look(path)[::2] == (BASE + left, 1), "a whole version, and nothing of what staff said is lost"
    with knowing(*LATER):
        opened = open_database(path)
        assert [tuple(row) for row in opened.execute("SELECT * FROM two")] == [(2, "x")]
        opened.close()
    if left < 3:
        assert look(backups(path)[-1])[0] == BASE + left
    assert not path.with_name("agent.db.before.tmp").exists()


def test_s5_a_step_that_fails_changes_nothing_and_is_no_damage(path: Path) -> None:
    with knowing(LATER[0], "CREATE TABLE two (n INTEGER); INSERT INTO nowhere VALUES (1);"):
        with pytest.raises(MigrationFailed, match=rf"version {BASE + 2} .* no such table: nowhere"):
            Store(path)
        assert look(path) == (BASE + 1, {"one"}, 1)
    assert list(path.parent.glob("*.damaged-*")) == []


def test_s5_a_step_that_orphans_a_row_is_refused(path: Path) -> None:
    with knowing("DELETE FROM places;"), pytest.raises(MigrationFailed, match="a row of confirmations points nowhere"):
        open_database(path)
    assert look(path) == (BASE, set(), 1)


def small_disk(tmp_path: Path, path: Path, spare: int) -> Path:
    """Return the database on a disk of its own that has `spare` bytes left."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], check=True)
    target = folder / path.name
    target.write_bytes(path.read_bytes())
    (folder / "ballast").write_bytes(b"x" * (2 * 1024 * 1024 - spare - target.stat().st_size))
    return target


@pytest.mark.netns
@pytest.mark.parametrize("spare", [0, 40 * 1024, 72 * 1024])
def test_s5_a_full_disk_stops_the_update_and_what_was_confirmed_still_counts(
    path: Path, tmp_path: Path, spare: int
) -> None:
    file = small_disk(tmp_path, path, spare)
    before = file.read_bytes()
    filler = "CREATE TABLE big (t); INSERT INTO big VALUES (zeroblob(65536));"
    try:
        with knowing(filler):
            with pytest.raises(sqlite3.OperationalError):
                Store(file)
            settings = Settings(paths=PathSettings(state=file.parent))
            store, problem = open_store(settings)
            assert not store.durable
            assert problem is not None
            assert "confirmations would not survive a restart" in problem
            [place] = store.memory(USER).places
            assert place.confirmation is not None
            assert place.confirmation.civic == OFFICE
            store.close()
            (file.parent / "ballast").unlink()
            Store(file).close()
        assert look(file) == (BASE + 1, set(), 1)
        assert not file.with_name("agent.db.before.tmp").exists()
        assert look(backups(file)[0]) == (BASE, set(), 1)
    finally:
        subprocess.run(["umount", str(file.parent)], check=True)
    assert before == path.read_bytes()


def test_s5_a_database_of_the_first_version_becomes_todays(tmp_path: Path) -> None:
    file = tmp_path / "agent.db"
    with contextlib.closing(sqlite3.connect(file)) as raw:
        raw.executescript(f"{MIGRATIONS[0]} PRAGMA user_version = 1;")
        raw.execute("INSERT INTO meta VALUES ('user', 'user_1')")
        raw.commit()
    store = Store(file)
    assert (store.user(), look(file)[0]) == (USER, BASE)
    store.close()
    assert [copy.name for copy in backups(file)] == ["agent.db.before-v2"]


def test_a_copy_in_memory_leaves_the_file_alone(path: Path) -> None:
    before = path.read_bytes()
    with knowing(*LATER):
        opened = copy_into_memory(path)
        assert opened.execute("SELECT n FROM two").fetchone()[0] == 2
        opened.close()
    assert path.read_bytes() == before
    with pytest.raises(sqlite3.OperationalError):
        copy_into_memory(path.with_name("nothing.db"))

"""What must survive a power cut, and who may see it (S5, platform.md 9.5)."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.model import CivicAddress, Observation, Strength
from agent.storage.database import SCHEMA_VERSION, StoreTooNew
from agent.storage.store import KEEP_DECISIONS, DecisionRow, Store

OFFICE = CivicAddress("123", "Main St", "San Francisco", "CA", "94105", "Suite 400")
HOME = CivicAddress("500", "Elm St", "San Francisco", "CA", "94105")
SEEN = (Observation("gateway_mac", "02:00:00:00:00:01", "eth0", Strength.STRONG),)
ONE, TWO = "user_1", "user_2"


def confirm(store: Store, place: int, address: str, civic: CivicAddress, *, user: str = ONE, at: float = 1.0) -> None:
    store.confirm(place, user_id=user, address_id=address, civic=civic, at=at, who="local screen")


def filled(path: Path) -> int:
    """Make a database with one confirmed place and return its id."""
    store = Store(path)
    place = store.add_place(SEEN, 1.0)
    confirm(store, place, "e_1", OFFICE)
    store.close()
    return place


# ------------------------------------------------------------------ S5

CHILD = """
import sys
from pathlib import Path
from agent.model import CivicAddress
from agent.storage.store import Store
store = Store(Path(sys.argv[1]))
place = store.add_place((), 1.0)
number = 0
while True:
    number += 1
    civic = CivicAddress(str(number), "Main St", "San Francisco", "CA", "94105")
    store.confirm(place, user_id="user_1", address_id=f"e_{number}", civic=civic, at=float(number), who="cli")
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


@pytest.mark.parametrize("count", [1, 7, 40])
def test_s5_every_acknowledged_confirmation_survives_kill_9(tmp_path: Path, count: int) -> None:
    path = tmp_path / "state" / "agent.db"
    with subprocess.Popen([sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for _ in range(count):
            child.stdout.readline()
        child.kill()
        acknowledged = [int(line) for line in child.stdout.read().split("\n")[:-1] if line]
    last = max([count, *acknowledged])
    store = Store(path)
    assert store.set_aside is None
    [place] = store.memory(ONE).places
    assert place.confirmation is not None
    newest = int(place.confirmation.civic.address_number)
    assert newest in {last, last + 1}  # the last one may be on disk and not said yet
    assert place.confirmation.address_id == f"e_{newest}"
    assert all(store.civic(ONE, f"e_{number}") is not None for number in range(1, newest + 1))
    store.close()


def test_s5_a_write_waits_for_the_disk(tmp_path: Path) -> None:
    store = Store(tmp_path / "agent.db")
    assert store._db.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL: a commit is an fsync
    assert store._db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    store.close()


def test_s5_a_confirmation_is_there_as_a_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path / "agent.db")
    place = store.add_place(SEEN, 1.0)
    store.set_anchor(place, "203.0.113.7", None)
    before = store.memory(ONE)

    def power_cut(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "_remember", power_cut)
    with pytest.raises(KeyboardInterrupt):
        confirm(store, place, "e_1", OFFICE)
    assert store.memory(ONE) == before
    monkeypatch.undo()
    confirm(store, place, "e_1", OFFICE)
    store.close()


def test_s5_a_confirmation_of_no_place_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "agent.db")
    with pytest.raises(sqlite3.IntegrityError):
        confirm(store, 99, "e_1", OFFICE)
    assert store.civic(ONE, "e_1") is None
    store.close()


def _overwrite(path: Path, old: bytes, new: bytes) -> None:
    raw = path.read_bytes()
    assert old in raw
    path.write_bytes(raw.replace(old, new))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "garbage": lambda path: path.write_bytes(b"\xde\xad\xbe\xef" * 4096),
    "header": lambda path: path.write_bytes(b"X" * 100 + path.read_bytes()[100:]),
    "cut": lambda path: path.write_bytes(path.read_bytes()[: 4096 * 3]),
    "pages": lambda path: path.write_bytes(path.read_bytes()[:4096] + b"\xff" * (path.stat().st_size - 4096)),
    "civic": lambda path: _overwrite(path, b'"San Francisco"', b'"San Francisco\x01'),
    "letters": lambda path: _overwrite(path, b'"San Francisco"', b'"San Franc\xffsco"'),
    "evidence": lambda path: _overwrite(path, b'"gateway_mac"', b'"gateway_mac}'),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_s5_a_damaged_file_is_set_aside_and_reported(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "agent.db"
    filled(path)
    DAMAGES[damage](path)
    broken = path.read_bytes()
    store = Store(path)
    assert store.set_aside is not None
    assert store.set_aside.read_bytes() == broken  # for whoever can mend it
    assert store.memory(ONE).places == ()
    [(_, _, detail)] = store.events("database_damaged")
    assert detail.startswith(f"set aside as {store.set_aside.name}: ")
    confirm(store, store.add_place(SEEN, 2.0), "e_2", HOME)
    store.close()
    again = Store(path)
    assert again.set_aside is None
    assert len(again.memory(ONE).places) == 1
    again.close()


def test_s5_a_second_damage_in_the_same_second_does_not_replace_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.storage.database.time.time", lambda: 1_780_000_000.0)
    path = tmp_path / "agent.db"
    for number in range(3):
        path.write_bytes(b"%d" % number * 4096)
        Store(path).close()
    assert sorted(found.read_bytes()[:1] for found in tmp_path.glob("agent.db.damaged-*[0-9]")) == [b"0", b"1", b"2"]


def test_s5_a_database_of_a_newer_version_is_left_untouched(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    filled(path)
    with sqlite3.connect(path) as raw:
        raw.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    raw.close()
    before = path.read_bytes()
    with pytest.raises(StoreTooNew) as caught:
        Store(path)
    assert str(caught.value) == f"the database has version {SCHEMA_VERSION + 1}, this program knows {SCHEMA_VERSION}"
    assert path.read_bytes() == before
    assert list(tmp_path.glob("*.damaged-*")) == []


def test_s5_a_disk_that_cannot_be_opened_is_no_damage(tmp_path: Path) -> None:
    (tmp_path / "agent.db").mkdir()
    with pytest.raises(sqlite3.OperationalError):
        Store(tmp_path / "agent.db")
    assert (tmp_path / "agent.db").is_dir()


def test_the_folder_is_for_its_owner_alone(tmp_path: Path) -> None:
    Store(tmp_path / "state" / "agent.db").close()
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0


# ------------------------------------------------------------------ places and confirmations


def test_the_newest_confirmation_of_each_place_counts(tmp_path: Path) -> None:
    store = Store(tmp_path / "agent.db")
    first, second = store.add_place(SEEN, 1.0), store.add_place((), 2.0)
    confirm(store, first, "e_1", OFFICE, at=5.0)
    confirm(store, second, "e_1", OFFICE, at=6.0)
    confirm(store, first, "e_2", HOME, at=4.0)  # the clock stepped back: order counts, not dates
    memory = store.memory(ONE)
    said = {place.id: place.confirmation for place in memory.places}
    assert [(item.civic, item.address_id) for item in said.values() if item] == [(HOME, "e_2"), (OFFICE, "e_1")]
    assert (memory.last_confirmed, memory.current_place_id) == (HOME, second)
    store.see_place(first, SEEN, 9.0)
    place = store.memory(ONE).place(first)
    assert place is not None
    assert (store.memory(ONE).current_place_id, place.last_seen, place.observations) == (first, 9.0, SEEN)
    store.close()


def test_a_confirmation_voids_the_anchor_of_the_address_before(tmp_path: Path) -> None:
    store = Store(tmp_path / "agent.db")
    place = store.add_place(SEEN, 1.0)
    store.set_anchor(place, "203.0.113.7", "203.0.113.7")
    confirm(store, place, "e_1", OFFICE)
    assert [item.anchor for item in store.memory(ONE).places] == [None]
    store.close()


def test_ids_never_cross_users(tmp_path: Path) -> None:
    store = Store(tmp_path / "agent.db")
    place = store.add_place(SEEN, 1.0)
    confirm(store, place, "e_1", OFFICE)
    store.remember_address(ONE, "e_conf", HOME, configured=True)
    store.select(ONE, "e_1", 1.0)
    other = store.memory(TWO)
    assert [item.confirmation for item in other.places] == [None]
    assert (other.configured_id, other.last_confirmed, store.selected(TWO), store.civic(TWO, "e_1")) == (None,) * 4
    store.address_gone(TWO, "e_1")
    assert store.lost_addresses(TWO) == ()
    mine = store.memory(ONE).places[0].confirmation
    assert mine is not None
    assert mine.address_id == "e_1"
    confirm(store, place, "e_9", HOME, user=TWO)
    theirs, still = store.memory(TWO).places[0].confirmation, store.memory(ONE).places[0].confirmation
    assert theirs is not None
    assert still is not None
    assert (theirs.address_id, still.address_id) == ("e_9", "e_1")
    store.close()


# ------------------------------------------------------------------ addresses that the platform lost


def test_s6_an_address_that_is_gone_keeps_its_text_only(tmp_path: Path) -> None:
    store = Store(tmp_path / "agent.db")
    place = store.add_place(SEEN, 1.0)
    confirm(store, place, "e_1", OFFICE)
    store.remember_address(ONE, "e_conf", HOME, configured=True)
    for number in ("e_1", "e_conf"):
        store.select(ONE, number, 1.0)
        store.address_gone(ONE, number)
        assert store.selected(ONE) is None
    memory = store.memory(ONE)
    said = memory.places[0].confirmation
    assert said is not None
    assert (said.civic, said.address_id) == (OFFICE, None)
    assert (memory.configured_id, memory.configured_gone) == (None, True)
    assert set(store.lost_addresses(ONE)) == {OFFICE, HOME}
    store.close()
    store = Store(tmp_path / "agent.db")  # and a restart changes nothing
    assert store.memory(ONE) == memory
    store.close()


def test_an_address_that_was_gone_and_is_registered_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "agent.db")
    place = store.add_place(SEEN, 1.0)
    confirm(store, place, "e_1", OFFICE)
    store.remember_address(ONE, "e_conf", HOME, configured=True)
    store.address_gone(ONE, "e_1")
    store.address_gone(ONE, "e_conf")
    confirm(store, place, "e_2", OFFICE)
    store.remember_address(ONE, "e_conf2", HOME, configured=True)
    memory = store.memory(ONE)
    said = memory.places[0].confirmation
    assert said is not None
    assert (said.address_id, memory.configured_id, memory.configured_gone) == ("e_2", "e_conf2", False)
    store.forget_configured(ONE)
    assert (store.memory(ONE).configured_id, store.memory(ONE).configured_gone) == (None, False)
    store.close()


# ------------------------------------------------------------------ records


def test_decisions_are_kept_newest_first_and_not_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert KEEP_DECISIONS == 5000
    monkeypatch.setattr("agent.storage.store.KEEP_DECISIONS", 3)
    store = Store(tmp_path / "agent.db")
    rows = [DecisionRow(float(n), n, "same", None, ("place_same",), ("a", "b"), "nothing", "start") for n in range(6)]
    for row in rows:
        store.add_decision(row)
        store.add_event(row.at, "gap:suspend", row.at, "d")
    assert store.decisions(10) == tuple(reversed(rows[3:]))
    assert store.decisions(1) == (rows[5],)
    assert store.events("gap:suspend") == ((5.0, 5.0, "d"), (4.0, 4.0, "d"), (3.0, 3.0, "d"))
    assert store.events("exposure") == ()
    store.close()


def test_the_user_is_remembered(tmp_path: Path) -> None:
    store = Store(tmp_path / "agent.db")
    assert store.user() is None
    store.set_user(ONE)
    store.set_user(TWO)
    store.close()
    store = Store(tmp_path / "agent.db")
    assert store.user() == TWO
    store.close()

"""Images: a copied card is another device, a replaced part is not, and what staff confirmed elsewhere never counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.app import App
from agent.identity import BOUND, NAME, Marks, claim, read, same
from agent.model import CivicAddress
from agent.storage.store import Store
from agent.voice import state

OFFICE = CivicAddress("123", "Main St", "San Francisco", "CA", "94105", "Suite 400")
A, B = "a" * 32, "b" * 32
ONE = Marks(A, frozenset({"mac 02:00:00:00:00:01", "serial 1"}))
TWO = Marks(A, frozenset({"mac 02:00:00:00:00:02", "serial 2"}))


def machine(root: Path, machine_id: str, serial: str = "", **cards: tuple[str, str]) -> Marks:
    """Make a file system as the kernel shows it; cards: name -> (address, addr_assign_type)."""
    (root / "etc").mkdir(parents=True)
    (root / "etc/machine-id").write_text(machine_id + "\n")
    for name, (address, assigned) in cards.items():
        folder = root / "sys/class/net" / name
        folder.mkdir(parents=True)
        (folder / "address").write_text(address + "\n")
        (folder / "addr_assign_type").write_text(assigned + "\n")
        if not name.startswith(("lo", "veth")):
            (folder / "device").mkdir()
    if serial:
        (root / "proc/device-tree").mkdir(parents=True)
        (root / "proc/device-tree/serial-number").write_bytes(serial.encode() + b"\0")
    return read(root)


# ------------------------------------------------------------------ what tells devices apart


def test_only_what_came_with_the_hardware_is_a_mark(tmp_path: Path) -> None:
    found = machine(
        tmp_path, A, "1000000012345678",
        eth0=("dc:a6:32:00:00:01", "0"), wlan0=("3a:00:00:00:00:09", "3"), veth1=("02:11:11:11:11:11", "0"),
        lo=("00:00:00:00:00:00", "0"),
    )  # fmt: skip
    assert found == Marks(A, frozenset({"mac dc:a6:32:00:00:01", "serial 1000000012345678"}))


def test_a_machine_that_shows_nothing_has_no_marks(tmp_path: Path) -> None:
    assert read(tmp_path) == Marks("", frozenset())


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (ONE, ONE, True),
        (ONE, Marks(B, ONE.hardware), True),  # a read-only system with a new machine id at every boot
        (ONE, TWO, False),  # a copied card: the machine id came along
        (ONE, Marks(A, frozenset({"mac 02:00:00:00:00:09", "serial 1"})), True),  # a replaced network card
        (Marks(A, frozenset()), Marks(B, frozenset()), False),  # a cloned virtual machine
        (Marks(A, frozenset()), Marks(A, frozenset()), True),
        (ONE, Marks(A, frozenset()), True),  # the hardware cannot be seen today
        (ONE, Marks("", frozenset()), True),  # nothing can be seen: no reason to forget what was confirmed
    ],
)
def test_hardware_decides_and_the_machine_id_only_where_there_is_none(
    before: Marks, now: Marks, *, expected: bool
) -> None:
    assert same(before, now) is expected


def test_the_first_start_claims_the_folder_and_the_next_ones_write_nothing(tmp_path: Path) -> None:
    assert claim(tmp_path / "state", ONE) is None
    kept = (tmp_path / "state" / NAME).stat()
    assert kept.st_mode & 0o777 == 0o600
    assert claim(tmp_path / "state", ONE) is None
    assert (tmp_path / "state" / NAME).stat().st_mtime_ns == kept.st_mtime_ns


def test_parts_that_come_and_go_stay_known(tmp_path: Path) -> None:
    both = Marks(A, frozenset({"mac e", "mac w"}))
    for now in (both, Marks(A, frozenset({"mac w"})), Marks(B, frozenset({"mac e"}))):
        assert claim(tmp_path, now) is None


def test_state_from_before_there_were_marks_is_this_device_s(tmp_path: Path) -> None:
    (tmp_path / "agent.db").write_bytes(b"x")
    assert claim(tmp_path, ONE) is None
    assert (tmp_path / "agent.db").exists()


def test_what_is_bound_to_the_other_device_is_set_aside_and_settings_stay(tmp_path: Path) -> None:
    claim(tmp_path, ONE)
    for name in ("agent.db", "agent.db-wal", "page-key.pem", "page-cert.pem", "settings.toml", "pins.json"):
        (tmp_path / name).write_text(name)
    moved = claim(tmp_path, TWO)
    assert moved is not None
    assert {item.name for item in moved.iterdir()} == {"agent.db", "agent.db-wal", "page-key.pem", "page-cert.pem"}
    assert {"settings.toml", "pins.json"} <= {item.name for item in tmp_path.iterdir()}
    assert claim(tmp_path, TWO) is None


def test_a_power_cut_in_the_middle_leaves_nothing_of_the_other_device_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim(tmp_path, ONE)
    for name in ("agent.db", "agent.db-wal"):
        (tmp_path / name).write_text(name)
    rename = Path.rename
    done: list[Path] = []

    def cut(self: Path, target: Path) -> Path:
        if done:
            raise OSError("power")
        done.append(self)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", cut)
    with pytest.raises(OSError, match="power"):
        claim(tmp_path, TWO)
    monkeypatch.undo()
    assert claim(tmp_path, TWO) is not None
    assert not list(tmp_path.glob("agent.db*"))


def test_every_file_that_is_bound_to_a_device_is_named() -> None:
    from agent.page.access import certificate
    from agent.testcall.shelf import FOLDER

    text = Path(certificate.__file__).read_text()
    assert all(name in text for name in ("page-cert.pem", "page-key.pem", "page-cert.json"))
    assert BOUND == ("agent.db*", "page-cert.*", "page-key.pem", FOLDER)


# ------------------------------------------------------------------ what follows


def configured(folder: Path) -> Path:
    path = folder / "agent.toml"
    path.write_text(
        f'[sip]\nregistrar = "192.0.2.1"\nusername = "k"\n[device]\nmobility = "movable"\n'
        f'[page]\nport = 0\nsocket = "{folder}/a.sock"\n[paths]\nstate = "{folder}/state"\n'
    )
    return path


def test_s3_what_was_confirmed_on_another_device_does_not_count_on_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.identity.read", lambda: ONE)
    first = App(configured(tmp_path))
    place = first.store.add_place((), 0.0)
    first.store.confirm(place, user_id="u", address_id="e", civic=OFFICE, at=0.0, who="cli")
    first.store.set_user("u")
    first.store.close()
    again = App(configured(tmp_path))
    assert again.store.user() == "u"
    assert again.store.memory("u").last_confirmed == OFFICE
    again.store.close()
    monkeypatch.setattr("agent.identity.read", lambda: TWO)
    clone = App(configured(tmp_path))
    assert clone.store.user() is None
    assert clone.store.memory("u").places == ()
    [notice] = [text for text in clone.desk.overview().notices if "another device" in text]
    assert "confirm where this phone is" in notice
    [moved] = (tmp_path / "state").glob("other-device-*")
    kept = Store(moved / "agent.db")
    assert kept.memory("u").last_confirmed == OFFICE
    kept.close()
    clone.store.close()


def test_state_that_cannot_be_claimed_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_folder: Path, _now: Marks) -> Path | None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("agent.identity.claim", refuse)
    app = App(configured(tmp_path))
    assert not app.store.durable
    assert "the database cannot be opened" in str(app.engine.records.problem)


def test_the_sip_instance_is_the_device_s_own(tmp_path: Path) -> None:
    path = tmp_path / "voice.state"
    first = state.load(path, ONE)
    state.save(path, first)
    assert state.load(path, Marks(B, ONE.hardware)).instance == first.instance
    clone = state.load(path, TWO)
    assert clone.instance.startswith("urn:uuid:")
    assert clone.instance != first.instance


def test_a_state_of_a_newer_version_keeps_its_instance(tmp_path: Path) -> None:
    path = tmp_path / "voice.state"
    first = state.load(path, ONE)
    state.save(path, first)
    path.write_text(json.dumps({**json.loads(path.read_text()), "of_tomorrow": 1}))
    assert state.load(path, ONE).instance == first.instance

"""Settings made on the page: over the packaged file, durable, undoable, no danger to a call (S1, S5, S10)."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from agent.config import overlay as overlay_file
from agent.config import vault
from agent.config.help import agent_toml, sections
from agent.config.load import load_layers, load_lenient, load_sip
from agent.config.overlay import MAX_HISTORY, Overlay, OverlayDamaged

PACKAGED_TOML = Path(__file__).parent.parent / "config" / "agent.toml"
PACKAGED = """
[sip]
registrar = "sip.example.com"
username = "demo"
expires = 300
[paths]
state = "{state}"
[device]
name = "packaged"
mobility = "movable"
"""


@pytest.fixture
def packaged(tmp_path: Path) -> Path:
    path = tmp_path / "agent.toml"
    path.write_text(PACKAGED.format(state=tmp_path / "state"))
    return path


def put(packaged: Path, **values: object) -> Overlay:
    """Set keys (`sip__port=1`) as the page would, over what is there."""
    folder = packaged.parent / "state"
    changes = {key.replace("__", "."): value for key, value in values.items()}
    made = overlay_file.read(folder)[0].with_values(changes, "local screen", 1000.0)
    overlay_file.write(folder, made)
    return made


def test_what_is_set_here_stands_over_the_packaged_file_and_survives_its_changes(packaged: Path) -> None:
    put(packaged, device__name="lobby", sip__port=5070)
    found, problems = load_lenient(packaged)
    assert (found.device.name, found.sip.port, found.sip.expires, problems) == ("lobby", 5070, 300, [])
    packaged.write_text(packaged.read_text().replace("300", "200").replace("packaged", "upgraded"))
    found, problems = load_lenient(packaged)
    assert (found.device.name, found.sip.port, found.sip.expires, problems) == ("lobby", 5070, 200, [])
    assert load_sip(packaged)[0] == found.sip


def test_a_reset_gives_the_key_back_to_the_packaged_file(packaged: Path) -> None:
    put(packaged, device__name="lobby")
    made = put(packaged, device__name=None)
    assert load_lenient(packaged)[0].device.name == "packaged"
    assert made.changed["device.name"].who == "local screen"


def test_undo_takes_back_version_after_version(packaged: Path) -> None:
    folder = packaged.parent / "state"
    put(packaged, device__name="one", sip__port=1)
    put(packaged, device__name="two")
    put(packaged, device__name=None)
    names = []
    while (made := overlay_file.read(folder)[0]).history:
        overlay_file.write(folder, made.undone(made.history[-1], "cli", 2000.0))
        names.append((load_lenient(packaged)[0].device.name, load_lenient(packaged)[0].sip.port))
    assert names == [("two", 1), ("one", 1), ("packaged", 5060)]


def test_a_change_that_changes_nothing_is_no_version() -> None:
    once = Overlay().with_values({"sip.port": 1}, "cli", 1.0)
    assert once.with_values({"sip.port": 1}, "cli", 2.0) == once


def test_the_history_is_bounded() -> None:
    made = Overlay()
    for port in range(1, 100):
        made = made.with_values({"sip.port": port}, "cli", float(port))
    assert len(made.history) == MAX_HISTORY
    assert made.history[-1].after == {"sip.port": 99}


def test_a_wrong_value_here_is_said_and_the_packaged_one_used(packaged: Path) -> None:
    put(packaged, sip__expires=7, sip__port=5070)
    found, problems = load_lenient(packaged)
    assert (found.sip.expires, found.sip.port) == (300, 5070)
    state = packaged.parent / "state" / "settings.toml"
    assert problems == [f"{state}: sip.expires: must be a whole number from 60 to 3600; is 7"]
    assert load_sip(packaged)[1] == problems


def test_a_good_value_here_mends_a_wrong_one_in_the_packaged_file(packaged: Path) -> None:
    packaged.write_text(packaged.read_text().replace("300", "7"))
    assert load_lenient(packaged)[1]
    put(packaged, sip__expires=120)
    assert load_lenient(packaged)[1] == []


def test_an_address_set_here_replaces_the_packaged_one_as_a_whole(packaged: Path) -> None:
    civic = {"address_number": "5", "street": "Elm St", "city": "Reno", "state": "NV", "postal_code": "89501"}
    packaged.write_text(packaged.read_text() + '[address]\nunit = "Suite 400"\n')
    put(packaged, address=civic)
    found, problems = load_lenient(packaged)
    assert found.address is not None
    assert (found.address.one_line(), problems) == ("5 Elm St, Reno, NV 89501", [])


def test_without_a_packaged_file_what_is_set_here_is_enough(packaged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(packaged, sip__registrar="sip.example.com", sip__username="demo", device__mobility="movable")
    monkeypatch.setattr("agent.config.load.state_folder", lambda _document: packaged.parent / "state")
    packaged.unlink()
    found, problems = load_lenient(packaged)
    assert (found.sip.registrar, problems) == ("sip.example.com", [])


# ------------------------------------------------------------------ S5: damage


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda raw: raw[:0],
    "zeros": lambda raw: b"\0" * len(raw),
    "cut off": lambda raw: raw[: raw.index(b"[end]")],
    "cut off in a line": lambda raw: raw[: len(raw) // 2],
    "no utf-8": lambda raw: b"\xff" + raw,
    "another format": lambda raw: raw.replace(b"format = 1", b"format = 99"),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_s5_a_damaged_file_is_set_aside_and_reported_and_its_copy_goes_on(packaged: Path, how: str) -> None:
    folder = packaged.parent / "state"
    put(packaged, sip__port=5070)
    damaged = DAMAGE[how]((folder / "settings.toml").read_bytes())
    (folder / "settings.toml").write_bytes(damaged)
    found, problems = load_sip(packaged)
    assert found.port == 5070
    assert problems[0].endswith("its copy is used")
    said = overlay_file.recover(folder)
    aside = list(folder.glob("settings.toml.damaged-*"))
    assert [path.read_bytes() for path in aside] == [damaged]
    assert said == (
        f"The settings made on the page were damaged and have been set aside ({aside[0].name}). "
        "The copy of them is used."
    )
    assert load_lenient(packaged)[1] == []
    assert overlay_file.recover(folder) is None


def test_s5_with_both_files_damaged_the_packaged_file_is_used_and_that_is_said(packaged: Path) -> None:
    folder = packaged.parent / "state"
    put(packaged, sip__port=5070)
    for name in ("settings.toml", "settings.toml.copy"):
        (folder / name).write_bytes(b"[sip")
    found, problems = load_sip(packaged)
    assert found.port == 5060
    assert "what was set on the page does not hold" in problems[0]
    assert "check every setting" in str(overlay_file.recover(folder))
    assert len(list(folder.glob("settings.toml.damaged-*"))) == 1


def test_s5_a_lost_file_is_replaced_by_its_copy(packaged: Path) -> None:
    put(packaged, sip__port=5070)
    (packaged.parent / "state" / "settings.toml").unlink()
    assert load_sip(packaged)[0].port == 5070


@settings(max_examples=200, deadline=None)
@given(raw=st.one_of(st.binary(max_size=200), st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace"))))
def test_s1_no_bytes_at_all_in_the_file_stop_the_phone_line(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    base = tmp_path_factory.getbasetemp() / "any-overlay"
    (base / "state").mkdir(parents=True, exist_ok=True)
    path = base / "agent.toml"
    path.write_text(PACKAGED.format(state=base / "state"))
    (base / "state" / "settings.toml").write_bytes(raw)
    assert load_sip(path)[0].username == "demo"


def test_what_waits_is_in_force_only_after_it_was_let_in(packaged: Path) -> None:
    folder = packaged.parent / "state"
    put(packaged, sip__port=5070)
    waiting = overlay_file.read(folder)[0].with_values({"sip.port": 5080}, "local screen", 3.0)
    overlay_file.write(folder, waiting, waiting=True)
    vault.write_secret(folder, "sip-password", "next", waiting=True)
    assert load_sip(packaged)[0].port == 5070
    assert load_sip(packaged)[0].password_file is None
    assert overlay_file.promote(folder)
    assert load_sip(packaged)[0].port == 5080
    assert (folder / "secrets" / "sip-password").read_text() == "next"
    assert not overlay_file.promote(folder)


# ------------------------------------------------------------------ secrets


def test_a_secret_entered_here_is_used_when_no_other_file_is_named(packaged: Path) -> None:
    folder = packaged.parent / "state"
    assert load_sip(packaged)[0].password_file is None
    vault.write_secret(folder, "sip-password", " hunter2 \n")
    layers = load_layers(packaged)
    assert layers.kept == {"sip.password_file"}
    file = layers.settings.sip.password_file
    assert file is not None
    assert file.read_text() == "hunter2"
    packaged.write_text(packaged.read_text().replace("[sip]", '[sip]\npassword_file = "/etc/other"'))
    assert load_sip(packaged)[0].password_file == Path("/etc/other")
    vault.forget_secret(folder, "sip-password")
    assert load_layers(packaged).kept == frozenset()


def test_s10_files_are_closed_to_others_whatever_the_umask_says(packaged: Path) -> None:
    folder = packaged.parent / "state"
    put(packaged, sip__port=5070)
    vault.write_secret(folder, "token", "hunter2")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder / "secrets", *folder.rglob("*.toml"))}
    assert modes == {"secrets": 0o750, "settings.toml": 0o640}
    assert stat.S_IMODE((folder / "secrets" / "token").stat().st_mode) == 0o640


def test_settings_that_may_not_be_read_are_said(packaged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(overlay_file, "read_file", closed)
    state = packaged.parent / "state" / "settings.toml"
    assert load_sip(packaged)[1] == [
        f"{state}: not readable: Permission denied; what was set on the page does not hold"
    ]


def test_a_symbolic_link_is_not_followed(packaged: Path, tmp_path: Path) -> None:
    folder = packaged.parent / "state"
    folder.mkdir()
    (tmp_path / "victim").write_text("as it was")
    (folder / ".settings.toml.new").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="Too many levels"):
        overlay_file.write(folder, Overlay())
    assert (tmp_path / "victim").read_text() == "as it was"


def test_a_file_of_a_newer_version_is_said(packaged: Path) -> None:
    put(packaged, sip__port=5070)
    path = packaged.parent / "state" / "settings.toml"
    path.write_text(path.read_text().replace("format = 1", "format = 2"))
    with pytest.raises(OverlayDamaged, match="this program knows 1"):
        overlay_file.read_file(path)


# ------------------------------------------------------------------ help


def test_the_packaged_file_says_what_the_page_says() -> None:
    assert PACKAGED_TOML.read_text() == agent_toml(), "run: python -m agent.config.help > config/agent.toml"


def test_every_key_is_explained() -> None:
    silent = [f"{name}.{key}" for name, told in sections().items() for key, text in told.keys.items() if len(text) < 8]
    assert silent == []
    assert all(told.title for told in sections().values())

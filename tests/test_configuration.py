"""A person changes settings: refused with words, kept before it is said, applied, or waiting for a call to end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.config import overlay as config_overlay
from agent.config.current import Configuration, SettingsRefused
from agent.config.load import Layers
from agent.errors import NeedsHuman
from tests.packaged import PACKAGED


class Desk:
    """A configuration with somebody who applies it."""

    def __init__(self, folder: Path, text: str = PACKAGED) -> None:
        path = folder / "agent.toml"
        path.write_text(text.format(state=folder / "state"))
        self.configuration = Configuration(path, SystemClock())
        self.applied: list[tuple[Layers, Layers]] = []
        self.emergency = False
        self.configuration.apply = self._apply
        self.configuration.held = lambda: self.emergency

    async def _apply(self, old: Layers, new: Layers) -> None:
        self.applied.append((old, new))

    def change(self, secrets: Mapping[str, str | None] | None = None, **values: object) -> bool:
        named = {key.replace("__", "."): value for key, value in values.items()}
        return asyncio.run(self.configuration.change(named, secrets, who="local screen"))

    def refused(self, secrets: Mapping[str, str | None] | None = None, **values: object) -> dict[str, str]:
        with pytest.raises(SettingsRefused) as caught:
            self.change(secrets, **values)
        assert not (self.configuration.folder / "settings.toml").exists()
        assert self.applied == []
        return caught.value.fields

    @property
    def name(self) -> str:
        return self.configuration.layers.settings.device.name


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def run(work: Callable[[], Coroutine[object, object, object]]) -> object:
    return asyncio.run(work())


def test_a_change_is_on_disk_and_applied_once(desk: Desk) -> None:
    assert desk.change(device__name="lobby", sip__port=5070)
    ((old, new),) = desk.applied
    assert (old.settings.device.name, new.settings.device.name, new.settings.sip.port) == ("this phone", "lobby", 5070)
    again = Configuration(desk.configuration.path, SystemClock())
    assert again.layers.settings == new.settings
    assert again.layers.overlay.changed["device.name"].who == "local screen"


def test_what_is_wrong_is_said_beside_its_field_and_nothing_is_changed(desk: Desk) -> None:
    assert desk.refused(sip__port=0, sip__registrar="a b", device__name="fine") == {
        "sip.port": "must be a whole number from 1 to 65535",
        "sip.registrar": "must be a host name or an IP address, without scheme or port",
    }


def test_fields_that_do_not_fit_together_are_refused(desk: Desk) -> None:
    assert desk.refused(token__source="command") == {
        "token.command": "must name the program that prints a token",
    }
    assert desk.refused(sip__registrar="") == {
        "sip.registrar": "must name the registrar; without it no call can be placed, 911 neither",
    }


def test_a_phone_that_is_not_set_up_is_set_up_step_by_step(tmp_path: Path) -> None:
    desk = Desk(tmp_path, '[paths]\nstate = "{state}"\n')
    desk.change(sip__registrar="sip.example.com")
    desk.change(sip__username="demo")
    desk.change(device__mobility="movable")
    assert desk.configuration.layers.problems == ()


@pytest.mark.parametrize("key", ["paths.state", "sip.socket", "page.socket", "sip.nothing", "nothing.at_all"])
def test_where_the_processes_find_each_other_is_not_for_the_page(desk: Desk, key: str) -> None:
    assert desk.refused(None, **{key: "/tmp/x"}) == {key: "can only be set in the packaged file"}


def test_s4_during_an_emergency_a_change_is_kept_but_waits(desk: Desk) -> None:
    desk.change({"token.file": "old"}, device__name="before")
    desk.applied.clear()
    desk.emergency = True
    assert not desk.change({"sip.password_file": "waits"}, device__name="after")
    assert not desk.change({"token.file": None}, sip__port=5070)
    assert desk.configuration.layers.kept == {"token.file"}
    assert (desk.name, desk.applied, desk.configuration.waiting) == ("before", [], True)
    assert not asyncio.run(desk.configuration.release())
    found = Configuration(desk.configuration.path, SystemClock())  # a program that starts during the call
    assert (found.layers.settings.device.name, found.layers.settings.sip.password_file) == ("before", None)
    assert desk.configuration.shown().settings.device.name == "after"
    desk.emergency = False
    assert asyncio.run(desk.configuration.release())
    ((_, new),) = desk.applied
    assert (new.settings.device.name, new.settings.sip.port) == ("after", 5070)
    assert new.settings.sip.password_file is not None
    assert new.settings.sip.password_file.read_text() == "waits"
    assert new.kept == {"sip.password_file"}
    assert not desk.configuration.waiting


def test_undo_takes_the_last_change_back_and_applies_that(desk: Desk) -> None:
    desk.change(device__name="one", sip__port=5070)
    desk.change(device__name="two")
    assert run(lambda: desk.configuration.undo(who="cli")) == ("device.name",)
    assert desk.name == "one"
    assert run(lambda: desk.configuration.undo(who="cli")) == ("device.name", "sip.port")
    assert run(lambda: desk.configuration.undo(who="cli")) == ()
    assert (desk.name, len(desk.applied)) == ("this phone", 4)


def test_an_undo_that_would_leave_the_phone_without_its_line_is_refused(tmp_path: Path) -> None:
    desk = Desk(tmp_path, PACKAGED.replace('registrar = "sip.example.com"\n', ""))
    desk.change(sip__registrar="sip.example.com")
    with pytest.raises(SettingsRefused) as caught:
        run(lambda: desk.configuration.undo(who="cli"))
    assert list(caught.value.fields) == ["sip.registrar"]
    assert desk.configuration.layers.settings.sip.registrar == "sip.example.com"


def test_a_secret_entered_here_is_used_instead_of_a_packaged_file_and_reset_goes_back(tmp_path: Path) -> None:
    text = PACKAGED.replace("[paths]", 'password_file = "/etc/other"\n[paths]')
    desk = Desk(tmp_path, text)
    desk.change({"sip.password_file": "hunter2"})
    layers = desk.configuration.layers
    assert layers.kept == {"sip.password_file"}
    run(lambda: desk.configuration.reset(["sip.password_file"], who="cli"))
    assert desk.configuration.layers.settings.sip.password_file == Path("/etc/other")
    (kept,) = (desk.configuration.folder / "secrets").iterdir()
    assert ".before-" in kept.name, "for the undo alone"


def test_s10_a_secret_is_in_its_own_file_only(desk: Desk) -> None:
    desk.change({"sip.password_file": "hunter2hunter2"}, sip__username="other")
    files = [path for path in desk.configuration.folder.rglob("*") if path.is_file()]
    holding = [path.name for path in files if "hunter2" in path.read_text()]
    assert holding == ["sip-password"]
    with pytest.raises(SettingsRefused) as caught:
        desk.change({"sip.password_file": "two\nlines"})
    assert caught.value.fields == {"sip.password_file": "must be one line of text"}


def test_s5_a_disk_that_is_full_is_said_and_nothing_is_applied(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "settings.toml")

    monkeypatch.setattr(config_overlay, "write", full)
    with pytest.raises(NeedsHuman) as caught:
        desk.change(device__name="lobby")
    assert caught.value.happened == "The settings could not be saved: No space left on device (settings.toml)."
    assert (desk.name, desk.applied) == ("this phone", [])


def test_s5_a_damaged_file_is_reported_at_the_start(desk: Desk) -> None:
    desk.change(device__name="lobby")
    (desk.configuration.folder / "settings.toml").write_text("[sip")
    again = Configuration(desk.configuration.path, SystemClock())
    assert again.damage is not None
    assert "set aside" in again.damage
    assert again.layers.settings.device.name == "lobby"

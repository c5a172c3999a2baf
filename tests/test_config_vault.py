"""Secrets that were replaced: taken back for an hour, then gone; a power cut finds all of a change or none (S5)."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.clock import SANE_WALL
from agent.config import files, vault
from agent.config.current import KEEP_BEFORE, Configuration
from agent.config.load import load_sip
from agent.config.schema import SECRET_FILES
from agent.doctor.bundle import secrets_of
from tests.clocks import Clocks
from tests.packaged import PACKAGED

KEY = "sip.password_file"


class Desk:
    """A configuration on a disk, and a technician."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "agent.toml"
        self.path.write_text(PACKAGED.format(state=folder / "state"))
        self.clock = Clocks()
        self.emergency = False
        self.start()

    def start(self) -> None:
        """Start the agent, again."""
        self.configuration = Configuration(self.path, self.clock)
        self.configuration.held = lambda: self.emergency

    def enter(self, secret: str | None, **values: object) -> bool:
        named = {key.replace("__", "."): value for key, value in values.items()}
        return asyncio.run(self.configuration.change(named, {KEY: secret}, who="technician at 10.0.0.9"))

    def undo(self) -> tuple[str, ...]:
        return asyncio.run(self.configuration.undo(who="technician at 10.0.0.9"))

    def tidy(self) -> None:
        asyncio.run(self.configuration.tidy())

    @property
    def secret(self) -> str | None:
        """The one in force."""
        file = load_sip(self.path)[0].password_file
        return file.read_text() if file is not None else None

    @property
    def kept(self) -> list[str]:
        """Secrets that were replaced and are still there."""
        return [path.read_text() for path in sorted((self.configuration.folder / "secrets").glob("*.before-*"))]

    @property
    def history(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(one.who, one.names) for one in self.configuration.edited().history]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_s10_that_a_secret_was_changed_is_recorded_and_nothing_of_the_secret(desk: Desk) -> None:
    desk.enter("first-secret")
    desk.enter("second-secret", sip__port=5070)
    assert desk.history == [("technician at 10.0.0.9", (KEY,)), ("technician at 10.0.0.9", ("sip.port", KEY))]
    state = desk.configuration.folder
    holding = {path.name.partition("-")[0] for path in state.rglob("*") if path.is_file() and _holds(path)}
    assert holding == {"sip"}
    before = next((state / "secrets").glob("*.before-*"))
    assert stat.S_IMODE(before.stat().st_mode) == 0o600
    assert set(secrets_of(desk.configuration.layers.settings)) >= {"first-secret", "second-secret"}, "hidden in bundles"


def _holds(path: Path) -> bool:
    return any(word in path.read_text() for word in ("first-secret", "second-secret"))


def test_undo_brings_the_secret_before_back_and_the_values_with_it(desk: Desk) -> None:
    desk.enter("first")
    desk.enter("second", sip__username="other")
    assert (desk.secret, desk.kept) == ("second", ["first"])
    assert desk.undo() == ("sip.username", KEY)
    assert (desk.secret, desk.configuration.layers.settings.sip.username, desk.kept) == ("first", "demo", [])
    assert desk.undo() == (KEY,), "before the first there was none"
    assert (desk.secret, desk.undo()) == (None, ())


def test_a_reset_of_a_secret_can_be_taken_back(desk: Desk) -> None:
    desk.enter("first")
    asyncio.run(desk.configuration.reset([KEY], who="cli"))
    assert (desk.secret, desk.kept) == (None, ["first"])
    desk.undo()
    assert desk.secret == "first"
    asyncio.run(desk.configuration.reset(["token.file"], who="cli"))
    assert [names for _, names in desk.history] == [(KEY,)], "nothing was there to be reset"


def test_only_one_is_kept_and_for_one_hour_only(desk: Desk) -> None:
    for secret in ("first", "second", "third"):
        desk.enter(secret)
    assert desk.kept == ["second"]
    assert desk.configuration.tidies_in() == KEEP_BEFORE
    desk.clock.boot += KEEP_BEFORE - 1
    desk.tidy()
    assert desk.kept == ["second"]
    desk.clock.boot += 2
    desk.tidy()
    assert (desk.kept, desk.configuration.tidies_in()) == ([], None)
    assert desk.configuration.undoable() is None


def test_a_change_whose_secret_is_gone_is_passed_over_with_what_it_was_built_on(desk: Desk) -> None:
    asyncio.run(desk.configuration.change({"device.name": "Lobby"}, who="cli"))
    desk.enter("first", sip__username="one")
    desk.enter("second", sip__username="two")
    asyncio.run(desk.configuration.change({"sip.port": 5070}, who="cli"))
    desk.enter("third")
    desk.clock.boot += KEEP_BEFORE + 1
    desk.tidy()
    assert desk.undo() == ("sip.port",)
    assert desk.undo() == ("device.name",), "never the account without its password"
    assert desk.undo() == ()
    assert (desk.secret, desk.configuration.layers.settings.sip.username) == ("third", "two")


@pytest.mark.parametrize("step", [-400 * 86400.0, 400 * 86400.0, -30.0])
def test_failure_11_the_hour_does_not_depend_on_a_wall_clock_that_steps(desk: Desk, step: float) -> None:
    desk.enter("first")
    desk.enter("second")
    desk.clock.now += step
    desk.clock.boot += KEEP_BEFORE - 60
    desk.tidy()
    assert desk.kept == ["first"]
    desk.clock.boot += 61
    desk.tidy()
    assert desk.kept == []


def test_failure_11_after_a_restart_the_hour_goes_on_or_begins_anew_where_the_clock_says_nothing(desk: Desk) -> None:
    desk.enter("first")
    desk.enter("second")
    desk.clock.now, desk.clock.boot = desk.clock.now + 600, 10.0
    desk.start()
    assert desk.configuration.tidies_in() == KEEP_BEFORE - 600
    desk.clock.now = 60.0  # a boot without a clock
    desk.start()
    assert desk.configuration.tidies_in() == KEEP_BEFORE
    desk.clock.now = SANE_WALL + 400 * 86400.0
    desk.start()
    desk.tidy()
    assert desk.kept == []


def test_failure_11_a_clock_that_was_set_back_hides_no_change_from_another_technician(desk: Desk) -> None:
    desk.enter("first", device__name="one")
    seen = desk.configuration.edited().revision()
    desk.clock.now = 60.0
    asyncio.run(desk.configuration.change({"sip.port": 5070}, who="cli"))
    assert desk.configuration.edited().revision() != seen


def test_s4_what_waits_and_is_taken_back_again_leaves_the_secret_in_force_alone(desk: Desk) -> None:
    desk.enter("first")
    desk.emergency = True
    assert not desk.enter("second")
    assert not desk.enter("third")
    assert (desk.secret, desk.kept) == ("first", ["second"])
    desk.undo()
    assert desk.secret == "first"
    desk.emergency = False
    assert asyncio.run(desk.configuration.release())
    assert desk.secret == "second"
    assert not desk.configuration.waiting


class Cut(BaseException):
    """The power is gone."""


def cut_after(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let so many steps reach the disk, then cut the power."""
    done = [0]

    def counted(work: Callable[..., object]) -> Callable[..., object]:
        def step(*arguments: object, **options: object) -> object:
            if done[0] == count:
                raise Cut
            done[0] += 1
            return work(*arguments, **options)

        return step

    monkeypatch.setattr(Path, "replace", counted(Path.replace))
    monkeypatch.setattr(Path, "unlink", counted(Path.unlink))


def test_s5_a_power_cut_between_any_two_steps_leaves_all_of_a_change_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user name and its password belong together: one without the other is a phone that cannot register."""
    outcomes = []
    for count in range(40):
        folder = tmp_path / str(count)
        folder.mkdir()
        desk = Desk(folder)
        desk.enter("old", sip__username="old")
        with monkeypatch.context() as patch:
            cut_after(count, patch)
            try:
                desk.enter("new", sip__username="new")
            except Cut:
                outcome = "cut"
            else:
                outcome = "whole"
        desk.start()
        asyncio.run(desk.configuration.release())
        settings = desk.configuration.layers.settings.sip
        pair = (settings.username, desk.secret)
        assert pair in {("old", "old"), ("new", "new")}, f"after {count} steps"
        assert desk.configuration.layers.problems == ()
        desk.tidy()
        assert desk.kept in ([], ["old"])
        assert not list((desk.configuration.folder / "secrets").glob("*.next"))
        outcomes.append((outcome, pair[0]))
        if outcome == "whole":
            break
    assert outcomes[-1] == ("whole", "new")
    assert {("cut", "old"), ("cut", "new")} <= set(outcomes), "the power went before and after the deciding step"


def test_every_secret_of_the_configuration_has_a_file_that_is_no_name_of_a_change() -> None:
    for name in SECRET_FILES.values():
        assert vault.NEXT not in name
        assert vault.BEFORE not in name
    assert files.FILE_MODE == 0o640

"""Who hears of which setting, and when: at once, without a call being touched, or once an emergency is over (S4)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agent.applying import Applier
from agent.clock import SystemClock
from agent.config.current import Configuration
from agent.config.schema import NEEDS_RESTART, ONLY_PACKAGED, SCHEMA
from tests.packaged import PACKAGED


class Device:
    """A configuration and everybody who hears of it; `heard` is who did, in order."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "agent.toml"
        self.path.write_text(PACKAGED.format(state=folder / "state"))
        self.configuration = Configuration(self.path, SystemClock())
        self.heard: list[tuple[str, object]] = []
        self.interlock, self.connected = False, True
        self.changed, self.applied = asyncio.Event(), asyncio.Event()
        rest = object()
        parts: dict[str, Any] = {
            "engine": SimpleNamespace(
                configure=lambda settings, grave, side: self._hear("engine", (settings.device.name, grave, side)),
                adopt=lambda _worker: self._hear("worker", None), scene=self._scene, wait_change=self._wait,
            ),
            "desk": SimpleNamespace(use=lambda given: self._hear("desk", given is rest)),
            "platform": SimpleNamespace(renew=self._heard("platform"), rest=rest, worker=object()),
            "watcher": SimpleNamespace(configure=lambda *_: self._hear("watcher", None), hints=None),
            "voice": SimpleNamespace(reload=lambda: self._hear("voice", None)),
            "notices": SimpleNamespace(configure=lambda *, fresh_secrets: self._hear("notices", fresh_secrets)),
            "calling": SimpleNamespace(use=lambda settings: self._hear("calling", settings.test_call.keep)),
            "page": SimpleNamespace(configure=self._heard("page")),
        }  # fmt: skip
        self.applier = Applier(self.configuration, **cast("Any", parts))
        self.configuration.probe = lambda _old, _new: {}

    def _scene(self) -> object:
        voice = SimpleNamespace(interlock=self.interlock, connected=self.connected)
        return SimpleNamespace(voice=voice, voice_overdue=False)

    async def _wait(self, _version: int) -> int:
        await self.changed.wait()
        self.changed.clear()
        return 0

    def _hear(self, who: str, what: object) -> None:
        self.heard.append((who, what))

    def _heard(self, who: str) -> Any:
        async def hear(what: object) -> None:
            self._hear(who, what)
            if who == "page":
                self.applied.set()

        return hear

    async def change(self, secrets: dict[str, str | None] | None = None, **values: object) -> dict[str, object]:
        """Change settings as the page does and return who heard of it."""
        self.heard.clear()
        named = {key.replace("__", "."): value for key, value in values.items()}
        await self.configuration.change(named, secrets, who="local screen")
        return dict(self.heard)


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path)


def test_every_key_that_the_page_may_change_is_taken_up_at_once() -> None:
    every = {f"{section}.{key}" for section, (_, keys) in SCHEMA.items() for key in keys}
    assert every >= NEEDS_RESTART
    assert NEEDS_RESTART <= ONLY_PACKAGED, "what waits for a start cannot be set on the page, so nothing there waits"


def test_who_is_told_when_tests_are_made_and_where_the_page_is_hold_at_once(device: Device) -> None:
    async def scenario() -> None:
        heard = await device.change(notify_email__host="mail.example.net", test_call__keep=7, page__port=9000)
        assert (heard["notices"], heard["calling"]) == (False, 7)
        assert heard["page"] == device.configuration.layers.settings.page
        assert device.configuration.layers.settings.page.port == 9000
        assert "platform" not in heard
        assert "watcher" not in heard

    asyncio.run(scenario())


def test_a_secret_that_is_entered_anew_is_taken_up_although_no_setting_differs(device: Device) -> None:
    async def scenario() -> None:
        await device.change({"notify_email.password_file": "first", "token.file": "first"})
        heard = await device.change({"notify_email.password_file": "second"})
        assert heard["notices"] is True
        assert "platform" not in heard
        heard = await device.change({"token.file": "second"})
        assert (heard["notices"], heard["desk"]) == (False, True)
        assert "platform" in heard

    asyncio.run(scenario())


def test_s1_a_mistake_in_a_side_matter_reaches_notices_and_journal_and_the_binding_goes_on(
    device: Device, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    async def scenario() -> None:
        device.path.write_text(device.path.read_text() + '[notify_email]\nto = ["nobody"]\n')
        heard = await device.change(device__name="Lobby")
        fields = [getattr(record, "fields", {}) for record in caplog.records]
        assert [one["kind"] for one in fields if one.get("event") == "config"] == ["side"]
        name, grave, side = cast("tuple[str, tuple[str, ...], tuple[str, ...]]", heard["engine"])
        assert (name, grave) == ("Lobby", ())
        assert side[0].startswith("911 notices are not sent by e-mail as configured: notify_email.to: ")

    asyncio.run(scenario())


def test_s4_during_an_emergency_nobody_hears_of_anything_and_afterwards_all_do(device: Device) -> None:
    async def scenario() -> None:
        work = asyncio.create_task(device.applier.run())
        for device.interlock, device.connected in ((True, True), (False, False)):  # a call; and nobody knows (S12)
            assert await device.change(page__port=9100, notify__tests=False) == {}
            device.changed.set()
            await asyncio.sleep(0)
            assert device.heard == []
        device.interlock, device.connected = False, True
        device.changed.set()
        await asyncio.wait_for(device.applied.wait(), 30)
        assert device.configuration.layers.settings.page.port == 9100
        assert [who for who, _ in device.heard] == ["engine", "voice", "notices", "calling", "page"]
        work.cancel()
        await asyncio.wait({work})

    asyncio.run(scenario())


def test_what_waits_for_a_start_is_named_until_it_is_as_it_was(device: Device, tmp_path: Path) -> None:
    async def scenario() -> None:
        assert device.applier.waits_for_restart() == frozenset()
        before = device.path.read_text()
        device.path.write_text(before + f'[page]\nsocket = "{tmp_path}/other.sock"\n')
        await device.change(device__name="one")
        assert device.applier.waits_for_restart() == {"page.socket"}
        device.path.write_text(before)
        await device.change(device__name="two")
        assert device.applier.waits_for_restart() == frozenset()

    asyncio.run(scenario())


def test_settings_are_tried_out_before_they_are_saved(device: Device) -> None:
    device.configuration.probe = lambda old, new: {"page.port": f"{old.page.port} to {new.page.port}"}
    asked = replace(device.configuration.layers.settings.page)
    with pytest.raises(Exception, match="not saved") as caught:
        asyncio.run(device.change(page__port=9000))
    assert caught.value.fields == {"page.port": "8911 to 9000"}  # type: ignore[attr-defined]
    assert device.configuration.layers.settings.page == asked

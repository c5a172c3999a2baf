"""Channels side by side, restarts, full disks, escalation: the worker in virtual time with channels that are held."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from agent.config.settings import DeviceSettings, NotifySettings, Settings, SipSettings
from agent.errors import NeedsHuman, Retry
from agent.notify.core import Kind
from agent.notify.notice import Call, Event, Notice, Where
from agent.notify.where import callback_number
from agent.notify.worker import Notifier
from agent.runtime.tasks import end
from agent.storage.packed import unpack
from agent.storage.store import Store
from tests.engine.virtual_loop import VirtualLoop

from .samples import HOME, NOON, PROVEN, call

SETTINGS = Settings(
    device=DeviceSettings(name="Lobby kiosk"),
    sip=SipSettings(username="kiosk"),
    notify=NotifySettings(escalate_after=120),
)

QUIET = replace(SETTINGS, notify=NotifySettings(escalate_after=0))
BEGIN = 1000.0
"""When virtual time begins."""


class Clock:
    """Follows the virtual loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def monotonic(self) -> float:
        return self._loop.time()

    def boottime(self) -> float:
        return self._loop.time()

    def wall(self) -> float:
        return NOON + self._loop.time() - BEGIN


@dataclass
class Fake:
    """A receiver: takes, refuses or holds what it is sent."""

    name: str
    kind: Kind = field(default_factory=Kind)
    works: bool = True
    held: bool = False
    made_of: object = None
    got: list[tuple[float, Event, int]] = field(default_factory=list)
    """(virtual time, newest event, version)."""
    tried: list[float] = field(default_factory=list)

    async def deliver(self, notice: Notice, events: tuple[Event, ...]) -> str:
        now = asyncio.get_running_loop().time() - BEGIN
        self.tried.append(now)
        if self.held:
            await asyncio.sleep(30)
            raise Retry("It did not answer.")
        if not self.works:
            raise Retry("It is dead.")
        self.got.append((now, events[-1], notice.version))
        return "taken"

    def events(self) -> list[Event]:
        return [event for _, event, _ in self.got]


@dataclass
class World:
    """One agent's notices; `restart` ends it without a goodbye."""

    loop: VirtualLoop
    store: Store
    channels: list[Fake]
    where: Where = PROVEN
    settings: Settings = SETTINGS

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        async def inside() -> None:
            self.notifier = Notifier(
                lambda: self.settings, self.store, Clock(self.loop), random.Random(1), self.channels,
                where=lambda _: self.where, on_change=lambda: None,
            )  # fmt: skip
            self._tasks = [asyncio.ensure_future(work()) for work in self.notifier.workers().values()]

        self.loop.finish(inside())

    def stop(self) -> None:
        self.loop.finish(end(*self._tasks))

    def restart(self) -> None:
        self.stop()
        self.start()

    def after(self, seconds: float, act: Callable[[], object] = lambda: None) -> None:
        async def inside() -> None:
            act()
            await asyncio.sleep(seconds)

        self.loop.finish(inside())

    def hear(self, line: Call, seconds: float = 0.1) -> None:
        self.after(seconds, lambda: self.notifier.hear(line))

    def do(self, work: Callable[[], Awaitable[object]]) -> object:
        async def inside() -> object:
            return await work()

        return self.loop.finish(inside())

    @property
    def only(self) -> Notice:
        [notice] = self.notifier.notices.values()
        return notice


@contextmanager
def world(*channels: Fake, path: Path | None = None) -> Iterator[World]:
    loop = VirtualLoop()
    store = Store(path)
    made = World(loop, store, list(channels))
    try:
        yield made
    finally:
        made.stop()
        store.close()
        loop.close()


def test_every_channel_is_told_at_dialing_and_of_every_change() -> None:
    hook, mail = Fake("webhook"), Fake("email")
    with world(hook, mail) as it:
        it.hear(call("calling"))
        assert hook.got == mail.got == [(0.0, Event.DIALED, 1)]
        for state in ("ringing", "confirmed", "ended"):
            it.hear(call(state), 5)
        assert hook.events() == mail.events() == [Event.DIALED, Event.ANSWERED, Event.ENDED]
        assert (it.only.device, it.only.callback_number, it.only.where) == ("Lobby kiosk", "", PROVEN)


def test_a_channel_that_is_mended_tries_again_at_once_and_only_what_it_owes() -> None:
    wrong, mail = Fake("webhook", works=False, made_of="a wrong URL"), Fake("email", made_of="mail")
    with world(wrong, mail) as it:
        it.settings = QUIET
        it.hear(call("calling"), 1)
        it.hear(call("ended"), 3000)
        tries = len(wrong.tried)
        right, same = Fake("webhook", made_of="the right URL"), Fake("email", made_of="mail")
        it.after(0.1, lambda: it.notifier.use((right, same)))
        assert [(event, version) for _, event, version in right.got] == [(Event.ENDED, 2)]
        assert (len(wrong.tried), len(mail.got), same.got) == (tries, 2, [])
        it.hear(call("calling", name="2@9"))
        assert (len(right.got), len(mail.got), same.got) == (2, 3, []), "one that is the same goes on as it was"


def test_a_channel_that_is_taken_away_is_told_nothing_and_one_that_is_new_everything_recent() -> None:
    mail, command = Fake("email", made_of="mail"), Fake("command", made_of="buzzer")
    with world(mail) as it:
        it.hear(call("calling"))
        it.after(0.1, lambda: it.notifier.use((command,)))
        it.hear(call("ended"))
        assert (mail.events(), command.events()) == ([Event.DIALED], [Event.DIALED, Event.ENDED])
        assert [one.channel for one in it.notifier.reports(it.only.uid)] == ["command"]


def test_what_is_under_way_ends_by_itself_and_counts() -> None:
    slow = Fake("webhook", held=True, made_of="old")
    with world(slow) as it:
        it.settings = QUIET
        it.hear(call("calling"), 1)
        other = Fake("webhook", made_of="new")
        it.after(10, lambda: it.notifier.use((other,)))
        assert other.got == [], "one at a time"
        it.after(60)
        assert (len(slow.tried), other.events()) == (1, [Event.DIALED])


def test_a_secret_that_is_entered_anew_makes_what_failed_try_at_once() -> None:
    hook = Fake("webhook", works=False, made_of="hook")
    with world(hook) as it:
        it.settings = QUIET
        it.hear(call("calling"), 3000)
        hook.works = True
        it.after(0.1, lambda: it.notifier.use((hook,)))
        assert hook.got == []
        it.after(0.1, lambda: it.notifier.use((hook,), fresh_secrets=True))
        assert hook.events() == [Event.DIALED]


def test_a_shorter_time_until_escalation_holds_for_a_call_that_is_open() -> None:
    late = Fake("email (escalation)", kind=Kind(escalation=True))
    with world(late) as it:
        it.hear(call("calling"), 30)
        it.settings = replace(SETTINGS, notify=NotifySettings(escalate_after=20))
        it.after(0.1, lambda: it.notifier.use((late,)))
        assert late.events() == [Event.ESCALATED]


def test_a_dead_channel_delays_no_other_one() -> None:
    dead, silent, alive = Fake("webhook", works=False), Fake("email", held=True), Fake("command")
    with world(dead, silent, alive) as it:
        it.hear(call("calling"))
        it.hear(call("ended"))
        it.hear(call("calling", name="2@9"))
        assert [at for at, _, _ in alive.got] == pytest.approx([0.0, 0.1, 0.2], abs=0.01)
        assert len(silent.tried) == 1, "one at a time"
        assert dead.got == silent.got == []


def test_what_failed_is_tried_again_and_what_happened_meanwhile_costs_one_message() -> None:
    hook = Fake("webhook", works=False)
    with world(hook) as it:
        it.settings = QUIET
        it.hear(call("calling"), 1)
        it.hear(call("confirmed"), 60)
        it.hear(call("ended"), 1)
        tries = len(hook.tried)
        assert 4 <= tries <= 12
        hook.works = True
        it.after(61)
        assert [(event, version) for _, event, version in hook.got] == [(Event.ENDED, 3)]
        it.after(3600)
        assert len(hook.tried) == tries + 1


def test_s11_a_receiver_that_stays_dead_is_given_up_and_that_is_reported() -> None:
    hook = Fake("webhook", works=False)
    with world(hook) as it:
        it.hear(call("calling"), 48 * 3600)
        assert len(hook.tried) == 100
        [report] = it.notifier.reports(it.only.uid)
        assert (report.delivered, report.detail) == (False, "given up: It is dead.")


def test_a_network_that_comes_back_makes_it_try_at_once_but_a_flapping_one_does_not() -> None:
    hook = Fake("webhook", works=False)
    with world(hook) as it:
        it.settings = QUIET
        it.hear(call("calling"), 4000)
        tries = len(hook.tried)
        for _ in range(30):
            it.after(1, it.notifier.kick)
        assert tries + 3 <= len(hook.tried) <= tries + 5
        hook.works = True
        it.after(10)
        it.after(0.1, it.notifier.kick)
        assert hook.events() == [Event.DIALED]


# ------------------------------------------------------------------ restarts


def test_an_agent_that_is_restarted_during_a_call_tells_nothing_twice(tmp_path: Path) -> None:
    hook = Fake("webhook")
    with world(hook, path=tmp_path / "agent.db") as it:
        it.hear(call("calling"))
        for _ in range(5):
            it.restart()
            it.hear(call("confirmed"))
            it.after(0.1, lambda: it.notifier.settle(frozenset({"1@5.000"})))
        assert hook.events() == [Event.DIALED, Event.ANSWERED]


def test_what_was_not_delivered_is_delivered_after_a_restart(tmp_path: Path) -> None:
    hook = Fake("webhook", held=True)
    with world(hook, path=tmp_path / "agent.db") as it:
        it.hear(call("calling"), 5)
        assert hook.got == []
        hook.held = False
        it.restart()
        it.after(0.1)
        assert hook.events() == [Event.DIALED]
        assert len(it.notifier.notices) == 1


def test_s11_a_crash_loop_does_not_send_without_end(tmp_path: Path) -> None:
    hook = Fake("webhook", held=True)
    with world(hook, path=tmp_path / "agent.db") as it:
        it.hear(call("calling"))
        for _ in range(150):
            it.restart()
            it.after(0.1)
        assert len(hook.tried) == 100


def test_a_call_found_at_the_start_is_told_once_and_says_that_it_is_late(tmp_path: Path) -> None:
    hook = Fake("webhook")
    with world(hook, path=tmp_path / "agent.db") as it:
        it.where = Where()
        it.hear(call("confirmed", dialed_ago=40.0, answered_ago=30.0))
        assert (it.only.late, it.only.dialed_at) == (True, NOON - 40)
        it.where = PROVEN
        it.after(0.1, it.notifier.located)
        it.restart()
        it.hear(call("confirmed", dialed_ago=41.0, answered_ago=31.0))
        it.after(0.1, it.notifier.located)
        assert hook.events()[0] is Event.DIALED
        assert sorted(set(hook.events())) == sorted(hook.events()), "nothing twice"
        assert it.only.where == PROVEN


def test_a_call_that_ended_while_nobody_looked_is_over(tmp_path: Path) -> None:
    hook = Fake("webhook")
    with world(hook, path=tmp_path / "agent.db") as it:
        it.hear(call("calling"))
        it.restart()
        it.after(0.1, lambda: it.notifier.settle(frozenset()))
        assert hook.events() == [Event.DIALED, Event.ENDED]
        assert unpack(it.only.outcome) == "The call was lost from sight."


def test_a_call_that_nobody_told_us_of_is_told_from_its_callback_window(tmp_path: Path) -> None:
    hook = Fake("webhook")
    with world(hook, path=tmp_path / "agent.db") as it:
        it.after(0.1, lambda: it.notifier.missed("window@400", 20.0))
        assert (it.only.late, it.only.number) == (True, "911")
        assert unpack(it.only.outcome) == "It was over when this program started."
        it.restart()
        it.after(0.1, lambda: it.notifier.missed("window@400", 25.0))
        assert len(it.notifier.notices) == 1
        assert len(hook.got) == 1


def test_a_callback_window_of_a_call_that_was_told_is_no_second_call(tmp_path: Path) -> None:
    with world(path=tmp_path / "agent.db") as it:
        it.hear(call("calling"), 60)
        it.hear(call("ended"), 30)
        it.restart()
        it.after(0.1, lambda: it.notifier.missed("window@400", 30.0))
        assert len(it.notifier.notices) == 1
        it.after(4000)
        it.after(0.1, lambda: it.notifier.missed("window@9000", 5.0))
        assert len(it.notifier.notices) == 2, "another call, much later"


def test_a_dispatcher_who_calls_back_is_told_once(tmp_path: Path) -> None:
    hook = Fake("webhook")
    back = call("ringing", name="2@70", number="sip:psap", incoming=True)
    with world(hook, path=tmp_path / "agent.db") as it:
        it.hear(back)
        assert it.notifier.notices == {}
        it.hear(call("calling"))
        it.hear(call("ended"))
        it.hear(back)
        it.restart()
        it.hear(replace(back, state="confirmed"))
        it.hear(replace(back, state="ended"))
        assert hook.events() == [Event.DIALED, Event.ENDED, Event.CALLBACK]


# ------------------------------------------------------------------ people


def test_nobody_acknowledges_and_the_second_circle_is_told(tmp_path: Path) -> None:
    hook, boss = Fake("webhook"), Fake("email (escalation)", Kind(escalation=True))
    with world(hook, boss, path=tmp_path / "agent.db") as it:
        it.hear(call("calling"), 100)
        assert boss.got == []
        it.restart()
        it.after(25)
        assert [(round(at), event) for at, event, _ in boss.got] == [(120, Event.ESCALATED)]
        assert hook.events() == [Event.DIALED, Event.ESCALATED]
        it.after(3600)
        assert len(boss.got) == 1
        it.after(0.1, lambda: it.notifier.acknowledge(it.only.uid, "local screen"))
        assert boss.events() == [Event.ESCALATED, Event.ACKNOWLEDGED]


def test_an_acknowledgement_stops_the_escalation(tmp_path: Path) -> None:
    boss = Fake("email (escalation)", Kind(escalation=True))
    with world(boss, path=tmp_path / "agent.db") as it:
        it.hear(call("calling"), 119)
        it.after(0.5, lambda: it.notifier.acknowledge(it.only.uid, "cli"))
        it.restart()
        it.after(3600)
        assert boss.got == []
        assert (it.only.acknowledged_by, it.only.escalated_at) == ("cli", None)
    with world() as empty, pytest.raises(NeedsHuman, match="There is no such notice"):
        empty.notifier.acknowledge("none", "cli")


def test_a_test_call_is_told_as_one_and_escalates_never() -> None:
    hook, boss = Fake("webhook"), Fake("email (escalation)", Kind(escalation=True))
    with world(hook, boss) as it:
        it.hear(call("calling", number="933"), 3600)
        assert it.only.test
        assert (hook.events(), boss.got) == ([Event.DIALED], [])


def test_the_test_goes_through_every_channel_at_once_and_is_not_kept() -> None:
    hook, dead = Fake("webhook"), Fake("email (escalation)", Kind(escalation=True), works=False)
    with world(hook, dead) as it:
        reports = it.do(it.notifier.test)
        assert isinstance(reports, tuple)
        assert [(one.channel, one.delivered, one.detail) for one in reports] == [
            ("webhook", True, "taken"), ("email (escalation)", False, "It is dead."),
        ]  # fmt: skip
        assert it.notifier.notices == {}


# ------------------------------------------------------------------ the disk


def test_a_full_disk_costs_the_record_and_not_the_notice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = Fake("webhook")
    with world(hook, path=tmp_path / "agent.db") as it:

        def full() -> object:
            raise sqlite3.OperationalError("database or disk is full")

        monkeypatch.setattr(it.store, "transaction", full)
        it.hear(call("calling"))
        it.hear(call("confirmed"))
        it.after(0.1, lambda: it.notifier.acknowledge(it.only.uid, "cli"))
        assert hook.events() == [Event.DIALED, Event.ANSWERED, Event.ACKNOWLEDGED]
        monkeypatch.undo()
        it.restart()
        it.hear(call("confirmed"))
        assert hook.events()[-1] is Event.DIALED, "told again rather than not at all"


def test_a_location_that_changes_during_the_call_does_not_change_what_was_conveyed() -> None:
    with world() as it:
        it.hear(call("calling"))
        it.where = replace(PROVEN, told=HOME, here=HOME)
        it.after(0.1, it.notifier.located)
        assert it.only.where == PROVEN


@pytest.mark.parametrize(
    ("configured", "username", "told"),
    [
        ("+14155550100", "kiosk", "+14155550100"),
        ("", "+14155550123", "+14155550123"),
        ("", "4711", "4711"),
        ("", "kiosk", ""),
        ("", "kiosk-7", ""),
        ("", "\u0661\u0662\u0663", ""),
    ],
)
def test_a_name_is_no_number_that_a_dispatcher_could_call(configured: str, username: str, told: str) -> None:
    settings = Settings(notify=NotifySettings(callback_number=configured), sip=SipSettings(username=username))
    assert callback_number(settings) == told

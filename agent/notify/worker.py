"""Tells of emergency calls: hears what the voice process says, keeps it on disk, keeps each channel busy by itself.

Nothing here is on the path of a call: it is told by the voice process after the fact, and a channel that hangs, a disk
that is full or a bug costs a notice its speed, never the call.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

from agent.clock import Clock
from agent.config.settings import Settings
from agent.control import Delivery
from agent.errors import AgentError, Backoff, NeedsHuman
from agent.notify import core, words
from agent.notify.book import NoticeBook
from agent.notify.channels import NAMES, Channel
from agent.notify.notice import Call, Notice, Now, Progress, Where, boot_id
from agent.notify.trial import attempt
from agent.notify.where import callback_number
from agent.runtime.liveness import waiting
from agent.runtime.log import trace
from agent.say import Said, say
from agent.storage.packed import pack, unpack
from agent.storage.store import Store

KICK_SPACING = 10.0
"""Seconds that a channel was left alone before a network that came back makes it try at once (S11)."""
MISSED_SLACK = 10.0
"""Seconds by which the end of a call and the beginning of its window may seem to differ: a clock is slewed."""


class Notifier:
    """Owns all notices; `on_change` is called whenever what people see of them changed."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        store: Store,
        clock: Clock,
        rng: random.Random,
        channels: Sequence[Channel],
        *,
        where: Callable[[str | None], Where],
        on_change: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._rng = rng
        self._book = NoticeBook(store)
        self._where = where
        self._on_change = on_change
        self._boot = boot_id()
        self.notices: dict[str, Notice] = {}
        """By uid, oldest first."""
        self.channels: tuple[Channel, ...] = ()
        names = dict.fromkeys((*NAMES, *(channel.name for channel in channels)))
        self._progress: dict[str, dict[str, Progress]] = {name: {} for name in names}
        self._not_before: dict[str, dict[str, float]] = {name: {} for name in names}
        self._tried_at: dict[str, float] = {}
        self._woken = {name: asyncio.Event() for name in names}
        self._watch = asyncio.Event()
        with self._records():
            self.notices = self._book.notices()
        self.use(channels)

    def use(self, channels: Sequence[Channel], *, fresh_secrets: bool = False) -> None:
        """Go on with these channels, at once; one that was mended tries again what it could not deliver.

        A delivery under way ends by itself, and what it learns counts: the progress is the name's.
        """
        before = {channel.name: channel for channel in self.channels}
        kept = [before.get(channel.name, channel) for channel in channels]
        self.channels = tuple(
            old if old.made_of == new.made_of else new for old, new in zip(kept, channels, strict=True)
        )
        for channel in self.channels:
            if fresh_secrets or before.get(channel.name) is not channel:
                if channel.name not in before:
                    with self._records():
                        self._progress[channel.name] = self._book.progress(channel.name)
                self._not_before[channel.name].clear()
                self._woken[channel.name].set()
        self._watch.set()

    # ------------------------------------------------------------------ what the voice process says

    def hear(self, call: Call) -> None:
        """Take a line about a call."""
        now = self._now()
        if call.incoming:
            self._came_in(call, now)
            return
        known = self.find(call.name)
        notice = core.heard(known, call, now, lambda: self._make(call, now))
        if notice is not None and notice != known:
            self._put(notice)

    def settle(self, names: frozenset[str]) -> None:
        """Take the names of all calls that are up, after a (re)connection: what is not among them is over."""
        for notice in list(self.notices.values()):
            if notice.ended_at is None and notice.call not in {f"{self._boot}/{name}" for name in names}:
                self._put(core.ended(notice, self._now(), pack(say("The call was lost from sight."))))

    def missed(self, name: str, ended_ago: float) -> None:
        """Take that an emergency call was over before anybody told us of it: only its callback window is left."""
        now = self._now()
        over = now.wall - ended_ago
        if any(not item.test and (item.ended_at or now.wall) >= over - MISSED_SLACK for item in self.notices.values()):
            return
        call = Call(name, "911", incoming=False, emergency=True, state="ended", dialed_ago=ended_ago)
        self._put(core.ended(self._make(call, now), now, pack(say("It was over when this program started."))))

    def located(self) -> None:
        """Look whether the location can be said now that could not be said at first."""
        for notice in list(self.notices.values()):
            if notice.ended_at is None:
                found = core.located(notice, self._where(None))
                if found != notice:
                    self._put(found)

    def _make(self, call: Call, now: Now) -> Notice:
        settings = self._settings()
        return Notice(
            uid=uuid.uuid4().hex, call=f"{now.boot}/{call.name}", number=call.number, test=call.number in core.TESTS,
            dialed_at=now.wall - call.dialed_ago, boot=now.boot, boot_at=now.boottime - call.dialed_ago,
            device=settings.device.name, callback_number=callback_number(settings),
            where=self._where(call.presented_id), late=call.state != "calling",
        )  # fmt: skip

    def _came_in(self, call: Call, now: Now) -> None:
        if not call.emergency or call.state == "ended":
            return
        last = next((item for item in reversed(self.notices.values()) if not item.test), None)
        if last is not None and last.boot == now.boot:
            told = core.called_back(last, call, now)
            if told != last:
                self._put(told)

    def find(self, name: str) -> Notice | None:
        """Return the notice of a call of this boot, None if there is none."""
        return next((notice for notice in self.notices.values() if notice.call == f"{self._boot}/{name}"), None)

    def _put(self, notice: Notice) -> None:
        """Make this the newest version, on disk, and let everybody know."""
        event = notice.events[-1]
        self.notices[notice.uid] = notice
        for woken in self._woken.values():
            woken.set()
        self._watch.set()
        told = {name.lower(): value for name, value in words.fields(notice, (event,)).items()}
        trace("emergency_notice", kind="test" if notice.test else str(event), id=told.pop("id"), text=told.pop("text"),
              news=told.pop("event"), **told)  # fmt: skip
        with self._records():
            self._book.save(notice)
        self._on_change()

    # ------------------------------------------------------------------ what people do

    def acknowledge(self, uid: str, who: str) -> Notice:
        """Record that a person takes care of it; raises NeedsHuman when there is no such notice."""
        notice = self.notices.get(uid)
        if notice is None:
            raise NeedsHuman(
                say("There is no such notice."),
                todo=say("`dialstack-agent notices` lists them."),
                code="no_such_notice",
            )
        taken = core.acknowledged(notice, who, self._now())
        if taken != notice:
            self._put(taken)
        return taken

    async def test(self) -> tuple[Delivery, ...]:
        """Send a notice that is marked as a test through every channel at once; it is not kept."""
        now = self._now()
        call = Call(f"test/{uuid.uuid4().hex}", "933", incoming=False, emergency=True, state="calling")
        notice = self._make(call, now)
        trace("emergency_notice_test", id=notice.uid)
        return tuple(await asyncio.gather(*(attempt(channel, notice) for channel in self.channels)))

    def reports(self, uid: str) -> tuple[Delivery, ...]:
        """Return how each channel fared with a notice, as far as it is meant for it."""
        notice, found = self.notices[uid], []
        for channel in self.channels:
            progress = self._progress[channel.name].get(uid, Progress())
            due = core.pending(notice, progress, channel.kind) and not core.is_stale(notice, progress, self._now())
            if progress.sent or progress.error or due:
                gone = core.gave_up(notice, progress)
                error = unpack(progress.error)
                said = say("given up: {error}", error=error) if gone and error else error
                detail = said or ("" if progress.sent else say("under way"))
                found.append(Delivery(channel.name, progress.sent == notice.version, detail, gone))
        return tuple(found)

    # ------------------------------------------------------------------ workers

    def workers(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """Return one endless worker a name of a channel, and the one that watches for what nobody acknowledges."""
        channels = {f"notify {name}": lambda name=name: self._carry(name) for name in self._woken}
        return {"escalation": self._escalate, **channels}

    def kick(self) -> None:
        """Try at once what waits for a retry: the network is back."""
        now = self._clock.boottime()
        for name, due in self._not_before.items():
            if due and now - self._tried_at.get(name, -KICK_SPACING) >= KICK_SPACING:
                due.clear()
                self._woken[name].set()

    async def _escalate(self) -> None:
        while True:
            after = self._settings().notify.escalate_after
            self._watch.clear()
            now = self._now()
            waits = {uid: core.escalates_in(notice, after, now) for uid, notice in self.notices.items()}
            for uid in [uid for uid, wait in waits.items() if wait is not None and wait <= 0]:
                self._put(core.escalated(self.notices[uid], now))
            left = [wait for wait in waits.values() if wait is not None and wait > 0]
            if not self._watch.is_set():
                await _first(self._watch, min(left, default=None))

    async def _carry(self, name: str) -> None:
        """Deliver what is due on the channel of that name, one at a time, for ever; there may be none now."""
        woken = self._woken[name]
        while True:
            woken.clear()
            channel = next((one for one in self.channels if one.name == name), None)
            choice = self._choose(channel) if channel is not None else core.Choice()
            if channel is None or choice.notice is None:
                await _first(woken, choice.wait)
            else:
                await self._deliver(channel, choice.notice)

    def _choose(self, channel: Channel) -> core.Choice:
        progress, now = self._progress[channel.name], self._now()
        due = (
            notice for notice in self.notices.values()
            if not core.is_stale(notice, progress.get(notice.uid, Progress()), now)
        )  # fmt: skip
        return core.choose(due, progress, self._not_before[channel.name], channel.kind, now.boottime)

    async def _deliver(self, channel: Channel, notice: Notice) -> None:
        """Try once; the attempt is on disk before it is made, so that a crash cannot repeat it without end (S11)."""
        uid, progress = notice.uid, self._progress[channel.name].get(notice.uid, Progress())
        self._advance(channel, uid, core.failed(progress, progress.error or pack(say("The last attempt did not end."))))
        self._tried_at[channel.name] = self._clock.boottime()
        retry_after = None
        try:
            detail = await channel.deliver(notice, core.news(notice, progress))
        except AgentError as error:
            after = core.failed(progress, _kept(error.happened))
            retry_after = error.retry_after if isinstance(error, Backoff) else None
            self._complain(channel, notice, after)
        else:
            after = core.delivered(progress, notice.version, self._now())
            trace("emergency_notice_delivered", channel=channel.name, id=uid, revision=notice.version, detail=detail)
        if after.attempts:
            wait = core.pause(after, self._rng.random(), retry_after)
            self._not_before[channel.name][uid] = self._clock.boottime() + wait
        else:
            self._not_before[channel.name].pop(uid, None)
        self._advance(channel, uid, after)
        self._on_change()

    def _complain(self, channel: Channel, notice: Notice, after: Progress) -> None:
        name, uid = channel.name, notice.uid
        if core.gave_up(notice, after):
            trace(
                "emergency_notice_given_up",
                attempts=after.attempts,
                reason=str(unpack(after.error)),
                channel=name,
                id=uid,
            )
        else:
            trace(
                "emergency_notice_failed",
                attempts=after.attempts,
                reason=str(unpack(after.error)),
                channel=name,
                id=uid,
            )

    def _advance(self, channel: Channel, uid: str, progress: Progress) -> None:
        self._progress[channel.name][uid] = progress
        with self._records():
            self._book.advance(uid, channel.name, progress)

    # ------------------------------------------------------------------ inside

    @contextlib.contextmanager
    def _records(self) -> Iterator[None]:
        """A disk that fails costs the record: after a restart it may be told twice, never not at all."""
        try:
            yield
        except sqlite3.Error as error:
            trace("store", problem=f"a notice cannot be written: {error}")

    def _now(self) -> Now:
        return Now(self._clock.wall(), self._clock.boottime(), self._boot)


def _kept(text: str) -> str:
    """Return what went wrong for the database: our sentences with their parts, words of others in one line."""
    return pack(text) if isinstance(text, Said) else words.one_line(text)


async def _first(event: asyncio.Event, seconds: float | None) -> None:
    """Wait for an event, for so many seconds at most."""
    with waiting(), contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()

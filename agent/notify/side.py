"""Where notices meet the engine: what is heard of calls goes in, what people see and read aloud comes out."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping

from agent.clock import Clock
from agent.control import Delivery, Emergency, NoticeRecord
from agent.engine import Engine
from agent.model import CallView
from agent.notify import words
from agent.notify.channels import Channel, build
from agent.notify.notice import Call, Conveyed, Notice, Where, boot_id
from agent.notify.where import callback_number, where
from agent.notify.worker import Notifier
from agent.runtime.liveness import waiting
from agent.storage.packed import pack, unpack


class NoticeSide:
    """One for the process; the engine knows nothing of it."""

    def __init__(
        self, engine: Engine, clock: Clock, rng: random.Random, channels: tuple[Channel, ...] | None = None
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._inbox: asyncio.Queue[CallView | None] = asyncio.Queue()
        """Lines of calls; None: all that are up have been told."""
        self.notifier = Notifier(
            lambda: engine.settings, engine.store, clock, rng,
            build(engine.settings, clock) if channels is None else channels,
            where=self.where, on_change=engine.relight,
        )  # fmt: skip

    def workers(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """Return what has to run for ever."""
        return {"notices": self._take, "notices' facts": self._follow, **self.notifier.workers()}

    def configure(self, *, fresh_secrets: bool) -> None:
        """Take up who is told, as the engine's settings say now; `fresh_secrets`: a secret was entered anew."""
        self.notifier.use(build(self._engine.settings, self._clock), fresh_secrets=fresh_secrets)

    # ------------------------------------------------------------------ in

    def heard(self, view: CallView) -> None:
        """Take a line about a call; what a defect here does to notices must not reach who told it."""
        if view.emergency:
            self._inbox.put_nowait(view)

    def settled(self) -> None:
        """Take that every call that is up has been told."""
        self._inbox.put_nowait(None)

    async def _take(self) -> None:
        while True:
            with waiting():
                view = await self._inbox.get()
            if view is None:
                self._settle()
            else:
                self.notifier.hear(self._call(view))

    def _settle(self) -> None:
        """Calls that were not told are over, and a callback window tells of one that was missed."""
        voice = self._engine.voice
        self.notifier.settle(frozenset(view.name for view in voice.calls))
        if voice.interlock and voice.interlock_until is not None and not any(call.emergency for call in voice.calls):
            window = self._engine.settings.sip.callback_window
            ago = max(0.0, window - (voice.interlock_until - self._clock.monotonic()))
            self.notifier.missed(f"window@{voice.interlock_until:.0f}", ago)

    def _call(self, view: CallView) -> Call:
        now = self._clock.monotonic()
        return Call(
            name=view.name, number=view.to, incoming=view.direction == "in", emergency=view.emergency,
            state=view.state, reason=pack(view.ended or view.reason), presented_id=view.presented_id,
            dialed_ago=max(0.0, now - view.started_at) if view.started_at else 0.0,
            answered_ago=max(0.0, now - view.answered_at) if view.answered_at is not None else None,
        )  # fmt: skip

    async def _follow(self) -> None:
        """Make good what could not be said at first, and try again at once where the network is back."""
        version, generation = -1, -1
        while True:
            version = await self._engine.wait_change(version)
            self.notifier.located()
            network = self._engine.network
            if network is not None and network.api is not None and network.generation != generation:
                generation = network.generation
                self.notifier.kick()

    def where(self, invite: str | None = None) -> Where:
        """Return where the phone is and what 911 is told of it, as of now."""
        engine = self._engine
        return where(
            engine.network, engine.voice, engine.binding, engine.decision,
            place=engine.memory.place(engine.where.verdict.place_id), proven=engine.is_proven(),
            text_of=lambda address_id: engine.store.civic(engine.user, address_id), invite=invite,
        )  # fmt: skip

    # ------------------------------------------------------------------ out

    def standing(self) -> tuple[int, int, int]:
        """Return how many calls nobody acknowledged, deliveries that are due, and ones that were given up."""
        notices = self.notifier.notices
        late = [one for uid in notices for one in self.notifier.reports(uid) if not one.delivered]
        given_up = sum(one.given_up for one in late)
        return sum(notice.is_open for notice in notices.values()), len(late) - given_up, given_up

    def records(self, limit: int) -> tuple[NoticeRecord, ...]:
        """Return the newest notices, newest first."""
        newest = list(self.notifier.notices.values())[: -limit - 1 : -1]
        return tuple(self.record(notice) for notice in newest)

    def record(self, notice: Notice) -> NoticeRecord:
        """Return a notice for people."""
        return NoticeRecord(
            id=notice.uid, number=notice.number, test=notice.test, headline=words.headline(notice),
            told=words.told(notice.where), here=words.here(notice.where), callback_number=notice.callback_number,
            dialed_at=notice.dialed_at, answered_at=notice.answered_at, ended_at=notice.ended_at,
            seconds=notice.seconds, outcome=unpack(notice.outcome), callback_at=notice.callback_at,
            escalated_at=notice.escalated_at, acknowledged_at=notice.acknowledged_at,
            acknowledged_by=notice.acknowledged_by, open=notice.is_open, late=notice.late,
            deliveries=self.notifier.reports(notice.uid),
        )  # fmt: skip

    def alerts(self) -> tuple[NoticeRecord, ...]:
        """Return what every open page shows, newest first."""
        shown = [
            notice for notice in self.notifier.notices.values()
            if notice.is_open or (notice.test and notice.ended_at is None)
        ]  # fmt: skip
        return tuple(self.record(notice) for notice in reversed(shown))

    def emergency(self) -> Emergency | None:
        """Return what to read aloud, None while no emergency call is on."""
        voice, now = self._engine.voice, self._clock
        if not voice.interlock:
            return None
        up = [view for view in voice.calls if view.emergency]
        going = next((view for view in up if view.direction == "out"), None)
        notice = self._notice_of(going)
        until = voice.interlock_until if not up else None
        live = self.where(going.presented_id if going is not None else None)
        told = live if notice is None or live.conveyed is not Conveyed.UNKNOWN else notice.where
        number = going.to if going is not None else notice.number if notice is not None else "911"
        settings = self._engine.settings
        return Emergency(
            number=number, test=going.test if going is not None else False,
            phase="call" if going is not None else "callback" if up else "window",
            since=notice.dialed_by(now.wall(), now.boottime(), boot_id()) if notice is not None else now.wall(),
            answered_at=notice.answered_at if notice is not None else None,
            until=float(round(now.wall() + until - now.monotonic())) if until is not None else None,
            here=live.here, certainty=str(live.certainty), conveyed=str(told.conveyed),
            differs=told.told != live.here,
            callback_number=callback_number(settings),
            again=(going.again or "") if going is not None else "",
        )  # fmt: skip

    def _notice_of(self, going: CallView | None) -> Notice | None:
        if going is not None:
            return self.notifier.find(going.name)
        return next((item for item in reversed(self.notifier.notices.values()) if not item.test), None)

    def acknowledge(self, uid: str, who: str) -> NoticeRecord:
        """Record that a person takes care of it."""
        return self.record(self.notifier.acknowledge(uid, who))

    async def test(self) -> tuple[Delivery, ...]:
        """Send a test through every channel."""
        return await self.notifier.test()

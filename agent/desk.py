"""The people's side of the engine: what page and command line see and may do (agent/control.py)."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable

from agent import __version__
from agent.calling import Calling
from agent.choices import likely
from agent.clock import SANE_WALL
from agent.config.settings import DeviceSettings
from agent.control import DecisionRecord, Delivery, NoticeRecord, Overview, PlaceRecord, SavedAddress
from agent.dialstack.ports import AddressApi
from agent.engine import Engine
from agent.errors import AddressGone, NeedsHuman
from agent.light.timeline import Timeline, timeline
from agent.light.wording import network_sentence, phone_sentence, question
from agent.model import Ask, CivicAddress, EmergencyAddress, Observation, Status, VerdictKind
from agent.notify.side import NoticeSide
from agent.occasion import Occasion
from agent.runtime.log import trace
from agent.say import say

DAMAGE_SHOWN = 7 * 86400.0
"""Seconds that a damaged database is mentioned: a technician looks in within a week."""
_NOT_USED = say("The answer was not used: it may have been about another place.")


class Desk:
    """Implements Control."""

    def __init__(self, engine: Engine, api: AddressApi, notices: NoticeSide) -> None:
        self._engine = engine
        self._api = api
        self._notice_side = notices
        self._life = secrets.token_hex(4)
        self._saved: tuple[EmergencyAddress, ...] | None = None
        """What the platform listed last; None: not asked yet."""
        self.calling: Calling | None = None
        """Calls and test calls, where there is a telephone program."""
        self.page_problems: Callable[[], tuple[str, ...]] = tuple
        """What keeps people from the page."""

    def use(self, api: AddressApi) -> None:
        """Ask another platform, or the same one as somebody else, from now on."""
        self._api, self._saved = api, None

    # ------------------------------------------------------------------ looking

    def overview(self) -> Overview:
        """See Control."""
        engine = self._engine
        scene, decision = engine.scene(), engine.decision
        address_id = engine.binding.address_id if scene.present is not None else None
        ask = decision.ask if decision is not None else Ask.NOTHING
        lit = engine.light
        return Overview(
            status=Status(lit.kind, engine.lamp.since, lit.cause, lit.sentence, lit.next_step),
            ask=ask,
            question=question(ask, scene.likely),
            address=scene.present,
            address_id=address_id,
            proven=scene.proven,
            choices=self._choices(address_id),
            heard=engine.surroundings.heard,
            steps=engine.lamp.progress.steps,
            notices=self._notices(),
            phone=phone_sentence(engine.voice, overdue=scene.voice_overdue),
            network=network_sentence(engine.network),
            exposure_since=engine.lamp.exposure.since_wall,
            last_exposure=engine.lamp.exposure.last_seconds,
            device=_called(engine.settings.device.name),
            mobility=engine.settings.device.mobility,
            version=__version__,
            interlock=engine.voice.interlock,
            test_running=self.calling.tester.running if self.calling is not None else None,
            test_last=next(iter(self.calling.tester.past), None) if self.calling is not None else None,
            emergency=self._notice_side.emergency(),
            alerts=self._notice_side.alerts(),
            question_id=str(self._occasion()),
        )

    def _occasion(self) -> Occasion:
        """Return what an answer that is given now would be about."""
        network, verdict = self._engine.network, self._engine.where.verdict
        place = verdict.place_id if verdict.kind is not VerdictKind.UNKNOWN else None
        return Occasion(self._life, network.generation if network is not None else 0, place)

    async def changes(self) -> AsyncIterator[Overview]:
        """See Control."""
        version = -1
        last: Overview | None = None
        while True:
            version = await self._engine.wait_change(version)
            now = self.overview()
            if now != last:
                last = now
                yield now

    def _notices(self) -> tuple[str, ...]:
        engine = self._engine
        found: list[str] = [
            say(
                "The database was damaged and has been set aside ({detail}). Places have to be confirmed again.",
                detail=detail,
            )
            for at, _, detail in engine.store.events("database_damaged", 1)
            if engine.clock.wall() - at < DAMAGE_SHOWN
        ]
        found += [
            say(
                "This phone was set up with the state of another device, which has been set aside ({detail}). "
                "Please confirm where this phone is, and make sure that no other device uses its account.",
                detail=detail,
            )
            for at, _, detail in engine.store.events("other_device", 1)
            if engine.clock.wall() - at < DAMAGE_SHOWN
        ]
        if engine.clock.wall() < SANE_WALL:
            found.append(
                say(
                    "The clock of this device is not set. 911 and 933 still go out; the address is proven once the "
                    "clock is right, which is tried by itself."
                )
            )
        if engine.voice.problem:
            found.append(engine.voice.problem)
        if engine.here.refused is not None:
            found.append(engine.here.refused.happened)
        if engine.voice.interlock:
            found.append(say("An emergency call or its callback time is on: nothing is changed until it is over."))
        found += engine.surroundings.notices()
        found += engine.side_problems
        if self.calling is not None:
            found += self.calling.notices()
        return (*found, *self.page_problems())

    def _choices(self, in_use: str | None) -> tuple[SavedAddress, ...]:
        return likely(self._engine, self._saved or (), in_use)

    async def addresses(self) -> tuple[SavedAddress, ...]:
        """See Control."""
        self._saved = await self._api.list()
        engine = self._engine
        return self._choices(engine.binding.address_id)

    async def refresh(self) -> None:
        """Read the saved addresses once, so that the question can offer them."""
        self._saved = await self._api.list()
        self._engine.relight()

    def decisions(self, limit: int = 50) -> tuple[DecisionRecord, ...]:
        """See Control."""
        return tuple(
            DecisionRecord(row.at, row.generation, row.verdict, row.reasons, row.evidence, row.wanted, row.cause)
            for row in self._engine.store.decisions(limit)
        )

    def timeline(self, seconds: float) -> Timeline:
        """See Control."""
        past, until = self._engine.store.past, self._engine.clock.wall()
        since = until - seconds
        return timeline(past.states(since), past.marks(since), since, until)

    def places(self) -> tuple[PlaceRecord, ...]:
        """See Control."""
        memory = self._engine.memory
        here = self._engine.where.verdict.place_id
        records = [
            PlaceRecord(
                id=place.id, current=place.id == here, evidence=tuple(_evidence(item) for item in place.observations),
                confirmed=place.confirmation.civic if place.confirmation else None,
                confirmed_at=place.confirmation.at if place.confirmation else None,
                confirmed_by=place.confirmation.who if place.confirmation else None, last_seen=place.last_seen,
            )
            for place in memory.places
        ]  # fmt: skip
        return tuple(sorted(records, key=lambda record: (not record.current, -record.last_seen)))

    def notices(self, limit: int = 50) -> tuple[NoticeRecord, ...]:
        """See Control."""
        return self._notice_side.records(limit)

    # ------------------------------------------------------------------ acting

    def acknowledge(self, notice_id: str, who: str) -> NoticeRecord:
        """See Control."""
        return self._notice_side.acknowledge(notice_id, who)

    async def test_notices(self) -> tuple[Delivery, ...]:
        """See Control."""
        return await self._notice_side.test()

    async def add_address(self, civic: CivicAddress) -> SavedAddress:
        """See Control."""
        self._check_user()
        account = self._account()
        record = await self._api.ensure(civic)
        self._check_account(account)
        self._engine.store.remember_address(self._engine.user, record.id, civic)
        self._saved = await self._api.list()
        self._engine.relight()
        return SavedAddress(record.id, record.civic, in_use=False, hint=say("saved"))

    async def confirm(
        self, *, address_id: str | None, civic: CivicAddress | None, who: str, question_id: str | None = None
    ) -> Overview:
        """See Control (S3 a, S5)."""
        engine = self._engine
        network = engine.network
        if network is None or network.interrupted or (network.sip is None and network.api is None):
            raise NeedsHuman(
                say("This phone has no network, so it cannot be told where it is."),
                emergency=say("911 cannot be called from this phone now; use another phone."),
                todo=say("Plug it in where it is to stay, then answer again."),
                code="no_network",
            )
        self._check_user()
        if question_id is not None and not self._occasion().fits(question_id):
            raise NeedsHuman(
                say("The phone has changed its network since this question was shown."),
                emergency=_NOT_USED,
                todo=say("Please answer again."),
                code="place_changed",
            )
        generation, account = network.generation, self._account()
        record = await self._resolve(address_id, civic)
        self._check_account(account)
        if engine.network is None or engine.network.generation != generation:
            raise NeedsHuman(
                say("The network changed while the answer was being saved."),
                emergency=_NOT_USED,
                todo=say("Please answer again."),
                code="place_changed",
            )
        self._store(record, who)
        if engine.records.problem is not None:
            raise NeedsHuman(
                say("The answer is used from now on, but it could not be saved."),
                emergency=say(
                    "After the next restart this phone asks again, and until then presents what is configured."
                ),
                todo=say("Have the device's storage checked."),
                code="not_saved",
            )
        return self.overview()

    async def _resolve(self, address_id: str | None, civic: CivicAddress | None) -> EmergencyAddress:
        """Return the address on the platform, registering it where it has to be."""
        if address_id is not None:
            try:
                record = await self._api.get(address_id)
            except AddressGone:
                self._engine.on_gone(address_id)
                known = self._engine.store.civic(self._engine.user, address_id)
                if known is None:
                    raise
                record = await self._api.ensure(known)
            return record
        if civic is None:
            raise NeedsHuman(say("No address was given."), todo=say("Choose one or enter one."), code="no_address")
        return await self._api.ensure(civic)

    def _store(self, record: EmergencyAddress, who: str) -> None:
        """Write the confirmation, then let the engine act on it."""
        engine = self._engine
        now = engine.clock.wall()
        place_id = engine.where.place_here(engine.network)
        number = engine.store.confirm(
            place_id, user_id=engine.user, address_id=record.id, civic=record.civic, at=now, who=who
        )  # durable when it returns (S5)
        engine.where.answered(number, engine.network)
        trace("confirmed", place=place_id, id=record.id, who=who)
        known = {item.id: item for item in self._saved or ()}
        self._saved = tuple({**known, record.id: record}.values())
        engine.answered(record.id)

    def _account(self) -> tuple[AddressApi, str]:
        """Return whose addresses are dealt with: platform and user; no user as long as none is known."""
        return self._api, self._engine.user

    def _check_account(self, before: tuple[AddressApi, str]) -> None:
        """Raise where settings made this phone another user's meanwhile: an id of theirs means nothing to this one."""
        api, user = before
        if api is not self._api or (user and user != self._engine.user):
            raise NeedsHuman(
                say("This phone was given another account while that was being saved."),
                emergency=say("The address was not used."),
                todo=say("Please answer again."),
                code="account_changed",
            )

    def _may_write(self) -> None:
        """Raise where a person's order must wait: during an emergency (S4), or with somebody else's token."""
        if self._engine.voice.interlock:
            raise NeedsHuman(
                say("An emergency call or its callback time is on; nothing is changed until it is over."),
                emergency=say("The call goes on undisturbed."),
                todo=say("Try again in a few minutes."),
                code="interlock",
            )
        self._check_user()

    def _check_user(self) -> None:
        """Raise where the token is somebody else's: an order would reach a stranger's addresses (failure 24)."""
        problem = self._engine.binding.problem
        if problem is not None and problem.code == "token_other_user":
            raise problem

    async def forget_address(self, address_id: str) -> None:
        """See Control."""
        self._may_write()
        await self._api.delete(address_id)
        self._saved = tuple(item for item in self._saved or () if item.id != address_id)
        self._engine.on_gone(address_id)

    async def clear_address(self, address_id: str) -> None:
        """See Control."""
        self._may_write()
        await self._api.clear(address_id)
        self._engine.cleared(address_id)


def _evidence(item: Observation) -> str:
    return f"{item.kind} {item.value} on {item.interface}"


def _called(name: str) -> str:
    """Return what the phone is called; the name that nobody chose is told in the reader's language."""
    return say("this phone") if name == DeviceSettings().name else name

"""A daemon with behavior but without a network: keeps addresses, refuses streets that do not exist, works in steps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

from agent.control import DecisionRecord, Delivery, Emergency, NoticeRecord, Overview, PlaceRecord, SavedAddress, Step
from agent.errors import AddressGone, AddressRefused, AgentError, NeedsHuman
from agent.light.status import NO_LOCATION, UNPROVEN
from agent.light.timeline import Mark, State, Timeline, timeline
from agent.model import Ask, CivicAddress, Status, StatusKind
from agent.people import who
from agent.say import say, sentences

NOON = 1_795_500_000.0
"""Wall clock of the tests: Tue 24 Nov 2026, 06:00 UTC."""

OFFICE = CivicAddress("123", "Main St", "San Francisco", "CA", "94105", unit="Suite 400")
SHOP = CivicAddress("77", "Harbor Blvd", "Oakland", "CA", "94607", unit="Floor 2")
DEPOT = CivicAddress("9", "Rail Rd", "Reno", "NV", "89501")

_WHERE = "123 Main St, Suite 400, San Francisco, CA 94105"
SENTENCES = {
    StatusKind.BOUND: (
        say("911 sends help to {where}. Proven on this network.", where=_WHERE),
        say("Nothing to do."),
    ),
    StatusKind.PROVISIONAL: (
        say("911 would send help to {where}, but nobody has confirmed that this phone is there.", where=_WHERE),
        say("Please answer the question."),
    ),
    StatusKind.UNBOUND: (
        sentences(say("This phone is in a place that nobody has confirmed."), NO_LOCATION),
        say("Please answer the question."),
    ),
    StatusKind.CONNECTING: (sentences(say("The telephone line is being connected."), UNPROVEN), say("Wait a moment.")),
    StatusKind.OFFLINE: (
        say("This phone has no network. 911 cannot be called from it now; use another phone."),
        say("Plug the network cable in, or check the switch and the router."),
    ),
    StatusKind.FAULT: (
        sentences(say("The platform refused the token, and its source gives no other one."), UNPROVEN),
        say("Look at section [token]."),
    ),
}
"""What the daemon says of each kind."""
STEPS = (
    ("network", say("Network found")),
    ("place", say("Place compared with known places")),
    ("sip", say("Telephone line connected")),
    ("present", say("Address presented on this network")),
    ("proof", say("Proven by reading it back")),
)


def steps(done: int, failed: int | None = None) -> tuple[Step, ...]:
    """Return the steps with so many done, the next running or failed."""
    found = []
    for number, (name, label) in enumerate(STEPS):
        state = "done" if number < done else "running" if number == done else "waiting"
        state = "failed" if number == failed else state
        found.append(Step(name, label, state, say("The registrar did not answer") if state == "failed" else ""))
    return tuple(found)


def overview(kind: StatusKind = StatusKind.BOUND) -> Overview:
    """Return what Home shows in that status, nothing asked."""
    sentence, next_step = SENTENCES[kind]
    known = kind in {StatusKind.BOUND, StatusKind.PROVISIONAL}
    return Overview(
        status=Status(kind, NOON - 3600, f"cause_{kind.value}", sentence, next_step),
        ask=Ask.NOTHING,
        question="",
        address=OFFICE if known else None,
        address_id="emerg_1" if known else None,
        proven=kind is StatusKind.BOUND,
        choices=(),
        steps=steps(2) if kind is StatusKind.CONNECTING else (),
        notices=(),
        phone=say("The telephone line is connected."),
        network=say(
            "Connected by {interface} ({kind}) as {source} through {gateway}.",
            interface="eth0",
            kind=say("cable"),
            source="192.0.2.10",
            gateway="192.0.2.1",
        ),
        exposure_since=None if kind is StatusKind.BOUND else NOON - 600,
        last_exposure=12.0,
        device="front desk",
        mobility="fixed",
        version="0.1.0",
        question_id="office.1",
    )


def notice(**changes: Any) -> NoticeRecord:
    """Return a 911 call that nobody acknowledged yet."""
    record = NoticeRecord(
        id="notice1", number="911", test=False,
        headline=say("{number} was dialed from {device}.", number="911", device="front desk"),
        told=say("911 was given {address}. That is proven on this network.", address=_WHERE),
        here=say("The phone is at {address}. Staff confirmed that.", address=_WHERE),
        callback_number="+1 415 555 0100", dialed_at=NOON - 65, answered_at=NOON - 60, ended_at=None, seconds=None,
        outcome="", callback_at=None, escalated_at=None, acknowledged_at=None, acknowledged_by="", open=True,
        late=False, deliveries=(Delivery("webhook", delivered=True, detail=""),),
    )  # fmt: skip
    return replace(record, **changes)


def emergency(**changes: Any) -> Emergency:
    """Return a 911 call under way from a place that staff confirmed."""
    call = Emergency(
        number="911", test=False, phase="call", since=NOON - 65, answered_at=NOON - 60, until=None, here=OFFICE,
        certainty="confirmed", conveyed="proven", differs=False, callback_number="+1 415 555 0100",
    )  # fmt: skip
    return replace(call, **changes)


@dataclass
class FakeControl:
    """Implements `agent.control.Control`; what a test wants to see is in plain fields."""

    now: Overview = field(default_factory=overview)
    saved: dict[str, SavedAddress] = field(default_factory=dict)
    lost: list[SavedAddress] = field(default_factory=list)
    confirmed: list[tuple[CivicAddress, str]] = field(default_factory=list)
    """(address, who), oldest first."""
    answered: list[str | None] = field(default_factory=list)
    """Which questions were answered."""
    cleared: list[str] = field(default_factory=list)
    log: list[DecisionRecord] = field(default_factory=list)
    known_places: list[PlaceRecord] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    told: tuple[NoticeRecord, ...] = ()
    tested: tuple[Delivery, ...] = ()
    fail: AgentError | None = None
    """Raised by everything that talks to the platform."""
    disk: asyncio.Event | None = None
    """When set up, a confirmation is durable only once this is set."""
    writing: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a confirmation is on its way to the disk."""
    readers: int = 0
    """How many are reading `changes()`."""
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a reader left."""
    _wake: list[asyncio.Event] = field(default_factory=list)
    _next: int = 1

    def __post_init__(self) -> None:
        """Begin with two saved addresses and a short past."""
        self._save(OFFICE, say("last confirmed on this network"), in_use=self.now.address is not None)
        self._save(SHOP, say("used on this Internet connection before"), in_use=False)
        self.log.append(
            DecisionRecord(
                at=NOON - 3600,
                generation=3,
                verdict="new",
                reasons=("place_new", "fixed_device"),
                evidence=("gateway_mac 02:00:00:00:00:01 on eth0", "subnet 192.0.2.0/24 on eth0"),
                wanted=f"{_WHERE} (emerg_1)",
                cause=say("path changed to {way}", way="eth0 192.0.2.10 -> 192.0.2.1"),
            )
        )
        self.states += [
            State(
                NOON - 20 * 86400,
                "bound",
                "proven",
                say("911 sends help to {where}. Proven on this network.", where="123 Main St"),
            ),
            State(
                NOON - 9 * 3600,
                "offline",
                "no_path",
                say("This phone has no network. 911 cannot be called from it now; use another phone."),
            ),
            State(NOON - 9 * 3600 + 40, "connecting", "registering", say("The telephone line is being connected.")),
            State(
                NOON - 9 * 3600 + 42, "unbound", "place_new", say("This phone is in a place that nobody has confirmed.")
            ),
            State(
                NOON - 8 * 3600,
                "bound",
                "proven",
                say("911 sends help to {where}. Proven on this network.", where="77 Harbor Blvd"),
            ),
            State(NOON - 5 * 3600, "off", "stopped", ""),
            State(
                NOON - 4 * 3600,
                "bound",
                "proven",
                say("911 sends help to {where}. Proven on this network.", where="77 Harbor Blvd"),
            ),
            State(NOON - 3600, "provisional", "not_confirmed", SENTENCES[StatusKind.PROVISIONAL][0]),
        ]
        self.marks += [
            Mark(
                NOON - 9 * 3600,
                "moved",
                say("Moved to another place: {cause}.", cause=say("link {interface} lost carrier", interface="eth0")),
            ),
            Mark(
                NOON - 8 * 3600,
                "confirmed",
                say("Confirmed: {address}, by {who}.", address="77 Harbor Blvd", who=who("local screen")),
            ),
            Mark(NOON - 7 * 3600, "test", say("Test call to 933.")),
            Mark(NOON - 2 * 3600, "call", say("Emergency call.")),
        ]
        self.known_places.append(
            PlaceRecord(
                id=1,
                current=True,
                evidence=("gateway_mac 02:00:00:00:00:01 on eth0",),
                confirmed=OFFICE,
                confirmed_at=NOON - 86400,
                confirmed_by="local screen",
                last_seen=NOON,
            )
        )

    # ------------------------------------------------------------ what tests do to it

    def show(self, new: Overview) -> None:
        """Publish a new truth."""
        self.now = new
        for event in self._wake:
            event.set()

    def ask_place(self, kind: StatusKind = StatusKind.PROVISIONAL) -> None:
        """Ask whether the phone is still at the office."""
        self.show(
            replace(
                overview(kind),
                ask=Ask.CONFIRM_PLACE,
                question=say("Is this phone still at {where}?", where="123 Main St, Suite 400"),
                choices=(*self.saved.values(), *self.lost),
            )
        )

    def _save(self, civic: CivicAddress, hint: str, *, in_use: bool) -> SavedAddress:
        new = SavedAddress(f"emerg_{self._next}", civic, in_use, hint)
        self._next += 1
        self.saved[f"emerg_{self._next - 1}"] = new
        return new

    # ------------------------------------------------------------ Control

    def overview(self) -> Overview:
        return self.now

    async def changes(self) -> AsyncIterator[Overview]:
        woken = asyncio.Event()
        self._wake.append(woken)
        self.readers += 1
        try:
            while True:
                woken.clear()
                yield self.now
                await woken.wait()
        finally:
            self.readers -= 1
            self.left.set()
            self._wake.remove(woken)

    async def addresses(self) -> tuple[SavedAddress, ...]:
        self._talk()
        return (*self.saved.values(), *self.lost)

    async def add_address(self, civic: CivicAddress) -> SavedAddress:
        self._talk()
        if civic.street.startswith("Ellm"):
            raise AddressRefused(
                say("The address could not be validated{said}.", said=""),
                fields={"street": "no such street in this city"},
            )
        if civic.street == "Harbor Boulevard":
            civic = replace(civic, street="Harbor Blvd", city="Oakland")
        return self._save(civic, say("saved"), in_use=False)

    async def confirm(
        self, *, address_id: str | None, civic: CivicAddress | None, who: str, question_id: str | None = None
    ) -> Overview:
        if question_id not in {None, self.now.question_id}:
            raise NeedsHuman(
                "The phone has changed its network since this question was shown.",
                todo="Please answer again.",
                code="place_changed",
            )
        self.answered.append(question_id)
        if address_id is not None:
            civic = self._get(address_id).civic
        elif civic is not None:
            address_id = (await self.add_address(civic)).id
        if civic is None or address_id is None:
            raise AssertionError("neither address nor id")
        self.writing.set()
        if self.disk is not None:
            await self.disk.wait()
        self.confirmed.append((civic, who))
        self.saved = {key: replace(one, in_use=key == address_id) for key, one in self.saved.items()}
        self.show(
            replace(overview(StatusKind.CONNECTING), address=civic, address_id=address_id, device=self.now.device)
        )
        return self.now

    async def forget_address(self, address_id: str) -> None:
        self._talk()
        self._get(address_id)
        del self.saved[address_id]

    async def clear_address(self, address_id: str) -> None:
        self._talk()
        self._get(address_id)
        self.cleared.append(address_id)

    def decisions(self, limit: int = 50) -> tuple[DecisionRecord, ...]:
        return tuple(self.log[:limit])

    def timeline(self, seconds: float) -> Timeline:
        return timeline(self.states, self.marks, NOON - seconds, NOON)

    def places(self) -> tuple[PlaceRecord, ...]:
        return tuple(self.known_places)

    def notices(self, limit: int = 50) -> tuple[NoticeRecord, ...]:
        return self.told[:limit]

    def acknowledge(self, notice_id: str, who: str) -> NoticeRecord:
        for one in self.told:
            if one.id == notice_id:
                taken = replace(one, open=False, acknowledged_at=NOON, acknowledged_by=who)
                self.told = tuple(taken if item is one else item for item in self.told)
                self.show(replace(self.now, alerts=tuple(item for item in self.told if item.open)))
                return taken
        raise NeedsHuman(say("There is no such notice."), code="no_such_notice")

    async def test_notices(self) -> tuple[Delivery, ...]:
        return self.tested

    def _get(self, address_id: str) -> SavedAddress:
        if address_id not in self.saved:
            raise AddressGone(
                say("The platform does not know this address any more{said}.", said=""),
                todo=say("Choose another one."),
                code="address_gone",
            )
        return self.saved[address_id]

    def _talk(self) -> None:
        if self.fail is not None:
            raise self.fail

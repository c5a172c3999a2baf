"""What page and command line may see and do: the border between the daemon and the people who use it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from agent.heard import NOTHING, Heard
from agent.light.timeline import Timeline
from agent.model import Ask, CivicAddress, Status, StatusKind
from agent.testcall.evidence import Evidence, Running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass(frozen=True, slots=True)
class Step:
    """Progress of the work under way, for people."""

    name: str
    """`network`, `address`, `sip`, `present`, `proof`."""
    label: str
    """`Registering the phone line`, ..."""
    state: str
    """`waiting`, `running`, `done`, `failed`."""
    detail: str = ""
    since: float | None = None
    """Unix seconds since when it has been running or has failed; None otherwise."""
    seconds: float | None = None
    """How long it took; None while it is not done, and where it was done before the work began."""


@dataclass(frozen=True, slots=True)
class SavedAddress:
    """An address that staff can choose."""

    id: str | None
    """None: known here, lost on the platform, or named by the network; choosing it registers it."""
    civic: CivicAddress
    in_use: bool
    """It is the one presented now."""
    hint: str
    """Why it stands where it stands: `last confirmed on this network`, `configured for this device`, ..."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """How one channel fared with a notice."""

    channel: str
    """`webhook`, `email`, `command`, each also with ` (escalation)`."""
    delivered: bool
    """It has the newest version."""
    detail: str
    """The receiver's word, or why it failed; empty when there is nothing to say."""
    given_up: bool = False
    """It is not tried any more."""


@dataclass(frozen=True, slots=True)
class NoticeRecord:
    """One emergency or test call, as it is told to people (47 CFR 9.16(b)(2))."""

    id: str
    number: str
    test: bool
    headline: str
    """`911 was dialed from Lobby kiosk.`"""
    told: str
    """What 911 was told of the location, as sure as it is; one sentence."""
    here: str
    """Where the phone is, as sure as it is; one sentence."""
    callback_number: str
    dialed_at: float
    """Unix seconds, as all times here."""
    answered_at: float | None
    ended_at: float | None
    seconds: float | None
    """Seconds of talk."""
    outcome: str
    callback_at: float | None
    """A call came in after it."""
    escalated_at: float | None
    acknowledged_at: float | None
    acknowledged_by: str
    open: bool
    """Somebody should acknowledge it."""
    late: bool
    """The agent was not there when it was dialed."""
    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True, slots=True)
class Emergency:
    """An emergency call, or the time in which the dispatcher may call back: what to read aloud."""

    number: str
    test: bool
    phase: str
    """`call`, `window` (it is over, the dispatcher may call back), `callback` (a call came in)."""
    since: float
    """Unix seconds of the dialing."""
    answered_at: float | None
    until: float | None
    """Unix seconds of the end of the window; None: a call is up."""
    here: CivicAddress | None
    """Where the phone is; None: not known."""
    certainty: str
    """`confirmed`, `unconfirmed`, `unknown`: of `here`."""
    conveyed: str
    """`proven`, `provisional`, `unproven`, `none`, `unknown`: of what 911 was given with the call."""
    differs: bool
    """911 was given another address than `here`, or none."""
    callback_number: str
    again: str = ""
    """Why it is being dialed again although somebody had answered, a sentence."""


_NO_CALL_CAUSES = frozenset({"voice_dead", "not_set_up"})


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything that Home shows."""

    status: Status
    ask: Ask
    question: str
    """`Is this phone still at 123 Main St, Suite 400?`; empty when nothing is asked."""
    address: CivicAddress | None
    """Where 911 would send help now: presented here; None: nowhere known."""
    address_id: str | None
    proven: bool
    choices: tuple[SavedAddress, ...]
    """Likeliest first."""
    steps: tuple[Step, ...]
    notices: tuple[str, ...]
    """Sentences that stay until they are no longer true: damaged database, voice process dead, ..."""
    phone: str
    """One sentence about the SIP line."""
    network: str
    """One sentence about the network."""
    exposure_since: float | None
    """Unix seconds since when 911 could have been wrong; None: it is not."""
    last_exposure: float | None
    """Seconds that the last such window lasted."""
    device: str
    mobility: str
    version: str
    interlock: bool = False
    heard: Heard = NOTHING
    """What the network itself says about the place: switch, port, VLAN, address."""
    test_running: Running | None = None
    """The test call to 933 that is being made."""
    test_last: Evidence | None = None
    """The newest test call."""
    emergency: Emergency | None = None
    """What to read aloud while an emergency call, its callback window or a test call is on."""
    alerts: tuple[NoticeRecord, ...] = ()
    """Emergency calls that nobody acknowledged, and test calls that are up; newest first."""
    question_id: str = ""
    """Names the network and place that is asked about (agent/occasion.py); goes back with the answer."""

    @property
    def no_call(self) -> bool:
        """Tell whether no call can be placed at all now, 911 neither."""
        return self.status.kind is StatusKind.OFFLINE or self.status.cause in _NO_CALL_CAUSES


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """One line of "where did this phone claim to be, and why" (S8)."""

    at: float
    """Unix seconds."""
    generation: int
    verdict: str
    reasons: tuple[str, ...]
    evidence: tuple[str, ...]
    """`gateway_mac 02:... on eth0`, ..."""
    wanted: str
    """In words."""
    cause: str


@dataclass(frozen=True, slots=True)
class PlaceRecord:
    """A known place, for people."""

    id: int
    current: bool
    evidence: tuple[str, ...]
    confirmed: CivicAddress | None
    confirmed_at: float | None
    confirmed_by: str | None
    last_seen: float


class Control(Protocol):
    """Implemented by the engine; every method may raise `AgentError`."""

    def overview(self) -> Overview:
        """Return the newest truth; cheap."""
        ...

    def changes(self) -> AsyncIterator[Overview]:
        """Yield the current overview and then every change; slow readers skip to the newest."""
        ...

    async def addresses(self) -> tuple[SavedAddress, ...]:
        """Return all addresses saved on the platform, and known ones that it lost."""
        ...

    async def add_address(self, civic: CivicAddress) -> SavedAddress:
        """Register an address; raises AddressRefused with the platform's words. Binds nothing."""
        ...

    async def confirm(
        self, *, address_id: str | None, civic: CivicAddress | None, who: str, question_id: str | None = None
    ) -> Overview:
        """Confirm that the device is here at that address; durable before it returns (S5).

        `question_id`: of the overview that the person saw; where the device has been carried elsewhere since, the
        answer is refused (S3 a). None: the answer is about where the device is now.
        `address_id`: a saved one. `civic` alone: registered first (AddressRefused). Returns as soon as
        the confirmation is on disk; binding and proof go on and show in `changes()`.
        """
        ...

    async def forget_address(self, address_id: str) -> None:
        """Delete a saved address on the platform."""
        ...

    async def clear_address(self, address_id: str) -> None:
        """Clear the network binding (`registered_ip`) of a saved address."""
        ...

    def decisions(self, limit: int = 50) -> tuple[DecisionRecord, ...]:
        """Return the newest decisions, newest first."""
        ...

    def timeline(self, seconds: float) -> Timeline:
        """Return the past of so many seconds: what the light was, what happened, how long 911 was not proven."""
        ...

    def places(self) -> tuple[PlaceRecord, ...]:
        """Return the known places, the current one first."""
        ...

    def notices(self, limit: int = 50) -> tuple[NoticeRecord, ...]:
        """Return the newest notices of emergency and test calls, newest first."""
        ...

    def acknowledge(self, notice_id: str, who: str) -> NoticeRecord:
        """Record that a person takes care of a call; on disk when it returns, unless the disk fails."""
        ...

    async def test_notices(self) -> tuple[Delivery, ...]:
        """Send a notice marked as a test through every channel and return how each fared."""
        ...

"""Snapshots and time in, network states out: generations, grace, proof after a loss, penalty for flaps; pure.

The machine is level-triggered: `_evaluate` looks at the newest snapshot and the time, never at what kind of event came.

| phase | meaning | leaves by |
| --- | --- | --- |
| steady | the generation's paths are usable (or it never had one) | path lost; another path; other evidence |
| lost | a path of the generation is away, the grace runs | path back; grace over: new generation |
| proving | the same path is back, the gateway has not shown yet that it is the same one | its address; waited enough |
| held | a recovery is possible, but flaps are penalized | calm; path lost |

Within one generation the paths never change, except that they are None while interrupted. `flapping` implies
`interrupted`: both paths are None and nothing is torn down.

A roam (failure 9): another BSSID belongs to the same generation if the gateway's hardware address is the trusted one
that the generation was proven with. Where no gateway shows that (none known, or a shared address), it is a new one.
"""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import replace

from agent.config.settings import NetworkSettings
from agent.heard import NOTHING
from agent.model import NetworkState, Path
from agent.network.evidence import GatewayEvidence, Seen, gateways
from agent.network.penalty import Pace, Penalty
from agent.network.place import is_shared_mac, observe
from agent.network.snapshot import EMPTY, Snapshot
from agent.say import say

RENEWALS, RENEWAL_WINDOW = 5, 600.0
"""Generations in so many seconds that may end because a switch port contradicts (S11): whoever sends frames of ever
other switches costs no more. The next one waits; meanwhile the light is off."""

Key = tuple[str, str, str | None, int]
"""What makes two paths the same: interface, source, gateway, family."""


class Phase(enum.Enum):
    """See the table above."""

    STEADY = "steady"
    LOST = "lost"
    PROVING = "proving"
    HELD = "held"


def key_of(path: Path | None) -> Key | None:
    """Return what identifies a path; the destination and the deprecation of its source do not."""
    return (path.interface, path.source, path.gateway, path.family) if path else None


class Tracker:
    """Feed it with `see`, `tick` and `slept`; the first two return the state to publish, None if nothing changed."""

    def __init__(self, settings: NetworkSettings, pace: Pace | None = None) -> None:
        self._settings = settings
        self._penalty = Penalty(pace or Pace())
        self._evidence = GatewayEvidence()
        self._snapshot = EMPTY
        self._phase = Phase.STEADY
        self._since = 0.0
        """When the phase began."""
        self._sip: Path | None = None
        self._api: Path | None = None
        self._mac: str | None = None
        """The gateway's hardware address that this generation was first proven with."""
        self._bssid: str | None = None
        """The newest access point of this generation."""
        self._evidence_until = 0.0
        self._published: NetworkState | None = None
        self._generation = 0
        self._resumed = 0
        self._target: tuple[Key | None, Key | None] = (None, None)
        self._suspect = False
        """The link of the path was away: the gateway must prove that it is the same."""
        self._had_path = False
        self._flapping = False
        self._woke = False
        self._renewal: str | None = None
        """Why this generation has to end although its paths are the same."""
        self._renewed: deque[float] = deque(maxlen=RENEWALS)
        """When generations ended so."""
        self._cause = "start"

    def configure(self, settings: NetworkSettings) -> None:
        """Judge by other settings from now on."""
        self._settings = settings

    # ------------------------------------------------------------------ inputs

    def see(self, snapshot: Snapshot, now: float, event_at: float, seen: Seen | None = None) -> NetworkState | None:
        """Take in the newest snapshot, whose first hint came at `event_at`; always stored (failure 8)."""
        before, self._snapshot = self._snapshot, snapshot
        away = self._evidence.update(snapshot, now, seen)
        first = self._published is None
        path = self._sip or self._api  # without a way to the registrar, the platform's tells where we are
        if path and path.interface in away:
            # In every phase: what was proven before this loss proves nothing, the wait for the gateway begins anew.
            self._suspect = True
            if self._phase is not Phase.LOST:
                self._lose(now, _loss(path, before, snapshot))
            else:
                self._penalty.disturb(now)
        target = key_of(snapshot.sip), key_of(snapshot.api)
        if target != self._target and not first:
            self._penalty.disturb(now)
        self._target = target
        if first or self._woke:
            self._begin(now, say("woke from suspend") if self._woke else say("start"))
            self._woke = False
        return self._evaluate(now, event_at)

    def tick(self, now: float) -> NetworkState | None:
        """Let time pass; call it at `next_timer`."""
        return self._evaluate(now, now) if self._published else None

    def slept(self, now: float) -> None:
        """The device was suspended (failure 10): what was known is from before, the next `see` starts anew."""
        self._evidence.distrust_all(now)
        self._woke = True

    def renew(self, generation: int, cause: str, now: float) -> NetworkState | None:
        """Begin a generation anew: the place is another one than it was judged to be. Flaps are penalized as ever."""
        if generation == self._generation:
            self._renewal = cause
        return self.tick(now)

    def _renewal_at(self, now: float) -> float:
        return now if len(self._renewed) < RENEWALS else self._renewed[0] + RENEWAL_WINDOW

    # ------------------------------------------------------------------ what the watcher asks

    def next_timer(self, now: float) -> float | None:
        """Return the monotonic time at which `tick` has something to do, None if only a snapshot can change things."""
        times = []
        if self._phase is Phase.LOST:
            times.append(self._since + self._settings.loss_grace)
        elif self._phase is Phase.PROVING:
            times.append(self._since + self._settings.evidence_wait)
        elif self._phase is Phase.HELD:
            times.append(self._penalty.ready_at(now))
        elif self._published and not self._published.evidence_complete:
            times.append(self._evidence_until)
        if self._phase is Phase.STEADY and self._renewal is not None:
            times.append(self._renewal_at(now))
        return min(times, default=None)

    def unproven(self) -> tuple[Path, ...]:
        """Return the paths whose gateway should be asked for its hardware address now."""
        return tuple(
            path
            for path in gateways(self._snapshot)
            if self._evidence.mac(path.interface, self._snapshot.gateway(path)) is None
        )

    # ------------------------------------------------------------------ the machine

    def _evaluate(self, now: float, event_at: float) -> NetworkState | None:
        sip, api = self._snapshot.sip, self._snapshot.api
        same = (key_of(sip), key_of(api)) == (key_of(self._sip), key_of(self._api))
        if (self._sip and not sip) or (self._api and not api and key_of(sip) == key_of(self._sip)):
            self._while_lost(now)
        elif not same:
            self._recover(now, self._describe_move(), new=True)
        else:
            self._while_same(now)
        return self._publish(now, event_at)

    def _while_lost(self, now: float) -> None:
        if self._phase is not Phase.LOST:
            self._lose(now, _loss(self._sip or self._api, self._snapshot, self._snapshot))
        if now - self._since >= self._settings.loss_grace:
            self._begin(
                now,
                say("no path for {loss_grace:g} s: {cause}", loss_grace=self._settings.loss_grace, cause=self._cause),
            )

    def _while_same(self, now: float) -> None:
        """The generation's own paths are there: were they away, and is the gateway still the same?"""
        mac, bssid = self._current_mac(), self._current_bssid()
        if self._renewal is not None and now >= self._renewal_at(now):
            self._recover(now, self._renewal, new=True)
        elif mac and mac != (self._mac or mac):
            self._recover(
                now, say("the gateway's hardware address is {mac}, was {mac2}", mac=mac, mac2=self._mac), new=True
            )
        elif bssid and bssid != (self._bssid or bssid) and not self._may_roam(mac):
            self._recover(
                now,
                say(
                    "the access point is {bssid}, was {bssid2}, and no gateway is proven",
                    bssid=bssid,
                    bssid2=self._bssid,
                ),
                new=True,
            )
        elif self._phase is Phase.STEADY:
            self._mac, self._bssid = self._mac or mac, bssid or self._bssid
        elif not self._suspect or not self._can_prove(self._sip or self._api) or (mac and not is_shared_mac(mac)):
            self._recover(now, say("back on the same network"), new=False)
        elif mac or self._mac is None:  # a shared address is no proof, and none was known before
            self._recover(now, say("back, and nothing proves that it is the same network"), new=True)
        else:
            self._prove(now)

    def _prove(self, now: float) -> None:
        if self._phase is Phase.LOST:
            self._phase, self._since = Phase.PROVING, now
        waited = self._phase is Phase.PROVING and now - self._since >= self._settings.evidence_wait
        if waited or self._phase is Phase.HELD:
            self._recover(now, say("back, but the gateway does not answer"), new=True)

    def _recover(self, now: float, cause: str, *, new: bool) -> None:
        """A path is usable (again): act on it at once, or hold it back until it is calm."""
        if new and self._phase is Phase.STEADY:
            self._penalty.disturb(now)
        if self._penalty.ready_at(now) > now:
            if self._phase is not Phase.HELD:
                self._phase, self._since, self._flapping = Phase.HELD, now, True
                self._cause = say("held back until it is calm: {cause}", cause=cause)
            return
        first = not self._had_path
        if new:
            self._begin(now, cause)
        else:
            self._phase, self._since, self._cause = Phase.STEADY, now, cause
            self._suspect = self._flapping = False
            self._resumed += 1
        if not first:  # the first path after a start is no recovery
            self._penalty.recovered(now)

    def _lose(self, now: float, cause: str) -> None:
        if self._phase is Phase.STEADY:
            self._cause = cause
        self._phase, self._since = Phase.LOST, now
        self._penalty.disturb(now)

    def _begin(self, now: float, cause: str) -> None:
        """Start a new generation with the paths that there are."""
        self._generation += 1
        if self._renewal is not None:
            self._renewal = None
            self._renewed.append(now)
        self._sip, self._api = self._snapshot.sip, self._snapshot.api
        self._mac, self._bssid = self._current_mac(), self._current_bssid()
        self._had_path = self._had_path or self._sip is not None
        self._suspect = self._flapping = False
        self._phase, self._since, self._cause = Phase.STEADY, now, cause
        self._evidence_until = now + self._settings.evidence_wait

    # ------------------------------------------------------------------ looking

    def _current_mac(self) -> str | None:
        path = self._snapshot.sip or self._snapshot.api
        return self._evidence.mac(path.interface, self._snapshot.gateway(path)) if path else None

    def _current_bssid(self) -> str | None:
        path = self._snapshot.sip or self._snapshot.api
        wifi = self._snapshot.wifi.get(path.ifindex) if path and self._can_prove(path) else None
        return wifi.bssid if wifi else None

    def _may_roam(self, mac: str | None) -> bool:
        """Whether another access point may be of the same place: the gateway shows it, or may still show it."""
        if self._phase is not Phase.STEADY and mac is None:
            return self._mac is not None  # the proof after the loss is under way
        return mac is not None and mac == self._mac and not is_shared_mac(mac)

    def _macs(self) -> dict[str, str]:
        """Return the trusted hardware address of each interface's gateway."""
        trusted: dict[str, str] = {}
        for path in gateways(self._snapshot):
            if mac := self._evidence.mac(path.interface, self._snapshot.gateway(path)):
                trusted.setdefault(path.interface, mac)
        return trusted

    def _can_prove(self, path: Path | None) -> bool:
        """Whether this path is of a kind that must show where it is: a wall socket or Wi-Fi."""
        link = self._snapshot.link(path.interface) if path else None
        return bool(path and link and link.tells_place)

    def _describe_move(self) -> str:
        old, new = self._sip or self._api, self._snapshot.sip or self._snapshot.api
        if not new:
            return say("no path")
        way = f"{new.source} on {new.interface} via {new.gateway or 'the link itself'}"
        return say("path is {way}", way=way) if not old else say("path changed to {way}", way=way)

    # ------------------------------------------------------------------ output

    def _publish(self, now: float, event_at: float) -> NetworkState | None:
        state = self._state(now, event_at)
        old = self._published
        if old and replace(state, cause=old.cause, event_at=old.event_at) == old:
            return None
        self._published = state
        return state

    def _state(self, now: float, event_at: float) -> NetworkState:
        steady, snapshot = self._phase is Phase.STEADY, self._snapshot
        if steady or not self._published:
            path = self._sip or self._api
            seen = observe(snapshot, snapshot.sip or snapshot.api, self._macs())
            complete = self._mac is not None or now >= self._evidence_until or not self._can_prove(path)
        else:  # what the generation stands for, until it is proven or replaced
            seen, complete = self._published.observations, self._published.evidence_complete
        here = snapshot.sip or snapshot.api
        return NetworkState(
            generation=self._generation,
            sip=snapshot.sip if steady else None,
            api=snapshot.api if steady else None,
            observations=seen,
            evidence_complete=complete,
            cause=self._cause,
            event_at=event_at,
            interrupted=not steady,
            flapping=self._flapping,
            resumed=self._resumed,
            heard=snapshot.heard.get(here.ifindex, NOTHING) if here else NOTHING,
        )


def _loss(path: Path | None, before: Snapshot, now: Snapshot) -> str:
    """Say what is missing, for the log."""
    if path is None:
        return say("no path")
    link = now.link(path.interface)
    if link is None:
        return say("link {interface} is gone", interface=path.interface)
    if not link.usable:
        return say("link {interface} lost carrier", interface=path.interface)
    old = before.link(path.interface)
    if old and old.carrier_downs != link.carrier_downs:
        return say("link {interface} lost carrier for a moment", interface=path.interface)
    return say("the route is gone")

"""A device, its sites and a person, in virtual time: what the generated histories drive and check."""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import dataclass, replace
from typing import Literal

from agent.config.settings import DeviceSettings, Settings
from agent.desk import Desk
from agent.dialstack.binding import BindingWorker
from agent.engine import Engine
from agent.errors import AgentError
from agent.heard import NOTHING, SwitchPort
from agent.model import (
    CivicAddress,
    Gap,
    LinkKind,
    NetworkState,
    Observation,
    Path,
    StatusKind,
    Strength,
)
from agent.network.place import judge
from agent.notify.side import NoticeSide
from agent.storage.store import Store
from tests.engine.virtual_loop import VirtualClock, VirtualLoop
from tests.engine.virtual_platform import USER, Seen, VirtualPlatform, VirtualRest
from tests.engine.virtual_voice import VirtualVoice

OFFICE = CivicAddress("123", "Main St", "San Francisco", "CA", "94105", "Suite 400")
HOME = CivicAddress("500", "Elm St", "San Francisco", "CA", "94105")
TYPO = replace(HOME, street="Ellm St")
ADDRESSES = {"office": OFFICE, "home": HOME}


@dataclass(frozen=True, slots=True)
class Site:
    """A place where the cable can be plugged in."""

    name: str
    mac: str | None
    """Hardware address of the gateway; None: it does not answer, nothing identifies the place."""
    port: str | None = None
    """Switch port that is heard there, some time after the gateway; None: no switch speaks."""


SITES = {
    "office": Site("office", "02:00:00:00:00:01", "02:00:00:00:01:00 ge1"),
    "upstairs": Site("upstairs", "02:00:00:00:00:01", "02:00:00:00:01:00 ge2"),
    "home": Site("home", "02:00:00:00:00:02"),
    "nowhere": Site("nowhere", None),
}
TWINS = {"office": "upstairs", "upstairs": "office"}
"""Two floors behind one router: until the port is heard, one cannot be told from the other."""
PUBLIC = {"office": "203.0.113.10", "upstairs": "203.0.113.10", "home": "198.51.100.20", "nowhere": "198.51.100.99"}


class World:
    """Everything around one engine; `close()` it."""

    def __init__(self, mobility: Literal["fixed", "movable"], seed: int = 0) -> None:
        self.loop = VirtualLoop()
        asyncio.set_event_loop(self.loop)
        self.clock = VirtualClock(self.loop)
        self.rng = random.Random(seed)
        self.platform = VirtualPlatform(self.clock)
        self.settings = Settings(device=DeviceSettings(mobility=mobility), address=OFFICE)
        self.store = Store(None)
        self.platform.here = self.here
        self.voice = VirtualVoice(self.platform, self.rng)
        self.site: Site | None = None
        self.public = dict(PUBLIC)
        self.generation = 0
        self.resumed = 0
        self.interrupted = False
        self.evidence_after = 0.0
        """Seconds that the gateway takes to be told by its hardware address."""
        self.port_after = 1.0
        """Seconds after which the switch is heard; a switch that speaks no LLDP-MED takes up to thirty."""
        self.port_heard_at: float | None = None
        self.heard = NOTHING
        """What else the network says."""
        self.generation_at = self.loop.time()
        self.confirmed: set[tuple[str, str]] = set()
        """(site, street) that a person confirmed; ("nowhere", generation) for places that cannot be told."""
        self.lights: list[tuple[float, StatusKind]] = []
        self.green_without_proof: list[str] = []
        self.presented_wrongly: list[str] = []
        self.checked = 0
        self.start()

    # ------------------------------------------------------------------ the agent's life

    def start(self) -> None:
        """Start the agent process."""
        self.loop.finish(self._start())

    async def _start(self) -> None:
        self.engine = Engine(self.settings, self.store, self.clock, judge, self.voice)
        rest = VirtualRest(self.platform)
        self.worker = BindingWorker(
            api=rest, signalling=self.platform, tokens=self.platform, use_path=rest.use_path,
            listener=self.engine, clock=self.clock, rng=self.rng, ways=self.engine.ways,
        )  # fmt: skip
        self.engine.worker = self.worker
        self.engine.renew = self._renew
        notices = NoticeSide(self.engine, self.clock, self.rng, ())
        self.desk = Desk(self.engine, rest, notices)
        self.started_at = self.loop.time()
        self.task = asyncio.create_task(self.worker.run())
        self.voice.agent_back(self.engine.voice_changed)
        self._watch = asyncio.create_task(self._watch_light())
        self.publish("started")

    def restart(self) -> None:
        """Kill the agent and start it again; voice and the database live on."""
        self.loop.finish(self._stop())
        self.generation = 0
        self.resumed = 0
        self.new_generation()
        self.start()

    async def _stop(self) -> None:
        self.voice.agent_gone()
        for task in (self.task, self._watch):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def close(self) -> None:
        """End everything."""
        self.loop.finish(self._stop())
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.finish(asyncio.sleep(0))
        self.loop.close()
        asyncio.set_event_loop(None)
        self.store.close()

    # ------------------------------------------------------------------ the network

    def _renew(self, generation: int, cause: str) -> None:
        """End the generation soon, as the watcher does."""

        def renew() -> None:
            if generation == self.generation and not self.interrupted:
                self.new_generation()
                self.publish(cause)

        self.loop.call_soon(renew)

    def _plugged(self) -> None:
        """Nothing was heard on this cable yet; the switch speaks some time later."""
        self.port_heard_at = None
        if self.site is None or self.site.port is None:
            return
        self._plug = plug = object()

        def hear() -> None:
            if self._plug is plug and self.site is not None and not self.interrupted:
                self.port_heard_at = self.loop.time()
                self.engine_call(lambda: self.engine.network_changed(self.state("the switch was heard")))

        self.loop.call_later(self.port_after, hear)

    def new_generation(self) -> None:
        self.generation += 1
        self.interrupted = False
        self.generation_at = self.loop.time()

    def plug(self, name: str) -> None:
        """Carry the device to a site and plug it in."""
        self.site = SITES[name]
        self.new_generation()
        self._weather()
        self._plugged()
        self.publish(f"plugged in at {name}")

    def plug_silently(self, name: str) -> None:
        """Carry the device to a site while it is switched off."""
        self.site = SITES[name]
        self.new_generation()
        self._weather()
        self._plugged()

    def flap_to(self, name: str) -> None:
        """Move the cable to another socket of the same router, faster than the grace: the network is the same."""
        self.site = SITES[name]
        self.flap(1.0)

    def unplug(self) -> None:
        """Pull the cable for longer than the grace."""
        self.site = None
        self._plugged()
        self.new_generation()
        self._weather()
        self.publish("cable pulled")

    def flap(self, seconds: float) -> None:
        """Lose the carrier for less than the grace, on the same network."""
        if self.site is None:
            return
        self.interrupted = True
        self.port_heard_at = None
        self.platform.weather.public = None
        self.publish("carrier lost")
        self.advance(seconds)
        self.interrupted = False
        self.resumed += 1
        self._weather()
        self._plugged()
        self.publish("carrier back")

    def change_wan(self, last: int) -> None:
        """Change the public address of the site; the device sees nothing."""
        if self.site is None:
            return
        self.public[self.site.name] = self.public[self.site.name].rsplit(".", 1)[0] + f".{last}"
        self._weather()

    def suspend(self, seconds: float) -> None:
        """Sleep; the watcher notices, tells the gap, reads everything again and then starts a new generation."""
        self.clock.asleep += seconds
        self.engine_call(lambda: self.engine.gap(Gap("suspend", seconds, "")))
        self.new_generation()
        self.publish("woke from suspend")

    def _weather(self) -> None:
        self.platform.weather.public = self.public[self.site.name] if self.site else None

    def state(self, cause: str) -> NetworkState:
        """Return what the watcher would publish."""
        site = self.site
        path = None
        observations: tuple[Observation, ...] = ()
        heard = self.heard
        if site is not None and not self.interrupted:
            path = Path("eth0", 2, "192.168.1.50", "192.168.1.1", "192.0.2.10", LinkKind.ETHERNET, 4)
            observations = (Observation("subnet", "192.168.1.0/24", "eth0", Strength.WEAK),)
            if site.mac:
                observations += (Observation("gateway_mac", site.mac, "eth0", Strength.STRONG),)
            if site.port and self.port_heard_at is not None:
                observations += (Observation("switch_port", site.port, "eth0", Strength.STRONG),)
                heard = replace(heard, ports=(SwitchPort(site.port.split(" ")[0], site.port.split(" ")[1]),))
        return NetworkState(
            generation=self.generation,
            sip=path,
            api=path,
            observations=observations,
            evidence_complete=path is not None,
            cause=cause,
            event_at=self.loop.time(),
            interrupted=self.interrupted,
            resumed=self.resumed,
            heard=heard if path else NOTHING,
        )

    def publish(self, cause: str) -> None:
        """Let the engine see the network; first without the place, as the watcher does."""
        whole = self.state(cause)
        if whole.evidence_complete:
            early = replace(whole, observations=(), evidence_complete=False)
            self.engine_call(lambda: self.engine.network_changed(early))
            if self.evidence_after and not self.loop.is_running():
                self.advance(self.evidence_after)
        self.engine_call(lambda: self.engine.network_changed(whole))

    def dial(self, *, emergency: bool) -> bool:
        """Place a call; True when it reaches the platform."""

        async def act() -> bool:
            return self.voice.dial(emergency=emergency)

        return self.loop.finish(act())

    def engine_call(self, act: object) -> None:
        """Run something inside the loop."""
        if self.loop.is_running():
            act()  # type: ignore[operator]
            return

        async def run() -> None:
            act()  # type: ignore[operator]

        self.loop.finish(run())

    def advance(self, seconds: float) -> None:
        self.loop.advance(seconds)

    # ------------------------------------------------------------------ the person

    def confirm(self, name: str, civic: CivicAddress | None = None) -> bool:
        """Answer the question; True when the answer was saved."""
        civic = civic or ADDRESSES[name]

        async def act() -> bool:
            # Noted first: presentation may begin before the answer is out.
            key = (self.here().rstrip("?"), civic.street)
            fresh = key not in self.confirmed
            self.confirmed.add(key)
            try:
                await self.desk.confirm(address_id=None, civic=civic, who="local screen")
            except AgentError:
                if fresh:
                    self.confirmed.discard(key)
                return False
            return True

        return self.loop.finish(act())

    def here(self) -> str:
        """Return the site, or the generation where the site cannot be told from others."""
        if self.site is None:
            return "unplugged"
        if self.site.name in TWINS:
            told = self.port_heard_at is not None and (
                self.loop.time() - self.port_heard_at > 20 * self.platform.weather.latency
            )
            return self.site.name if told else f"{self.site.name}?"
        return self.site.name if self.site.mac else f"generation {self.started_at} {self.generation}"

    # ------------------------------------------------------------------ checking

    async def _watch_light(self) -> None:
        version = -1
        while True:
            version = await self.engine.wait_change(version)
            kind = self.engine.light.kind
            if not self.lights or self.lights[-1][1] is not kind:
                self.lights.append((self.loop.time(), kind))
            self.check_green()

    def check_green(self) -> None:
        """S2, from what really happened on the wire, not from the agent's own books."""
        if self.engine.light.kind not in {StatusKind.BOUND, StatusKind.PROVISIONAL}:
            return
        address = self.engine.decision.wanted.address_id if self.engine.decision else None
        problem = self._unproven(address)
        if problem:
            self.green_without_proof.append(f"{self.loop.time():.2f} {address}: {problem}")

    def _unproven(self, address: str | None) -> str:
        since = max(self.generation_at, self.started_at)
        seen = [item for item in self.platform.seen if item.at >= since]
        accepted = _last(seen, "accepted")
        registered = _last(self.platform.seen, "registered")
        if accepted is None or accepted.address != address:
            return f"the signalling connection presented {accepted.address if accepted else None}"
        if registered is None or registered.address != address:
            return "the registration did not present it"
        if registered.at < self.generation_at:
            return "the registration is of another network"
        return self._unread(seen, accepted, address)

    def _unread(self, seen: list[Seen], accepted: Seen, address: str | None) -> str:
        first = self._registered_since(address)
        reads = [i for i in seen if i.kind == "read" and i.address == address and i.at >= max(accepted.at, first)]
        if not reads:
            return "no read-back after it was accepted"
        if any(i.kind == "denied" and i.where == accepted.where and i.at >= accepted.at for i in seen):
            return "network.changed arrived on this connection"
        if self.site is None or self.interrupted:
            return "there is no network"
        return ""

    def _registered_since(self, address: str | None) -> float:
        """Return when the run of registrations with this id began: refreshes continue it."""
        began = float("inf")
        for item in reversed([i for i in self.platform.seen if i.kind == "registered"]):
            if item.address != address or item.at < self.generation_at:
                break
            began = item.at
        return began

    def check_presented(self) -> None:
        """S3: every presented id is allowed at the site where it was presented."""
        for item in self.platform.seen[self.checked :]:
            if item.kind == "presented" and item.address is not None:
                self._check_one(item)
        self.checked = len(self.platform.seen)

    def _check_one(self, item: Seen) -> None:
        saved = self.platform.core.addresses.find(item.address)
        street = f"{saved.address.get('street')}" if saved else ""
        where = (item.where or "").rstrip("?")
        if saved is None or (where, street) in self.confirmed:
            return
        if where != item.where and (TWINS[where], street) in self.confirmed:
            return  # the port is not heard yet, and the router is the same
        if self.settings.device.mobility == "fixed" and street == OFFICE.street:
            return
        self.presented_wrongly.append(f"{item.at:.2f} {street} at {item.where}")


def _last(seen: list[Seen], kind: str) -> Seen | None:
    return next((item for item in reversed(seen) if item.kind == kind), None)


__all__ = ["ADDRESSES", "HOME", "OFFICE", "PUBLIC", "SITES", "TYPO", "USER", "World"]

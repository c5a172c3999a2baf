"""The network watcher: hints in, snapshots read, states out; one reading at a time, one pending, newest wins."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace

from agent.clock import Clock, SleepDetector
from agent.config.settings import NetworkSettings
from agent.model import Gap, NetworkState
from agent.network.evidence import Seen, gateways
from agent.network.hints import Hint, Interest, gateway_key
from agent.network.leases import Leases
from agent.network.lldp.ear import Ear
from agent.network.netlink import Hints, Reader
from agent.network.penalty import Pace
from agent.network.resolve import Resolver
from agent.network.snapshot import EMPTY, Snapshot, build
from agent.network.solicit import solicit
from agent.network.tracker import Tracker
from agent.network.wifi import WifiReader
from agent.runtime.liveness import waiting
from agent.say import say

log = logging.getLogger(__name__)

BURST = 20
"""Readings that may follow each other at once; a move with its lease takes three to six."""
REFILL = 0.05
"""Seconds that buy one more reading: under a flood, twenty a second at 2-5 ms each."""
URGENT_GAP = 0.02
"""Seconds between readings that cannot wait: a storm of link messages costs at most a quarter of a core."""
SLEEP_CHECK = 5.0
"""Seconds between looks at the clocks; a resume mostly brings a link event sooner."""
ASK_AGAIN = 0.5
"""Seconds between questions to a gateway that did not answer."""
MAX_QUESTIONS = 10
"""Questions to a silent gateway until the next audit."""


class NetworkWatcher:
    """Publishes a `NetworkState` through `on_state` at the start and whenever anything that matters changed.

    `on_state` and `on_gap` are called on the loop's thread and must not block. A failure of the kernel's sockets is
    raised out of `run`, for the supervisor to record and to start `run` again; generations go on growing then.
    """

    def __init__(  # noqa: PLR0917 - the order of the pipeline
        self,
        settings: NetworkSettings,
        sip_host: str,
        api_host: str,
        clock: Clock,
        on_state: Callable[[NetworkState], None],
        on_gap: Callable[[Gap], None],
        *,
        pace: Pace | None = None,
        ear: Ear | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._on_state = on_state
        self._on_gap = on_gap
        self._tracker = Tracker(settings, pace)
        self._sleep = SleepDetector(clock)
        self._wifi = WifiReader()
        self._ear = ear
        self._leases = Leases()
        if ear is not None:
            ear.on_change = lambda: self._hint(Hint.LOOK)
        self._names = sip_host, api_host
        self._hosts = (Resolver(sip_host, self._look), Resolver(api_host, self._look))
        self.on_snapshot: Callable[[Snapshot], None] | None = None
        """Called with each reading, whether anything follows from it or not."""
        self.hints: Hints | None = None
        """The open hint socket, while running."""
        self._snapshot = EMPTY
        self._generation = 0
        self._wake = asyncio.Event()
        self._dirty = Hint.URGENT
        self._hinted_at: float | None = None
        """When the first hint since the last reading came."""
        self._last_hint = float("-inf")
        self._settled = False
        """The settling snapshot after the last hint was taken."""
        self._tokens = float(BURST)
        self._tokens_at = clock.monotonic()
        self._read_at = 0.0
        self._audit_at = 0.0
        self._sleep_at = 0.0
        self._ask_at: float | None = None
        self._questions = 0
        self._overrun_at: float | None = None
        self._audits: list[asyncio.Future[None]] = []
        self._renewal: tuple[int, str] | None = None
        self._stopped_at: float | None = None

    async def run(self) -> None:
        """Watch until cancelled; after a failure, call it again."""
        self._dirty, self._settled = Hint.URGENT, True
        if self._stopped_at is not None:
            blind = self._clock.monotonic() - self._stopped_at
            self._on_gap(Gap("dead_worker", blind, say("the network watcher had failed; everything is read again")))
        for host in self._hosts:
            host.refresh()
        hints, reader = Hints(self._hint, self._overrun), Reader()
        self.hints = hints
        try:
            while True:
                await self._turn(hints, reader)
                await self._pause()
        finally:
            self._stopped_at = self._clock.monotonic()
            self.hints = None
            hints.close()
            reader.close()
            for host in self._hosts:
                await host.close()

    def configure(self, settings: NetworkSettings, sip_host: str, api_host: str) -> None:
        """Go on with other settings or hosts; generations go on, and everything is read again."""
        self._settings = settings
        self._tracker.configure(settings)
        if self._ear is not None:
            self._ear.configure(settings)
        names = sip_host, api_host
        fresh = tuple(
            old if name == before else Resolver(name, self._look)
            for old, before, name in zip(self._hosts, self._names, names, strict=True)
        )
        for old, host in zip(self._hosts, fresh, strict=True):
            if old is not host:
                old.drop()
                host.refresh()
        self._names, self._hosts = names, (fresh[0], fresh[1])
        self._look()

    async def audit(self) -> None:
        """Read everything now and return when what follows from it is published; needs a running `run`."""
        done = asyncio.get_running_loop().create_future()
        self._audits.append(done)
        self._look()
        await done

    def renew(self, generation: int, cause: str) -> None:
        """Let a generation end, soon: it was taken for another place than it is. May be called by `on_state`."""
        self._renewal = generation, cause
        self._wake.set()

    # ------------------------------------------------------------------ hints

    def _look(self) -> None:
        self._hint(Hint.URGENT)

    def _hint(self, hint: Hint) -> None:
        now = self._clock.monotonic()
        self._dirty = max(self._dirty, hint)
        self._last_hint, self._settled = now, False
        if self._hinted_at is None:
            self._hinted_at = now
        self._wake.set()

    def _overrun(self) -> None:
        if self._overrun_at is None:
            self._overrun_at = self._clock.monotonic()
            log.warning("The kernel had more network messages than could be read: reading everything again.")

    # ------------------------------------------------------------------ one turn

    async def _turn(self, hints: Hints, reader: Reader) -> None:
        now = self._clock.monotonic()
        self._check_clocks(now)
        if self._renewal is not None:
            (generation, cause), self._renewal = self._renewal, None
            self._publish(self._tracker.renew(generation, cause, now))
        if self._reading_due(now):
            await self._read(hints, reader)
        else:
            self._publish(self._tracker.tick(now))
        self._ask(self._clock.monotonic())

    def _reading_due(self, now: float) -> bool:
        quiet = not self._settled and now >= self._last_hint + self._settings.quiet
        if now >= self._audit_at or quiet:
            return True
        return self._dirty is not Hint.NOTHING and self._next_read(now) <= now

    async def _read(self, hints: Hints, reader: Reader) -> None:
        started = self._clock.monotonic()
        event_at, self._hinted_at = self._hinted_at, None
        overrun, self._overrun_at = self._overrun_at, None
        audits, self._audits = self._audits, []
        self._dirty = Hint.NOTHING
        self._settled = started >= self._last_hint + self._settings.quiet
        if started >= self._audit_at:
            for host in self._hosts:
                host.refresh()  # a name that could not be looked up, or that moved, is not for ever
        self._audit_at = started + self._settings.audit_interval
        self._tokens, self._read_at = max(0.0, self._tokens - 1), started
        absent = hints.absences.since_loss()  # not after the reading: what it brings may have gone meanwhile
        try:
            dump = await reader.read(self._hosts[0].addresses, self._hosts[1].addresses)
            snapshot = build(dump, self._settings.portable_interfaces, self._settings.ignore_interfaces)
            snapshot = replace(snapshot, wifi=await self._wifi.read(snapshot))
            if self._ear is not None:
                self._ear.see(snapshot)
                snapshot = replace(snapshot, heard=self._leases.add(snapshot, self._ear.heard(snapshot)))
        except BaseException:
            self._dirty, self._overrun_at = Hint.URGENT, overrun
            self._audits += audits
            raise
        now = self._clock.monotonic()
        self._snapshot = snapshot
        if self.on_snapshot is not None:
            self.on_snapshot(snapshot)
        hints.interest = interest(snapshot, hints.interest)
        seen = Seen(asked_at=started, absent=absent)
        self._publish(self._tracker.see(snapshot, now, started if event_at is None else event_at, seen))
        if overrun is not None:
            self._on_gap(Gap("overrun", now - overrun, say("network messages were lost; everything was read again")))
        for done in audits:
            if not done.done():
                done.set_result(None)

    def _publish(self, state: NetworkState | None) -> None:
        if state is None:
            return
        if state.generation != self._generation:
            self._generation = state.generation
            for host in self._hosts:
                host.refresh()
        self._questions = 0
        log.info("Network generation %d: %s", state.generation, state.cause)
        self._on_state(state)

    def _check_clocks(self, now: float) -> None:
        self._sleep_at = now + SLEEP_CHECK
        asleep, step = self._sleep.check()
        if asleep:
            self._on_gap(Gap("suspend", asleep, say("the device slept for {seconds} s", seconds=round(asleep))))
            self._tracker.slept(now)
            if self.hints:
                self.hints.absences.forget()
            self._look()
        if step:
            # Failure 11: a clock step is not a sleep; nothing happened to the network.
            self._on_gap(
                Gap("clock_step", abs(step), say("the wall clock was set by {seconds} s", seconds=f"{step:+.0f}"), step)
            )

    def _ask(self, now: float) -> None:
        """Ask the gateways for their hardware addresses while they are missing."""
        missing = self._tracker.unproven()
        if not missing:
            self._ask_at, self._questions = None, 0
        elif self._questions < MAX_QUESTIONS and (self._ask_at is None or now >= self._ask_at):
            self._questions += 1
            self._ask_at = now + ASK_AGAIN
            solicit(self._snapshot, missing)

    # ------------------------------------------------------------------ waiting

    async def _pause(self) -> None:
        """Sleep until a hint or the next timer."""
        now = self._clock.monotonic()
        times = [self._audit_at, self._sleep_at]
        if (timer := self._tracker.next_timer(now)) is not None:
            times.append(timer)
        if not self._settled:
            times.append(self._last_hint + self._settings.quiet)
        if self._dirty is not Hint.NOTHING:
            times.append(self._next_read(now))
        if self._ask_at is not None and self._questions < MAX_QUESTIONS:
            times.append(self._ask_at)
        if self._renewal is not None:
            times.append(now)
        delay = max(0.0, min(times) - now)
        self._wake.clear()
        try:
            with waiting():
                async with asyncio.timeout(delay):
                    await self._wake.wait()
        except TimeoutError:
            pass

    def _next_read(self, now: float) -> float:
        """Return when the next reading is paid for; an urgent one hardly waits, whatever floods in beside it."""
        self._tokens = min(float(BURST), self._tokens + (now - self._tokens_at) / REFILL)
        self._tokens_at = now
        if self._tokens >= 1:
            return now
        if self._dirty is Hint.URGENT:
            return self._read_at + URGENT_GAP
        return now + (1 - self._tokens) * REFILL


def interest(snapshot: Snapshot, before: Interest | None = None) -> Interest:
    """Return what the hints should look after: every real network card, and the routers that are evidence.

    The routers of a link that is away stay: their end may not have been told yet.
    """
    routers = {
        gateway_key(path.ifindex, gateway)
        for path in gateways(snapshot)
        if (gateway := snapshot.gateway(path)) is not None
    }
    away = {link.index for link in snapshot.links if not link.usable}
    return Interest(
        links=frozenset(link.index for link in snapshot.links if link.tells_place)
        | frozenset(path.ifindex for path in (snapshot.sip, snapshot.api) if path),
        gateways=frozenset(routers | {one for one in (before or Interest()).gateways if one[0] in away}),
    )

"""The composition root: builds everything, runs it in one task group, and shuts it down in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import signal
import sqlite3
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from agent.applying import Applier, report
from agent.calling import assemble
from agent.clock import SANE_WALL, SystemClock
from agent.config.current import Configuration
from agent.config.side import consequences
from agent.desk import Desk
from agent.doctor import bundle
from agent.doctor.checkup import CheckUp
from agent.doctor.recent import Recent
from agent.doctor.result import Report
from agent.doctor.world import World
from agent.engine import Engine
from agent.errors import AgentError
from agent.metrics import Metrics
from agent.model import CallView, Gap, StatusKind, VoiceState
from agent.network.lldp.ear import Ear
from agent.network.place import judge
from agent.network.watch import NetworkWatcher
from agent.notify.side import NoticeSide
from agent.page.access.access import Access
from agent.page.access.pins import Pins
from agent.page.server import PageServer
from agent.page.workshop import Workshop
from agent.platform_side import PlatformSide
from agent.runtime.lag import Lag
from agent.runtime.liveness import Liveness
from agent.runtime.log import setup, trace
from agent.runtime.supervisor import supervise
from agent.runtime.systemd import notify, watchdog_interval
from agent.runtime.tasks import end
from agent.storage.opening import open_store
from agent.testcall.evidence import Result
from agent.voice.socket.client import VoiceClient

ALIVE_EVERY = 300.0
"""Seconds between signs of life in the database: how exactly a power cut can be dated, at 288 writes a day."""
QUIET = 0.25
"""Seconds that changes of the light are gathered before they are written."""


BUNDLED_DECISIONS = 1000
"""Decisions in a bundle for support: weeks of them."""
RESTART_AFTER = 0.3
"""Seconds between the order to start again and its execution."""


class App:
    """All parts of the agent process; the only one who knows everyone."""

    def __init__(self, config: Path) -> None:
        self.clock = SystemClock()
        self.configuration = Configuration(config, self.clock)
        layers = self.configuration.layers
        settings, problems = layers.settings, layers.grave
        self.settings = settings
        self.rng = random.Random()  # noqa: S311 - jitter
        self.liveness = Liveness(self.clock)
        self.store, store_problem = open_store(settings)
        self.voice = VoiceClient(
            settings.sip.socket, self._voice_changed, self.rng, self._call_heard, self._calls_settled
        )
        self.engine = Engine(settings, self.store, self.clock, judge, self.voice)
        self.engine.config_problems, self.engine.records.problem = problems, store_problem
        self.engine.side_problems = consequences(layers.mistakes)
        self.platform = PlatformSide(settings, self.engine, self.clock, self.rng)
        if not problems:
            self.engine.worker = self.platform.worker
        self.notices = NoticeSide(self.engine, self.clock, self.rng)
        self.desk = Desk(self.engine, self.platform.rest, self.notices)
        self.calling = self.desk.calling = assemble(self.engine, self.store, self.clock, settings)
        pins = Pins(settings.paths.state / "pins.json")
        access = Access(settings.page, self.clock, pins=pins, audit=self.store.audit)
        self.lag = Lag(self.clock)
        metrics = Metrics(
            self.engine, platform=self.platform, lag=self.lag, notices=self.notices, tests=self.calling.tester
        )
        self.stop = asyncio.Event()
        self.again = False
        """Start once more, because a person asked for it."""
        self.recent = Recent()
        logging.getLogger().addHandler(self.recent)
        self.checkup = CheckUp(self._world)
        workshop = Workshop(
            self.configuration, self.checkup, self.clock, self._bundle,
            waits_for_restart=self._waits_for_restart, restart=self._restart, tested=self._tested,
        )  # fmt: skip
        self.page = PageServer(
            self.desk, settings.page, clock=self.clock, access=access, state=settings.paths.state, metrics=metrics.text,
            calling=self.calling, workshop=workshop,
        )  # fmt: skip
        self.desk.page_problems = self.page.problems
        self.ear = Ear(settings.network, self.clock)
        self.watcher = NetworkWatcher(
            settings.network, settings.sip.registrar, urlsplit(settings.platform.api).hostname or "", self.clock,
            self.engine.network_changed, self._gap, ear=self.ear,
        )  # fmt: skip
        self.watcher.on_snapshot = access.links.see
        self.engine.renew = self.watcher.renew
        self.applier = Applier(
            self.configuration, self.engine, self.desk, platform=self.platform, watcher=self.watcher, voice=self.voice,
            notices=self.notices, calling=self.calling, page=self.page,
        )  # fmt: skip

    def _gap(self, gap: Gap) -> None:
        self.engine.gap(gap)
        if gap.step:
            self.page.clock_set()

    def _voice_changed(self, state: VoiceState) -> None:
        self.engine.voice_changed(state)
        self.calling.on_voice(state)

    def _call_heard(self, view: CallView) -> None:
        self.notices.heard(view)
        self.calling.on_call(view)

    def _calls_settled(self) -> None:
        self.notices.settled()

    # ------------------------------------------------------------------ for technicians

    def _world(self) -> World:
        layers, engine = self.configuration.layers, self.engine
        return World(
            layers.settings, self.clock, layers.grave, consequences(layers.mistakes), self.desk.overview, engine.user,
            engine.records.problem,
        )  # fmt: skip

    async def _bundle(self, report: Report) -> Mapping[str, str]:
        more = {
            "status.json": self.desk.overview(),
            "decisions.json": self.desk.decisions(BUNDLED_DECISIONS),
            "places.json": self.desk.places(),
        }
        world = self.checkup.world or self._world()
        return await bundle.files(report, self.configuration.layers, world, more=more, log=tuple(self.recent.lines))

    def _tested(self) -> float | None:
        good = (one.at for one in self.calling.tester.past if one.result is Result.SPEECH)
        return next(good, None)

    def _waits_for_restart(self) -> frozenset[str]:
        return self.applier.waits_for_restart()

    def _restart(self) -> None:
        """Start again soon: the answer that says so must get out first."""
        self.again = True
        asyncio.get_running_loop().call_later(RESTART_AFTER, self.stop.set)

    # ------------------------------------------------------------------ life

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop.set)
        report(self.configuration.layers.mistakes)
        if self.engine.records.problem is not None:
            trace("store", problem=self.engine.records.problem)
        with contextlib.suppress(sqlite3.Error):
            self.store.past.opened()
        self.engine.relight()
        await self._open_page()
        workers = {
            "network": self.watcher.run,
            "lldp": self.ear.run,
            "voice": self.voice.run,
            "binding": self.platform.run,
            "settings": self.applier.run,
            "status": self._report_status,
            "past": self._keep_past,
            "choices": self._offer_choices,
            "lag": self.lag.run,
            "test calls": self.calling.tester.run,
            **self.notices.workers(),
        }
        tasks = [asyncio.create_task(self._supervised(name, work), name=name) for name, work in workers.items()]
        notify(READY="1")
        watchdog = asyncio.create_task(self._feed_watchdog(), name="watchdog")
        await self.stop.wait()
        if not self.again:
            notify(STOPPING="1")
        await self._shut_down([*tasks, watchdog])

    async def _supervised(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        async def watched() -> None:
            with self.liveness.section(name):
                await work()

        await supervise(name, watched, clock=self.clock, rng=self.rng, on_gap=self.engine.gap)

    async def _open_page(self) -> None:
        try:
            await self.page.start()
        except AgentError as error:
            trace("page_missing", problem=str(error))
        else:
            trace("page", port=self.page.port, socket=str(self.settings.page.socket))

    async def _shut_down(self, tasks: list[asyncio.Task[None]]) -> None:
        """Page first, so that nobody is told that something was saved; the database last."""
        await self.page.stop()
        await self.checkup.stop()
        logging.getLogger().removeHandler(self.recent)
        await self.calling.tester.stop()
        await end(*tasks)
        await self.platform.rest.close()
        with contextlib.suppress(sqlite3.Error):
            self.store.past.closed(self.clock.wall())
        self.store.close()
        trace("stopped")

    async def _report_status(self) -> None:
        """Say the sentence of the page to the service manager."""
        version = -1
        said = ""
        while True:
            version = await self.engine.wait_change(version)
            if self.engine.light.sentence != said:
                said = self.engine.light.sentence
                notify(STATUS=said)

    async def _keep_past(self) -> None:
        """Write what the light was, a moment after it changed, and a sign of life for the time between."""
        past, version = self.store.past, -1
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ALIVE_EVERY):
                    version = await self.engine.wait_change(version)
                    await asyncio.sleep(QUIET)
            try:
                past.keep(self.clock.wall())
            except sqlite3.Error as error:
                trace("store", problem=f"the record of the light cannot be written: {error}")

    async def _offer_choices(self) -> None:
        """Read the saved addresses when somebody is asked, so that the question can offer them."""
        version = -1
        generation = -1
        while True:
            version = await self.engine.wait_change(version)
            asking = self.desk.overview().ask.value != "nothing"
            network = self.engine.network
            if not asking or network is None or network.api is None or network.generation == generation:
                continue
            generation = network.generation
            with contextlib.suppress(AgentError):
                await self.desk.refresh()

    async def _feed_watchdog(self) -> None:
        """Tell the service manager that all is well, as long as it is; else it starts the agent anew."""
        interval = watchdog_interval()
        while interval is not None:
            if stuck := self.liveness.stuck():
                trace("stuck", workers=", ".join(stuck), action="the service manager starts the agent anew")
            else:
                notify(WATCHDOG="1")
            await asyncio.sleep(interval)


def run(config: Path) -> int:
    """Run the agent; return the exit status of the process."""
    setup()
    if time.time() < SANE_WALL:
        trace("clock_unset", shows=time.strftime("%Y-%m-%d", time.gmtime()))
    while _once(config):
        trace("restart", config=str(config))
    return 0


def _once(config: Path) -> bool:
    """Run one life; return whether another one is wanted."""
    trace("start", config=str(config), kind=StatusKind.CONNECTING.value)

    async def life() -> bool:
        app = App(config)
        await app.run()
        return app.again

    return asyncio.run(life())

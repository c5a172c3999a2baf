"""Everything that talks to the platform - REST, tokens, signalling, binding worker - built anew as one when told so."""

from __future__ import annotations

import asyncio
import random

from agent.clock import Clock
from agent.config.settings import Settings
from agent.dialstack.binding import BindingWorker
from agent.dialstack.rest import RestClient
from agent.dialstack.signalling import WebSocketSignalling
from agent.dialstack.tokens import Tokens
from agent.engine import Engine
from agent.runtime.liveness import part, waiting
from agent.runtime.tasks import end


class PlatformSide:
    """Holds the newest set; `run` runs its worker."""

    def __init__(self, settings: Settings, engine: Engine, clock: Clock, rng: random.Random) -> None:
        self._engine = engine
        self._clock = clock
        self._rng = rng
        self._renewed = asyncio.Event()
        self._spent = (0, 0)
        """Requests and writes of earlier sets."""
        self._build(settings)

    def _build(self, settings: Settings) -> None:
        self.rest = RestClient(settings.platform, None)
        self.tokens = tokens = Tokens(settings.token, self._clock, self.rest.post_for_token)
        self.rest.tokens = tokens
        self.worker = BindingWorker(
            api=self.rest, signalling=WebSocketSignalling(settings.platform, self.rest.http), tokens=tokens,
            use_path=self.rest.use_path, listener=self._engine, clock=self._clock, rng=self._rng,
            ways=self._engine.ways,
        )  # fmt: skip

    @property
    def requests(self) -> int:
        """Requests sent to the API since the start, writes among them."""
        return self._spent[0] + self.rest.requests

    @property
    def writes(self) -> int:
        """Requests that change something."""
        return self._spent[1] + self.rest.writes

    @property
    def token_end(self) -> float | None:
        """Boottime at which the token in hand ends; None: there is none, or nothing tells."""
        return self.tokens.expires_at

    async def renew(self, settings: Settings) -> None:
        """Start anew with other settings: what was proven with the old ones is no proof any more (S2)."""
        old = self.rest
        self._spent = self.requests, self.writes
        self._build(settings)
        self._engine.adopt(self.worker if not self._engine.config_problems else None)
        self._renewed.set()
        await old.close()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            self._renewed.clear()
            work = asyncio.create_task(self._work(), name="binding-worker")
            renewed = asyncio.create_task(self._renewed.wait(), name="binding-renewed")
            try:
                with waiting():
                    await asyncio.wait({work, renewed}, return_when=asyncio.FIRST_COMPLETED)
                if work.done():
                    work.result()  # it never ends but by a defect, which the supervisor must see
            finally:
                await end(work, renewed)

    async def _work(self) -> None:
        with part("worker"):
            await self.worker.run()

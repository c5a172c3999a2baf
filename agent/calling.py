"""Calls and test calls for page, API and command line: what they may see and do, in one place."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.callbook import CallBook, CallList
from agent.clock import Clock
from agent.config.settings import Settings
from agent.engine import Engine
from agent.errors import NeedsHuman, Retry
from agent.model import CallView, VoiceState
from agent.refusals import Standing
from agent.say import said, say
from agent.storage.store import Store
from agent.testcall.shelf import Shelf
from agent.testcall.tester import CallTester
from agent.testcall.world import EngineWorld
from agent.voice.socket import orders
from agent.voice.socket.client import place_call


class Calling:
    """The calls of this phone; orders go straight to `dialstack-voice`, each on a connection of its own."""

    def __init__(self, book: CallBook, tester: CallTester, socket: Path, changed: Callable[[], None]) -> None:
        """`changed` is told when a page may have to show something else."""
        self.book = book
        self.tester = tester
        self._socket = socket
        self._changed = changed

    def use(self, settings: Settings) -> None:
        """Go by other settings from now on."""
        self.tester.use(settings.test_call, settings.sip.recordings)

    def on_voice(self, state: VoiceState) -> None:
        """The voice process is there or is not."""
        self.book.on_voice(connected=state.connected)

    def on_call(self, view: CallView) -> None:
        """Take a call line."""
        self.book.on_call(view)
        self.tester.on_call(view)
        if view.state == "ended":
            self._changed()

    def notices(self) -> tuple[str, ...]:
        """Return what the page should mention, worst first."""
        return (*self.tester.notices(), *self.book.notices())

    def calls(self) -> CallList:
        """Return all calls."""
        return self.book.now()

    async def place(self, to: str, **options: str) -> CallView:
        """Place a call at once, whatever state anything is in (S1); raises Retry or NeedsHuman."""
        try:
            return await orders.place(self._socket, to, **options)
        except (OSError, ValueError) as error:  # TimeoutError is an OSError
            raise _problem(error) from error

    async def order(self, verb: str, **fields: Any) -> None:
        """Let an order of PROTOCOL.md be obeyed; raises Retry or NeedsHuman."""
        try:
            await orders.order(self._socket, verb, **fields)
        except (OSError, ValueError) as error:
            raise _problem(error) from error


def assemble(engine: Engine, store: Store, clock: Clock, settings: Settings) -> Calling:
    """Return the calls and test calls of a daemon."""

    def standing() -> Standing:
        scene = engine.scene()
        return Standing(scene.proven, scene.present)

    tester = CallTester(
        world=EngineWorld(engine),
        shelf=Shelf(store, settings.paths.state, settings.test_call.keep),
        place=functools.partial(place_call, settings.sip.socket),
        recordings=settings.sip.recordings,
        settings=settings.test_call,
        clock=clock,
    )
    return Calling(CallBook(standing, clock), tester, settings.sip.socket, engine.relight)


def _problem(error: OSError | ValueError) -> Retry | NeedsHuman:
    if isinstance(error, ValueError):
        return NeedsHuman(
            say("The telephone program did not do it: {why}", why=said(error)),
            todo=say("In an emergency dial 911 here or on another phone."),
            code="call_refused",
        )
    if isinstance(error, TimeoutError):
        return Retry(
            say("The telephone program does not answer."),
            emergency=say("It may still place the call; if nobody answers within seconds, use another phone."),
            todo=say("Look at the call again before you dial again."),
            code="voice_silent",
        )
    return Retry(
        say("The telephone program does not run."),
        emergency=say("No call can be placed from this phone, 911 neither; use another phone."),
        todo=say("Wait a few seconds for it to come back; else call the technician."),
        code="voice_not_running",
    )

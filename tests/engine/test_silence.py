"""Steady state writes nothing: a journal in which every line is news."""

from __future__ import annotations

import dataclasses
import logging

import pytest

from agent.model import StatusKind
from tests.engine.virtual_world import World


def test_a_bound_phone_logs_nothing_for_a_day(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "agent")
    world = World("fixed")
    try:
        world.plug("office")
        world.advance(2)
        assert world.confirm("office")
        world.advance(2)
        assert world.engine.light.kind is StatusKind.BOUND
        assert caplog.records
        caplog.clear()
        for _ in range(24):
            world.advance(3600)
            renew(world)
        assert world.engine.light.kind is StatusKind.BOUND
        assert caplog.messages == []
    finally:
        world.close()


def renew(world: World) -> None:
    """Report a registration that was renewed, as the voice process does."""
    voice, now = world.engine.voice, world.clock.monotonic()
    renewed = dataclasses.replace(voice.registration, sent_at=now, at=now, expires=voice.registration.expires + 1)

    async def report() -> None:
        world.engine.voice_changed(dataclasses.replace(voice, registration=renewed))

    world.loop.finish(report())

"""What the technician's pages work with: configuration, check-ups, the bundle, and a restart of the agent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from agent.clock import Clock
from agent.config.current import Configuration
from agent.doctor.checkup import CheckUp
from agent.doctor.result import Report


@dataclass(frozen=True, slots=True)
class Workshop:
    """Handed over by the composition root; a page without one has no technician's pages."""

    configuration: Configuration
    checkup: CheckUp
    clock: Clock
    bundle: Callable[[Report], Awaitable[Mapping[str, str]]]
    """Return name -> text of everything in the bundle; holds no secret."""
    waits_for_restart: Callable[[], frozenset[str]]
    """Return the keys that were changed and are taken up only when the agent starts again."""
    restart: Callable[[], None]
    """Start the agent again, soon; calls do not pass through it."""
    tested: Callable[[], float | None] = lambda: None
    """Return when 933 was last called with success, Unix seconds."""

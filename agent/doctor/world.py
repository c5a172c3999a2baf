"""What the checks look at: settings, the agent's own view if it lives, and what earlier checks learned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from agent.clock import Clock
from agent.config.settings import Settings
from agent.control import Overview
from agent.network.snapshot import EMPTY, Snapshot


@dataclass(slots=True)
class World:
    """One check-up's surroundings; checks of an earlier stage fill in what later ones use."""

    settings: Settings
    clock: Clock
    problems: tuple[str, ...] = ()
    """Of the configuration: what keeps an address from being bound."""
    side_problems: tuple[str, ...] = ()
    """Sentences about mistakes in its side matters."""
    view: Callable[[], Overview | None] = lambda: None
    """Return the agent's own view as it is now; None: the agent does not answer."""
    user: str = ""
    """The user that this phone is known as; empty: none yet."""
    store_problem: str | None = None
    """Why the agent cannot keep anything."""
    snapshot: Snapshot = EMPTY
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Host -> its addresses, where they could be looked up."""
    online: bool = False
    """There is a usable way out."""
    server_date: float | None = None
    """Unix seconds that the platform's answer carried."""
    reached: bool = False
    """The platform itself answered."""

    @property
    def overview(self) -> Overview | None:
        """Return the agent's own view as it is now."""
        return self.view()

    @property
    def source(self) -> str | None:
        """Return the address that leads to the platform."""
        return self.snapshot.api.source if self.snapshot.api else None

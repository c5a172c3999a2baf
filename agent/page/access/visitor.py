"""Who is asking: the way they came, from where, and what they may do."""

from __future__ import annotations

import enum
from contextvars import ContextVar
from dataclasses import dataclass

from agent.page.routes import Role


class Channel(enum.StrEnum):
    """The way a request came."""

    SOCKET = "socket"
    """The Unix socket: its file mode says who may."""
    SCREEN = "screen"
    """The device's own screen, over loopback."""
    LINK = "link"
    """Another computer on the network that the device is plugged into."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who asks for something."""

    channel: Channel
    role: Role
    """What they may do now; `Role.ANYONE`: not signed in."""
    address: str = ""
    """Where they are, for those on the link."""
    signed_in: bool = False
    """They gave a PIN."""

    @property
    def name(self) -> str:
        """Return what the visitor is called: `cli`, `local screen`, `staff`, `technician`, `nobody`."""
        if self.channel is Channel.SOCKET:
            return "cli"
        if self.channel is Channel.SCREEN:
            return "local screen"
        return "nobody" if self.role is Role.ANYONE else self.role.name.lower()

    @property
    def who(self) -> str:
        """Return who this is and from where, as it is recorded with what they do."""
        return f"{self.name} at {self.address}" if self.address else self.name

    @property
    def is_staff(self) -> bool:
        """Tell whether the pages may be seen; for templates."""
        return self.role >= Role.STAFF

    @property
    def is_technician(self) -> bool:
        """Tell whether settings may be changed; for templates."""
        return self.role >= Role.TECHNICIAN


NOBODY = Visitor(Channel.LINK, Role.ANYONE)
"""Stands where nobody was recognized."""

current: ContextVar[Visitor] = ContextVar("visitor", default=NOBODY)
"""The visitor of the request in progress, so that every template knows whom it talks to."""

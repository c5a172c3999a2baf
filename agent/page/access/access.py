"""Recognizes who asks: by the way they came, the address they came from and the PIN they gave (S9)."""

from __future__ import annotations

import logging
import math
import sqlite3

from aiohttp import web

from agent.clock import Clock
from agent.config.settings import PageSettings
from agent.page.access import guard
from agent.page.access.attempts import MAX_DELAY, MAX_SCREEN_DELAY, Attempts
from agent.page.access.links import Links
from agent.page.access.pins import PIN_ROLES, Pins
from agent.page.access.sessions import Session, Sessions
from agent.page.access.visitor import Channel, Visitor
from agent.page.problems import PageError
from agent.page.routes import Role
from agent.say import say, say_n
from agent.storage.audit import Audit, AuditRow
from agent.storage.database import open_database

log = logging.getLogger(__name__)


class TooManyPins(PageError):
    """Wrong PINs came too fast; says when the next one may come."""

    def __init__(self, seconds: float) -> None:
        todo = say("The next one can be tried in {time}. Or answer on the phone's own screen.", time=in_words(seconds))
        super().__init__(429, say("Too many wrong PINs were tried."), todo=todo, code="too_many_pins")
        self.retry_after = seconds


class WrongPin(PageError):
    """A PIN that opens nothing; says how many may still be tried."""

    def __init__(self, left: int, wait: float) -> None:
        more = say_n(
            "Try again: {count} more can be tried before a pause.",
            "Try again: {count} more can be tried before a pause.",
            left,
        )
        todo = more if wait <= 0 else say("Try again in {time}.", time=in_words(wait))
        super().__init__(403, say("That PIN is not right."), todo=todo, code="wrong_pin")


class Access:
    """Everything that decides who may do what on one page."""

    def __init__(
        self,
        settings: PageSettings,
        clock: Clock,
        *,
        pins: Pins | None = None,
        links: Links | None = None,
        audit: Audit | None = None,
    ) -> None:
        self.pins = pins or Pins(None)
        self.links = links or Links(settings)
        self.audit = audit or Audit(open_database(None))
        self.sessions = Sessions()
        self._settings = settings
        self._clock = clock
        self._on_link = Attempts(longest=MAX_DELAY)
        # one address, so the delays are the limit; the budget of the link does not count here, nor this one there
        self._on_screen = Attempts(longest=MAX_SCREEN_DELAY, budget=math.inf)

    def use(self, settings: PageSettings) -> None:
        """Go by other settings from the next request on."""
        self._settings = settings
        self.links.use(settings)

    # ------------------------------------------------------------------ recognizing

    def recognize(self, request: web.BaseRequest, channel: Channel, *, touch: bool = True) -> Visitor:
        """Return who asks; raises PageError 403 for those from another network. `touch`: somebody did something."""
        if channel is Channel.SOCKET:
            return Visitor(channel, Role.TECHNICIAN)
        here, there = guard.ends(request)
        on_screen = channel is Channel.SCREEN and guard.is_loopback(there)
        if not (on_screen or (channel is Channel.LINK and self.links.may(there, here))):
            raise PageError(
                403,
                say("This page answers only on the network that the phone is plugged into."),
                todo=say("Connect to that network, or use the phone's own screen."),
                code="not_on_link",
            )
        address = "" if on_screen else there
        session = self._session(request, channel, address, touch=touch)
        role = session.role if session else Role.ANYONE
        return Visitor(channel, max(role, self.screen_role()) if on_screen else role, address, session is not None)

    def screen_role(self) -> Role:
        """Return what the device's own screen may do without a PIN: all, until a technician's PIN exists."""
        if not self.pins.has(Role.TECHNICIAN) or self._settings.local_role == "technician":
            return Role.TECHNICIAN
        return Role.STAFF

    def still(self, request: web.BaseRequest, channel: Channel, needed: Role) -> bool:
        """Tell whether somebody who was let in may stay: for answers that go on."""
        try:
            return self.recognize(request, channel, touch=False).role >= needed
        except PageError:
            return False

    def _session(self, request: web.BaseRequest, channel: Channel, address: str, *, touch: bool) -> Session | None:
        session_id = guard.session_cookie(request)
        if not session_id:
            return None
        return self.sessions.find(session_id, channel, address, self._clock.boottime(), touch=touch)

    # ------------------------------------------------------------------ signing in

    def left(self, visitor: Visitor) -> tuple[int, float]:
        """Return how many PINs a visitor may try without waiting, and the seconds until the next one may be tried."""
        attempts, now = self._attempts(visitor), self._clock.boottime()
        return attempts.left(visitor.address, now), attempts.wait(visitor.address, now)

    async def sign_in(self, request: web.Request, pin: str) -> Role:
        """Open a session for a PIN; raises WrongPin and TooManyPins.

        The try counts before the PIN is looked at. At the device's own screen only the technician's PIN opens
        anything, for the staff need none there.
        """
        visitor = guard.visitor(request)
        attempts, address = self._attempts(visitor), visitor.address
        now = self._clock.boottime()
        if not attempts.begin(address, now):
            raise TooManyPins(attempts.wait(address, now))
        role = await self.pins.check(pin, PIN_ROLES if visitor.channel is Channel.LINK else (Role.TECHNICIAN,))
        now = self._clock.boottime()
        if role is None:
            log.warning("a wrong PIN was tried by %s", address or "somebody at the phone's own screen")
            raise WrongPin(attempts.left(address, now), attempts.wait(address, now))
        attempts.right(address)
        self.sign_out(request)
        guard.begin_session(request, self.sessions.open(role, visitor.channel, address, now))
        return role

    def sign_out(self, request: web.Request) -> None:
        """End the session of a browser and take its cookie."""
        if session_id := guard.session_cookie(request):
            self.sessions.close(session_id)
        guard.begin_session(request, "")

    def stay(self, request: web.Request) -> None:
        """Give whoever just changed a PIN a new session: everybody's has ended."""
        visitor = guard.visitor(request)
        if visitor.signed_in:
            now = self._clock.boottime()
            opened = self.sessions.open(visitor.role, visitor.channel, visitor.address, now)
            guard.begin_session(request, opened)

    def _attempts(self, visitor: Visitor) -> Attempts:
        return self._on_link if visitor.channel is Channel.LINK else self._on_screen

    async def set_pin(self, role: Role, pin: str) -> None:
        """Keep a new PIN and end every session; raises PinRefused and NeedsHuman."""
        await self.pins.set(role, pin)
        self.sessions.close_all()
        self.links.reconsider()

    def remove_pin(self, role: Role) -> None:
        """Forget a PIN and end every session; without any the link is closed."""
        self.pins.remove(role)
        self.sessions.close_all()
        self.links.reconsider()

    # ------------------------------------------------------------------ recording

    def record(self, visitor: Visitor, action: str, *, done: bool, detail: str) -> None:
        """Write what was done or refused into the audit; a full disk must not take the page along."""
        row = AuditRow(self._clock.wall(), visitor.name, visitor.address, action, done, detail)
        try:
            self.audit.add(row)
        except sqlite3.Error as error:
            log.warning("the audit could not be written: %s", error)


def in_words(seconds: float) -> str:
    """Return a time to wait, rounded up: nobody should come too early."""
    if seconds <= 90:  # noqa: PLR2004 - then minutes read better
        return say_n("{count} second", "{count} seconds", math.ceil(seconds))
    return say_n("{count} minute", "{count} minutes", math.ceil(seconds / 60))

"""What stands around the number on an INVITE: the presented id, and the place of an emergency call."""

from __future__ import annotations

import os
import time

from agent.config.settings import SipSettings
from agent.voice import watch
from agent.voice.calls.location import Location, geolocation_headers, location_body
from agent.voice.calls.values import Call
from agent.voice.events import Body, Dial
from agent.voice.line import Line
from agent.voice.log import log
from agent.voice.registration.machine import Machine
from agent.voice.registration.moves import Seen


class Wardrobe:
    """Says only what is true of the path that the INVITE takes (S3)."""

    def __init__(self, settings: SipSettings, line: Line, machine: Machine) -> None:
        self._settings = settings
        self._line = line
        self._machine = machine
        self._location: Location | None = None

    def locate(self, location: Location | None) -> None:
        """Take what the agent says about where this phone is."""
        self._location = location

    def dress(self, call: Call, uri: str) -> Dial:
        """Return the INVITE; whatever goes wrong here, the call goes out without."""
        try:
            return self._dress(call, uri)
        except Exception as error:  # noqa: BLE001 - nothing around the number may stop an emergency call (S1)
            log("undressed", "error", call=call.number, reason=repr(error))
            return Dial(uri)

    def _dress(self, call: Call, uri: str) -> Dial:
        plan = self._line.stack.plan
        seen = watch.look(plan.address) if plan is not None else None
        presented = self._machine.presents(seen)
        headers: tuple[tuple[str, str], ...] = ()
        if presented is not None:
            headers = ((self._settings.header, presented),)
        body = self._place(call, seen)
        if body is not None:
            headers += geolocation_headers(body.content_id)
        return Dial(uri, headers, body, presented)

    def _place(self, call: Call, seen: Seen | None) -> Body | None:
        """Return the place of an emergency call, on its first attempt only: the next one is as small as can be."""
        location = self._location
        if location is not None and self._machine.wanted is not None and self._machine.wanted.generation == 0:
            location = self._location = None  # the path changed without the agent
        if not self._settings.geolocation or not call.emergency or call.attempt or location is None:
            return None
        if not location.confirmed or not self._machine.holds(location.generation, seen):
            return None
        domain = self._line.domain
        entity = f"pres:{self._settings.username or 'anonymous'}@{domain}"
        content_id = f"{os.urandom(8).hex()}@{domain}"
        return location_body(location.civic, entity=entity, content_id=content_id, wall=time.time())

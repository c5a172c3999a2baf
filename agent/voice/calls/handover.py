"""What a process that starts anew in place hands to its next life: connections, unread lines, calls to be dialed.

It travels in an unnamed file in memory (memfd), which the watchdog's thread writes while the main thread hangs:
nothing here may wait for that one, for a disk or for a lock.
"""

from __future__ import annotations

import base64
import json
import os
from dataclasses import asdict, dataclass, field, replace
from typing import Final

from agent.voice.calls.values import Pending
from agent.voice.log import log
from agent.voice.socket.protocol import Message
from agent.voice.socket.server import Carried

HANDOVER: Final = "DIALSTACK_VOICE_HANDOVER"
"""Environment: the descriptor of the file."""


@dataclass(frozen=True, slots=True)
class Handover:
    """Everything that must outlive a hang."""

    listener: int | None = None
    clients: list[Carried] = field(default_factory=list)
    pending: list[Pending] = field(default_factory=list)
    lost: list[Message] = field(default_factory=list)
    """The last lines of calls that cannot go on."""
    stop_asked_at: float | None = None

    def with_rest_of(self, earlier: Handover) -> Handover:
        """Return this and what of an earlier one was not taken up: a life may hang before it has taken up all."""
        clients = {one.descriptor for one in self.clients}
        calls = {one.number for one in self.pending}
        return replace(
            self,
            clients=[*self.clients, *(one for one in earlier.clients if one.descriptor not in clients)],
            pending=[*self.pending, *(one for one in earlier.pending if one.number not in calls)],
            lost=[*earlier.lost, *self.lost],
        )

    def descriptors(self) -> list[int]:
        """Return the descriptors that must stay open."""
        return [*([self.listener] if self.listener is not None else []), *(one.descriptor for one in self.clients)]


def give(handover: Handover) -> list[int]:
    """Write it down for the next life and return every descriptor that the exec must leave open."""
    clients = [asdict(one) | {"unread": base64.b64encode(one.unread).decode()} for one in handover.clients]
    pending = [asdict(one) for one in handover.pending]
    rest = {"listener": handover.listener, "lost": handover.lost, "stop": handover.stop_asked_at}
    text = json.dumps({"clients": clients, "pending": pending, **rest})
    file = os.memfd_create("handover", 0)
    os.write(file, text.encode())
    os.lseek(file, 0, os.SEEK_SET)
    kept = [file, *handover.descriptors()]
    for descriptor in kept:
        os.set_inheritable(descriptor, True)  # noqa: FBT003 - its own signature
    os.environ[HANDOVER] = str(file)
    return kept


def receive() -> Handover:
    """Return what an earlier life handed over; nothing when there was none or it cannot be read."""
    number = os.environ.pop(HANDOVER, "")
    if not number:
        return Handover()
    try:
        with os.fdopen(int(number), "rb") as file:
            data = json.load(file)
        clients = [Carried(**one | {"unread": base64.b64decode(one["unread"])}) for one in data["clients"]]
        pending = [Pending(**one) for one in data["pending"]]
        handover = Handover(data["listener"], clients, pending, data["lost"], data["stop"])
        for descriptor in handover.descriptors():
            os.set_inheritable(descriptor, False)  # noqa: FBT003 - its own signature
    except (OSError, ValueError, TypeError, KeyError) as error:
        log("handover_lost", "error", reason=repr(error))
        return Handover()
    return handover

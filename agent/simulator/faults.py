"""Faults on demand: what a path does wrong, and for how many requests."""

from __future__ import annotations

import enum
import fnmatch
import itertools
from dataclasses import dataclass, field
from typing import Any


class FaultKind(enum.StrEnum):
    """What goes wrong."""

    LATENCY = "latency"
    """The request waits `seconds`, then goes on as usual (also: before the next fault that matches)."""
    STATUS = "status"
    """Answered with `status` (429, 401, 5xx ...) and `text`, nothing done; `retry_after` becomes `Retry-After`."""
    HTML = "html"
    """Answered with an HTML page and `status`: 200 is a captive portal, 502 the edge; nothing done."""
    DROP_REPLY = "drop_reply"
    """The effect happens, then the connection is cut before the answer."""
    DROP_REQUEST = "drop_request"
    """The connection is cut (a SIP request is ignored) and nothing is done."""
    HANG = "hang"
    """Nothing is done and no answer comes for `seconds`; then the connection is cut."""
    MISSING = "missing"
    """A frame of the signalling socket is not sent."""


@dataclass(slots=True)
class Fault:
    """One order; `path` is a shell pattern on `METHOD /path`, `WS frame-type`, `SIP REGISTER`.

    `WS network.changed` and the other server frames take `latency` and `missing`; `WS upgrade` takes all of HTTP's;
    `SIP REGISTER` takes `status`, `latency`, `drop_request` and `drop_reply`.
    """

    kind: FaultKind
    path: str = "*"
    count: int | None = 1
    """Requests that it still hits; None for all until cleared."""
    seconds: float = 0.0
    status: int = 503
    retry_after: int | None = None
    text: str = ""
    """What the platform says; empty: what it says with that status."""
    id: int = field(default=0)

    def row(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {name: getattr(self, name) for name in self.__slots__}


class Faults:
    """The faults that are set, in order."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._ids = itertools.count(1)

    def set(
        self,
        kind: str,
        path: str = "*",
        *,
        count: int | None = 1,
        seconds: float = 0.0,
        status: int = 503,
        retry_after: int | None = None,
        text: str = "",
    ) -> Fault:
        """Add a fault and return it with its id; raise ValueError for an unknown kind."""
        fault = Fault(FaultKind(kind), path, count, seconds, status, retry_after, text, next(self._ids))
        self._faults.append(fault)
        return fault

    def clear(self, number: int | None = None) -> None:
        """Drop one fault, or all."""
        self._faults = [fault for fault in self._faults if number is not None and fault.id != number]

    def rows(self) -> list[dict[str, Any]]:
        """Return the faults that are still set."""
        return [fault.row() for fault in self._faults]

    def take(self, target: str) -> list[Fault]:
        """Return what hits this target now, each counted down: latencies first, then at most one other."""
        hits: list[Fault] = []
        other: Fault | None = None
        for fault in self._faults:
            if not fnmatch.fnmatchcase(target, fault.path):
                continue
            if fault.kind is FaultKind.LATENCY:
                hits.append(fault)
            elif other is None:
                other = fault
        hits += [other] if other else []
        for fault in hits:
            if fault.count is not None:
                fault.count -= 1
        self._faults = [fault for fault in self._faults if fault.count is None or fault.count > 0]
        return hits

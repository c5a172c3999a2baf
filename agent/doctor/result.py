"""What a check-up finds: one result a check, in words, and a report of all of them."""

from __future__ import annotations

import enum
from dataclasses import asdict, dataclass, field
from typing import Any

from agent.errors import AgentError
from agent.say import Said, say


class Finding(enum.StrEnum):
    """How a check came out."""

    OK = "ok"
    WARN = "warn"
    """Works, but somebody should know."""
    FAIL = "fail"
    SKIP = "skip"
    """Not tested, because something that it needs is missing."""
    RUNNING = "running"
    """Not done yet."""


TITLES: dict[str, Said] = {
    "link": say("Cable or Wi-Fi"),
    "address": say("Address on the network"),
    "gateway": say("Router"),
    "switch": say("Network switch"),
    "dns": say("Host names"),
    "clock": say("Clock"),
    "api": say("Platform"),
    "token": say("Token"),
    "signalling": say("Signalling"),
    "sip": say("Phone line"),
    "binding": say("911 address"),
    "audio": say("Sound"),
    "disk": say("Storage"),
    "processes": say("Programs"),
}
"""Every check in the order of the report -> what people call it."""

NO_CALL = say("911 cannot be called from this phone now; use another phone.")
NO_LOCATION = say("911 and 933 still go out, but without a proven location.")
GOES_OUT = say("911 and 933 still go out.")


@dataclass(frozen=True, slots=True)
class Result:
    """One check."""

    name: str
    """Key of TITLES."""
    finding: Finding
    found: str
    """What was found, one or two sentences."""
    emergency: str = ""
    """What it means for 911; empty when all is well."""
    todo: str = ""
    """What to do; empty when nothing is to be done."""
    code: str = ""
    """Stable, for programs and tests; empty when all is well."""
    seconds: float = 0.0
    """How long it took."""

    @property
    def title(self) -> Said:
        """Return what people call the check."""
        return TITLES[self.name]


def ok(name: str, found: str) -> Result:
    """Return a good result."""
    return Result(name, Finding.OK, found)


def warn(name: str, found: str, emergency: str, todo: str, code: str) -> Result:
    """Return a result that somebody should know of."""
    return Result(name, Finding.WARN, found, emergency, todo, code)


def fail(name: str, found: str, emergency: str, todo: str, code: str) -> Result:
    """Return a bad result."""
    return Result(name, Finding.FAIL, found, emergency, todo, code)


def skip(name: str, why: str, code: str = "not_tested") -> Result:
    """Return that a check was not made."""
    return Result(name, Finding.SKIP, why, code=code)


def failed(name: str, error: AgentError) -> Result:
    """Return an error of the daemon's own as a bad result, in its words."""
    todo = error.todo or say("Check the Internet connection of this network; it is tried again by itself.")
    return Result(name, Finding.FAIL, error.happened, error.emergency, todo, error.code or "failed")


@dataclass(frozen=True, slots=True)
class Report:
    """A whole check-up."""

    at: float
    """Unix seconds."""
    by: str
    """`agent`, or `command line` where the agent does not answer."""
    version: str
    results: tuple[Result, ...] = field(default_factory=tuple)

    @property
    def worst(self) -> Finding:
        """Return FAIL, WARN or OK."""
        found = {one.finding for one in self.results}
        return next((one for one in (Finding.FAIL, Finding.WARN) if one in found), Finding.OK)

    def plain(self) -> dict[str, Any]:
        """Return it for JSON."""
        results = [{"title": str(one.title), **asdict(one)} for one in self.results]
        plain = [
            {key: str(value) if isinstance(value, str) else value for key, value in one.items()} for one in results
        ]
        return {"at": self.at, "by": self.by, "version": self.version, "worst": str(self.worst), "results": plain}

"""`/metrics`: the status as Prometheus reads it (text format 0.0.4); METRICS.md names and explains every metric.

Everything is read from those who own it at the moment of the scrape; nothing is kept here. The renderer is forty lines
of our own: prometheus-client would cost 8 ms and 1.2 MiB at the start (measured) for registries and locks that status
with one writer per field does not need. Its parser checks every line in the tests.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from agent import __version__
from agent.engine import Engine
from agent.light.tally import kind_of
from agent.model import Ask, RegistrationKind, StatusKind
from agent.testcall.evidence import Evidence, Result

CALL_KINDS = ("ordinary", "emergency", "test")

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: its name without the prefix, kind, meaning, and (labels, value) of each sample."""

    name: str
    kind: Literal["gauge", "counter"]
    meaning: str
    samples: tuple[tuple[Labels, float], ...]


class Platform(Protocol):
    """Who knows what went to the platform."""

    @property
    def requests(self) -> int:
        """Requests sent to its API, writes among them."""

    @property
    def writes(self) -> int:
        """Requests that change something."""

    @property
    def token_end(self) -> float | None:
        """Boottime seconds at which the token ends; None: nothing tells."""


class Notices(Protocol):
    """Who tells people of emergency calls."""

    def standing(self) -> tuple[int, int, int]:
        """Return calls that nobody acknowledged, deliveries that are due, and ones that were given up."""


class Tests(Protocol):
    """Who makes test calls to 933."""

    past: tuple[Evidence, ...]
    """Newest first."""


class Late(Protocol):
    """Who knows how late the event loop is."""

    def worst(self) -> float:
        """Return seconds."""


def render(families: Iterable[Family]) -> str:
    """Return the exposition text; a family without samples is left out."""
    return "".join(line for family in families if family.samples for line in _lines(family))


def _lines(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {family.meaning}\n# TYPE {family.name} {family.kind}\n"
    for labels, value in family.samples:
        inside = ",".join(f'{name}="{_escape(text)}"' for name, text in labels.items())
        yield f"{family.name}{'{' + inside + '}' if inside else ''} {float(value)!r}\n"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def gauge(name: str, meaning: str, value: float | None, **labels: str) -> Family:
    """Return a gauge with one sample, or with none when there is nothing to say."""
    return Family(name, "gauge", meaning, () if value is None else ((labels, value),))


def counter(name: str, meaning: str, value: float) -> Family:
    """Return a counter with one sample."""
    return Family(name, "counter", meaning, (({}, value),))


class Metrics:
    """Reads status, tally and expiries when asked."""

    def __init__(self, engine: Engine, *, platform: Platform, lag: Late, notices: Notices, tests: Tests) -> None:
        self._engine = engine
        self._platform = platform
        self._lag = lag
        self._notices = notices
        self._tests = tests

    def text(self) -> str:
        """Return what a scrape sees now."""
        parts = (
            self._light,
            self._work,
            self._line,
            self._calls,
            self._telling,
            self._tested,
            self._sight,
            self._process,
        )
        return render(family for part in parts for family in part())

    def _light(self) -> Iterator[Family]:
        engine = self._engine
        states = tuple(({"state": kind.value}, float(kind is engine.light.kind)) for kind in StatusKind)
        python = ".".join(map(str, sys.version_info[:3]))
        yield gauge("dialstack_build_info", "Versions, as labels.", 1, version=__version__, python=python)
        yield Family("dialstack_status", "gauge", "The light: 1 for the state that it is in, 0 for the others.", states)
        yield gauge("dialstack_status_cause", "Why the light is as it is, as a label.", 1, cause=engine.light.cause)
        yield gauge(
            "dialstack_status_since_timestamp_seconds", "Unix time of the last change of state.", engine.lamp.since
        )
        yield gauge("dialstack_proven", "1 while the binding is proven on this network.", engine.is_proven())
        asked = engine.decision is not None and engine.decision.ask is not Ask.NOTHING
        yield gauge("dialstack_question_open", "1 while staff are asked where the phone is.", asked)
        around = engine.surroundings
        yield gauge(
            "dialstack_location_disagreement",
            "1 while the network names another address than the confirmed one.",
            around.disagreement is not None,
        )
        yield gauge("dialstack_switch_heard", "1 while the switch port tells the place.", around.heard.port is not None)
        exposure = engine.lamp.exposure
        yield gauge("dialstack_exposed", "1 while 911 could be wrong.", exposure.since_wall is not None)
        yield counter(
            "dialstack_exposure_seconds_total", "Seconds in which 911 could have been wrong.", exposure.total_seconds()
        )

    def _work(self) -> Iterator[Family]:
        engine, tally = self._engine, self._engine.tally
        yield counter("dialstack_moves_total", "Arrivals at another place.", tally.moves)
        yield gauge("dialstack_places", "Places that the phone knows.", len(engine.memory.places))
        yield counter("dialstack_confirmations_total", "Times that staff confirmed where it is.", tally.confirmations)
        yield counter("dialstack_denials_total", "Times that the platform said no to an address.", tally.denials)
        yield counter("dialstack_registers_total", "REGISTER transactions, as reported by voice.", tally.registers)
        yield counter("dialstack_api_requests_total", "Requests to the platform's API.", self._platform.requests)
        yield counter("dialstack_api_writes_total", "Those of them that change something.", self._platform.writes)
        yield gauge("dialstack_token_expiry_timestamp_seconds", "Unix time at which the token ends.", self._token_end())
        yield gauge(
            "dialstack_config_problems",
            "Errors in the configuration.",
            len(engine.config_problems) + len(engine.side_problems),
        )
        yield gauge("dialstack_store_usable", "1 while answers survive a restart.", engine.records.problem is None)

    def _token_end(self) -> float | None:
        end, clock = self._platform.token_end, self._engine.clock
        return None if end is None else clock.wall() + end - clock.boottime()

    def _line(self) -> Iterator[Family]:
        voice, clock = self._engine.voice, self._engine.clock
        registration = voice.registration
        registered = voice.connected and registration.kind is RegistrationKind.REGISTERED
        end = clock.wall() + registration.at + registration.expires - clock.monotonic() if registered else None
        yield gauge("dialstack_voice_connected", "1 while dialstack-voice answers.", voice.connected)
        yield gauge("dialstack_registered", "1 while the SIP line is registered.", registered)
        yield gauge("dialstack_registration_expiry_timestamp_seconds", "Unix time at which the registration ends.", end)

    def _calls(self) -> Iterator[Family]:
        voice, tally = self._engine.voice, self._engine.tally
        up = [kind_of(call) for call in voice.calls]
        active = tuple(({"kind": kind}, float(up.count(kind))) for kind in CALL_KINDS)
        total = tuple(
            ({"kind": kind, "direction": way}, float(tally.calls[kind, way]))
            for kind in CALL_KINDS
            for way in ("out", "in")
            if way == "out" or kind != "test"
        )
        yield Family("dialstack_calls_active", "gauge", "Calls that are up.", active if voice.connected else ())
        yield Family("dialstack_calls_total", "counter", "Calls since the start.", total)
        yield gauge("dialstack_interlock_active", "1 during an emergency call and its callback time.", voice.interlock)

    def _telling(self) -> Iterator[Family]:
        unacknowledged, due, given_up = self._notices.standing()
        yield gauge("dialstack_notices_open", "Emergency calls that nobody acknowledged.", unacknowledged)
        yield gauge("dialstack_notices_pending", "Deliveries of notices that are still to be made.", due)
        yield gauge("dialstack_notices_failed", "Deliveries of notices that were given up.", given_up)

    def _tested(self) -> Iterator[Family]:
        newest = self._tests.past[0] if self._tests.past else None
        if newest is None:
            return
        results = tuple(({"result": result.value}, float(result is newest.result)) for result in Result)
        same = None if newest.answer is None else newest.answer.same
        yield gauge("dialstack_test_call_timestamp_seconds", "Unix time of the newest call to 933.", newest.at)
        yield Family("dialstack_test_call_result", "gauge", "How it went: 1 for its result, 0 for the others.", results)
        yield gauge("dialstack_test_call_address_right", "1: a person heard the right address, 0: a wrong one.", same)

    def _sight(self) -> Iterator[Family]:
        engine, tally = self._engine, self._engine.tally
        generation = engine.network.generation if engine.network is not None else None
        yield gauge("dialstack_network_generation", "Grows with every change of network since the start.", generation)
        gaps = tuple(({"kind": kind}, float(number)) for kind, number in sorted(tally.gaps.items()))
        yield Family("dialstack_gaps_total", "counter", "Times that the agent was blind.", gaps)
        yield counter("dialstack_gap_seconds_total", "Seconds in which the agent was blind.", tally.gap_seconds)
        yield gauge("dialstack_event_loop_lag_seconds", "Worst delay of the last minute.", self._lag.worst())

    def _process(self) -> Iterator[Family]:
        used = resource.getrusage(resource.RUSAGE_SELF)
        yield counter("process_cpu_seconds_total", "User and system time of the agent.", used.ru_utime + used.ru_stime)
        yield gauge("process_resident_memory_bytes", "Resident memory of the agent.", _resident())
        yield gauge("process_start_time_seconds", "Unix time of the agent's start.", _started())


def _resident() -> float | None:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - one read, no Path needed
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


def _started() -> float | None:
    """Return the start of the process on today's wall clock (proc(5), field 22 of stat)."""
    try:
        with open("/proc/self/stat", encoding="utf-8") as file:  # noqa: PTH123 - as above
            ticks = int(file.read().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK")

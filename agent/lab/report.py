"""What one step of the demo showed: counted on the platform, timed from the kernel's own events."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from agent.lab.events import KernelEvent, KernelEvents
from agent.lab.process import Late
from agent.lab.stage import LIT, Stage

Row = dict[str, Any]

METHOD = (
    "Times are CLOCK_MONOTONIC differences in milliseconds. Zero of light_off is the first `no carrier` of the step "
    "(for wan-change: the moment the router changed its address); zero of the others is the last kernel event before "
    "the REGISTER was sent, that is when the path was usable (for confirm: the click; for wan-change as above). "
    "register_sent and ok_200 are of the first REGISTER that followed, proven is the read-back that ended the step. "
    "registers "
    "counts REGISTER transactions with credentials at the registrar, api_writes POST and DELETE that were carried out."
)


class Recorder:
    """Marks where a step begins, and turns what happened since into a row of the report."""

    def __init__(self, stage: Stage, kernel: KernelEvents) -> None:
        self._stage = stage
        self._kernel = kernel

    def begin(self) -> None:
        """Start a step."""
        self._log_mark = self._stage.logs["agent"].mark()
        self._platform_mark = self._stage.platform_mark()
        self._kernel.clear()
        self.began = time.monotonic()
        self.zero: float | None = None
        """Set it where a step does not begin with a kernel event."""
        self.before = str(self._stage.status()["status"]["kind"])

    @property
    def mark(self) -> int:
        """Where the agent's log stood when the step began."""
        return self._log_mark

    def row(self, name: str) -> Row:
        """Return the finished step."""
        stage = self._stage
        overview = stage.status()
        lines = stage.logs["agent"].since(self._log_mark)
        decisions = [line for line in lines if line.get("event") == "decision"]
        presented = overview["address_id"] if overview["proven"] else None
        registered_ip = next((item["registered_ip"] for item in stage.saved() if item["id"] == presented), None)
        registers = [
            entry for entry in stage.platform_log("register", self._platform_mark)
            if entry["authenticated"] and not entry["again"]
        ]  # fmt: skip
        return {
            "name": name,
            "verdict": decisions[-1]["verdict"] if decisions else None,
            "reasons": decisions[-1]["reasons"] if decisions else [],
            "status_before": self.before,
            "status_after": overview["status"]["kind"],
            "presented_id": presented,
            "registered_ip": registered_ip,
            "registers": len(registers),
            "api_writes": len(stage.platform_log("write", self._platform_mark)),
            "ms": self._times(lines),
            "kamailio": self._contact(registered_ip),
        }

    def _contact(self, registered_ip: str | None) -> str | None:
        """Return the contact in Kamailio's own location table that comes from the network that is bound."""
        if registered_ip is None:
            return None
        table = self._stage.control("GET", "location")
        found = [str(row["address"]) for row in table if f"@{registered_ip}:" in row["address"]]
        if not found:
            raise Late(f"Kamailio's location table has no contact at {registered_ip}: {table}")
        return found[-1]

    def _times(self, lines: Sequence[Row]) -> dict[str, float | None]:
        events = self._kernel.all()
        since = self.began if self.zero is None else self.zero
        registrations = [
            line for line in lines if line.get("event") == "registration" and (line.get("sent_at") or 0.0) >= since
        ]
        done = [line for line in registrations if line["kind"] == "registered"]
        proofs = [line for line in lines if line.get("event") == "proven"]
        sent = registrations[0]["sent_at"] if registrations else None
        usable = self.zero if self.zero is not None else _last_before(events, sent)
        lost = self.zero if self.zero is not None else next((e.at for e in events if e.what == "no carrier"), None)
        dark = next((line["t"] for line in lines if line.get("event") == "status" and line["kind"] not in LIT), None)
        return {
            "light_off": _ms(lost, dark if self.before in LIT else None),
            "register_sent": _ms(usable, sent),
            "ok_200": _ms(usable, done[0]["at"] if done else None),
            "proven": _ms(usable, proofs[-1]["at"] if proofs else None),
        }


def _last_before(events: Sequence[KernelEvent], moment: float | None) -> float | None:
    """Return the time of the last address, route or carrier event before a moment."""
    wanted = {"carrier", "address", "route", "route gone"}
    return max((e.at for e in events if moment is not None and e.at <= moment and e.what in wanted), default=None)


def _ms(zero: float | None, moment: float | None) -> float | None:
    if zero is None or moment is None or moment < zero:
        return None
    return round((moment - zero) * 1000, 1)


def describe(row: Row) -> str:
    """Return a step as a newcomer reads it."""
    times = ", ".join(
        f"{name.replace('_', ' ')} {value:g} ms" for name, value in row["ms"].items() if value is not None
    )
    where = "nothing bound"
    if row["presented_id"]:
        where = f"{row['presented_id']} bound to {row['registered_ip']}, Kamailio has {row['kamailio']}"
    return (
        f"   {row['status_before']} -> {row['status_after']}; {where}; place {row['verdict'] or 'unchanged'}; "
        f"{row['registers']} REGISTERs, {row['api_writes']} writes" + (f"\n   {times}" if times else "")
    )

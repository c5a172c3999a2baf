"""The past as files: JSON for programs, CSV for spreadsheets, in which no cell may act as a formula."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

import msgspec

from agent.control import DecisionRecord
from agent.light.timeline import Exposure, Mark, Span, Timeline
from agent.page.api import wire

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""First characters that spreadsheets take for a formula or drop before looking for one (OWASP, CSV injection)."""
HEAD = ("time", "until", "record", "kind", "cause", "text", "evidence", "reasons")


class History(msgspec.Struct):
    """`GET history.json`: times are Unix seconds."""

    since: float
    until: float
    exposure: Exposure
    spans: tuple[Span, ...]
    marks: tuple[Mark, ...]
    decisions: tuple[DecisionRecord, ...]


def history(line: Timeline, decisions: tuple[DecisionRecord, ...]) -> History:
    """Return what is exported: the decisions of the same stretch of time, newest first."""
    shown = tuple(one for one in decisions if one.at >= line.since)
    return History(line.since, line.until, line.exposure, line.spans, line.marks, shown)


def as_json(past: History) -> bytes:
    """Return it as JSON."""
    return msgspec.json.format(wire.encode(past), indent=2)


def as_csv(past: History) -> bytes:
    """Return it as CSV (RFC 4180, UTF-8 with a byte order mark, ISO 8601 times in UTC), one record a row."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(HEAD)
    rows: list[tuple[float, tuple[str, ...]]] = [
        (one.start, (_iso(one.start), _iso(one.end), "state", one.kind, one.cause, one.sentence, "", ""))
        for one in past.spans
    ]
    rows += [(one.at, (_iso(one.at), "", "event", one.kind, "", one.text, "", "")) for one in past.marks]
    rows += [
        (one.at, (_iso(one.at), "", "decision", one.verdict, one.cause, one.wanted, "; ".join(one.evidence),
                  "; ".join(one.reasons)))
        for one in past.decisions
    ]  # fmt: skip
    for _, row in sorted(rows, key=lambda item: item[0]):
        writer.writerow([cell(text) for text in row])
    return out.getvalue().encode("utf-8-sig")


def cell(text: str) -> str:
    """Return a text that a spreadsheet shows and never runs."""
    return f"'{text}" if text.startswith(_FORMULA) else str(text)


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

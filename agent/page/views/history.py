"""The past as a page and as files: places, the picture of the light, and every decision in words (S8)."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

from aiohttp import web

from agent.control import Control
from agent.light.timeline import Timeline
from agent.page import words
from agent.page.access import guard
from agent.page.render import Renderer
from agent.page.routes import Role, Route, get
from agent.page.views import export
from agent.page.views.home import html
from agent.page.views.picture import KINDS, MARKS, RANGES, picture

ROWS = 200
"""Lines of the table, the newest; the files have all of their time."""
DECISIONS = 50
"""Decisions on a page."""
PAGES = 100
"""Pages of decisions: all that are kept."""
ALL = 5000
"""As many as are kept."""
DEFAULT = "day"
_NUMBER = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table that says what the picture shows."""

    at: float
    what: str
    seconds: float | None
    text: str


class HistoryViews:
    """History and its files."""

    def __init__(self, control: Control, renderer: Renderer) -> None:
        self._control = control
        self._renderer = renderer

    def routes(self) -> list[Route]:
        """Return what this class answers."""
        return [
            get("/history", self.page, Role.STAFF),
            get("/history.csv", self.csv, Role.STAFF),
            get("/history.json", self.json, Role.STAFF),
        ]

    async def page(self, request: web.Request) -> web.StreamResponse:
        """Show the picture, the places, and the last decisions in words."""
        chosen = _chosen(request)
        line = self._control.timeline(RANGES[chosen][0])
        number, rows = _page_number(request), _rows(line)
        decisions = self._control.decisions(number * DECISIONS + 1)[(number - 1) * DECISIONS :]
        known = line.exposure.proven + line.exposure.exposed
        page = self._renderer.page(
            "history.html",
            self._control.overview(),
            guard.csrf_token(request),
            ranges={name: word for name, (_, word) in RANGES.items()},
            chosen=chosen,
            line=line,
            picture=picture(line, self._renderer.zone),
            share=words.tenths(line.exposure.proven / known * 100) if known else "",
            rows=rows[:ROWS],
            rows_left=max(0, len(rows) - ROWS),
            mark_words=MARKS,
            decisions=decisions[:DECISIONS],
            number=number,
            older=len(decisions) > DECISIONS and number < PAGES,
            places=self._control.places(),
        )
        return html(page)

    async def csv(self, request: web.Request) -> web.StreamResponse:
        """Return the past for a spreadsheet."""
        body = await asyncio.to_thread(export.as_csv, self._past(request))
        return _file(body, "text/csv", f"history-{_chosen(request)}.csv")

    async def json(self, request: web.Request) -> web.StreamResponse:
        """Return the past for a program."""
        body = await asyncio.to_thread(export.as_json, self._past(request))
        return _file(body, "application/json", f"history-{_chosen(request)}.json")

    def _past(self, request: web.Request) -> export.History:
        line = self._control.timeline(RANGES[_chosen(request)][0])
        return export.history(line, self._control.decisions(ALL))


def _chosen(request: web.Request) -> str:
    chosen = request.query.get("range", DEFAULT)
    return chosen if chosen in RANGES else DEFAULT


def _page_number(request: web.Request) -> int:
    text = request.query.get("page", "1")
    return min(int(text), PAGES) if _NUMBER.fullmatch(text) else 1


def _rows(line: Timeline) -> list[Row]:
    """Return spans and marks as one table, newest first."""
    rows = [Row(span.start, KINDS[span.kind], span.seconds, span.sentence) for span in line.spans]
    rows += [Row(mark.at, MARKS[mark.kind][1], None, mark.text) for mark in line.marks]
    return sorted(rows, key=lambda row: -row.at)


def _file(body: bytes, content_type: str, name: str) -> web.Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return web.Response(body=body, content_type=content_type, charset="utf-8", headers=headers)

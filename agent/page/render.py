"""Jinja2 for the pages: autoescape always on, undefined names are errors, static files with their hash."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path

import jinja2
import msgspec
from markupsafe import Markup, escape

from agent.clock import Clock
from agent.control import Overview, SavedAddress
from agent.doctor.result import NO_CALL
from agent.model import Ask, CivicAddress, StatusKind
from agent.network.named import complete
from agent.page import language, words
from agent.page.access.visitor import current
from agent.page.views import settings_words
from agent.people import who
from agent.say import Said, listed
from agent.surroundings import SOURCES, UNASKED

MAX_WHOLE = 26
"""Characters of a street that fit on one line of the narrowest screen that is not a phone's."""
FOLDER = Path(__file__).parent
STATIC_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file of the page, small enough to be kept."""

    body: bytes
    packed: bytes
    """The same with gzip (RFC 1952), for browsers that take it."""
    content_type: str
    version: str
    """Changes with the content, so that it may be cached for ever."""


def static_files() -> dict[str, StaticFile]:
    """Return the files under `static/` by name."""
    found = {}
    for path in sorted((FOLDER / "static").iterdir()):
        if path.suffix in STATIC_TYPES:
            body = path.read_bytes()
            packed, version = gzip.compress(body, mtime=0), hashlib.sha256(body).hexdigest()[:12]
            found[path.name] = StaticFile(body, packed, STATIC_TYPES[path.suffix], version)
    return found


def lost_key(choice: SavedAddress) -> str:
    """Return a name for an address that the platform lost and that has no id therefore."""
    return hashlib.sha256(msgspec.json.encode(choice.civic)).hexdigest()[:32]


def whole(sentence: str, address: CivicAddress | None) -> Markup:
    """Return a sentence in which a street of ordinary length is not torn between two lines."""
    told = language.spoken().tell(sentence) if isinstance(sentence, Said) else sentence
    street, text = words.street_line(address) if address else "", escape(told)
    if not 0 < len(street) <= MAX_WHOLE:
        return text
    return text.replace(escape(street), Markup('<span class="whole">{}</span>').format(street))


class Renderer:
    """Turns the newest truth into HTML."""

    def __init__(self, clock: Clock, zone: tzinfo | None = None) -> None:
        self.static = static_files()
        self._clock = clock
        self.zone = zone
        self.has_workshop = False
        """There are pages for technicians: settings, set-up, check-up."""
        self._jinja = jinja2.Environment(
            loader=jinja2.FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        language.install(self._jinja)
        self._jinja.filters.update(
            at=lambda at: words.clock_time(at, self._clock.wall(), self.zone),
            iso=lambda at: words.iso_time(at, self.zone),
            duration=words.duration,
            took=words.took,
            to_the_second=lambda at: datetime.fromtimestamp(at, self.zone).strftime("%H:%M:%S"),
            elapsed=lambda since: max(0, round(self._clock.wall() - since)),
            minutes=words.minutes,
            street_line=words.street_line,
            city_line=words.city_line,
            choice=settings_words.choice,
            channel=words.channel,
            verdict=words.verdict,
            reason=words.reason,
            evidence=words.evidence,
            wanted=words.wanted,
            who=who,
            lost_key=lost_key,
            whole=whole,
            complete=complete,
            listed=listed,
        )
        self._jinja.globals.update(
            Ask=Ask,
            NO_CALL=NO_CALL,
            StatusKind=StatusKind,
            LIGHTS=words.LIGHTS,
            STEP_WORDS=words.STEP_WORDS,
            TEST_STATES=words.TEST_STATES,
            TEST_TODO=words.TEST_TODO,
            SOURCES=SOURCES,
            UNASKED=UNASKED,
            static={name: f"/static/{name}?v={file.version}" for name, file in self.static.items()},
        )

    def page(self, name: str, overview: Overview | None, csrf: str, **context: object) -> str:
        """Return a whole page."""
        return self._jinja.get_template(name).render(
            overview=overview, csrf=csrf, visitor=current.get(), has_workshop=self.has_workshop, **context
        )

    def parts(self, overview: Overview, csrf: str) -> str:
        """Return the parts that change while a page is open; each carries `data-part`."""
        return self._jinja.get_template("_live.html").render(
            overview=overview, csrf=csrf, visitor=current.get(), has_workshop=self.has_workshop
        )

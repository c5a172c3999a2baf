"""Which language a browser reads, and how sentences are told in it (agent/page/I18N.md)."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import gettext
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import jinja2
from aiohttp import web
from markupsafe import Markup, escape

from agent import say
from agent.page import catalog

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

DOMAIN = "dialstack-agent"
FOLDER = Path(__file__).parent / "locales"
COOKIE = "dialstack_language"
YEAR = 365 * 86400
"""Seconds that a browser remembers its choice: a kiosk is not asked again."""
NAMES: Mapping[str, str] = {"en": "English", "es": "Español", "fr": "Français"}
"""Code -> name in the language itself, in the order of the switch; the first one needs no catalog."""


@dataclass(frozen=True, slots=True)
class Language:
    """A language and its catalog."""

    code: str
    """Of BCP 47, for `lang`."""
    catalog: gettext.NullTranslations

    def tell(self, text: str) -> str:
        """Return a sentence in this language."""
        return say.tell(text, self.catalog)


@functools.cache
def language(code: str) -> Language:
    """Return a language of NAMES; its catalog is read when it is first asked for (20 ms)."""
    path = FOLDER / code / "LC_MESSAGES" / f"{DOMAIN}.po"
    return Language(code, catalog.load(path) if path.exists() else gettext.NullTranslations())


ENGLISH = language("en")
_spoken: contextvars.ContextVar[Language] = contextvars.ContextVar("dialstack_language", default=ENGLISH)
"""The language of the request that is being answered; each request has a context of its own."""


def spoken() -> Language:
    """Return the language of the request that is being answered; English outside of requests."""
    return _spoken.get()


@contextlib.contextmanager
def speaking(chosen: Language) -> Iterator[None]:
    """Answer in a language."""
    token = _spoken.set(chosen)
    try:
        yield
    finally:
        _spoken.reset(token)


def of(request: web.BaseRequest) -> Language:
    """Return the language for a request: the one chosen with the switch, else the browser's, else English."""
    chosen = request.cookies.get(COOKIE, "")
    return language(chosen if chosen in NAMES else negotiate(request.headers.get("Accept-Language", "")))


def negotiate(header: str) -> str:
    """Return the best of NAMES for an Accept-Language (RFC 9110 12.5.4); malformed parts are passed over."""
    best, best_weight = next(iter(NAMES)), 0.0
    for part in header[:1000].split(","):
        tag, _, parameters = part.partition(";")
        code = tag.strip().lower().partition("-")[0]
        weight = _weight(parameters)
        if code in NAMES and weight > best_weight:
            best, best_weight = code, weight
    return best


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if not name:
        return 1.0
    try:
        return float(value) if name.strip() == "q" and 0.0 <= float(value) <= 1.0 else 0.0
    except ValueError:
        return 0.0


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer people in their language and programs in English; pages say which one it is (RFC 9110 8.5, 12.5.5)."""
    chosen = ENGLISH if request.path.startswith("/api/") else of(request)
    with speaking(chosen):
        response = await handler(request)
    if not response.prepared and response.content_type == "text/html":
        response.headers["Content-Language"] = chosen.code
        response.headers["Vary"] = "Accept-Language, Cookie"
    return response


def came_from(request: web.BaseRequest) -> str:
    """Return path and query of our own page that a form was sent from, `/` when that is not told."""
    parts = urlsplit(request.headers.get("Referer", ""))
    own = parts.netloc == request.headers.get("Host", "") and parts.path.startswith("/")
    if not own or parts.path.startswith("//"):
        return "/"
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


# ------------------------------------------------------------------ templates


def install(environment: jinja2.Environment) -> None:
    """Teach templates `_("...")`, `{% trans %}`, and to tell every sentence of `say` where it is printed."""
    environment.add_extension("jinja2.ext.i18n")
    environment.newstyle_gettext = True  # type: ignore[attr-defined]
    environment.finalize = _finalize
    environment.globals.update(_=_gettext, gettext=_gettext, ngettext=_ngettext, spoken=spoken, LANGUAGES=NAMES)


def _finalize(value: object) -> object:
    return spoken().tell(value) if isinstance(value, say.Said) else value


def _filled(text: str, values: Mapping[str, object]) -> Markup:
    """Return a message of a template with its values escaped; the message itself is ours and may hold markup."""
    return Markup(text) % {name: escape(_finalize(value)) for name, value in values.items()}  # noqa: S704


def _gettext(message: str, /, **values: object) -> Markup:
    return _filled(spoken().catalog.gettext(message), values)


def _ngettext(one: str, many: str, num: int, /, **values: object) -> Markup:
    values.setdefault("num", num)
    return _filled(spoken().catalog.ngettext(one, many, num), values)

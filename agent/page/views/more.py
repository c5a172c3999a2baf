"""The quieter pages: saved addresses, the language, and the page that says what went wrong."""

from __future__ import annotations

import logging

from aiohttp import web

from agent.control import Control, Overview, SavedAddress
from agent.errors import AgentError
from agent.page import language
from agent.page.access import guard
from agent.page.problems import PageError, as_of, headers_of, status_of
from agent.page.render import Renderer
from agent.page.routes import Role, Route, get, post
from agent.page.views.home import Flashes, given_id, html
from agent.page.words import street_line
from agent.say import say

log = logging.getLogger(__name__)


class MoreViews:
    """Addresses, language and static files."""

    def __init__(self, control: Control, renderer: Renderer, flashes: Flashes) -> None:
        self._control = control
        self._renderer = renderer
        self._flashes = flashes

    def routes(self) -> list[Route]:
        """Return what this class answers."""
        return [
            get("/addresses", self.addresses, Role.STAFF),
            get("/addresses/{action:forget|clear}", self.ask, Role.TECHNICIAN),
            post("/addresses/{action:forget|clear}", self.act, Role.TECHNICIAN),
            post("/language", self.language, Role.ANYONE),
            get("/static/{name}", self.static, Role.ANYONE),
        ]

    async def addresses(self, request: web.Request) -> web.StreamResponse:
        """Show the saved addresses; without the platform those that are known here."""
        overview, problem = self._control.overview(), None
        try:
            saved = await self._control.addresses()
        except AgentError as error:
            saved, problem = overview.choices, as_of(error, overview)
        csrf = guard.csrf_token(request)
        flash = self._flashes.take(csrf)
        page = self._renderer.page("addresses.html", overview, csrf, saved=saved, problem=problem, flash=flash)
        return html(page)

    async def ask(self, request: web.Request) -> web.StreamResponse:
        """Ask before an address is forgotten or cleared, without JavaScript too."""
        chosen = await self._find(given_id(dict(request.query)))
        action = request.match_info["action"]
        csrf = guard.csrf_token(request)
        return html(self._renderer.page("sure.html", self._control.overview(), csrf, action=action, chosen=chosen))

    async def act(self, request: web.Request) -> web.StreamResponse:
        """Forget or clear."""
        fields = await guard.read_form(request)
        action, address_id = request.match_info["action"], given_id(fields)
        chosen = await self._find(address_id)
        if action == "forget":
            await self._control.forget_address(address_id)
            sentence = say("Forgotten: {address}.", address=street_line(chosen.civic))
        else:
            await self._control.clear_address(address_id)
            sentence = say(
                "Cleared: {address} now takes the network that presents it next.", address=street_line(chosen.civic)
            )
        self._flashes.put(guard.csrf_token(request), sentence)
        raise web.HTTPSeeOther("/addresses")

    async def language(self, request: web.Request) -> web.StreamResponse:
        """Remember the language that this browser chose, and show the page it came from again."""
        chosen = (await guard.read_form(request)).get("language", "")
        if chosen not in language.NAMES:
            raise PageError(
                400, say("This page does not speak that language."), todo=say("Choose another one."), code="malformed"
            )
        answer = web.HTTPSeeOther(language.came_from(request))
        answer.set_cookie(
            language.COOKIE, chosen, max_age=language.YEAR, httponly=True, samesite="Strict", secure=request.secure
        )
        raise answer

    async def static(self, request: web.Request) -> web.StreamResponse:
        """Return a file of the page.

        Only these are packed: a page holds a token beside words that others may choose, and its packed length over TLS
        would tell of it.
        """
        file = self._renderer.static.get(request.match_info["name"])
        if file is None:
            raise web.HTTPNotFound
        headers = {"Vary": "Accept-Encoding"}
        if request.query.get("v") == file.version:
            headers["Cache-Control"] = "public, max-age=31536000, immutable"
        body = file.body
        if takes_gzip(request.headers.get("Accept-Encoding", "")):
            body = file.packed
            headers["Content-Encoding"] = "gzip"
        return web.Response(body=body, content_type=file.content_type, charset="utf-8", headers=headers)

    async def _find(self, address_id: str) -> SavedAddress:
        for saved in await self._control.addresses():
            if saved.id == address_id:
                return saved
        raise PageError(
            404, say("That address is no longer saved."), todo=say("Go back to the addresses."), code="address_gone"
        )


_FOREIGN = frozenset({"wrong_host", "cross_site", "not_on_link"})
"""Codes of refusals whose answer another site may be able to read."""


def takes_gzip(accepted: str) -> bool:
    """Tell whether a browser takes gzip by its `Accept-Encoding` (RFC 9110, 12.5.3)."""
    for one in accepted.split(","):
        coding, _, weight = one.replace(" ", "").lower().partition(";q=")
        if coding == "gzip":
            return weight not in {"0", "0.0", "0.00", "0.000"}
    return False


def problem_page(
    renderer: Renderer, request: web.Request, error: AgentError, overview: Overview | None
) -> web.Response:
    """Return the page for an error."""
    page = renderer.page("problem.html", overview, guard.csrf_token(request), error=error)
    response = html(page, status_of(error))
    response.headers.update(headers_of(error))
    return response


def overview_for(control: Control, request: web.Request, error: AgentError) -> Overview | None:
    """Return what an answer with this error may say of the phone's state.

    That state, and an emergency call above all, is for those who may see it; None, too, where it cannot be told.
    """
    may_see = guard.visitor(request).is_staff and error.code not in _FOREIGN
    if not may_see or status_of(error) == web.HTTPInternalServerError.status_code:
        return None
    try:
        return control.overview()
    except AgentError:
        log.exception("no overview for the answer with an error")
        return None

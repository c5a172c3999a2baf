"""The pages: Home with its one question, and the answer to it."""

from __future__ import annotations

from collections import OrderedDict

from aiohttp import web

from agent.control import Control, Overview, SavedAddress
from agent.errors import AddressRefused, AgentError
from agent.model import Ask, CivicAddress
from agent.page.access import guard
from agent.page.api.live import Streams
from agent.page.problems import PageError, as_of, headers_of, status_of
from agent.page.render import Renderer, lost_key
from agent.page.routes import Role, Route, get, post, stream
from agent.page.views import forms
from agent.page.words import street_line
from agent.say import say, sentences

MAX_FLASHES = 64
"""Browsers that may wait for their "Saved" at the same time."""
NETWORK = "network"
"""`like` of the address that the network names."""
MAX_ID = 255
"""Characters of a platform id (platform.md 1.3)."""


class Flashes:
    """One sentence for the next page of one browser: shown once, never taken from a link."""

    def __init__(self) -> None:
        self._sentences: OrderedDict[str, str] = OrderedDict()

    def put(self, csrf: str, sentence: str) -> None:
        """Keep a sentence for the browser with that token."""
        self._sentences[csrf] = sentence
        self._sentences.move_to_end(csrf)
        while len(self._sentences) > MAX_FLASHES:
            self._sentences.popitem(last=False)

    def take(self, csrf: str) -> str:
        """Return and forget the sentence, empty when there is none."""
        return self._sentences.pop(csrf, "")


def given_id(fields: dict[str, str]) -> str:
    """Return the address id of a form or link; raises PageError 400 without a usable one."""
    value = fields.get("address_id", "")
    if not value or len(value) > MAX_ID or not value.isprintable():
        raise PageError(400, say("No address was named."), todo=say("Go back and choose one."), code="malformed")
    return value


class HomeViews:
    """Home, the events that keep it live, the confirmation and the address form."""

    def __init__(self, control: Control, renderer: Renderer, streams: Streams, flashes: Flashes) -> None:
        self._control = control
        self._renderer = renderer
        self._streams = streams
        self._flashes = flashes

    def routes(self) -> list[Route]:
        """Return what this class answers."""
        return [
            get("/", self.home, Role.STAFF),
            stream("/events", self.events, Role.STAFF),
            post("/confirm", self.confirm, Role.STAFF),
            get("/addresses/new", self.new, Role.STAFF),
            post("/addresses/new", self.create, Role.STAFF),
        ]

    async def home(self, request: web.Request) -> web.StreamResponse:
        """Show one sentence, one color and at most one question."""
        csrf = guard.csrf_token(request)
        flash = self._flashes.take(csrf)
        return html(self._renderer.page("home.html", self._control.overview(), csrf, flash=flash))

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Stream the parts of the pages that change."""
        csrf = guard.csrf_token(request)
        return await self._streams.serve(request, "parts", lambda now: self._renderer.parts(now, csrf).encode())

    async def confirm(self, request: web.Request) -> web.StreamResponse:
        """Take the answer; "Saved" is shown only after it is on disk (S5)."""
        fields = await guard.read_form(request)
        address_id, civic = fields.get("address_id"), None
        if address_id:
            address_id = given_id(fields)
        else:
            address_id, civic = None, (await self._lost(fields.get("lost", ""))).civic
        try:
            after = await self._control.confirm(
                address_id=address_id, civic=civic, who=guard.who(request), question_id=fields.get(forms.QUESTION)
            )
        except AddressRefused as error:
            if civic is None:
                raise
            form = forms.refused(forms.blank(civic), error)  # such as one that the network names: it can be corrected
            return self._form(request, self._control.overview(), form, status_of(error))
        self._saved(request, after)
        raise web.HTTPSeeOther("/")

    async def new(self, request: web.Request) -> web.StreamResponse:
        """Show the address form, filled in with what the platform refused or what it shall be like."""
        overview = self._control.overview()
        known = None
        if overview.ask is Ask.FIX_ADDRESS:
            known = overview.address or next((choice.civic for choice in overview.choices), None)
        if request.query.get("like") == NETWORK and overview.heard.named is not None:
            return self._form(request, overview, forms.suggested(overview.heard.named.fields), 200)
        if "like" in request.query:
            known = next((one.civic for one in overview.choices if one.id == request.query["like"]), known)
        return self._form(request, overview, forms.blank(known), 200)

    async def create(self, request: web.Request) -> web.StreamResponse:
        """Register the address and confirm that the phone is there, once its spelling is accepted.

        The platform may normalize what was typed into another door: then it is shown, and nothing is confirmed yet.
        """
        fields = await guard.read_form(request)
        civic, form = forms.read(fields)
        if civic is None or forms.AGAIN in fields:
            return self._form(request, self._control.overview(), form, 422 if civic is None else 200)
        try:
            saved = await self._control.add_address(civic)
            if saved.id is not None and not forms.as_typed(civic, saved.civic):
                return self._accept(request, civic, form, saved)
            after = await self._control.confirm(
                address_id=saved.id, civic=None, who=guard.who(request), question_id=form.question_id or None
            )
        except AgentError as error:
            overview = self._control.overview()
            shown = self._form(request, overview, forms.refused(form, as_of(error, overview)), status_of(error))
            shown.headers.update(headers_of(error))
            return shown
        self._saved(request, after)
        raise web.HTTPSeeOther("/")

    def _form(self, request: web.Request, overview: Overview, form: forms.AddressForm, status: int) -> web.Response:
        csrf = guard.csrf_token(request)
        return html(self._renderer.page("address_form.html", overview, csrf, form=form), status)

    def _accept(
        self, request: web.Request, typed: CivicAddress, form: forms.AddressForm, saved: SavedAddress
    ) -> web.Response:
        csrf, changed = guard.csrf_token(request), forms.changed(typed, saved.civic)
        overview = self._control.overview()
        return html(self._renderer.page("address_accept.html", overview, csrf, form=form, saved=saved, changed=changed))

    def _saved(self, request: web.Request, after: Overview) -> None:
        where = say("This phone is at {street}.", street=street_line(after.address)) if after.address else ""
        self._flashes.put(guard.csrf_token(request), sentences(say("Saved."), where))

    async def _lost(self, key: str) -> SavedAddress:
        candidates = self._control.overview().choices
        if not any(choice.id is None and lost_key(choice) == key for choice in candidates):
            candidates = await self._control.addresses()
        for choice in candidates:
            if choice.id is None and lost_key(choice) == key:
                return choice
        raise PageError(
            404, say("That address is no longer known."), todo=say("Choose another one."), code="address_gone"
        )


def html(text: str, status: int = 200) -> web.Response:
    """Return a page."""
    return web.Response(text=text, status=status, content_type="text/html", charset="utf-8")

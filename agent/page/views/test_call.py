"""The test call to 933 on the page and in the API: make one, hear it, and say whether it says the right address."""

from __future__ import annotations

import msgspec
from aiohttp import web

from agent.control import Control
from agent.errors import NeedsHuman
from agent.page.access import guard
from agent.page.api import wire
from agent.page.api.core import PREFIX, answer
from agent.page.problems import PageError
from agent.page.render import Renderer
from agent.page.routes import Role, Route, get, post
from agent.page.views.home import Flashes, html
from agent.say import say
from agent.testcall.evidence import Evidence, Running
from agent.testcall.tester import CallTester

TESTS = f"{PREFIX}/test-calls"
SHOWN = 20
"""Test calls on the page."""
MAX_LIST = 50


class Tests(msgspec.Struct):
    """`GET test-calls`."""

    running: Running | None
    test_calls: tuple[Evidence, ...]


class AnswerBody(msgspec.Struct, forbid_unknown_fields=True):
    """`POST test-calls/N/answer`."""

    same: bool


class TestCallViews:
    """Page and API of the test call; `comparing` of it takes a person."""

    def __init__(self, control: Control, tester: CallTester, renderer: Renderer, flashes: Flashes) -> None:
        self._control, self._tester, self._renderer, self._flashes = control, tester, renderer, flashes

    def routes(self) -> list[Route]:
        """Return what this class answers."""
        number = "{number:[0-9]{1,12}}"
        return [
            get("/test", self.page, Role.STAFF),
            post("/test", self.start, Role.STAFF),
            post(f"/test/{number}", self.compare, Role.STAFF),
            get(f"/test/{number}.wav", self.recording, Role.STAFF),
            get(TESTS, self.list, Role.STAFF),
            post(TESTS, self.start_api, Role.STAFF),
            get(f"{TESTS}/{number}", self.one, Role.STAFF),
            get(f"{TESTS}/{number}/recording", self.recording, Role.STAFF),
            post(f"{TESTS}/{number}/answer", self.answer, Role.STAFF),
        ]

    # ------------------------------------------------------------------ the page

    async def page(self, request: web.Request) -> web.StreamResponse:
        """Show the newest test call, what to compare, and the older ones."""
        csrf = guard.csrf_token(request)
        return html(
            self._renderer.page(
                "test_call.html", self._control.overview(), csrf, older=self._tester.past[1 : SHOWN + 1],
                flash=self._flashes.take(csrf),
            )
        )  # fmt: skip

    async def start(self, request: web.Request) -> web.StreamResponse:
        """Begin a test call; the page shows how it goes."""
        await guard.read_form(request)
        self._tester.start(guard.who(request))
        raise web.HTTPSeeOther("/test")

    async def compare(self, request: web.Request) -> web.StreamResponse:
        """Take what a person heard."""
        fields = await guard.read_form(request)
        said = {"same": True, "other": False}.get(fields.get("said", ""))
        if said is None:
            raise PageError(400, say("Nothing was answered."), todo=say("Press one of the buttons."), code="malformed")
        self._tester.answer(int(request.match_info["number"]), same=said, who=guard.who(request))
        self._flashes.put(guard.csrf_token(request), say("Saved."))
        raise web.HTTPSeeOther("/test")

    async def recording(self, request: web.Request) -> web.StreamResponse:
        """Return the recording of a test call."""
        file = self._tester.recording(self._find(request))
        if not file.exists():
            raise NeedsHuman(
                say("The recording of this test call is not kept any more."),
                todo=say("Make a new test call."),
                code="no_recording",
            )
        return web.FileResponse(file, headers={"Content-Type": "audio/wav"})

    # ------------------------------------------------------------------ the API

    async def list(self, _request: web.Request) -> web.StreamResponse:
        """Return the newest test calls and the one that is being made."""
        return answer(Tests(self._tester.running, self._tester.past[:MAX_LIST]))

    async def start_api(self, request: web.Request) -> web.StreamResponse:
        """Begin a test call; 202, and its evidence is the first of the list once none is running."""
        self._tester.start(guard.who(request))
        return answer(Tests(self._tester.running, self._tester.past[:1]), 202)

    async def one(self, request: web.Request) -> web.StreamResponse:
        """Return one test call."""
        return answer(self._find(request))

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Take what a person heard."""
        body = wire.decode(await guard.read_body(request), AnswerBody)
        number = int(request.match_info["number"])
        return answer(self._tester.answer(number, same=body.same, who=guard.who(request)))

    def _find(self, request: web.Request) -> Evidence:
        found = self._tester.find(int(request.match_info["number"]))
        if found is None:
            raise PageError(404, say("There is no such test call."), todo=say("Go back to the list."), code="not_found")
        return found

"""Signing in and out, PINs, how the link reaches the page, and the audit: as pages and as JSON."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

from aiohttp import web
from markupsafe import Markup

from agent.control import Control
from agent.errors import AgentError, NeedsHuman
from agent.page.access import guard
from agent.page.access.access import Access, TooManyPins, WrongPin, in_words
from agent.page.access.link import LinkServer
from agent.page.access.pins import PIN_ROLES, PinRefused
from agent.page.access.visitor import Channel
from agent.page.api import wire
from agent.page.api.core import PREFIX, answer, limit_of
from agent.page.problems import PageError, headers_of, status_of
from agent.page.render import Renderer
from agent.page.routes import Role, Route, delete, get, post
from agent.page.views.home import Flashes, html
from agent.say import say
from agent.storage.audit import AuditRow

SHOWN = 200
"""Lines of the audit on its page."""
MAX_ROWS = 4000
"""Lines that a program may ask for: all there are."""
_OWN_PATH = re.compile(r"/[A-Za-z0-9_-][A-Za-z0-9/_-]{0,200}(\?[A-Za-z0-9_=&%.~+-]{0,400})?|/")
"""Where somebody may be led after signing in, as it stands in a URL: never to another host, never with a line break."""

_TESTED_NOTICES = say("Sent a test notice")
_CHECKED = say("Had everything checked")
_BUNDLE = say("Took a bundle for support")
_TEST_CALL = say("Made a test call to 933")
_COMPARED = say("Said what a test call says")
_CALLED, _ANSWERED, _REFUSED = say("Placed a call"), say("Answered a call"), say("Refused a call")
_HUNG_UP, _HELD, _DIGITS = say("Hung up"), say("Put a call on hold, or took it back"), say("Sent tones")
_SETTINGS, _SET_UP = say("Changed settings"), say("Set the phone up")

ACTIONS = {
    "POST /confirm": say("Confirmed where this phone is"),
    "POST /api/v1/confirm": say("Confirmed where this phone is"),
    "POST /addresses/new": say("Entered an address"),
    "POST /api/v1/addresses": say("Saved an address"),
    "POST /addresses/{action}": say("Forgot or cleared an address"),
    "DELETE /api/v1/addresses/{id}": say("Deleted an address"),
    "POST /api/v1/addresses/{id}/clear": say("Cleared an address"),
    "POST /login": say("Signing in"),
    "POST /logout": say("Signing out"),
    "POST /access/pin": say("Changed a PIN"),
    "POST /api/v1/pins/{role}": say("Changed a PIN"),
    "DELETE /api/v1/pins/{role}": say("Removed a PIN"),
    "POST /settings/{group}": _SETTINGS,
    "POST /settings/reset": say("Went back to packaged settings"),
    "POST /settings/undo": say("Undid the last change of settings"),
    "POST /settings/restart": say("Started the agent again"),
    "POST /setup/{step}": _SET_UP,
    "POST /setup/address": _SET_UP,
    "POST /setup/platform/user": say("Took over the user of the token"),
    "POST /notices/acknowledge": say("Took care of an emergency call"),
    "POST /api/v1/notices/{id}/acknowledge": say("Took care of an emergency call"),
    "POST /notices/test": _TESTED_NOTICES,
    "POST /api/v1/notices/test": _TESTED_NOTICES,
    "POST /diagnostics": _CHECKED,
    "POST /api/v1/diagnostics": _CHECKED,
    "POST /diagnostics/bundle": _BUNDLE,
    "POST /api/v1/diagnostics/bundle": _BUNDLE,
    "POST /test": _TEST_CALL,
    "POST /test/{number}": _COMPARED,
    "POST /api/v1/test-calls": _TEST_CALL,
    "POST /api/v1/test-calls/{number}/answer": _COMPARED,
    "POST /api/v1/calls": _CALLED,
    "POST /api/v1/calls/hangup": _HUNG_UP,
    "POST /api/v1/calls/{call}/answer": _ANSWERED,
    "POST /api/v1/calls/{call}/hangup": _HUNG_UP,
    "POST /api/v1/calls/{call}/hold": _HELD,
    "POST /api/v1/calls/{call}/resume": _HELD,
    "POST /api/v1/calls/{call}/reject": _REFUSED,
    "POST /api/v1/calls/{call}/dtmf": _DIGITS,
    "POST (nothing there)": say("Asked for a page that there is not"),
}
"""What a line of the audit says; others stand there as they were recorded."""
WHO = {
    "cli": say("command line"),
    "local screen": say("this phone's own screen"),
    "staff": say("staff"),
    "technician": say("technician"),
    "nobody": say("not signed in"),
}

_PIN_OF = {Role.STAFF: say("staff's PIN"), Role.TECHNICIAN: say("technician's PIN")}


@dataclass(frozen=True, slots=True)
class AccessState:
    """How the page can be reached."""

    enabled: bool
    """The settings want it on the link."""
    urls: tuple[str, ...]
    """Where it is on the link now."""
    fingerprint: str
    """SHA-256 of the certificate in use."""
    staff_pin: bool
    technician_pin: bool


class AccessViews:
    """Everything about who may use the page; `link` returns the server on the link, if there is one."""

    def __init__(
        self,
        access: Access,
        control: Control,
        renderer: Renderer,
        flashes: Flashes,
        link: Callable[[], LinkServer | None],
    ) -> None:
        self._access = access
        self._control = control
        self._renderer = renderer
        self._flashes = flashes
        self._link = link

    def routes(self) -> list[Route]:
        """Return what this class answers."""
        return [
            get("/login", self.login, Role.ANYONE),
            post("/login", self.sign_in, Role.ANYONE),
            post("/logout", self.sign_out, Role.ANYONE),
            get("/access", self.access, Role.STAFF),
            post("/access/pin", self.set_pin, Role.TECHNICIAN),
            get("/audit", self.audit, Role.TECHNICIAN),
            get(f"{PREFIX}/access", self.api_access, Role.STAFF),
            get(f"{PREFIX}/audit", self.api_audit, Role.TECHNICIAN),
            post(PREFIX + "/pins/{role:staff|technician}", self.api_set_pin, Role.TECHNICIAN),
            delete(PREFIX + "/pins/{role:staff|technician}", self.api_remove_pin, Role.TECHNICIAN),
        ]

    # ------------------------------------------------------------------ signing in and out

    async def login(self, request: web.Request) -> web.StreamResponse:
        """Ask for the PIN."""
        return self._login(request, own_path(request.query.get("next", "/")), None)

    async def sign_in(self, request: web.Request) -> web.StreamResponse:
        """Take the PIN."""
        fields = await guard.read_form(request)
        following = own_path(fields.get("next", "/"))
        try:
            role = await self._access.sign_in(request, fields.get("pin", "").strip())
        except (WrongPin, TooManyPins) as error:
            guard.note(request, error.happened)
            return self._login(request, following, error)
        guard.note(request, say("as {role}", role=WHO[role.name.lower()]))
        raise web.HTTPSeeOther(following)

    async def sign_out(self, request: web.Request) -> web.StreamResponse:
        """End the session."""
        await guard.read_form(request)
        if guard.visitor(request).signed_in:
            guard.note(request, say("signed out"))
        self._access.sign_out(request)
        raise web.HTTPSeeOther("/")

    def _login(self, request: web.Request, following: str, error: AgentError | None) -> web.StreamResponse:
        visitor = guard.visitor(request)
        left, wait = self._access.left(visitor)
        page = self._renderer.page(
            "login.html", None, guard.csrf_token(request),
            on_screen=visitor.channel is not Channel.LINK, next=following, error=error, left=left,
            wait=in_words(wait) if wait else "",
        )  # fmt: skip
        response = html(page, status_of(error) if error else 200)
        if error:
            response.headers.update(headers_of(error))
        return response

    # ------------------------------------------------------------------ how the page is reached, PINs

    def state(self) -> AccessState:
        """Return how the page can be reached now."""
        link, pins = self._link(), self._access.pins
        urls = link.urls() if link else ()
        return AccessState(
            link is not None, urls, link.fingerprint if link and urls else "",
            pins.has(Role.STAFF), pins.has(Role.TECHNICIAN),
        )  # fmt: skip

    async def access(self, request: web.Request) -> web.StreamResponse:
        """Show how other computers reach the page, and for technicians the PINs."""
        return self._access_page(request, "", None)

    async def set_pin(self, request: web.Request) -> web.StreamResponse:
        """Set or remove a PIN."""
        fields = await guard.read_form(request)
        role = pin_role(fields.get("role", ""))
        guard.note(request, _PIN_OF[role])
        pin = fields.get("pin", "").strip()
        try:
            if fields.get("remove"):
                self._access.remove_pin(role)
            elif pin != fields.get("again", "").strip():
                raise PinRefused(say("The two PINs are not the same."))
            else:
                await self._access.set_pin(role, pin)
        except PinRefused as error:
            return self._access_page(request, role.name.lower(), error)
        self._access.stay(request)
        said = say("The PIN was removed.") if fields.get("remove") else say("The new PIN counts from now on.")
        self._flashes.put(guard.csrf_token(request), said)
        raise web.HTTPSeeOther("/access")

    def _access_page(self, request: web.Request, wrong: str, error: AgentError | None) -> web.StreamResponse:
        csrf, state, link = guard.csrf_token(request), self.state(), self._link()
        problem = self._access.pins.problem or (link.problem.happened if link and link.problem else "")
        page = self._renderer.page(
            "access.html", self._control.overview(), csrf, state=state, wrong=wrong, error=error, problem=problem,
            flash=self._flashes.take(csrf), qr=qr_code(state.urls[0]) if state.urls else None,
        )  # fmt: skip
        return html(page, status_of(error) if error else 200)

    async def api_access(self, _request: web.Request) -> web.StreamResponse:
        """Return how the page can be reached."""
        return answer(self.state())

    async def api_set_pin(self, request: web.Request) -> web.StreamResponse:
        """Set a PIN."""
        role = pin_role(request.match_info["role"])
        guard.note(request, _PIN_OF[role])
        body = wire.decode(await guard.read_body(request), wire.PinBody)
        await self._access.set_pin(role, body.pin.strip())
        return answer(wire.Done())

    async def api_remove_pin(self, request: web.Request) -> web.StreamResponse:
        """Remove a PIN."""
        role = pin_role(request.match_info["role"])
        guard.note(request, _PIN_OF[role])
        self._access.remove_pin(role)
        return answer(wire.Done())

    # ------------------------------------------------------------------ the audit

    async def audit(self, request: web.Request) -> web.StreamResponse:
        """Show who changed what, and who was refused."""
        page = self._renderer.page(
            "audit.html", self._control.overview(), guard.csrf_token(request), rows=self._access.audit.rows(SHOWN),
            action=_action, who=lambda row: WHO.get(row.who, row.who),
        )  # fmt: skip
        return html(page)

    async def api_audit(self, request: web.Request) -> web.StreamResponse:
        """Return the newest lines of the audit."""
        return answer(wire.AuditAnswer(self._access.audit.rows(limit_of(request, MAX_ROWS))))


def _action(row: AuditRow) -> str:
    return ACTIONS.get(row.action, row.action)


def pin_role(name: str) -> Role:
    """Return the role of a PIN by its name; raises PageError 400."""
    for role in PIN_ROLES:
        if role.name.lower() == name:
            return role
    raise PageError(400, say("There is no such PIN."), todo=say("Use the form on the page."), code="malformed")


def own_path(text: str) -> str:
    """Return a path (and query) of our own page, the first page where it is anything else."""
    return text if _OWN_PATH.fullmatch(text) else "/"


def to_sign_in(request: web.Request) -> web.Response:
    """Lead a browser to the PIN and afterwards to where it wanted to go."""
    where = urlencode({"next": own_path(request.path_qs)})
    return web.Response(status=web.HTTPSeeOther.status_code, headers={"Location": f"/login?{where}"})


def qr_code(url: str) -> Markup:
    """Return a QR code (ISO/IEC 18004, level M) as SVG without styles and scripts; raises NeedsHuman without segno."""
    try:
        import segno
    except ModuleNotFoundError as error:
        raise NeedsHuman(say("This installation is not complete: segno is missing."), code="not_installed") from error
    code = segno.make(url, error="m", micro=False)
    drawn = code.svg_inline(scale=1, border=4, omitsize=True, svgclass=None, lineclass=None, light="#fff")
    return Markup(drawn)  # noqa: S704 - made of numbers by the library

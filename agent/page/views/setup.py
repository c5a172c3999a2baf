"""First-run set-up: from a blank device to a proven 911 address, one step a page, each tested when it is saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace

from aiohttp import web

from agent.config.current import SettingsRefused
from agent.config.fields import Field, fields, read
from agent.control import Control
from agent.dialstack.rest import RestClient
from agent.dialstack.tokens import Tokens
from agent.doctor.result import Finding, Result
from agent.errors import AgentError
from agent.model import CivicAddress
from agent.page.access import guard
from agent.page.access.access import Access
from agent.page.problems import PageError, as_of, headers_of, status_of
from agent.page.render import Renderer
from agent.page.routes import Role, Route, get, post
from agent.page.views import forms
from agent.page.views.home import Flashes, html
from agent.page.views.settings import OUTDATED, sentence
from agent.page.views.settings_words import label
from agent.page.views.setup_steps import BY_NAME, STEPS, Progress, Step, after, judge, progress, resume
from agent.page.workshop import Workshop
from agent.say import say

SPELLED = say("The platform spells this address differently. Look at it: if it is right, press the button once more.")


class SetupViews:
    """The steps, the printable label and the summary."""

    def __init__(
        self, workshop: Workshop, control: Control, renderer: Renderer, flashes: Flashes, access: Access
    ) -> None:
        self._workshop = workshop
        self._configuration = workshop.configuration
        self._control = control
        self._renderer = renderer
        self._flashes = flashes
        self._access = access
        self._tested: dict[str, tuple[Result, ...]] = {}
        """Step -> what its newest finished test found."""
        self._testing = ""
        """The step whose test is the newest one."""

    def routes(self) -> list[Route]:
        """Return what this class answers."""
        return [
            get("/setup", self.index, Role.TECHNICIAN),
            get("/setup/{step}", self.step, Role.TECHNICIAN),
            post("/setup/address", self.save_address, Role.TECHNICIAN),
            post("/setup/platform/user", self.adopt_user, Role.TECHNICIAN),
            post("/setup/{step}", self.save, Role.TECHNICIAN),
        ]

    # ------------------------------------------------------------------ looking

    async def index(self, request: web.Request) -> web.StreamResponse:
        """Show the way, and where to go on."""
        found = self._progress()
        return html(self._page(request, "setup.html", progress=found, resume=resume(found), steps=STEPS))

    async def step(self, request: web.Request) -> web.StreamResponse:
        """Show one step; what needs no answer is tested at once."""
        step = self._named(request)
        unasked = step.checks and not step.keys and step.name not in self._tested and self._testing != step.name
        if unasked:
            self._test(step)
        form = forms.blank(self._configuration.shown().settings.address or self._control.overview().address)
        return self._show(request, step, form=form)

    def _show(
        self,
        request: web.Request,
        step: Step,
        given: Mapping[str, str] | None = None,
        errors: Mapping[str, str] | None = None,
        *,
        form: forms.AddressForm | None = None,
        status: int = 200,
    ) -> web.Response:
        results = self._results(step)
        running = any(one.finding is Finding.RUNNING for one in results)
        keys = {field.key for field in self._fields(step)}
        page = self._page(
            request, f"setup_{step.name}.html", step=step, number=STEPS.index(step) + 1, count=len(STEPS),
            next=after(step.name), results=results, running=running, verdict=judge(results), fields=self._fields(step),
            given=given or {}, form=form or forms.blank(), settings=self._configuration.shown().settings,
            errors={key: sentence(text) for key, text in (errors or {}).items() if key in keys},
            general=[text for key, text in (errors or {}).items() if key not in keys],
            version=self._configuration.edited().revision(), progress=self._progress(), tested=self._workshop.tested(),
            other_user=any(one.code == "token_other_user" for one in results),
        )  # fmt: skip
        return html(page, status)

    def _results(self, step: Step) -> tuple[Result, ...]:
        checkup = self._workshop.checkup
        if self._testing == step.name and checkup.scope == step.checks:
            if not checkup.running and checkup.results:
                self._tested[step.name] = checkup.results
            return checkup.results
        return self._tested.get(step.name, ())

    def _progress(self) -> Mapping[str, Progress]:
        for step in STEPS:
            self._results(step)
        pin = self._access.pins.has(Role.STAFF)
        return progress(
            self._configuration.shown(), self._control.overview(), self._tested,
            pin=pin, call=self._workshop.tested() is not None,
        )  # fmt: skip

    # ------------------------------------------------------------------ acting

    async def save(self, request: web.Request) -> web.StreamResponse:
        """Save a step, then test what was learned."""
        step = self._named(request)
        given = await guard.read_form(request)
        if given.get("version") != self._configuration.edited().revision():
            return self._show(request, step, given, {"": OUTDATED}, status=409)
        values, secrets = read(self._fields(step), given)
        if step.name == "mobility" and given.get("device.mobility"):
            values["device.mobility"] = given["device.mobility"]  # a choice, even where it is the default
        if step.name == "platform":
            values |= _token_source(self._configuration.shown().settings.token.source, values, secrets)
        if values or secrets:
            try:
                await self._configuration.change(values, secrets, who=guard.who(request))
            except SettingsRefused as error:
                return self._show(request, step, given, error.fields, status=422)
            except AgentError as error:
                return self._show(
                    request, step, given, {"": as_of(error, self._control.overview()).told}, status=status_of(error)
                )
        if step.checks:
            self._test(step)
            raise web.HTTPSeeOther(f"/setup/{step.name}")
        raise web.HTTPSeeOther(f"/setup/{after(step.name)}")

    async def adopt_user(self, request: web.Request) -> web.StreamResponse:
        """Make this phone the user that the token belongs to, which a person asked for by name."""
        await guard.read_form(request)
        settings = self._configuration.layers.settings
        rest = RestClient(settings.platform, None)
        try:
            tokens = Tokens(replace(settings.token, user=""), self._workshop.clock, rest.post_for_token)
            user = (await tokens.get()).user
        finally:
            await rest.close()
        await self._configuration.change({"token.user": user}, who=guard.who(request))
        self._test(BY_NAME["platform"])
        raise web.HTTPSeeOther("/setup/platform")

    async def save_address(self, request: web.Request) -> web.StreamResponse:
        """Register the address, confirm that the phone is there, and keep it as the configured one."""
        step = BY_NAME["address"]
        civic, form = forms.read(await guard.read_form(request))
        if civic is None:
            return self._show(request, step, form=form, status=422)
        try:
            saved = await self._control.add_address(civic)
            if saved.id is not None and not forms.as_typed(civic, saved.civic):
                shown = forms.blank(saved.civic)
                spelled = forms.AddressForm(
                    {**shown.values, **_no_unit(saved.civic)}, general=(SPELLED,), question_id=form.question_id
                )
                return self._show(request, step, form=spelled)
            after_it = await self._control.confirm(
                address_id=saved.id, civic=None, who=guard.who(request), question_id=form.question_id or None
            )
            if self._configuration.shown().settings.device.mobility == "fixed":
                await self._configuration.change({"address": _table(saved.civic)}, who=guard.who(request))
        except AgentError as error:
            honest = as_of(error, self._control.overview())
            answer = self._show(request, step, form=forms.refused(form, honest), status=status_of(error))
            answer.headers.update(headers_of(error))
            return answer
        where = after_it.address or civic
        self._flashes.put(guard.csrf_token(request), say("Saved: {address}.", address=where.one_line()))
        self._tested.pop("proof", None)
        self._testing = ""
        raise web.HTTPSeeOther("/setup/proof")

    # ------------------------------------------------------------------ inside

    def _test(self, step: Step) -> None:
        self._tested.pop(step.name, None)
        self._testing = step.name
        self._workshop.checkup.start(step.checks)

    def _named(self, request: web.Request) -> Step:
        step = BY_NAME.get(request.match_info["step"])
        if step is None:
            raise PageError(404, say("There is no such step."), todo=say("Go back to the set-up."), code="not_found")
        return step

    def _fields(self, step: Step) -> tuple[Field, ...]:
        layers = self._configuration.shown()
        known = {
            field.key: field
            for section in dict.fromkeys(key.partition(".")[0] for key in step.keys)
            for field in fields(layers, section)
        }
        return tuple(known[key] for key in step.keys)

    def _page(self, request: web.Request, name: str, **context: object) -> str:
        csrf = guard.csrf_token(request)
        return self._renderer.page(
            name, self._control.overview(), csrf, label=label, flash=self._flashes.take(csrf), **context
        )


def _token_source(
    now: str, values: Mapping[str, object | None], secrets: Mapping[str, str | None]
) -> dict[str, object | None]:
    """Return where tokens come from, as what was entered says."""
    if secrets.get("token.file"):
        wanted = "file"
    elif values.get("token.endpoint"):
        wanted = "endpoint"
    else:
        return {}
    return {} if wanted == now else {"token.source": wanted}


def _no_unit(civic: CivicAddress) -> dict[str, str]:
    """Keep the tick of an address that needs no floor or suite."""
    return {} if civic.unit else {forms.NO_UNIT: "yes"}


def _table(civic: CivicAddress) -> dict[str, object]:
    return {name: value for name, value in asdict(civic).items() if value}

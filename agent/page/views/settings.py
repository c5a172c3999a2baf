"""Settings: every key that a technician may change, where it comes from, undo, and back to the packaged file."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from agent.config.current import WAITS, SettingsRefused
from agent.config.fields import Field, Kind, fields, read
from agent.config.help import title
from agent.config.load import Layers
from agent.config.problem import parts
from agent.control import Control
from agent.errors import AgentError
from agent.page.access import guard
from agent.page.language import spoken
from agent.page.problems import PageError, as_of, status_of
from agent.page.render import Renderer
from agent.page.routes import Role, Route, get, post
from agent.page.views.home import Flashes, html
from agent.page.views.settings_words import Group, groups, is_first, label
from agent.page.workshop import Workshop
from agent.say import listed, say, sentences

HISTORY = 8
"""Changes shown."""
OUTDATED = say("The settings were changed elsewhere meanwhile. Look again, then save once more.")
MOVED = say(
    "Saved. On the phone's own screen this page is on port {port} now. The port before still answers until the agent "
    "starts again: have the screen's browser open the new one."
)


class SettingsViews:
    """The settings pages."""

    def __init__(self, workshop: Workshop, control: Control, renderer: Renderer, flashes: Flashes) -> None:
        self._workshop = workshop
        self._configuration = workshop.configuration
        self._control = control
        self._renderer = renderer
        self._flashes = flashes

    def routes(self) -> list[Route]:
        """Return what this class answers."""
        return [
            get("/settings", self.index, Role.TECHNICIAN),
            post("/settings/undo", self.undo, Role.TECHNICIAN),
            post("/settings/reset", self.reset, Role.TECHNICIAN),
            post("/settings/restart", self.restart, Role.TECHNICIAN),
            get("/settings/{group}", self.group, Role.TECHNICIAN),
            post("/settings/{group}", self.save, Role.TECHNICIAN),
        ]

    async def index(self, request: web.Request) -> web.StreamResponse:
        """Show the groups, what waits, and the last changes."""
        configuration, last = self._configuration, self._configuration.undoable()
        layers = configuration.shown()
        strange = layers.strangers()
        ours = [key for key in (*layers.overlay.values, *layers.kept) if key not in strange]
        changed = {group.name: sum(key.partition(".")[0] in group.sections for key in ours) for group in groups()}
        history = tuple(reversed(layers.overlay.history[-HISTORY:]))
        problems = [in_words(one.line) for one in layers.mistakes if one not in strange.values()]
        page = self._page(
            request, "settings.html", groups=groups(), changed=changed, history=history, problems=problems,
            incomplete=bool(layers.grave), strange=tuple(strange),
            damage=configuration.damage, version=self._version(), secret_kept=configuration.tidies_in() is not None,
            undoable=listed([label(key) for key in last.names]) if last is not None else "",
        )  # fmt: skip
        return html(page)

    async def group(self, request: web.Request) -> web.StreamResponse:
        """Show one group as a form."""
        return self._form(request, self._named(request), {}, {}, 200)

    async def save(self, request: web.Request) -> web.StreamResponse:
        """Save what was changed in a group."""
        group = self._named(request)
        given = await guard.read_form(request)
        if self._is_outdated(given):
            return self._elsewhere(request, group, given)
        values, secrets = read(self._fields(group), given)
        if not values and not secrets:
            self._flashes.put(guard.csrf_token(request), say("Nothing was changed."))
            raise web.HTTPSeeOther(request.path)
        try:
            in_force = await self._configuration.change(values, secrets, who=guard.who(request))
        except SettingsRefused as error:
            return self._form(request, group, given, error.fields, 422)
        except AgentError as error:
            return self._form(
                request, group, given, {"": as_of(error, self._control.overview()).told}, status_of(error)
            )
        guard.note(request, listed(label(key) for key in {**values, **secrets}))
        self._say_saved(request, in_force=in_force)
        if in_force and "page.port" in values:
            port = self._configuration.layers.settings.page.port
            self._flashes.put(guard.csrf_token(request), say(MOVED, port=port))
        raise web.HTTPSeeOther("/settings")

    async def undo(self, request: web.Request) -> web.StreamResponse:
        """Take back the newest change, which must be the one that was shown."""
        if self._is_outdated(await guard.read_form(request)):
            self._flashes.put(guard.csrf_token(request), OUTDATED)
            raise web.HTTPSeeOther("/settings")
        keys = await self._configuration.undo(who=guard.who(request))
        text = say("Nothing to undo.")
        if keys:
            guard.note(request, listed(label(key) for key in keys))
            text = say("Taken back: {names}.", names=listed(label(key) for key in keys))
        self._flashes.put(guard.csrf_token(request), text)
        raise web.HTTPSeeOther("/settings")

    async def reset(self, request: web.Request) -> web.StreamResponse:
        """Give one key back to the packaged file."""
        given = await guard.read_form(request)
        key = given.get("reset", "")
        if self._is_outdated(given):
            self._flashes.put(guard.csrf_token(request), OUTDATED)
            raise web.HTTPSeeOther("/settings")
        group = next((one for one in groups() if key.partition(".")[0] in one.sections), None)
        stranger = key in self._configuration.shown().strangers()
        if group is None and not stranger:
            raise PageError(
                404, say("There is no such setting."), todo=say("Go back to the settings."), code="not_found"
            )
        in_force = await self._configuration.reset([key], who=guard.who(request))
        guard.note(request, key if stranger else label(key))
        self._say_saved(request, in_force=in_force)
        raise web.HTTPSeeOther("/settings" if stranger or group is None else f"/settings/{group.name}")

    async def restart(self, request: web.Request) -> web.StreamResponse:
        """Start the agent again, so that the rest of the settings is taken up."""
        await guard.read_form(request)
        self._flashes.put(guard.csrf_token(request), say("The agent is being started again. Calls go on meanwhile."))
        self._workshop.restart()
        return html(self._page(request, "settings_restart.html"))

    # ------------------------------------------------------------------ inside

    def _named(self, request: web.Request) -> Group:
        name = request.match_info["group"]
        found = next((group for group in groups() if group.name == name), None)
        if found is None:
            todo = say("Go back to the settings.")
            raise PageError(404, say("There is no such page."), todo=todo, code="not_found")
        return found

    def _fields(self, group: Group, layers: Layers | None = None) -> tuple[Field, ...]:
        layers = layers or self._configuration.shown()
        return tuple(field for section in group.sections for field in fields(layers, section))

    def _version(self) -> str:
        return self._configuration.edited().revision()

    def _is_outdated(self, given: Mapping[str, str]) -> bool:
        """Tell whether somebody else changed settings since a form was shown."""
        return given.get("version") != self._version()

    def _elsewhere(self, request: web.Request, group: Group, given: Mapping[str, str]) -> web.Response:
        """Show the form again after somebody else changed settings: what was not touched here as it is now."""
        now = self._configuration.edited()
        past = now.at_revision(given.get("version", ""))
        if past is None:
            return self._form(request, group, given, {"": OUTDATED}, 409)
        touched = read(self._fields(group, self._configuration.shown_as(past)), given)
        later = now.history[len(past.history) :] if len(now.history) > len(past.history) else ()
        names = dict.fromkeys(label(key) for one in later for key in one.names)
        text = sentences(OUTDATED, say("Changed meanwhile: {names}.", names=listed(names)) if names else "")
        keys = {key for part in touched for key in part}
        mine = {field.key: given.get(field.key, "") for field in self._fields(group) if field.key in keys}
        return self._form(request, group, mine, {"": text}, 409, whole=False)

    def _form(
        self,
        request: web.Request,
        group: Group,
        given: Mapping[str, str],
        errors: Mapping[str, str],
        status: int,
        *,
        whole: bool = True,
    ) -> web.Response:
        """`whole`: what is given is all of the form, so that a switch that is missing is off."""
        known = self._fields(group)
        if errors and whole:
            given = {field.key: "" for field in known if field.kind is Kind.SWITCH} | dict(given)
        keys = {field.key for field in known}
        general = [
            text if not key else say("{name}: {what}", name=key, what=text)
            for key, text in errors.items()
            if key not in keys
        ]
        if errors and any(given.get(field.key) for field in known if field.kind is Kind.SECRET):
            general.append(say("Enter secrets once more: they are never sent back to a page."))
        told = {section: title(section) for section in group.sections}
        page = self._page(
            request, "settings_group.html", group=group, fields=known, given=given, general=general, told=told,
            errors={key: sentence(text) for key, text in errors.items() if key in keys}, version=self._version(),
            unfolded={key.partition(".")[0] for key in errors if not is_first(key)},
        )  # fmt: skip
        return html(page, status)

    def _page(self, request: web.Request, name: str, **context: object) -> str:
        csrf = guard.csrf_token(request)
        waits = self._workshop.waits_for_restart()
        return self._renderer.page(
            name, self._control.overview(), csrf, label=label, is_first=is_first, flash=self._flashes.take(csrf),
            waiting=WAITS if self._configuration.waiting else "",
            restart=[label(key) for key in sorted(waits)], **context,
        )  # fmt: skip

    def _say_saved(self, request: web.Request, *, in_force: bool) -> None:
        text = say("Saved.") if in_force else say("Saved; it waits until the emergency call is over.")
        self._flashes.put(guard.csrf_token(request), text)


def in_words(line: str) -> str:
    """Return a problem line without its file, the setting by its label."""
    wrong = parts(line)
    if not wrong.key:
        return wrong.what
    name = label(wrong.key) if "." in wrong.key else say("Address") if wrong.key == "address" else wrong.key
    return say("{name}: {what}", name=name, what=wrong.what)


def sentence(text: str) -> str:
    """Return what a validator says as a sentence in the reader's language: `must be ...` -> `It must be ...`."""
    told = spoken().tell(text)
    told = f"It {told}" if told.startswith(("must ", "can ", "needs ")) else told[:1].upper() + told[1:]
    return told if told.endswith((".", "?", "!")) else f"{told}."

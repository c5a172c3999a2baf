"""The page in the reader's language: chosen by switch and browser, from catalogs that every program reads alike."""

from __future__ import annotations

import ast
import contextlib
import io
import re
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
import pytest
from babel.messages import pofile
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from jinja2 import nodes

from agent.clock import SystemClock
from agent.config.schema import SCHEMA
from agent.config.settings import CommandSettings, EmailSettings, Settings, WebhookSettings
from agent.notify.channels import build
from agent.page import catalog, language, words
from agent.page.render import Renderer
from agent.page.views.settings_words import LABELS
from agent.say import say_n
from tests.engine.virtual_world import World
from tests.page.client import Client, play, post, text_of
from tests.page.fake_control import FakeControl

CATALOGS = sorted(language.FOLDER.glob("*/LC_MESSAGES/*.po"))
FRAGMENT = """
# a comment
#, fuzzy
msgid "not sure"
msgstr "pas sûr"

#: agent/say.py
msgid ""
"one line "
"and another\\n"
msgstr ""
"une ligne "
"et une \\"autre\\"\\n"

msgid "{count} day"
msgid_plural "{count} days"
msgstr[0] "{count} jour"
msgstr[1] "{count} jours"

msgid "empty"
msgstr ""

#~ msgid "obsolete"
#~ msgstr "obsolète"
"""


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("", "en"),
        ("es", "es"),
        ("fr-CA,fr;q=0.9,en;q=0.8", "fr"),
        ("de,es;q=0.5,fr;q=0.7", "fr"),
        ("en-US,en;q=0.9,es;q=0.8", "en"),
        ("es;q=0,fr;q=0.1", "fr"),
        ("*", "en"),
        ("es;q=oops,;;,=", "en"),
        ("fr;q=nan", "en"),
        ("," * 100_000 + "es", "en"),
    ],
)
def test_the_browsers_wish_is_read(header: str, code: str) -> None:
    assert language.negotiate(header) == code


def test_the_switch_wins_over_the_browser_and_comes_back_to_the_page(tmp_path: Path) -> None:
    async def scenario(_: FakeControl, client: Client) -> None:
        assert '<html lang="en">' in await text_of(client, "/")
        page = await text_of(client, "/history?range=week")
        here = f"{client._base_url}".rstrip("/")
        client.headers["Referer"] = f"{here}/history?range=week"
        assert (await post(client, "/language", page, language="fr"))[:2] == (303, "/history?range=week")
        client.headers["Accept-Language"] = "es"
        assert '<html lang="fr">' in await text_of(client, "/history")
        for foreign in ("http://evil.example/history", f"{here}//evil.example/", "", "nonsense"):
            client.headers["Referer"] = foreign
            assert (await post(client, "/language", page, language="en"))[:2] == (303, "/")
        assert (await post(client, "/language", page, language="tlh"))[0] == 400

    play(tmp_path, scenario)


def test_pages_say_their_language_and_what_it_was_chosen_by(tmp_path: Path) -> None:
    async def scenario(_: FakeControl, client: Client) -> None:
        client.headers["Accept-Language"] = "fr-CA, en;q=0.5"
        for path, language_of_it in (
            ("/", "fr"),
            ("/nothing", "fr"),
            ("/api/v1/status", None),
            ("/static/page.js", None),
        ):
            async with client.get(path) as answer:
                assert answer.headers.get("Content-Language") == language_of_it, path
                if language_of_it:
                    assert answer.headers["Vary"] == "Accept-Language, Cookie"
                    assert f'<html lang="{language_of_it}">' in await answer.text()

    play(tmp_path, scenario)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("en", ["0.4 s", "99.5", "12 s", "1 day 2 h", "2 days", "0 days", "21 Nov 14:02", "yesterday 14:02"]),
        ("es", ["0.4 s", "99.5", "12 s", "1 día 2 h", "2 días", "0 días", "21 nov 14:02", "ayer 14:02"]),
        ("fr", ["0,4 s", "99,5", "12 s", "1 jour 2 h", "2 jours", "0 jour", "21 nov. 14:02", "hier 14:02"]),
    ],
)
def test_numbers_times_and_plurals_are_written_as_each_language_does(code: str, said: list[str]) -> None:
    at = datetime(2026, 11, 21, 14, 2, tzinfo=UTC).timestamp()
    told = [
        words.took(0.4), words.tenths(99.5), words.took(12), words.duration(93600), words.duration(172800),
        say_n("{count} day", "{count} days", 0), words.clock_time(at, at + 5 * 86400, UTC),
        words.clock_time(at, at + 86400, UTC),
    ]  # fmt: skip
    assert [language.language(code).tell(text) for text in told] == said


def test_a_catalog_is_read_as_the_translators_tools_read_it() -> None:
    read = catalog.read(FRAGMENT)
    assert read == {
        "one line and another\n": 'une ligne et une "autre"\n',
        "{count} day\0{count} days": "{count} jour\0{count} jours",
    }
    with pytest.raises(ValueError, match="not a line of a catalog"):
        catalog.read('msgid 7\nmsgstr "x"')


@pytest.mark.parametrize("path", CATALOGS, ids=lambda path: path.parts[-3])
def test_every_catalog_says_what_babel_finds_in_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    ours, loaded = catalog.read(text), catalog.load(path)
    theirs: dict[Any, Any] = {one.id: one for one in pofile.read_po(io.StringIO(text)) if one.id and not one.fuzzy}
    for key, entry in theirs.items():
        strings: tuple[str, ...] = entry.string if isinstance(entry.string, tuple) else (entry.string,)
        if not all(strings):
            continue
        assert ours["\0".join(key) if isinstance(key, tuple) else key] == "\0".join(strings)
        if isinstance(key, tuple):
            assert [loaded.ngettext(key[0], key[1], number) for number in (1, 2)] == list(strings)
        else:
            assert loaded.gettext(key) == strings[0]
    assert len(CATALOGS) == len(language.NAMES) - 1


def test_home_of_a_real_light_is_told_whole_in_the_readers_language() -> None:
    world = World("fixed")
    renderer = Renderer(world.clock, UTC)
    world.plug("office")
    world.advance(2)
    with language.speaking(language.language("es")):
        asked = renderer.parts(world.desk.overview(), "x")
        assert world.confirm("office")
        world.advance(2)
        proven = renderer.parts(world.desk.overview(), "x")
        world.unplug()
        lost = renderer.parts(world.desk.overview(), "x")
    world.close()
    where = "123 Main St, Suite 400, San Francisco, CA 94105"
    assert f"El 911 enviaría ayuda a {where}, pero nadie ha confirmado que este teléfono esté allí." in asked
    assert "¿Sigue este teléfono en 123 Main St, Suite 400?" in asked
    assert f"El 911 envía ayuda a {where}. Comprobado en esta red." in proven
    assert "Comprobada al leerla de nuevo" in proven
    assert "Este teléfono no tiene red." in lost
    english = re.findall(
        r"\b(?:the|this|phone|network|is|are|call|address)\b", re.sub(r"<[^>]*>", " ", asked + proven + lost)
    )
    assert english == []


# ------------------------------------------------------------------ nothing is left out

AGENT = Path(language.__file__).parents[1]
TEMPLATES = sorted((AGENT / "page" / "templates").glob("*.html"))
HOLES = re.compile(r"\{\w*[^}]*\}|%\(\w+\)s|</?[a-z]+[^>]*>|`[^`]*`")
"""What a translation must hold exactly as the original does."""
NOT_SHOWN = (
    "cli/*",
    "lab/*",
    "simulator/*",
    "voice/*",
    "manual/*",
    "runtime/journal.py",
    "runtime/messages.py",
    "page/api/*",
)
"""Modules whose sentences no page shows."""
NAMES_OF_THINGS = {"dialstack-agent", "home", "SIP", "PIN", "IP", "h", "min", "s"}
"""Words of templates that are the same in every language."""
ERRORS = {"Retry", "Backoff", "NeedsHuman", "AddressRefused", "AddressGone", "Bug", "AgentError", "PageError"}


def collected() -> set[tuple[str, ...]]:
    """Return every message that `make translations` finds, plural forms together."""
    mappings = tomllib.loads((AGENT.parent / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["babel"]["mappings"]
    methods: list[tuple[str, str]] = []
    options: dict[str, dict[str, Any]] = {}
    for one in mappings:
        for pattern in [one["pattern"]] if isinstance(one["pattern"], str) else one["pattern"]:
            methods.append((pattern, one["method"]))
            options[pattern] = {name: value for name, value in one.items() if name not in {"pattern", "method"}}
    keywords = {**DEFAULT_KEYWORDS, "say": None, "say_n": (1, 2)}
    with contextlib.redirect_stderr(io.StringIO()):  # f-strings of modules that no page shows
        found = list(extract_from_dir(str(AGENT), methods, options, keywords))
    assert len(found) > 500
    return {message if isinstance(message, tuple) else (message,) for _, _, message, _, _ in found}


@pytest.mark.parametrize("path", CATALOGS, ids=lambda path: path.parts[-3])
def test_every_sentence_is_collected_and_translated_with_the_same_holes(path: Path) -> None:
    wrong = []
    translated = catalog.read(path.read_text(encoding="utf-8"))
    for forms in sorted(collected()):
        told = translated.get("\0".join(forms))
        if not told:
            wrong.append(f"not translated: {forms[0]}")
            continue
        for english, other in zip(forms, told.split("\0"), strict=True):
            if sorted(HOLES.findall(english)) != sorted(HOLES.findall(other)):
                wrong.append(f"other holes: {english} -> {other}")
            if '"' in HOLES.sub("", other):
                wrong.append(f"a quotation mark would end an attribute: {other}")
    assert wrong == [], "run `make translations` and fill in what is empty (I18N.md)"


def test_french_signs_are_never_torn_from_their_words() -> None:
    french = next(path for path in CATALOGS if "fr" in path.parts)
    told = catalog.read(french.read_text(encoding="utf-8")).values()
    torn = [text for text in told if re.search(r" ([;?!»]|:(?!:))|« ", HOLES.sub("", text))]
    assert torn == [], "`make translations` puts a no-break space there"


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_template_says_anything_that_is_not_collected(path: Path) -> None:
    environment = jinja2.Environment(extensions=["jinja2.ext.i18n"], autoescape=True)
    tree = environment.parse(path.read_text(encoding="utf-8"))
    text = "\ue000".join(
        "\ue000" if not isinstance(one, nodes.TemplateData) else one.data
        for output in tree.find_all(nodes.Output)
        if output not in [inner for block in tree.find_all(nodes.AssignBlock) for inner in block.find_all(nodes.Output)]
        for one in output.nodes
    )
    spoken = re.findall(r'\b(?:aria-label|title|alt|placeholder|data-working|data-text)="([^"]*)"', text)
    spoken.append(re.sub(r"<(style|script)[^>]*>.*?</\1>", " ", text, flags=re.DOTALL))
    words = {word for one in spoken for word in re.findall(r"[^\W\d_][\w-]*", re.sub(r"<[^>]*>?|&\w+;", " ", one))}
    assert words - NAMES_OF_THINGS == set()


def test_no_error_that_a_page_may_show_is_out_of_the_catalogs_reach() -> None:
    unsaid = []
    for path in sorted(AGENT.rglob("*.py")):
        name = path.relative_to(AGENT)
        if any(name.match(pattern) for pattern in NOT_SHOWN):
            continue
        unsaid += [f"{name}:{one.lineno}" for one in _texts(ast.parse(path.read_text(encoding="utf-8")))]
    assert unsaid == [], "wrap them in say() (I18N.md)"


def _texts(tree: ast.AST) -> Iterator[ast.expr]:
    """Yield the literal texts that errors are made of."""
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in ERRORS:
            shown = [*call.args[: 2 if call.func.id == "PageError" else 1]]
            shown += [one.value for one in call.keywords if one.arg in {"happened", "emergency", "todo"}]
            yield from (one for one in shown if isinstance(one, ast.JoinedStr | ast.Constant) and _is_text(one))


def _is_text(one: ast.JoinedStr | ast.Constant) -> bool:
    return isinstance(one, ast.JoinedStr) or (isinstance(one.value, str) and bool(one.value))


def test_every_setting_has_a_label_that_is_translated() -> None:
    assert {f"{section}.{key}" for section, (_, keys) in SCHEMA.items() for key in keys} <= set(LABELS)


def test_every_channel_of_notices_has_a_name_that_is_translated() -> None:
    settings = Settings(
        notify_webhook=WebhookSettings(url="https://a.example", escalation_url="https://b.example"),
        notify_email=EmailSettings(host="mail.example", to=("a@example.net",), escalation_to=("b@example.net",)),
        notify_command=CommandSettings(run=("/bin/true",), escalation_run=("/bin/true",)),
    )
    names = {channel.name for channel in build(settings, SystemClock())}
    assert {name.partition(" ")[0] for name in names} == set(words.CHANNELS)
    assert language.language("es").tell(words.channel("email (escalation)")) == "correo, si nadie reacciona"

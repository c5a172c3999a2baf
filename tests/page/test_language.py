"""The page in the reader's language: chosen by switch and browser, from catalogs that every program reads alike."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pytest
from babel.messages import pofile

from agent.page import catalog, language, words
from agent.page.render import Renderer
from agent.say import say_n
from tests.engine.virtual_world import World
from tests.page.client import Client, play, post, text_of
from tests.page.fake_control import FakeControl
from tests.page.seen import ABROAD, untranslated

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


@pytest.mark.parametrize("mobility", ["fixed", "movable"])
def test_a_real_light_says_no_word_that_no_catalog_was_asked_for(mobility: Literal["fixed", "movable"]) -> None:
    world = World(mobility)
    renderer = Renderer(world.clock, UTC)
    wrong: dict[str, list[str]] = {}
    story: tuple[Callable[[], object], ...] = (
        lambda: None,
        lambda: world.plug("office"),
        lambda: world.advance(2),
        lambda: world.confirm("office"),
        lambda: world.advance(2),
        lambda: world.dial(emergency=True),
        lambda: world.advance(400),
        lambda: world.change_wan(77),
        lambda: world.advance(3),
        world.unplug,
        lambda: world.plug("home"),
        lambda: world.advance(3),
        lambda: world.suspend(600),
        lambda: world.plug("nowhere"),
        lambda: world.advance(20),
        lambda: world.flap(30),
    )
    for step in story:
        step()
        with language.speaking(ABROAD):
            page = renderer.parts(world.desk.overview(), "x")
        said = re.findall(r">([^<>]+)<", page) + re.findall(r'(?:data-(?:news|title|stale)|aria-label)="([^"]*)"', page)
        wrong |= {text: left for text in map(html.unescape, said) if (left := untranslated(text))}
    timeline = world.desk.timeline(86400)
    wrong |= {span.sentence: left for span in timeline.spans if (left := untranslated(ABROAD.tell(span.sentence)))}
    world.close()
    assert wrong == {}

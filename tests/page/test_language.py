"""The page in the reader's language: chosen by switch and browser, from catalogs that every program reads alike."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from babel.messages import pofile

from agent.page import catalog, language
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
        client.headers["Referer"] = "http://evil.example//x"
        assert (await post(client, "/language", page, language="en"))[:2] == (303, "/")
        assert (await post(client, "/language", page, language="tlh"))[0] == 400

    play(tmp_path, scenario)


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

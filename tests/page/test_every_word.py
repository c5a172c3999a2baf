"""Every word of every page is asked of the catalogs: told in a language that has no ASCII letters, none is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.page import language
from tests.page.fake_control import FakeControl
from tests.page.inventory import PAGES
from tests.page.seen import ABROAD, abroad, english, texts, untranslated
from tests.page.serving import ThreadServer
from tests.page.test_every_page import looked_at
from tests.page.window import Browser, Window, browser
from tests.page.workshop import make_workshop

__all__ = ["browser"]


@pytest.mark.browser
def test_no_page_says_a_word_that_no_catalog_was_asked_for(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(language, "language", lambda _code: ABROAD)
    wrong: dict[str, str] = {}
    with ThreadServer(FakeControl(), tmp_path, workshop=make_workshop(tmp_path)) as served:
        shown = Window(browser, served, locale="es")
        shown.page.route("**/static/**", lambda route: route.abort())  # words need neither looks nor scripts
        for one in PAGES:
            for text in texts(looked_at(shown, one)):
                if untranslated(text):
                    wrong.setdefault(text, one.name)
        shown.context.close()
    assert wrong == {}, "say it with say() or _() (I18N.md), or name it in seen.py as a word of others"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("911 sends help to 123 Main St. Proven here.", ["sends", "help", "to", "Proven", "here"]),
        (abroad("911 sends help to {where}.").format(where="123 Main St, Suite 400, San Francisco, CA 94105"), []),
        (abroad("Forget %(street)s") % {"street": "Elm"}, ["Elm"]),
        (abroad("Registrar") + ": SIP, https://api.example.com", []),
    ],
)
def test_a_word_that_was_not_asked_for_is_found(text: str, left: list[str]) -> None:
    assert untranslated(text) == left


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Este teléfono no tiene red.", []),
        ("Personne ne répond au 123 Main St.", []),
        ("Is this phone still there?", ["Is", "this", "phone", "there"]),
        ("no such street in this city", []),
    ],
)
def test_english_is_told_from_spanish_and_french(text: str, found: list[str]) -> None:
    assert english(text) == found

"""Nothing that a page may say is missing from a catalog: collected, translated, with the same holes, named."""

from __future__ import annotations

import ast
import contextlib
import io
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import pytest
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from jinja2 import nodes

from agent.clock import SystemClock
from agent.config.schema import SCHEMA
from agent.config.settings import CommandSettings, EmailSettings, Settings, WebhookSettings
from agent.notify.channels import build
from agent.page import catalog, language, words
from agent.page.views.settings_words import LABELS

CATALOGS = sorted(language.FOLDER.glob("*/LC_MESSAGES/*.po"))
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

"""Mistakes in side matters: what is left of such a section is used on the careful side, and people are told (S1)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Final

from agent.config.problem import Mistake, parts
from agent.config.settings import Settings
from agent.say import say

HARMLESS: Final = frozenset({"announce", "port", "socket"})
"""Keys of `[page]` that say nothing about who may use it."""
SCREEN: Final = "127.0.0.1"
LOOPBACKS: Final = (SCREEN, "::1")

SENTENCES: Final = {
    "notify": say(
        "911 notices do not go out as configured: {wrong}. Correct it in the settings of notices, or in the file "
        "of the configuration."
    ),
    "notify_webhook": say(
        "911 notices are not sent to the webhook as configured: {wrong}. Correct it in the settings of notices, or in "
        "the file of the configuration."
    ),
    "notify_email": say(
        "911 notices are not sent by e-mail as configured: {wrong}. Correct it in the settings of notices, or in the "
        "file of the configuration."
    ),
    "notify_command": say(
        "911 notices do not start their program as configured: {wrong}. Correct it in the file of the configuration."
    ),
    "page": say(
        "The settings of this page have a mistake, so other computers may not use it: {wrong}. Correct it in the "
        "settings of the page, or in the file of the configuration."
    ),
    "test_call": say(
        "No test calls are made automatically: {wrong}. Correct it in the settings of test calls, or in the file of "
        "the configuration."
    ),
}
"""Section -> what its first mistake costs, and what to do."""
PAGE_OPEN: Final = say(
    "The settings of this page have a mistake: {wrong}. Correct it in the settings of the page, or in the file of the "
    "configuration."
)


def careful(settings: Settings, mistakes: Iterable[Mistake]) -> Settings:
    """Return the settings with what cannot be trusted turned off: the page on the link, automatic test calls."""
    of = [one for one in mistakes if one.aside and one.section]
    page = settings.page
    if _closes(of) and page.listen not in LOOPBACKS:
        settings = dataclasses.replace(settings, page=dataclasses.replace(page, listen=SCREEN))
    if any(one.section == "test_call" for one in of):
        settings = dataclasses.replace(settings, test_call=dataclasses.replace(settings.test_call, automatic=False))
    return settings


def consequences(mistakes: Iterable[Mistake]) -> tuple[str, ...]:
    """Return what people have to be told of mistakes in side matters, one sentence a section."""
    of = [one for one in mistakes if one.aside and one.section]
    said: dict[str, str] = {}
    for one in of:
        if one.section not in SENTENCES:
            continue  # a missing address: the question on the first page says it
        text = SENTENCES[one.section] if one.section != "page" or _closes(of) else PAGE_OPEN
        wrong = parts(one.line)
        what = say("{name}: {what}", name=wrong.key, what=wrong.what) if wrong.key else wrong.what
        said.setdefault(one.section, say(str(text), wrong=what))
    return tuple(said.values())


def _closes(mistakes: Iterable[Mistake]) -> bool:
    """Tell whether a mistake makes it uncertain who may use the page."""
    return any(one.section == "page" and one.key not in HARMLESS for one in mistakes)

"""Gives the sentences of the settings page to Babel, which collects them for the translators (agent/page/I18N.md)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agent.config.help import messages

Message = tuple[int, str, str, list[str]]
"""Line (not told), function, message, comments: what Babel's extractors yield."""


def settings(_file: object, _keywords: object, _tags: object, options: Any) -> Iterator[Message]:
    """Yield what `settings.py` says about every section and key, in the form in which the page says it."""
    del options  # Babel names it
    yield from ((1, "", message, []) for message in dict.fromkeys(messages()))

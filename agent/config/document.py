"""Reads a configuration file as TOML; where that fails, section by section, so that one slip costs one section (S1)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import tomli

from agent.config.problem import Mistake, problem
from agent.config.schema import SIDE
from agent.say import say
from agent.system_words import os_words

MAX_FILE: Final = 256 * 1024
"""Bytes: a configuration is a page of text."""
MAX_PARTS: Final = 64
"""Sections that are looked at one by one: some fourteen are known, and each look costs the length of the file."""
NO_FILE: Final = say("there is no such file; start from the packaged agent.toml")
_HEADER: Final = re.compile(r"\s*\[\s*([A-Za-z0-9_-]+)\s*\]\s*(#.*)?")

Document = dict[str, Any]


def read(path: Path) -> tuple[Document, list[Mistake]]:
    """Return what can be read of a file and what stands in the way of the rest; never raises (S1)."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE + 1)
        if len(raw) > MAX_FILE:
            too_large = say("not readable as configuration: larger than {size} KiB", size=MAX_FILE // 1024)
            return {}, [Mistake(problem(path, "", too_large))]
        text = raw.decode()
    except FileNotFoundError:
        return {}, [Mistake(problem(path, "", say("not readable: {why}", why=NO_FILE)))]
    except OSError as error:
        return {}, [Mistake(problem(path, "", say("not readable: {why}", why=os_words(error))))]
    except ValueError as error:
        return {}, [Mistake(problem(path, "", _no_toml(error)))]
    try:
        return tomli.loads(text), []
    except (ValueError, RecursionError) as error:  # tomli's own errors, and what garbage makes of int() and nesting
        whole = Mistake(problem(path, "", _no_toml(error)))
    document, mistakes = _in_parts(path, text)
    return document, mistakes or [whole]


def _no_toml(error: Exception) -> str:
    return say("not readable as TOML: {why}", why=error)


def _in_parts(path: Path, text: str) -> tuple[Document, list[Mistake]]:
    """Read each section by itself; the line numbers in what is said stay those of the file."""
    lines = text.splitlines()
    starts = [(number, found.group(1)) for number, line in enumerate(lines) if (found := _HEADER.fullmatch(line))]
    if not starts or len(starts) > MAX_PARTS:
        return {}, []
    document: Document = {}
    mistakes: list[Mistake] = []
    ends = [number for number, _ in starts[1:]] + [len(lines)]
    for (start, name), end in zip([(0, ""), *starts], [starts[0][0], *ends], strict=True):
        part = "\n" * start + "\n".join(lines[start:end]) + "\n"
        aside = name in SIDE
        try:
            read_here = tomli.loads(part)
        except (ValueError, RecursionError) as error:
            mistakes.append(Mistake(problem(path, name if aside else "", _no_toml(error)), name, aside=aside))
            continue
        if twice := sorted(set(read_here) & set(document)):
            line = problem(path, twice[0], say("this section stands there twice"))
            mistakes.append(Mistake(line, twice[0], aside=aside))
        document = {**read_here, **document}
    return document, mistakes

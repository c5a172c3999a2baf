"""Runs commands in the tests and keeps what they said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.cli.main import main
from tests.page.serving import ThreadServer, thread_server

ROOT = Path(__file__).parents[2]
DEPOT_OPTIONS = (
    "--number",
    "9",
    "--street",
    "Rail Rd",
    "--city",
    "Reno",
    "--state",
    "nevada",
    "--postal-code",
    "89501",
)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ThreadServer]:
    with thread_server(tmp_path) as running:
        yield running


class Shell:
    """Runs commands and keeps what they said."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *options: str) -> None:
        self._capsys = capsys
        self._options = options

    def __call__(self, *words: str) -> tuple[int, str, str]:
        """Return exit code, output and errors."""
        code = main([*self._options, *words])
        said = self._capsys.readouterr()
        return code, said.out, said.err

    def json(self, *words: str) -> tuple[int, Any]:
        """Return exit code and the JSON document on the output; nothing may be on the error stream."""
        code, out, err = self(*words, "--json")
        assert err == ""
        assert out.count("\n") == 1
        return code, json.loads(out)


@pytest.fixture
def shell(served: ThreadServer, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(capsys, "--socket", str(served.socket), "--config", "/nonexistent")

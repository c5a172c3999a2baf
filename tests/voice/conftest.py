"""Fixtures: a registrar and a voice process that are gone after each test."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .harness import Registrar, Uas, Voice
from .two_links import TwoLinks
from .wire import until


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path, for Unix sockets."""
    path = Path(tempfile.mkdtemp(prefix="vt-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def network(request: pytest.FixtureRequest) -> Iterator[None]:
    """The two links that the module names LINKS."""
    links: TwoLinks = request.module.LINKS
    with links.built():
        yield


@pytest.fixture
def registrar(folder: Path) -> Iterator[Callable[..., Registrar]]:
    """Start registrars; options of `Registrar`."""
    started: list[Registrar] = []

    def start(**options: Any) -> Registrar:
        place = folder / f"r{len(started)}"
        place.mkdir()
        started.append(Registrar(place, **options).start())
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def voice(folder: Path) -> Iterator[Callable[..., Voice]]:
    """Make voice processes and start them; `environment`, `module` and `netns` go to `start()`."""
    started: list[Voice] = []

    def start(
        there: Registrar | None,
        /,
        *,
        netns: str = "",
        module: str = "agent.voice",
        environment: dict[str, str] | None = None,
        **sip: Any,
    ) -> Voice:
        place = folder / f"v{len(started)}"
        place.mkdir()
        started.append(Voice(place, there, **sip))
        return started[-1].start(netns=netns, module=module, **(environment or {}))

    yield start
    for one in started:
        one.close()


@pytest.fixture
def uas() -> Iterator[Callable[..., Uas]]:
    """Start SIPp far ends."""
    started: list[Uas] = []

    def start(registrar: Registrar, **options: Any) -> Uas:
        started.append(Uas(registrar, **options))
        until(lambda: _listening(registrar))
        return started[-1]

    yield start
    for one in started:
        one.stop()


def _listening(registrar: Registrar) -> bool:
    table = subprocess.run(
        [*registrar.netns, "cat", "/proc/net/udp", "/proc/net/udp6"], capture_output=True, check=True, text=True
    )
    return f":{registrar.uas_port:04X} " in table.stdout

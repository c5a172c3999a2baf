"""A world for each test: networks, platform, phone; nothing is shared, so that a failure has one cause."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from agent.lab.stage import Stage

Open = Callable[..., Stage]


@pytest.fixture
def open_stage(tmp_path: Path) -> Iterator[Open]:
    """Return what opens a stage, which ends with the test."""
    with ExitStack() as stack:
        yield lambda mobility="fixed", **options: stack.enter_context(
            Stage(mobility, **{"backup": False, "run": tmp_path, **options})
        )

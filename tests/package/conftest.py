"""One machine for the whole life of the packages: each test goes on where the one before it ended."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.package import packages
from tests.package.machine import Machine, base_tree

NEWER = "99.0"


@pytest.fixture(scope="session")
def debs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The packages, built from this source."""
    return packages.build(tmp_path_factory.mktemp("debs"))


@pytest.fixture(scope="session")
def machine(debs: list[Path]) -> Iterator[Machine]:
    """A clean Debian with nothing of ours, and the packages lying in /srv: old/*.deb and new/*.deb."""
    folder = Path(tempfile.mkdtemp(prefix="dialstack-machine-"))
    with Machine(base_tree(packages.dependencies(debs)), folder) as machine:
        for name in ("old", "new"):
            (machine.root / "srv" / name).mkdir()
        for deb in debs:
            shutil.copy(deb, machine.root / "srv" / "old")
            if deb.stem.endswith("_all"):
                shutil.copy(packages.newer(deb, NEWER, folder), machine.root / "srv" / "new")
        shutil.copy(Path(__file__).with_name("inside.py"), machine.root / "srv")
        yield machine
    shutil.rmtree(folder)

"""What the packages are: complete, clean in Debian's eyes, the same bytes every time, and made from pinned parts."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import tomli

from tests.package.machine import ROOT

pytestmark = pytest.mark.netns
VENDORED = {"msgspec", "pyroute2"}
"""Not from Debian: pinned by hash in the lock, see debian/vendor/fetch."""
DEBIAN_NAME = {"tomli-w": "python3-tomli-w"}


def named(debs: list[Path], name: str) -> Path:
    """Return the package of that name."""
    return next(deb for deb in debs if deb.name.startswith(f"{name}_"))


def test_every_library_comes_from_debian_or_is_vendored_with_a_hash() -> None:
    project = tomli.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {re.split(r"[>=<; ]", line, maxsplit=1)[0] for line in project["dependencies"]}
    control = (ROOT / "debian" / "control").read_text()
    lock = (ROOT / ".ci" / "requirements-run.lock").read_text()
    for name in wanted - VENDORED:
        assert DEBIAN_NAME.get(name, f"python3-{name}") in control, f"{name} is in nothing that is installed"
    for name in VENDORED:
        assert re.search(rf"^{name}==\S+ \\\n +--hash=sha256:", lock, re.MULTILINE)


def test_lintian_finds_no_error_and_no_warning(debs: list[Path]) -> None:
    command = ["lintian", "--allow-root", "--fail-on", "error,warning", "--tag-display-limit", "0", *map(str, debs)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_another_folder_gives_the_same_bytes(debs: list[Path], tmp_path: Path) -> None:
    other = tmp_path / "another-folder"
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout
    other.mkdir()
    subprocess.run(["xargs", "-0", "cp", "--parents", "-t", other], cwd=ROOT, input=files, check=True)
    subprocess.run(["git", "init", "-q"], cwd=other, check=True)
    subprocess.run(
        [other / "debian" / "deb"], check=True, stdout=subprocess.DEVNULL, env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    for deb in debs:
        ours, theirs = (hashlib.sha256(path.read_bytes()).hexdigest() for path in (deb, other / "dist" / deb.name))
        assert ours == theirs, deb.name
    shutil.rmtree(other)


def test_the_package_of_pjsip_says_which_source_it_was_made_from(debs: list[Path], tmp_path: Path) -> None:
    subprocess.run(["dpkg-deb", "-x", named(debs, "dialstack-agent-pjsua2"), tmp_path], check=True)
    folder = tmp_path / "usr/lib/dialstack-agent/pjsip"
    name, sha256, version = (folder / "pjproject.source").read_text().split()
    assert name.startswith("asterisk_")
    assert re.fullmatch(r"[0-9a-f]{64}", sha256)
    assert tuple(map(int, version.split("."))) >= (2, 15)
    linked = subprocess.run(
        ["readelf", "-d", next(folder.glob("*.so"))], check=True, capture_output=True, text=True
    ).stdout
    for library in ("libssl.so.3", "libopus.so.0", "libasound.so.2", "libsrtp2.so.1"):
        assert library in linked

"""The Debian packages under test: built from this very source, and the same once more with a newer version."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from tests.package.machine import ROOT

NAMES = ("dialstack-agent", "dialstack-agent-pjsua2", "dialstack-agent-msgspec", "dialstack-agent-simulator")
_CODE = "usr/lib/dialstack-agent/agent/__init__.py"


def build(folder: Path) -> list[Path]:
    """Build all packages of this machine's architecture and copy them into a folder; what takes minutes is cached."""
    subprocess.run([ROOT / "debian" / "deb"], check=True, stdout=subprocess.DEVNULL)
    version = subprocess.run(
        ["dpkg-parsechangelog", "-l", ROOT / "debian" / "changelog", "-S", "Version"],
        check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    arch = subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True, text=True).stdout.strip()
    found = [path for name in NAMES for path in (ROOT / "dist").glob(f"{name}_{version}_*.deb")]
    return [Path(shutil.copy(path, folder)) for path in found if path.stem.rsplit("_", 1)[1] in {"all", arch}]


def dependencies(packages: list[Path]) -> list[str]:
    """Return the names of everything that the packages need from Debian."""
    names = set()
    for package in packages:
        for wanted in field(package, "Depends").split(","):
            name = re.split(r"[ (:|]", wanted.strip(), maxsplit=1)[0]
            if name and name not in NAMES:
                names.add(name)
    return sorted(names)


def field(package: Path, name: str) -> str:
    """Return a field of a package."""
    command = ["dpkg-deb", "-f", str(package), name]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def newer(package: Path, version: str, folder: Path) -> Path:
    """Return the same package with a newer version, which its program says, too."""
    old = field(package, "Version")
    tree = folder / f"tree-{package.stem}"
    subprocess.run(["dpkg-deb", "-R", package, tree], check=True)
    control = tree / "DEBIAN" / "control"
    for mark in ("Version: ", "dialstack-agent (= "):
        control.write_text(control.read_text().replace(mark + old, mark + version))
    for path in (tree / "DEBIAN" / "preinst", tree / _CODE):
        if path.exists():
            path.write_text(path.read_text().replace(old, version))
    built = folder / package.name.replace(old, version)
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, built], check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(tree)
    return built

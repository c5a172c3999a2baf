"""A clean Debian tree booted with its own systemd, without network: a device before installation."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from agent.lab.process import die_with_parent

ROOT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dialstack-agent"
BASE = ("systemd", "systemd-sysv", "dbus", "iproute2", "procps")
"""A small Debian that boots."""
SOURCES = [
    str(path)
    for path in (Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list"))
    if path.exists() and "debian" in path.read_text()
]
"""The system's own apt sources: Debian comes from the same mirror."""
PATIENCE = 60.0
"""Seconds that anything in the machine may take on a busy computer."""
_ENVIRONMENT = ("PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive")


def base_tree(dependencies: list[str]) -> Path:
    """Return a Debian tree with what our packages depend on; made once a machine."""
    wanted = sorted({*BASE, *dependencies})
    key = hashlib.sha256(repr(wanted).encode()).hexdigest()[:16]
    tree = CACHE / f"tree-{key}"
    if (tree / "done").exists():
        return tree
    shutil.rmtree(tree, ignore_errors=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [
            "mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(wanted)}",
            '--aptopt=APT::Install-Recommends "false"', "bookworm", str(tree), *SOURCES,
        ],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    (tree / "done").touch()
    return tree


class Machine:
    """A context manager: an overlay over a base tree, booted in namespaces of its own, thrown away at the end."""

    def __init__(self, base: Path, folder: Path) -> None:
        self.root = folder / "root"
        self._base = base
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._leader = 0

    def __enter__(self) -> Self:
        for name in ("upper", "work", "root"):
            (self._folder / name).mkdir(parents=True)
        layers = f"lowerdir={self._base},upperdir={self._folder}/upper,workdir={self._folder}/work"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, str(self.root)], check=True)
        try:
            self.boot()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def boot(self) -> None:
        """Start systemd in the tree and wait until everything has started."""
        command = [
            "systemd-nspawn", "-q", "-b", "-D", str(self.root), "-M", f"dialstack-{os.getpid()}", "--register=no",
            "--keep-unit", "--console=pipe", "--private-network", "--capability=all", "--resolv-conf=off",
            "--timezone=off",
        ]  # fmt: skip
        with (self._folder / "console.log").open("ab") as console:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl
                env={**os.environ, "SYSTEMD_NSPAWN_LOCK": "0"},
            )  # fmt: skip
        self.until("systemd is up", self._up)

    def _up(self) -> bool:
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        if not children:
            return False
        self._leader = int(children[0])
        return self.run("systemctl is-system-running", check=False).strip() in {"running", "degraded"}

    def power_off(self) -> None:
        """Shut down as a person would."""
        if self._process is None:
            return
        self.run("systemctl poweroff", check=False)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(20)
        self._process.kill()
        self._process.wait()
        self._process = None

    def close(self) -> None:
        """Power off and throw everything away."""
        self.power_off()
        subprocess.run(["umount", "--lazy", str(self.root)], check=False, capture_output=True)

    def command(self, script: str) -> list[str]:
        """Return the command that runs a shell script in the machine."""
        return ["nsenter", "-t", str(self._leader), "-a", "env", "-i", *_ENVIRONMENT, "sh", "-c", script]

    def run(self, script: str, *, check: bool = True, seconds: float = 180.0) -> str:
        """Run a shell script in the machine and return all of its output; its failure is ours with `check`."""
        done = subprocess.run(
            self.command(script), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=seconds, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{script}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def popen(self, script: str) -> subprocess.Popen[str]:
        """Start a shell script in the machine, its streams in our hands."""
        return subprocess.Popen(
            self.command(script), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl
        )  # fmt: skip

    def until(self, what: str, test: object, seconds: float = PATIENCE) -> None:
        """Look until `test()` is true."""
        assert callable(test)
        deadline = time.monotonic() + seconds
        while not test():
            assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
            time.sleep(0.1)

    def property(self, unit: str, name: str) -> str:
        """Return a property of a unit, as systemctl shows it."""
        return self.run(f"systemctl show -P {name} {unit}").strip()

    def files(self) -> set[str]:
        """Return every file of the tree but those that come and go with any use of a system."""
        prune = " -o ".join(
            f"-path {path}" for path in (
                "/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp", "/root", "/srv", "/var/log", "/var/cache",
                "/var/lib/apt", "/var/lib/dpkg",
            )
        )  # fmt: skip
        return set(self.run(f"find / -xdev \\( {prune} \\) -prune -o -print").splitlines())

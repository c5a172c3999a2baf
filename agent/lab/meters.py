"""What a process costs and when it is ready, read from the kernel and from sd_notify(3)."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from agent.lab.http_unix import UnixConnection
from agent.lab.process import Late, die_with_parent, stop
from agent.lab.stage import Stage

PATIENCE = 30.0
"""Seconds until a program that does not get ready is given up."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What all threads of a process have used so far."""

    wakeups: int
    """Voluntary context switches: a thread slept and was woken. Preemptions are the machine's load, not ours."""
    seconds: float
    """Time on a processor."""

    @classmethod
    def of(cls, pid: int) -> Self:
        """Read it."""
        wakeups, nanoseconds = 0, 0
        for task in Path(f"/proc/{pid}/task").iterdir():
            for line in (task / "status").read_text().splitlines():
                if line.startswith("voluntary_ctxt_switches:"):
                    wakeups += int(line.split()[1])
            nanoseconds += int((task / "schedstat").read_text().split()[0])
        return cls(wakeups, nanoseconds / 1e9)

    def __sub__(self, earlier: Usage) -> Usage:
        return Usage(self.wakeups - earlier.wakeups, self.seconds - earlier.seconds)


def memory(pid: int) -> float:
    """Return the proportional set size in MiB (smaps_rollup)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise Late("the kernel does not tell the memory of a process")


@dataclass(frozen=True, slots=True)
class Held:
    """What programs hold at one moment, together."""

    memory: float
    """MiB of PSS."""
    files: int
    """Descriptors."""
    threads: int
    database: float
    """KiB of the state folder."""

    @classmethod
    def of(cls, pids: Sequence[int], state: Path) -> Self:
        """Read it."""
        sizes = [path.stat().st_size for path in state.rglob("*") if path.is_file()]
        return cls(
            sum(map(memory, pids)),
            sum(_entries(pid, "fd") for pid in pids),
            sum(_entries(pid, "task") for pid in pids),
            sum(sizes) / 1024,
        )


def _entries(pid: int, folder: str) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/{folder}").iterdir())


@contextlib.contextmanager
def open_page(agent: Path) -> Iterator[None]:
    """Keep Home's event stream open, as a browser does."""
    connection = UnixConnection(agent)
    try:
        for url in ("/", "/api/v1/events"):
            connection.request("GET", url, headers={"Host": "localhost"})
            answer = connection.getresponse()
            if url == "/":
                answer.read()
            else:
                answer.readline()
        yield
    finally:
        connection.close()


class Ready:
    """Stands in for the service manager; a context manager."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)

    def __enter__(self) -> Self:
        """Listen."""
        self._socket.bind(str(self._path))
        self._socket.settimeout(PATIENCE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening."""
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def measure(self, stage: Stage, argv: Sequence[str]) -> float:
        """Return the milliseconds from exec to READY=1 of a program on the device, and end it; raises Late."""
        environment = {**os.environ, "NOTIFY_SOCKET": str(self._path), "DIALSTACK_AGENT_LOG": "json"}
        environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[2])
        began = time.monotonic()
        process = stage.lab.exec(
            "device", list(argv), env=environment, preexec_fn=die_with_parent, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            while b"READY=1" not in self._socket.recv(4096).split(b"\n"):
                pass
            return (time.monotonic() - began) * 1000
        except TimeoutError:
            raise Late("the program did not get ready") from None
        finally:
            stop(process)
            self._drain()

    def _drain(self) -> None:
        self._socket.settimeout(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                self._socket.recv(4096)
        self._socket.settimeout(PATIENCE)

"""Programs of the lab: started in a namespace, their log followed, ended with it."""

from __future__ import annotations

import contextlib
import ctypes
import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Line = dict[str, Any]


class Late(Exception):
    """Something did not happen in time; names what."""


def die_with_parent() -> None:
    """Let the kernel end a child when we end (PR_SET_PDEATHSIG), however we end."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


class Follower:
    """Reads a stream of JSON lines on a thread of its own and lets others wait for one."""

    def __init__(self, stream: Any, copy: Path) -> None:
        self.lines: list[Line] = []
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, args=(stream, copy), name=f"follow-{copy.name}", daemon=True)
        self._thread.start()

    def _read(self, stream: Any, copy: Path) -> None:
        with copy.open("ab") as out, contextlib.closing(stream):
            for raw in stream:
                out.write(raw)
                out.flush()
                try:
                    line = json.loads(raw)
                except ValueError:
                    continue
                if isinstance(line, dict):
                    with self._changed:
                        self.lines.append(line)
                        self._changed.notify_all()

    def mark(self) -> int:
        """Return where the log stands now."""
        with self._changed:
            return len(self.lines)

    def since(self, mark: int) -> list[Line]:
        """Return the lines after a mark."""
        with self._changed:
            return self.lines[mark:]

    def wait(self, what: str, wanted: Callable[[Line], bool], *, after: int = 0, seconds: float = 20.0) -> Line:
        """Return the first line after a mark that is wanted; raises Late."""
        deadline = time.monotonic() + seconds
        position = after
        with self._changed:
            while True:
                for line in self.lines[position:]:
                    if wanted(line):
                        return line
                position = max(position, len(self.lines))
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    raise Late(f"{what} did not happen within {seconds:g} s")

    def join(self) -> None:
        """Wait for the end of the stream."""
        self._thread.join(5.0)


def stop(process: subprocess.Popen[bytes], seconds: float = 5.0) -> None:
    """End a process that we started, politely first."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

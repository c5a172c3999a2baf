"""A client of the socket for tests: blocking, patient, and remembering what it heard."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PATIENCE = 15.0


def until(what: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """Return the first true value of `what`, asked again and again; fail when there is none in time."""
    end = time.monotonic() + patience
    while True:
        value = what()
        if value:
            return value
        assert time.monotonic() < end, f"nothing within {patience} s"
        time.sleep(0.01)


class Line:
    """A client of the socket, blocking, for tests."""

    def __init__(self, path: Path, role: str | None = "app") -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        until(lambda: self._connect(path))
        self._buffer = b""
        self.heard: list[dict[str, Any]] = []
        if role is not None:
            self.say(type="hello", version=1, role=role)

    def _connect(self, path: Path) -> bool:
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            self._socket = socket.socket(socket.AF_UNIX)
            return False
        return True

    def say(self, **message: object) -> None:
        """Send one line."""
        self.raw(json.dumps(message).encode() + b"\n")

    def raw(self, data: bytes) -> None:
        """Send bytes."""
        self._socket.sendall(data)

    def path(
        self, present_id: str | None, *, generation: int = 1, attempt: int = 0, where: dict[str, str] | None = None
    ) -> None:
        """Send an instruction for loopback."""
        place = where or {"interface": "lo", "source": "127.0.0.1", "destination": "127.0.0.1"}
        self.say(type="path", generation=generation, attempt=attempt, present_id=present_id, **place)

    def hear(self, patience: float = PATIENCE, **wanted: object) -> dict[str, Any]:
        """Return the next line that has these fields, skipping others (kept in `heard`)."""
        end = time.monotonic() + patience
        while True:
            line = self.next(max(0.01, end - time.monotonic()))
            assert line is not None, f"not heard: {wanted}; heard {self.heard[-5:]}"
            if all(line.get(name) == value for name, value in wanted.items()):
                return line

    def next(self, patience: float) -> dict[str, Any] | None:
        """Return the next line, None when there is none in time; raises ConnectionError at the end."""
        self._socket.settimeout(patience)
        while b"\n" not in self._buffer:
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                return None
            if not data:
                raise ConnectionResetError
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        self.heard.append(message)
        return message

    def close(self) -> None:
        """Hang up the socket."""
        self._socket.close()

"""Carries a TCP port of this machine to the page's Unix socket, since the device lives in a network of its own."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Self


class Relay:
    """Listens on 127.0.0.1 only; a context manager."""

    def __init__(self, port: int, target: Path) -> None:
        self._port = port
        self._target = target
        self._listener: socket.socket | None = None

    def __enter__(self) -> Self:
        """Start listening; raises OSError when the port is taken."""
        self._listener = socket.create_server(("127.0.0.1", self._port))
        threading.Thread(target=self._accept, args=(self._listener,), name="relay", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening."""
        if self._listener is not None:
            self._listener.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                visitor, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(visitor,), name="relay-visitor", daemon=True).start()

    def _serve(self, visitor: socket.socket) -> None:
        page = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with visitor, page, contextlib.suppress(OSError):
            page.connect(str(self._target))
            back = threading.Thread(target=_pump, args=(page, visitor), name="relay-answer", daemon=True)
            back.start()
            _pump(visitor, page)
            back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)

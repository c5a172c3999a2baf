"""Events as structured records in systemd's journal: the native protocol, without blocking and without a library.

https://systemd.io/JOURNAL_NATIVE_PROTOCOL/: one datagram a record, `NAME=value` lines; a value of several lines
comes with its length; what is too large for a datagram goes through a sealed memory file. python3-systemd would do
the same for a package, 2 MiB and 6 ms more, and blocks when the journal does.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import socket
import struct
from collections.abc import Mapping
from typing import Final

from agent.runtime import messages

SOCKET: Final = "/run/systemd/journal/socket"
PREFIX: Final = "DIALSTACK_"
NAME_LIMIT: Final = 64
"""Characters of a field's name that journald takes."""
SEALS: Final = 0xF
"""F_SEAL_SEAL, SHRINK, GROW and WRITE: journald reads only what can no longer change."""
ADD_SEALS: Final = 1033
"""F_ADD_SEALS, which the fcntl module of Python 3.11 does not name."""


def attached() -> bool:
    """Tell whether standard error leads to the journal ($JOURNAL_STREAM, systemd.exec(5))."""
    with contextlib.suppress(OSError):
        here = os.fstat(2)
        return os.environ.get("JOURNAL_STREAM") == f"{here.st_dev}:{here.st_ino}"
    return False


class Journal:
    """Writes records; never blocks, never raises. The newest network generation is stamped on every record."""

    def __init__(self, identifier: str, path: str = SOCKET) -> None:
        self.dropped = 0
        """Records that journald did not take since the last one that it took."""
        self._identifier = identifier
        self._path = path
        self._generation: object = None
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_UNIX, kind)

    def close(self) -> None:
        """Let the socket go."""
        self._socket.close()

    def write(
        self,
        event: str,
        text: str,
        priority: int,
        fields: Mapping[str, object],
        extra: Mapping[str, object] | None = None,
    ) -> bool:
        """Write one record; return False if there is no journal, so that the caller can say it elsewhere.

        `fields` get the prefix DIALSTACK_, `extra` are journal fields as they are. A journal that does not read
        costs the record, not the caller's time: the number lost is told with the next one.
        """
        known = messages.find(event, fields)
        self._generation = fields.get("generation", self._generation)
        record: dict[str, object] = {
            "MESSAGE": text,
            "PRIORITY": min(priority, known[1]) if known else priority,
            "SYSLOG_IDENTIFIER": self._identifier,
            **({"MESSAGE_ID": known[0]} if known else {}),
            **(extra or {}),
            f"{PREFIX}EVENT": event,
            f"{PREFIX}GENERATION": self._generation,
            **({f"{PREFIX}DROPPED": self.dropped} if self.dropped else {}),
            **{PREFIX + name.upper(): value for name, value in fields.items() if name != "generation"},
        }
        try:
            self._send(b"".join(_field(name, value) for name, value in record.items() if value is not None))
        except BlockingIOError:
            self.dropped += 1
        except OSError:
            self.dropped += 1
            return False
        else:
            self.dropped = 0
        return True

    def _send(self, data: bytes) -> None:
        try:
            self._socket.sendto(data, self._path)
        except BlockingIOError:
            raise
        except OSError:  # EMSGSIZE, ENOBUFS: too large for a datagram; no journal at all fails again below
            self._send_file(data)

    def _send_file(self, data: bytes) -> None:
        descriptor = os.memfd_create("dialstack-journal", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            fcntl.fcntl(descriptor, ADD_SEALS, SEALS)
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))]
            self._socket.sendmsg([], rights, 0, self._path)


def _field(name: str, value: object) -> bytes:
    """Return one field in the journal's wire format."""
    key = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name)[:NAME_LIMIT].encode()
    data = _text(value).encode(errors="replace")
    if b"\n" in data:
        return key + b"\n" + struct.pack("<Q", len(data)) + data + b"\n"
    return key + b"=" + data + b"\n"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)

"""What the operating system says when something fails, as sentences that can be told in any language."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Final

from agent.say import say

_SAID: Final[Mapping[int, str]] = {
    errno.EPERM: say("Operation not permitted"),
    errno.ENOENT: say("No such file or directory"),
    errno.EIO: say("Input/output error"),
    errno.ENOEXEC: say("Exec format error"),
    errno.EACCES: say("Permission denied"),
    errno.EEXIST: say("File exists"),
    errno.ENOTDIR: say("Not a directory"),
    errno.EISDIR: say("Is a directory"),
    errno.EMFILE: say("Too many open files"),
    errno.ENOSPC: say("No space left on device"),
    errno.EROFS: say("Read-only file system"),
    errno.ELOOP: say("Too many levels of symbolic links"),
    errno.EADDRINUSE: say("Address already in use"),
    errno.EADDRNOTAVAIL: say("Cannot assign requested address"),
    errno.ENETDOWN: say("Network is down"),
    errno.ENETUNREACH: say("Network is unreachable"),
    errno.ECONNRESET: say("Connection reset by peer"),
    errno.ETIMEDOUT: say("Connection timed out"),
    errno.ECONNREFUSED: say("Connection refused"),
    errno.EHOSTUNREACH: say("No route to host"),
    errno.EDQUOT: say("Disk quota exceeded"),
}
"""In the words of the C library (`strerror`), so that logs read as they always do."""


def os_words(error: OSError) -> str:
    """Return what went wrong: the system's words, else whatever the error says."""
    known = _SAID.get(error.errno) if error.errno is not None else None
    return known or error.strerror or str(error) or type(error).__name__

"""Files that are replaced in one step and are on disk when that is said (S5)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

FILE_MODE: Final = 0o640
"""Of settings and secrets. Under systemd the two processes may be two users with one shared group (`Group=`): what
`dialstack-voice` needs (settings.toml, secrets/sip-password) is readable for that group and writable for the agent."""


def replace(path: Path, data: bytes, mode: int = FILE_MODE) -> None:
    """Replace a file in one step and wait until the disk has it; raises OSError."""
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), mode)  # whatever the umask says
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    rename(temporary, path)


def rename(path: Path, to: Path) -> None:
    """Move a file over another one and wait until the disk has it; takes no room. Raises OSError."""
    path.replace(to)
    sync_folder(to.parent)


def sync_folder(path: Path) -> None:
    """Wait until the disk has the names in a folder; raises OSError."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

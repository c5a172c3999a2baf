"""Where the sound files of calls may be: names that a client of the socket may say, and nothing outside (pure)."""

from __future__ import annotations

import re
from pathlib import Path as FilePath
from typing import Final

_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.wav")


def recording(folder: FilePath | None, wanted: str) -> FilePath:
    """Return where a recording of that name goes; raise ValueError with a sentence."""
    if folder is None:
        raise ValueError("Calls are not recorded here: no folder for recordings is configured (sip.recordings).")
    return _inside(folder, wanted, "recording")


def sound(folder: FilePath | None, wanted: str) -> FilePath:
    """Return the file of that name that is to be heard; raise ValueError with a sentence."""
    if folder is None:
        raise ValueError("No file can be played here: no folder for them is configured (sip.sounds).")
    return _inside(folder, wanted, "sound")


def _inside(folder: FilePath, wanted: str, what: str) -> FilePath:
    """Take a name, or a whole path that leads directly into the folder, letter by letter."""
    path = FilePath(wanted)
    if path.is_absolute() and path.parent == folder:
        wanted = path.name
    if not _PLAIN.fullmatch(wanted):
        raise ValueError(f"The name of a {what} must be letters, digits, dots and dashes and end in .wav.")
    return folder / wanted

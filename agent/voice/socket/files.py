"""Where the sound files of calls may be: names that a client of the socket may say, and nothing outside."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path as FilePath
from typing import Final

from agent.say import say

TEST_RECORDINGS: Final = "test-933-*.wav"
"""Recordings of the agent's test calls (agent/testcall/tester.py)."""
_FILE_MODE: Final = 0o640
_FOLDER_MODE: Final = 0o750
"""The agent and the device's own application are of our group."""
_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.wav")


def recording(folder: FilePath | None, wanted: str) -> FilePath:
    """Return where a recording of that name goes; raise ValueError with a sentence."""
    if folder is None:
        raise ValueError(say("Calls are not recorded here: no folder for recordings is configured (sip.recordings)."))
    return _inside(folder, wanted, "recording")


def sound(folder: FilePath | None, wanted: str) -> FilePath:
    """Return the file of that name that is to be heard; raise ValueError with a sentence."""
    if folder is None:
        raise ValueError(say("No file can be played here: no folder for them is configured (sip.sounds)."))
    return _inside(folder, wanted, "sound")


def _inside(folder: FilePath, wanted: str, what: str) -> FilePath:
    """Take a name, or a whole path that leads directly into the folder, letter by letter."""
    path = FilePath(wanted)
    if path.is_absolute() and path.parent == folder:
        wanted = path.name
    if not _PLAIN.fullmatch(wanted):
        raise ValueError(f"The name of a {what} must be letters, digits, dots and dashes and end in .wav.")
    return folder / wanted


def create(file: FilePath) -> None:
    """Make a new recording, which our group may read whatever the umask, and its folder; raise OSError.

    Made here and not by PJSIP: never through a link, never over what is there.
    """
    with contextlib.suppress(FileExistsError):
        file.parent.mkdir()
        file.parent.chmod(_FOLDER_MODE)
    made = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _FILE_MODE)
    try:
        os.fchmod(made, _FILE_MODE)
    finally:
        os.close(made)


def tidy(folder: FilePath | None) -> None:
    """Remove the recordings of earlier test calls: the agent, another user, copies them and cannot remove them."""
    with contextlib.suppress(OSError):
        for old in folder.glob(TEST_RECORDINGS) if folder is not None else ():
            old.unlink()

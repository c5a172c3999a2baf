"""The sound of calls: device, recorder and WAV file, connected when a call has sound (imported by stack.py alone)."""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import Any

import pjsua2 as pj

from agent.say import say, sentences
from agent.system_words import os_words
from agent.voice.events import Wish
from agent.voice.socket import files


class Media:
    """One life's recorders and players, by call."""

    def __init__(self, core: Any) -> None:
        self._devices = core.audDevManager()
        self._recorders: dict[int, Any] = {}
        self._players: dict[int, Any] = {}

    def connect(self, call: int, sound: Any, wish: Wish) -> str | None:
        """Connect a call's sound; return a sentence about what could not be connected. Raises pj.Error."""
        problems = [self._play(call, sound, wish.play), self._record(call, sound, wish.record)]
        try:
            if call not in self._players:
                self._devices.getCaptureDevMedia().startTransmit(sound)
            sound.startTransmit(self._devices.getPlaybackDevMedia())
        except pj.Error as error:
            self._devices.setNullDev()
            self._devices.getCaptureDevMedia().startTransmit(sound)
            sound.startTransmit(self._devices.getPlaybackDevMedia())
            problems.append(say("The sound card failed: {why}.", why=error.reason))
        return sentences(*problems) or None

    def forget(self, call: int) -> None:
        """Close the files of a call: only then has a recording its header."""
        self._recorders.pop(call, None)
        self._players.pop(call, None)

    def close(self) -> None:
        """Close every file."""
        self._recorders.clear()
        self._players.clear()

    def _play(self, call: int, sound: Any, file: FilePath | None) -> str:
        if file is None:
            return ""
        try:
            if call not in self._players:
                player = pj.AudioMediaPlayer()
                player.createPlayer(str(file), pj.PJMEDIA_FILE_NO_LOOP)
                self._players[call] = player
            self._players[call].startTransmit(sound)
        except pj.Error as error:
            return say("{file} cannot be played: {why}.", file=file.name, why=error.reason)
        return ""

    def _record(self, call: int, sound: Any, file: FilePath | None) -> str:
        if file is None:
            return ""
        try:
            if call not in self._recorders:
                files.create(file)
                recorder = pj.AudioMediaRecorder()
                recorder.createRecorder(str(file))
                self._recorders[call] = recorder
            sound.startTransmit(self._recorders[call])
        except FileExistsError:
            return say("There is a recording named {file} already; this call is not recorded.", file=file.name)
        except OSError as error:
            return say("The call is not recorded: {why}.", why=os_words(error))
        except pj.Error as error:
            return say("The call is not recorded: {why}.", why=error.reason)
        return ""

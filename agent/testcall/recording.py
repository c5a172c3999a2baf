"""The recording of a call: a WAV file as PJSIP writes it, read once it is whole."""

from __future__ import annotations

import array
import asyncio
import sys
import wave
from pathlib import Path
from typing import Final

from agent.say import said, say
from agent.testcall.speech import RATE

LONGEST: Final = 120
"""Seconds that are read; a test call is hung up after half of that."""
FLUSH_STEPS: Final = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5)
"""Seconds between looks at a file whose header is written a moment after the call has ended."""
_SAMPLE_BYTES: Final = 2


NO_FOLDER: Final = say("No folder for recordings is configured in sip.recordings.")


class Unreadable(Exception):
    """There is no usable recording; the text says why."""


def why_not(error: Unreadable) -> str:
    """Return that as a sentence."""
    return say("The recording cannot be read: {error}.", error=said(error))


def read_samples(file: Path) -> list[int]:
    """Return the samples of a WAV file (16 bits, mono) at 8 kHz; raises Unreadable."""
    try:
        with wave.open(str(file)) as sound:
            rate, channels, width = sound.getframerate(), sound.getnchannels(), sound.getsampwidth()
            raw = sound.readframes(LONGEST * rate)
    except (OSError, EOFError, wave.Error) as error:
        raise Unreadable(str(error)) from error
    if channels != 1 or width != _SAMPLE_BYTES or rate % RATE or not rate:
        raise Unreadable(say("not 16 bits and mono at a multiple of {rate} Hz", rate=RATE))
    samples = array.array("h", raw[: len(raw) // _SAMPLE_BYTES * _SAMPLE_BYTES])
    if sys.byteorder == "big":
        samples.byteswap()
    step = rate // RATE
    if step == 1:
        return list(samples)
    return [sum(samples[start : start + step]) // step for start in range(0, len(samples) - step + 1, step)]


async def whole(file: Path) -> list[int]:
    """Return the samples of a recording whose call has just ended; raises Unreadable when it stays empty."""
    problem = Unreadable(say("it is empty"))
    for wait in FLUSH_STEPS:
        await asyncio.sleep(wait)
        try:
            samples = await asyncio.to_thread(read_samples, file)
        except Unreadable as error:
            problem = error
        else:
            if samples:
                return samples
            problem = Unreadable(say("it is empty"))
    raise problem

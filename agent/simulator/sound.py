"""Words as sound: espeak-ng and sox where they are installed, else beeps of the same length."""

from __future__ import annotations

import asyncio
import math
import random
import shutil
from collections.abc import Callable

RATE = 8000
SILENCE = 0xFF
"""Zero in mu-law."""
SPEAK_WAIT = 10.0
BEEP = 440.0
LETTERS_PER_SECOND = 14.0
CACHE = 64

_spoken: dict[str, bytes] = {}


def mu_law(sample: int) -> int:
    """Return a signed 16-bit sample as one byte of PCMU (ITU-T G.711)."""
    sign = 0x80 if sample < 0 else 0
    magnitude = min(abs(sample), 32635) + 132
    exponent = magnitude.bit_length() - 8
    return ~(sign | exponent << 4 | (magnitude >> (exponent + 3)) & 0x0F) & 0xFF


def beeps(seconds: float) -> bytes:
    """Return PCMU: half a second of tone, half a second of silence, and so on."""
    wave = bytes(mu_law(round(8000 * math.sin(2 * math.pi * BEEP * n / RATE))) for n in range(RATE // 2))
    pattern = wave + bytes([SILENCE]) * (RATE // 2)
    wanted = round(seconds * RATE)
    return (pattern * (wanted // len(pattern) + 1))[:wanted]


def broken(what: str, seconds: float) -> bytes:
    """Return PCMU of a far end that does not speak: `silence`, a `tone` or `noise`."""
    chance = random.Random(933)  # noqa: S311 - sound
    waves: dict[str, Callable[[int], float]] = {
        "silence": lambda _: 0.0,
        "tone": lambda n: 8000 * math.sin(2 * math.pi * BEEP * n / RATE),
        "noise": lambda _: chance.gauss(0.0, 3000.0),
    }
    wave = waves[what]
    return bytes(mu_law(round(wave(n))) for n in range(round(seconds * RATE)))


async def speech(text: str) -> bytes:
    """Return a text as PCMU at 8 kHz; never raises for missing or failing tools."""
    if text not in _spoken:
        while len(_spoken) >= CACHE:
            _spoken.pop(next(iter(_spoken)))
        _spoken[text] = await _speak(text) or beeps(len(text) / LETTERS_PER_SECOND)
    return _spoken[text]


async def _speak(text: str) -> bytes:
    if not (shutil.which("espeak-ng") and shutil.which("sox")):
        return b""
    try:
        async with asyncio.timeout(SPEAK_WAIT):
            wav = await _run(["espeak-ng", "-s", "150", "--stdout", "--", text], b"")
            raw = ["-t", "raw", "-r", str(RATE), "-c", "1", "-e", "u-law", "-b", "8", "-"]
            return await _run(["sox", "-q", "--ignore-length", "-t", "wav", "-", *raw], wav)
    except (TimeoutError, OSError):
        return b""


async def _run(command: list[str], given: bytes) -> bytes:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL)
    try:
        output, _ = await process.communicate(given)
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    return output if process.returncode == 0 else b""

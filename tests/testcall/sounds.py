"""Sounds at 8 kHz, 16 bits: what a telephone network plays instead of speech, and speech of machines and people."""

from __future__ import annotations

import array
import itertools
import math
import random
import subprocess
import wave
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from agent.simulator.sound import mu_law
from agent.testcall.speech import RATE

Sound = list[int]
_COARSE: Final = {mu_law(value): value for value in (*range(32767, 0, -1), *range(-32768, 1))}
"""Byte of mu-law -> the quietest value that it stands for."""
PEOPLE: Final = Path("/usr/share/sounds/alsa")
"""Recordings of a person, from Debian's alsa-utils."""
LOUD: Final = 8000.0


def _made(seconds: float, wave: Callable[[float], float]) -> Sound:
    return [round(max(-32767.0, min(32767.0, wave(n / RATE)))) for n in range(round(seconds * RATE))]


def silence(seconds: float = 6.0) -> Sound:
    return [0] * round(seconds * RATE)


def tone(*frequencies: float, seconds: float = 6.0, loud: float = LOUD) -> Sound:
    """Return tones at once: dial tone, ringing, a hum."""
    share = loud / len(frequencies)
    return _made(seconds, lambda t: share * sum(math.sin(2 * math.pi * f * t) for f in frequencies))


def gated(sound: Sound, on: float, off: float) -> Sound:
    """Return a sound that is interrupted: busy, reorder, ringing."""
    period = on + off
    return [value if (n / RATE) % period < on else 0 for n, value in enumerate(sound)]


def pulsed(sound: Sound, hertz: float) -> Sound:
    """Return a sound that swells as syllables do."""
    return [round(value * (0.5 - 0.5 * math.cos(2 * math.pi * hertz * n / RATE))) for n, value in enumerate(sound)]


def babbled(sound: Sound, seed: int = 1) -> Sound:
    """Return a sound with the rhythm of speech: syllables and pauses of chance length and loudness."""
    chance = random.Random(seed)
    found: Sound = []
    while len(found) < len(sound):
        length, loud = round(chance.uniform(0.08, 0.3) * RATE), chance.choice((0.0, 0.1, 0.3, 0.6, 1.0))
        syllable = sound[len(found) : len(found) + length]
        found += [round(value * loud * math.sin(math.pi * n / length)) for n, value in enumerate(syllable)]
    return found


def sequence(*frequencies: Iterable[float], each: float = 0.2, pause: float = 0.05, seconds: float = 6.0) -> Sound:
    """Return tones one after the other, again and again: DTMF, special information tones."""
    found: Sound = []
    for together in itertools.cycle(frequencies):
        found += tone(*together, seconds=each) + silence(pause)
        if len(found) >= seconds * RATE:
            return found
    return found


def noise(seconds: float = 6.0, loud: float = LOUD, smooth: float = 0.0, seed: int = 1) -> Sound:
    """Return noise, white or, with `smooth` up to 1, ever deeper."""
    chance = random.Random(seed)
    value, found = 0.0, []
    for _ in range(round(seconds * RATE)):
        value = smooth * value + (1 - smooth) * chance.gauss(0.0, 1.0)
        found.append(round(loud * value * math.sqrt((1 + smooth) / (1 - smooth)) / 3))
    return [max(-32767, min(32767, one)) for one in found]


def sweep(low: float, high: float, period: float, seconds: float = 6.0) -> Sound:
    """Return a siren."""

    def phase(t: float) -> float:
        return (
            2
            * math.pi
            * ((low + high) / 2 * t - (high - low) / 2 * period / (2 * math.pi) * math.cos(2 * math.pi * t / period))
        )

    return _made(seconds, lambda t: LOUD * math.sin(phase(t)))


def clicks(hertz: float, seconds: float = 6.0) -> Sound:
    step = round(RATE / hertz)
    return [round(LOUD) if n % step < 4 else 0 for n in range(round(seconds * RATE))]


def telephone(sound: Sound) -> Sound:
    """Return what G.711 mu-law leaves of a sound."""
    return [_COARSE[mu_law(value)] for value in sound]


def _sox(source: bytes, *options: str) -> Sound:
    target = ["-t", "raw", "-r", str(RATE), "-c", "1", "-e", "signed", "-b", "16", "-"]
    done = subprocess.run(
        ["sox", "-q", "--ignore-length", "-t", "wav", "-", *target, *options],
        input=source,
        capture_output=True,
        check=True,
    )
    return list(array.array("h", done.stdout))


def spoken(
    text: str, *, voice: str = "en-us", speed: int = 150, pitch: int = 50, options: tuple[str, ...] = ()
) -> Sound:
    """Return a text as espeak-ng says it."""
    command = ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "--stdout", "--", text]
    return _sox(subprocess.run(command, capture_output=True, check=True).stdout, *options)


def person(*names: str) -> Sound:
    """Return recordings of a person one after the other."""
    found: Sound = []
    for name in names:
        found += _sox((PEOPLE / f"{name}.wav").read_bytes())
    return found


def mixed(one: Sound, other: Sound) -> Sound:
    """Return two sounds at once, as long as the first."""
    return [max(-32767, min(32767, a + b)) for a, b in zip(one, itertools.cycle(other), strict=False)]


def write(file: Path, sound: Sound, rate: int = RATE) -> None:
    """Write a sound as the recorder of a call does."""
    with wave.open(str(file), "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(rate)
        target.writeframes(array.array("h", sound).tobytes())

"""Does a recording contain speech? Told from silence, tones and noise by level, rhythm and spectrum; pure.

Speech changes in three ways at once that nothing a telephone network plays by itself does: its loudness rises and falls
with the syllables, 2 to 8 times a second (Houtgast and Steeneken 1985); the loud parts are not equally loud; and vowels
and consonants differ in spectrum, which the rate of zero crossings follows. Tones, even interrupted ones, keep spectrum
and level; noise, even modulated, keeps its spectrum. This hears *that* somebody speaks, never what is said: that is
what the person who compares is for. Music with a voice or changing notes, and rumble that swells unevenly, may pass.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from operator import mul
from typing import Final

RATE: Final = 8000
"""Samples a second of telephone sound (G.711)."""
FRAME: Final = 160
"""Samples of 20 ms: shorter than a sound of speech, longer than a period of the deepest voice."""
FRAMES_A_SECOND: Final = RATE // FRAME
FULL_SCALE: Final = 32768.0
AUDIBLE: Final = -56.0
"""dBFS of a frame below which nothing is heard: silence and comfort noise lie under it, speech over -40."""
BELOW_PEAK: Final = 26.0
"""dB below the loudest frames in which sound still counts as part of it: the span of speech in one sentence."""
WINDOW: Final = 2 * FRAMES_A_SECOND
"""Frames in which rhythm and spectrum are looked at: a few syllables."""
HOP: Final = FRAMES_A_SECOND // 2
MIN_LOUD: Final = FRAMES_A_SECOND // 4
"""Audible frames without which a window says nothing."""
RHYTHM: Final = (2.0, 8.0)
"""Hz: syllables."""
MIN_DEPTH: Final = 0.25
"""Depth of that modulation (1: a full swing): tones 0.0, noise 0.1, interrupted tones 0.4, speech 0.8 to 1.4."""
MAX_BEAT: Final = 0.85
"""Share of two neighboring harmonics in it: anything that beats evenly over 0.95, speech 0.3 to 0.7."""
MIN_LEVELS: Final = 4.0
"""dB, standard deviation of audible levels: tones, even interrupted, under 1, noise under 4, speech 5.5 to 9."""
MIN_SPECTRUM: Final = 0.3
"""Standard deviation of the zero crossings of audible frames over their mean: tones 0, white noise 0.1, speech 0.4 to
0.7."""
MIN_SPEECH: Final = 1.0
"""Seconds: less than that is no sentence."""


class Heard(StrEnum):
    """What a recording holds."""

    SPEECH = "speech"
    SILENCE = "silence"
    STEADY = "steady"
    """Tones or noise, no speech."""
    NOTHING = "nothing"
    """Less sound or speech than a second, or no recording at all."""


@dataclass(frozen=True, slots=True)
class Window:
    """The measures of a stretch of sound."""

    depth: float = 0.0
    beat: float = 1.0
    levels: float = 0.0
    spectrum: float = 0.0

    @property
    def likeness(self) -> float:
        """Return the weakest measure over what speech must have of it: speech from 1 on."""
        return min(
            self.depth / MIN_DEPTH,
            (1 - self.beat) / (1 - MAX_BEAT),
            self.levels / MIN_LEVELS,
            self.spectrum / MIN_SPECTRUM,
        )


@dataclass(frozen=True, slots=True)
class Hearing:
    """What was heard, with the figures that carried it."""

    heard: Heard = Heard.NOTHING
    seconds: float = 0.0
    """Length of the recording."""
    speech: float = 0.0
    """Seconds of it in windows that hold speech."""
    level: float = -100.0
    """dBFS of the loudest frames."""
    best: Window = Window()
    """The most speech-like stretch."""


@dataclass(frozen=True, slots=True)
class _Frame:
    power: float
    """Mean square of the samples without their mean, full scale 1."""
    crossings: int

    @property
    def level(self) -> float:
        return 10 * math.log10(max(self.power, 1e-10))


def listen(samples: Sequence[int]) -> Hearing:
    """Return what 16-bit samples at 8 kHz hold."""
    return judge(_frames(samples))


def judge(frames: Sequence[_Frame]) -> Hearing:
    """Return what frames of 20 ms hold."""
    seconds = len(frames) / FRAMES_A_SECOND
    if seconds < MIN_SPEECH:
        return Hearing(Heard.NOTHING, seconds)
    peak = sorted(frame.level for frame in frames)[-max(1, len(frames) // 50)]
    if peak < AUDIBLE:
        return Hearing(Heard.SILENCE, seconds, level=peak)
    floor = max(AUDIBLE, peak - BELOW_PEAK)
    windows = [look(frames[start : start + WINDOW], floor) for start in _starts(len(frames))]
    best = max(windows, key=lambda window: window.likeness)
    talking = {
        frame
        for start, window in zip(_starts(len(frames)), windows, strict=True)
        if window.likeness >= 1
        for frame in range(start, min(start + WINDOW, len(frames)))
        if frames[frame].level >= floor
    }
    speech = len(talking) / FRAMES_A_SECOND
    heard = Heard.SPEECH if speech >= MIN_SPEECH else Heard.NOTHING if speech else Heard.STEADY
    return Hearing(heard, seconds, speech, peak, best)


def _starts(frames: int) -> range:
    """Return where windows begin; one alone where the recording is no longer than that."""
    return range(0, max(frames - WINDOW, 0) + 1, HOP)


def look(window: Sequence[_Frame], floor: float) -> Window:
    """Return the three measures of a window; frames under `floor` dBFS are pauses."""
    loud = [frame for frame in window if frame.level >= floor]
    if len(loud) < MIN_LOUD:
        return Window()
    depth, regular = _rhythm([math.sqrt(frame.power) for frame in window])
    crossings = [float(frame.crossings) for frame in loud]
    spectrum = _deviation(crossings) / max(sum(crossings) / len(crossings), 1.0)
    return Window(depth, regular, _deviation([frame.level for frame in loud]), spectrum)


def _rhythm(loudness: Sequence[float]) -> tuple[float, float]:
    """Return depth of modulation at 2 to 8 Hz, and how much of it is one steady beat (0 to 1)."""
    size = len(loudness)
    turn = -2j * math.pi / size
    slow, fast = RHYTHM
    harmonics = range(math.ceil(slow * size / FRAMES_A_SECOND), math.floor(fast * size / FRAMES_A_SECOND) + 1)
    parts = [abs(sum(value * cmath.exp(turn * k * n) for n, value in enumerate(loudness))) ** 2 for k in harmonics]
    whole = sum(parts)
    if not whole:
        return 0.0, 1.0
    beat = max(one + other for one, other in pairwise(parts))
    return 2 * math.sqrt(whole) / (sum(loudness) or 1.0), beat / whole


def _deviation(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))


def _frames(samples: Sequence[int]) -> list[_Frame]:
    values = [sample / FULL_SCALE for sample in samples]
    return [_frame(values[start : start + FRAME]) for start in range(0, len(values) - FRAME + 1, FRAME)]


def _frame(values: Sequence[float]) -> _Frame:
    mean = sum(values) / len(values)
    power = sum(map(mul, values, values)) / len(values) - mean * mean
    signs = [value > mean for value in values]
    return _Frame(max(power, 0.0), sum(one is not other for one, other in pairwise(signs)))

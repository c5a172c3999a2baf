"""What counts as speech and what does not: the sounds of networks and machines, voices of people and of espeak-ng."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from agent.testcall.recording import Unreadable, read_samples
from agent.testcall.speech import RATE, Heard, listen
from tests.testcall import sounds as s

ADDRESS = (
    "This is the 9 3 3 test. Your emergency address is 123 Main Street, Suite 400, San Francisco, CA 94105. Goodbye."
)

STEADY: dict[str, Callable[[], s.Sound]] = {
    "hum of the mains": lambda: s.tone(60, 120, loud=3000),
    "tone of 440 Hz": lambda: s.tone(440),
    "milliwatt tone": lambda: s.tone(1004),
    "dial tone": lambda: s.tone(350, 440),
    "ringing": lambda: s.gated(s.tone(440, 480), 2, 4),
    "busy": lambda: s.gated(s.tone(480, 620), 0.5, 0.5),
    "reorder": lambda: s.gated(s.tone(480, 620), 0.25, 0.25),
    "the simulator's beeps": lambda: s.gated(s.tone(440), 0.5, 0.5),
    "special information tones": lambda: s.sequence((950,), (1400,), (1800,), each=0.33, pause=0.1),
    "digits": lambda: s.sequence((697, 1209), (770, 1336), (852, 1477), (941, 1209), each=0.1, pause=0.1),
    "a scale of tones": lambda: s.sequence((262,), (330,), (392,), (523,), each=0.2, pause=0.05),
    "fax": lambda: s.gated(s.tone(1100), 0.5, 3),
    "modem": lambda: s.mixed(s.tone(2100), s.noise(loud=500)),
    "white noise": s.noise,
    "pink noise": lambda: s.noise(smooth=0.7),
    "deep noise": lambda: s.noise(smooth=0.95),
    "noise on and off": lambda: s.gated(s.noise(), 0.125, 0.125),
    "noise that swells like syllables": lambda: s.pulsed(s.noise(smooth=0.7), 4),
    "deep noise that swells like syllables": lambda: s.pulsed(s.noise(smooth=0.95), 4),
    "a tone that swells like syllables": lambda: s.pulsed(s.tone(180, 360, 540), 4),
    "noise with the rhythm of speech": lambda: s.babbled(s.noise()),
    "pink noise with the rhythm of speech": lambda: s.babbled(s.noise(smooth=0.7)),
    "a tone with the rhythm of speech": lambda: s.babbled(s.tone(180, 360, 540)),
    "a siren": lambda: s.sweep(300, 3000, 1.0),
    "a siren that swells like syllables": lambda: s.pulsed(s.sweep(300, 1500, 0.7), 4),
    "clicks": lambda: s.clicks(30),
}
SPEECH: dict[str, Callable[[], s.Sound]] = {
    "the usual voice": lambda: s.spoken(ADDRESS),
    "slow and deep": lambda: s.spoken(ADDRESS, speed=110, pitch=20),
    "fast and high": lambda: s.spoken(ADDRESS, speed=190, pitch=90),
    "a woman": lambda: s.spoken(ADDRESS, voice="en-us+f3"),
    "Spanish": lambda: s.spoken(ADDRESS, voice="es"),
    "no address": lambda: s.spoken("There is no emergency address for this phone."),
    "a person": lambda: s.person("Front_Center", "Rear_Left", "Side_Right"),
    "a person in noise": lambda: s.mixed(s.person("Front_Center", "Rear_Left", "Side_Right"), s.noise(loud=800)),
    "faint": lambda: s.spoken(ADDRESS, options=("vol", "0.05")),
    "in noise": lambda: s.mixed(s.spoken(ADDRESS), s.noise(loud=1500)),
    "after ringing": lambda: s.tone(440, 480, seconds=3) + s.silence(1) + s.spoken(ADDRESS),
    "through a narrow line": lambda: s.spoken(ADDRESS, options=("sinc", "300-3400")),
}


@pytest.mark.parametrize("name", STEADY)
def test_tones_and_noise_are_not_speech_however_they_swell(name: str) -> None:
    hearing = listen(s.telephone(STEADY[name]()))
    assert hearing.heard is Heard.STEADY, hearing
    assert hearing.speech == 0


@pytest.mark.parametrize("name", SPEECH)
def test_voices_are_speech(name: str) -> None:
    hearing = listen(s.telephone(SPEECH[name]()))
    assert hearing.heard is Heard.SPEECH, hearing
    assert 1.0 <= hearing.speech <= hearing.seconds


@pytest.mark.parametrize(
    "sound", [s.silence(), [n % 2 for n in range(6 * RATE)], s.noise(loud=60)], ids=["none", "one bit", "comfort noise"]
)
def test_silence_is_silence(sound: s.Sound) -> None:
    assert listen(s.telephone(sound)).heard is Heard.SILENCE


def test_the_noise_of_a_sound_check_is_not_speech() -> None:
    assert listen(s.telephone(s.person("Noise") * 3)).heard is Heard.STEADY


@cache
def _usual() -> s.Sound:
    return s.spoken(ADDRESS)


def test_what_is_over_before_a_sentence_is_nothing() -> None:
    assert listen([]).heard is Heard.NOTHING
    assert listen(_usual()[: RATE // 2]).heard is Heard.NOTHING
    assert listen(s.person("Front_Center")[: round(1.4 * RATE)]).heard is Heard.NOTHING, "two words are no address"


def test_a_recording_at_twice_the_rate_is_heard_the_same(tmp_path: Path) -> None:
    speech = _usual()
    s.write(tmp_path / "one.wav", speech)
    s.write(tmp_path / "two.wav", [value for value in speech for _ in range(2)], rate=2 * RATE)
    one, two = (listen(read_samples(tmp_path / f"{name}.wav")) for name in ("one", "two"))
    assert one == two
    assert one.heard is Heard.SPEECH


@pytest.mark.parametrize("content", [b"", b"RIFF", b"x" * 100])
def test_a_file_that_is_no_recording_says_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.wav").write_bytes(content)
    with pytest.raises(Unreadable):
        read_samples(tmp_path / "bad.wav")
    with pytest.raises(Unreadable):
        read_samples(tmp_path / "missing.wav")

"""What a test call leaves behind: when, how long, what was heard, and which binding was tested."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from agent.model import CivicAddress
from agent.say import Said, say
from agent.testcall.speech import Heard


@dataclass(frozen=True, slots=True)
class Running:
    """A test call that is being made."""

    since: float
    """Unix seconds."""
    who: str
    state: str = "calling"
    """Of the call, as PROTOCOL.md names it; `listening` when it is over and listened to."""


class Result(StrEnum):
    """How a test call went; only `speech` is worth comparing."""

    SPEECH = "speech"
    """It was answered and somebody or something spoke."""
    SILENCE = "silence"
    """Answered, but nothing was to be heard."""
    STEADY = "steady"
    """Answered, but with tones or noise only."""
    NOTHING = "nothing"
    """Answered, and over before a sentence was said."""
    UNHEARD = "unheard"
    """Answered, but there is no usable recording: nothing is known about the sound."""
    NOT_ANSWERED = "not_answered"
    FAILED = "failed"
    """It could not be placed, or the telephone program went away."""
    GIVEN_UP = "given_up"
    """Hung up early, because another call mattered more."""


OF_SOUND = {
    Heard.SPEECH: Result.SPEECH,
    Heard.SILENCE: Result.SILENCE,
    Heard.STEADY: Result.STEADY,
    Heard.NOTHING: Result.NOTHING,
}
TOLD: dict[Result, Said] = {
    Result.SPEECH: say("The test call was answered and a voice was recorded."),
    Result.SILENCE: say("The test call was answered, but nothing was to be heard."),
    Result.STEADY: say("The test call was answered, but there was only a tone or noise, no voice."),
    Result.NOTHING: say("The test call was answered, but it ended before anything was said."),
    Result.UNHEARD: say("The test call was answered, but it could not be recorded."),
    Result.NOT_ANSWERED: say("Nobody answered the test call."),
    Result.FAILED: say("The test call could not be made."),
    Result.GIVEN_UP: say("The test call was hung up early, because another call came."),
}
"""Result -> a sentence for it."""


class Subject(msgspec.Struct, frozen=True):
    """The binding at the moment of dialing: what 933 should have said, and why."""

    generation: int
    """Of the network."""
    address_id: str | None
    civic: CivicAddress | None
    """The address that is presented; None: none, and 933 should say so."""
    proven: bool
    network: str
    """In words."""
    place_id: int | None
    anchor: str | None = None
    """`registered_ip` of the proof."""


class Answer(msgspec.Struct, frozen=True):
    """What a person who listened said."""

    same: bool
    """The recording says the address that it should."""
    at: float
    """Unix seconds."""
    who: str


class Evidence(msgspec.Struct, frozen=True):
    """One test call."""

    id: int
    at: float
    """Unix seconds of the dialing."""
    who: str
    """`local screen`, `cli`, `automatic`, ..."""
    result: Result
    tested: Subject
    detail: str = ""
    """The SIP answer, or why it failed."""
    answer_seconds: float | None = None
    """From dialing to the answer."""
    call_seconds: float = 0.0
    """From dialing to the end."""
    speech_seconds: float = 0.0
    level: float | None = None
    """dBFS of the loudest part."""
    moved: bool = False
    """The network or the address changed while the call was up: it tested neither."""
    recording: bool = False
    """It is kept; the oldest go first."""
    answers: tuple[Answer, ...] = ()
    """What people said, oldest first; the last one counts."""

    @property
    def sentence(self) -> Said:
        """Return how it went."""
        return TOLD[self.result]

    @property
    def answer(self) -> Answer | None:
        """Return what counts of what people said."""
        return self.answers[-1] if self.answers else None

    @property
    def comparable(self) -> bool:
        """Tell whether a person can compare it with the address."""
        return self.result is Result.SPEECH and self.recording and not self.moved

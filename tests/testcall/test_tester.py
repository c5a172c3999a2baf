"""A test call from the order to the evidence, against a telephone program that behaves; time stands still."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.config.settings import CallTestSettings
from agent.errors import NeedsHuman
from agent.model import CallView, VoiceState
from agent.runtime.tasks import end
from agent.storage.store import Store
from agent.testcall.evidence import Answer, Evidence, Result, Subject
from agent.testcall.notices import notices
from agent.testcall.schedule import SETTLE
from agent.testcall.shelf import Shelf
from agent.testcall.tester import CallTester
from tests.testcall import sounds as s
from tests.testcall.test_schedule import HERE

Line = dict[str, Any]
OnLine = Callable[[Line], None]
Far = Callable[["Bench", OnLine, Path | None], Awaitable[Line]]
STARTED = 1_795_500_000.0
CALL: Line = {"type": "call", "call": 7, "to": "933", "direction": "out", "emergency": True, "reason": "OK"}


@dataclass
class Bench:
    """The agent and the telephone program around a test call."""

    folder: Path
    subject: Subject = HERE
    state: VoiceState = field(default_factory=lambda: VoiceState(connected=True))
    dialed: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    now: float = 100.0

    def __post_init__(self) -> None:
        self.shelf = Shelf(Store(None), self.folder, keep=5)

    def tester(self, far: Far, *, automatic: bool = True, recordings: bool = True) -> CallTester:
        async def place(number: str, on_line: OnLine, *, record: str | None = None, yields: bool) -> Line:
            assert yields, "it gives way to every other call"
            self.dialed.append(number)
            return await far(self, on_line, Path(record) if record else None)

        self.subject_of = CallTester(
            world=self, shelf=self.shelf, place=place, recordings=self.folder if recordings else None,
            settings=CallTestSettings(automatic=automatic, hours="00:00-24:00", days=("tue",)), clock=self,
        )  # fmt: skip
        return self.subject_of

    # World
    def tested(self) -> Subject:
        return self.subject

    def voice(self) -> VoiceState:
        return self.state

    def changed(self) -> None:
        running = self.subject_of.running
        self.shown.append(running.state if running is not None else "over")

    # Clock
    def monotonic(self) -> float:
        return self.now

    def boottime(self) -> float:
        return self.now

    def wall(self) -> float:
        return STARTED + self.now - 100.0


def answers(sound: s.Sound | None, *, code: int = 200) -> Far:
    """Return a far end that rings, answers after 1.5 s, plays a sound and hangs up after 20 s."""

    async def far(bench: Bench, on_line: OnLine, record: Path | None) -> Line:
        on_line(CALL | {"state": "calling", "code": 0, "at": 100.0})
        on_line(CALL | {"state": "ringing", "code": 180, "at": 100.2})
        await asyncio.sleep(0)
        if code == 200:
            on_line(CALL | {"state": "confirmed", "code": 200, "at": 101.5})
            if sound is not None and record is not None:
                s.write(record, sound)
        bench.now += 21.5
        last = CALL | {"state": "ended", "code": code, "at": 121.5}
        on_line(last)
        return last

    return far


async def absent(_bench: Bench, _on_line: OnLine, _record: Path | None) -> Line:
    raise FileNotFoundError(2, "No such file or directory")


async def refuses(_bench: Bench, _on_line: OnLine, _record: Path | None) -> Line:
    raise ValueError("An emergency call is in progress; other calls have to wait.")


def call_once(bench: Bench, far: Far, **options: bool) -> Evidence:
    """Make one test call and return what was filed; it must be what is on the shelf."""

    async def inside() -> Evidence:
        tester = bench.tester(far, **options)
        evidence = await tester.start("local screen")
        assert tester.running is None
        assert tester.past == (evidence,)
        return evidence

    evidence = asyncio.run(inside())
    assert bench.shelf.newest(5) == (evidence,)
    return evidence


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_the_evidence_says_what_was_heard_how_soon_and_of_which_binding(bench: Bench) -> None:
    evidence = call_once(
        bench, answers(s.spoken("Your emergency address is 123 Main Street, Suite 400, San Francisco."))
    )
    assert evidence.result is Result.SPEECH
    assert evidence.answer_seconds == pytest.approx(1.5)
    assert evidence.call_seconds == pytest.approx(21.5)
    assert evidence.speech_seconds > 1
    assert evidence.tested == HERE
    assert (evidence.who, evidence.at, evidence.detail) == ("local screen", STARTED, "200 OK")
    assert evidence.comparable
    assert bench.dialed == ["933"], "never 911"
    assert bench.shown == ["calling", "ringing", "confirmed", "ended", "listening", "over"]


@pytest.mark.parametrize(
    ("sound", "result"),
    [
        (s.silence(5), Result.SILENCE),
        (s.tone(440, seconds=5), Result.STEADY),
        (s.noise(5), Result.STEADY),
        ([], Result.UNHEARD),
        (s.silence(0.3), Result.NOTHING),
        (None, Result.UNHEARD),
    ],
)
def test_an_answer_without_a_voice_is_reported_as_what_it_is(
    bench: Bench, sound: s.Sound | None, result: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.testcall.recording.FLUSH_STEPS", (0.0,))
    evidence = call_once(bench, answers(sound))
    assert evidence.result is result
    assert not evidence.comparable


def test_a_call_that_is_not_answered_or_not_placed_is_filed_too(bench: Bench) -> None:
    evidence = call_once(bench, answers(None, code=486))
    assert (evidence.result, evidence.detail, evidence.answer_seconds) == (Result.NOT_ANSWERED, "486 OK", None)
    for far, detail in ((absent, "No such file"), (refuses, "other calls have to wait")):
        other = call_once(Bench(bench.folder), far)
        assert other.result is Result.FAILED
        assert detail in other.detail


def test_without_a_folder_for_recordings_it_says_what_to_configure(bench: Bench) -> None:
    evidence = call_once(bench, answers(s.silence(3)), recordings=False)
    assert evidence.result is Result.UNHEARD
    assert "sip.recordings" in evidence.detail


def test_s4_a_call_that_is_up_or_a_callback_window_keeps_it_from_being_made(bench: Bench) -> None:
    async def inside() -> None:
        tester = bench.tester(absent)
        for state in (
            VoiceState(connected=True, calls=(CallView(1, "+14155550123", "out", "confirmed"),)),
            VoiceState(connected=True, interlock=True),
        ):
            bench.state = state
            with pytest.raises(NeedsHuman) as raised:
                tester.start("cli")
            assert raised.value.code == "call_up"
        assert bench.dialed == []

    asyncio.run(inside())


@pytest.mark.parametrize(
    ("view", "gives_way"),
    [
        (CallView(8, "sip:+14155550123@example.com", "in", "ringing"), True),
        (CallView(8, "911", "out", "calling", emergency=True), True),
        (CallView(8, "+14155550123", "out", "calling"), False),
        (CallView(8, "933", "out", "calling", emergency=True, test=True), False),
        (CallView(8, "sip:x@example.com", "in", "ended"), False),
    ],
)
def test_s1_it_gives_way_to_a_caller_and_to_911(bench: Bench, view: CallView, *, gives_way: bool) -> None:
    async def waits(_bench: Bench, on_line: OnLine, _record: Path | None) -> Line:
        on_line(CALL | {"state": "confirmed", "code": 200, "at": 101.5})
        bench.subject_of.on_call(view)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        last = CALL | {"state": "ended", "code": 200, "at": 110.0}
        on_line(last)
        return last

    evidence = call_once(bench, waits, recordings=False)
    assert (evidence.result is Result.GIVEN_UP) is gives_way


def test_a_binding_that_did_not_hold_during_the_call_was_not_tested(bench: Bench) -> None:
    speech = s.spoken("Your emergency address is 123 Main Street, Suite 400, San Francisco.")

    async def moves(inner: Bench, on_line: OnLine, record: Path | None) -> Line:
        inner.subject = msgspec.structs.replace(HERE, generation=4)
        return await answers(speech)(inner, on_line, record)

    evidence = call_once(bench, moves)
    assert evidence.result is Result.SPEECH
    assert evidence.moved
    assert not evidence.comparable


def test_two_at_once_are_refused_and_the_first_goes_on(bench: Bench) -> None:
    async def inside() -> None:
        tester = bench.tester(answers(s.silence(2)))
        first = tester.start("cli")
        with pytest.raises(NeedsHuman, match="already"):
            tester.start("local screen")
        assert (await first).result is Result.SILENCE

    asyncio.run(inside())


def test_what_a_person_says_is_kept_and_may_be_corrected(bench: Bench) -> None:
    call_once(bench, answers(s.spoken("Your emergency address is 500 Wrong Street, Oakland, California.")))
    tester = bench.subject_of
    (one,) = tester.past
    tester.answer(one.id, same=False, who="local screen")
    tester.answer(one.id, same=True, who="cli")
    assert [(said.same, said.who) for said in tester.past[0].answers] == [(False, "local screen"), (True, "cli")]
    with pytest.raises(NeedsHuman) as raised:
        tester.answer(99, same=True, who="cli")
    assert raised.value.code == "no_such_test"


def test_by_itself_it_calls_once_for_a_binding_and_waits_between_attempts(bench: Bench) -> None:
    async def inside() -> None:
        tester = bench.tester(answers(s.silence(2)))
        reasons = [tester.due()]
        bench.now += 31
        reasons.append(tester.due())
        await tester.start("automatic")
        reasons.append(tester.due())
        bench.now += 21600
        reasons.append(tester.due())
        bench.subject = replace_proven(HERE, proven=False)
        reasons.append(tester.due())
        bench.subject = HERE
        reasons.append(tester.due())
        assert reasons == ["settling", None, "too_soon", None, "not_proven", "settling"]

    asyncio.run(inside())


def test_by_itself_it_calls_when_it_is_due_and_not_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks follow each other at once here; the settling time passes between the first two."""
    monkeypatch.setattr("agent.testcall.tester.LOOK", 0.0)
    looks: list[str | None] = []

    async def inside() -> None:
        tester = bench.tester(answers(s.spoken("Your emergency address is 123 Main Street, Suite 400.")))
        look, enough = tester.due, asyncio.Event()

        def due() -> str | None:
            looks.append(look())
            bench.now += SETTLE
            if looks.count("tested") == 3:
                enough.set()
            return looks[-1]

        monkeypatch.setattr(tester, "due", due)
        work = asyncio.create_task(tester.run())
        await asyncio.wait({work, asyncio.ensure_future(enough.wait())}, return_when=asyncio.FIRST_COMPLETED)
        assert not work.done(), work
        await end(work)

    asyncio.run(inside())
    assert looks[:5] == ["settling", None, "tested", "tested", "tested"]
    assert bench.dialed == ["933"]
    assert bench.shelf.newest(5)[0].who == "automatic"


def test_turned_on_it_looks_without_a_new_start_and_turned_off_it_stops_looking(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.testcall.tester.LOOK", 0.0)
    looks: list[str | None] = []

    async def turns() -> int:
        for _ in range(20):
            await asyncio.sleep(0)
        return len(looks)

    async def inside() -> None:
        tester = bench.tester(answers(s.spoken("Your address is 123 Main Street.")), automatic=False)
        look, enough = tester.due, asyncio.Event()

        def due() -> str | None:
            looks.append(look())
            bench.now += SETTLE
            if looks[-1] == "tested":
                enough.set()
            return looks[-1]

        monkeypatch.setattr(tester, "due", due)
        work = asyncio.create_task(tester.run())
        assert await turns() == 0
        tester.use(CallTestSettings(automatic=True, hours="00:00-24:00", days=("tue",), keep=3), bench.folder)
        await asyncio.wait({work, asyncio.ensure_future(enough.wait())}, return_when=asyncio.FIRST_COMPLETED)
        assert (work.done(), bench.dialed, bench.shelf.keep) == (False, ["933"], 3)
        tester.use(CallTestSettings(automatic=False), None)
        await turns()
        before = len(looks)
        assert await turns() == before
        await end(work)

    asyncio.run(inside())


def test_what_was_heard_stays_on_the_page_until_it_is_no_longer_true() -> None:
    wrong, right = (Answer(same=same, at=STARTED, who="local screen") for same in (False, True))
    heard = Evidence(1, STARTED, "cli", Result.SPEECH, HERE)
    bad, good = (msgspec.structs.replace(heard, answers=(one,)) for one in (wrong, right))
    silent = msgspec.structs.replace(heard, result=Result.SILENCE)
    elsewhere = msgspec.structs.replace(HERE, address_id="emerg_2")
    given_up = msgspec.structs.replace(heard, result=Result.GIVEN_UP)
    assert notices((), HERE) == ()
    (alarm,) = notices((heard, bad), HERE)
    assert "did not say the address of this phone (heard by local screen): 911 may send help to the wrong" in alarm
    assert notices((good, bad), HERE) == ()
    assert notices((bad,), elsewhere) == (), "something else is bound now"
    assert notices((msgspec.structs.replace(bad, moved=True),), HERE) == ()
    (said,) = notices((given_up, silent), HERE)
    assert said.startswith("The test call was answered, but nothing was to be heard.")
    assert notices((heard, silent), HERE) == ()


def replace_proven(subject: Subject, *, proven: bool) -> Subject:
    return msgspec.structs.replace(subject, proven=proven)


def test_a_call_of_its_own_keeps_the_automatic_one_away(bench: Bench) -> None:
    tester = bench.tester(absent)
    bench.state = replace(bench.state, calls=(CallView(1, "933", "out", "confirmed", emergency=True, test=True),))
    assert tester.due() == "busy"

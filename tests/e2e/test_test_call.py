"""The test call to 933 on a real line: speech as evidence, what a wrong address looks like, and refused calls."""

from __future__ import annotations

import html
import json
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import pytest

from agent.lab.http_unix import UnixConnection, call_json
from agent.lab.process import die_with_parent
from agent.lab.stage import Stage
from agent.testcall.recording import read_samples
from agent.testcall.speech import Heard, listen
from tests.cli.shell import ROOT
from tests.e2e.conftest import Open
from tests.e2e.house import PATIENCE, confirm, eventually, kill, look, move_in, shows, switch_on
from tests.e2e.phone import calls

pytestmark = [pytest.mark.netns, pytest.mark.sip]

ORDINARY = "+14155550123"
EXPECTED = "123 Main St, Suite 400"


def api(stage: Stage, method: str, path: str, body: object = None) -> Any:
    return call_json(stage.agent_socket, method, f"/api/v1/{path}", {} if body is None and method == "POST" else body)


def legs(stage: Stage, **changes: object) -> int:
    """Set the far ends; return a mark of the platform's log."""
    stage.control("POST", "legs", changes)
    return stage.platform_mark()


def test_call(stage: Stage) -> dict[str, Any]:
    """Press the button on the page and return the evidence once it is filed."""
    before = {one["id"] for one in api(stage, "GET", "test-calls")["test_calls"]}
    status, page = stage.visitor().submit("/test", "/test", {})
    assert status // 100 == 3, page
    seen = stage.wait_until(
        "the evidence",
        lambda now: now["test_running"] is None and bool(now["test_last"]) and now["test_last"]["id"] not in before,
        60,
    )
    found: dict[str, Any] = seen["test_last"]
    return found


test_call.__test__ = False  # type: ignore[attr-defined]


def page_of(stage: Stage, url: str) -> str:
    status, page = look(stage, url)
    assert status == 200
    return html.unescape(page)


def fetched(stage: Stage, url: str, target: Path) -> Path:
    """Save what the agent serves under a URL."""
    connection = UnixConnection(stage.agent_socket)
    connection.request("GET", url, headers={"Host": "localhost"})
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("Content-Type")) == (200, "audio/wav")
    target.write_bytes(answer.read())
    connection.close()
    return target


def test_the_evidence_holds_speech_and_a_wrong_address_is_seen_by_whoever_compares(open_stage: Open) -> None:
    stage = open_stage()
    address_id = move_in(stage)
    mark = legs(stage, longest_text=8.0)
    evidence = test_call(stage)
    (answered,) = calls(stage, mark, "answered", "933")
    assert "123 Main St" in answered["text"], "it reads the address that is bound for this registration"
    assert calls(stage, mark, "ended", "933")[0]["by"] == "platform", "the far end hangs up"
    assert evidence["result"] == "speech"
    assert evidence["tested"]["address_id"] == address_id
    assert evidence["tested"]["proven"]
    assert not evidence["moved"]
    assert 0 < evidence["answer_seconds"] < evidence["call_seconds"]
    heard = listen(read_samples(fetched(stage, f"/test/{evidence['id']}.wav", stage.folder / "heard.wav")))
    assert heard.heard is Heard.SPEECH
    assert EXPECTED in page_of(stage, "/test")
    assert "The recording should say:" in page_of(stage, "/test")

    stage.control("POST", f"addresses/{address_id}", {"address_number": "500", "street": "Elm St"})
    mark = legs(stage, longest_text=8.0)
    wrong = test_call(stage)
    (answered,) = calls(stage, mark, "answered", "933")
    assert "500 Elm St" in answered["text"], "the platform says a wrong street"
    assert wrong["tested"]["civic"]["street"] == "Main St", "the evidence keeps what should have been said"
    assert EXPECTED in page_of(stage, "/test")
    status, page = stage.visitor().submit("/test", f"/test/{wrong['id']}", {"said": "other"})
    assert status // 100 == 3
    assert "It says something else (cli" in html.unescape(page)
    assert "A test call did not say the address of this phone (heard by cli)" in page_of(stage, "/")
    (kept, *_) = api(stage, "GET", "test-calls")["test_calls"]
    assert [(one["same"], one["who"]) for one in kept["answers"]] == [(False, "cli")]


def test_a_far_end_that_does_not_speak_is_reported_as_what_it_is(open_stage: Open) -> None:
    stage = open_stage()
    move_in(stage)
    for far, result, sentence in (
        ("silence", "silence", "nothing was to be heard"),
        ("tone", "steady", "only a tone or noise, no voice"),
        ("noise", "steady", "only a tone or noise, no voice"),
    ):
        legs(stage, longest_text=3.0, read_back=far)
        evidence = test_call(stage)
        assert evidence["result"] == result, far
        assert sentence in page_of(stage, "/test")
        assert sentence in page_of(stage, "/")


@pytest.mark.parametrize("early", [False, True])
def test_a_refused_call_is_announced_ends_and_the_page_says_why(open_stage: Open, *, early: bool) -> None:
    stage = open_stage("movable")
    switch_on(stage)
    shows(stage, "unbound", "place_new")
    mark = legs(stage, longest_text=8.0, announcement_early=early)
    placed = api(stage, "POST", "calls", {"to": ORDINARY, "record": "refused.wav"})
    assert placed["state"] == "calling"
    eventually("the end of the call", lambda: bool(api(stage, "GET", "calls")["ended"]))
    (over,) = api(stage, "GET", "calls")["ended"]
    (ended,) = calls(stage, mark, "ended", ORDINARY)
    assert ended["by"] == ("480" if early else "platform"), "the far end ended it"
    assert over["refusal"]["code"] == "no_address"
    assert "no emergency address is registered on this network" in page_of(stage, "/")
    record = stage.folder / "refused.wav"
    eventually("the recording", lambda: bool(_frames(record)))
    assert listen(read_samples(record)).heard is Heard.SPEECH, "the announcement was heard"

    legs(stage, longest_text=1.0, after_text=0.0)
    confirm(stage)
    stage.wait_until("bound", lambda seen: seen["status"]["kind"] == "bound", 60)
    assert "no emergency address is registered" not in page_of(stage, "/"), "the reason is gone"


def _frames(record: Path) -> int:
    try:
        with wave.open(str(record)) as file:
            return int(file.getnframes())
    except (OSError, EOFError, wave.Error):
        return 0


def command(stage: Stage, *words: str) -> tuple[int, dict[str, Any]]:
    """Run a command on the device; return its exit code and the JSON that it printed."""
    argv = [sys.executable, "-m", "agent", "--config", str(stage.folder / "agent.toml"), *words, "--json"]
    process = stage.lab.exec(
        "device", argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent, cwd=ROOT
    )
    out, _ = process.communicate(timeout=PATIENCE)
    return process.returncode, json.loads(out)


def test_the_command_makes_the_test_call_also_with_the_agent_stopped(open_stage: Open) -> None:
    stage = open_stage()
    move_in(stage)
    legs(stage, longest_text=6.0)
    saved = stage.folder / "saved.wav"
    code, evidence = command(stage, "test-933", "--save", str(saved))
    assert (code, evidence["result"], evidence["who"]) == (0, "speech", "cli")
    assert listen(read_samples(saved)).heard is Heard.SPEECH
    code, answered = command(stage, "test-933", "--says", "same")
    assert [one["same"] for one in answered["answers"]] == [True]
    kill(stage, "agent")
    code, alone = command(stage, "test-933", "--save", str(saved))
    assert (code, alone["result"], alone["filed"]) == (0, "speech", False)
    assert alone["answer_seconds"] > 0


def test_calls_are_followed_as_events(open_stage: Open) -> None:
    stage = open_stage()
    move_in(stage)
    legs(stage, longest_text=2.0)
    connection = UnixConnection(stage.agent_socket)
    connection.request("GET", "/api/v1/calls/events", headers={"Host": "localhost"})
    stream = connection.getresponse()
    seen: list[tuple[str, Any]] = []
    name = ""
    placed = False
    while not (seen and seen[-1][0] == "call" and seen[-1][1]["state"] == "ended"):
        field, _, value = stream.readline().decode().rstrip("\n").partition(": ")
        name = value if field == "event" else name
        if field == "data" and name in {"calls", "call"}:
            seen.append((name, json.loads(value)))
        if seen and not placed:
            placed = True
            api(stage, "POST", "calls", {"to": "933"})
    connection.close()
    states = list(dict.fromkeys(line["state"] for kind, line in seen if kind == "call"))
    assert states[0] == "calling"
    assert states[-2:] == ["confirmed", "ended"]
    assert any(line["sound"] and line["sound"]["rx_packets"] > 50 for kind, line in seen if kind == "call")

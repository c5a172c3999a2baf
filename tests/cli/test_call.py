"""`call` speaks to dialstack-voice itself: each state on a line, and it works while the agent is stopped."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.cli import main

CALL = {"type": "call", "call": 1, "to": "933", "direction": "out", "emergency": True, "at": 1.0, "reason": ""}


@contextmanager
def voice(path: Path, *states: tuple[str, int]) -> Iterator[list[str]]:
    """Answer a call with these states as dialstack-voice does; yield the types of the lines that came in."""
    heard: list[str] = []
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()

        def serve() -> None:
            peer, _ = listening.accept()
            with peer, peer.makefile("r", encoding="utf-8") as asked, peer.makefile("w", encoding="utf-8") as lines:
                for line in asked:
                    message = json.loads(line)
                    heard.append(message["type"])
                    if message["type"] == "hello":
                        welcome = {"type": "welcome", "version": 1, "pid": 1, "stack": "2.15", "started_at": 0.0}
                        lines.write(json.dumps(welcome) + "\n")
                    if message["type"] == "call":
                        for state, code in states:
                            event = CALL | {"state": state, "code": code, "req_id": message["req_id"]}
                            lines.write(json.dumps(event) + "\n")
                    lines.flush()

        thread = threading.Thread(target=serve)
        thread.start()
        yield heard
        thread.join()


def config(folder: Path) -> str:
    file = folder / "agent.toml"
    file.write_text(f'[sip]\nsocket = "{folder / "voice.sock"}"\n')
    return str(file)


def test_each_state_is_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with voice(tmp_path / "voice.sock", ("calling", 0), ("ringing", 180), ("confirmed", 200), ("ended", 200)) as heard:
        assert main(["call", "933", "--config", config(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["933: calling", "933: ringing (180)", "933: answered (200)", "933: ended (200)"]
    assert heard == ["hello", "call"]


def test_a_call_that_nobody_answers_ends_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with voice(tmp_path / "voice.sock", ("calling", 0), ("ended", 486)):
        assert main(["--json", "call", "933", "--config", config(tmp_path)]) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["state"], line["code"]) for line in lines] == [("calling", 0), ("ended", 486)]


def test_after_the_seconds_it_hangs_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with voice(tmp_path / "voice.sock", ("confirmed", 200)) as heard:
        assert main(["call", "933", "--seconds", "2", "--config", config(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "933: hung up after 2 s"
    assert heard == ["hello", "call", "hangup"]


def test_without_dialstack_voice_it_says_that_911_does_not_go_out_either(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["call", "933", "--config", config(tmp_path)]) == 3
    said = capsys.readouterr().err
    assert "No call can be placed from this device, 911 neither." in said
    assert "In an emergency use another phone." in said

"""`call` speaks to dialstack-voice itself: each state on a line, and it works while the agent is stopped."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from agent.cli.main import main
from tests.cli.shell import ROOT

CALL = {"type": "call", "call": 1, "to": "933", "direction": "out", "emergency": True, "at": 1.0, "reason": ""}


@contextmanager
def voice(
    path: Path,
    *states: tuple[str, int],
    more: Sequence[dict[str, int]] = (),
    end: dict[str, str] | None = None,
    up: Sequence[dict[str, Any]] = (),
    refuse: str = "",
) -> Iterator[list[str]]:
    """Answer as dialstack-voice does: a call with these states and sounds, a status with these calls, or a refusal.

    Yields the types of the lines that came in, with the files that a call named.
    """
    heard: list[str] = []

    def answers(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
        kind = message["type"]
        if kind == "hello":
            yield {"type": "welcome", "version": 1, "pid": 1, "stack": "2.15", "started_at": 0.0}
        elif kind == "status":
            yield {"type": "registration"}
            yield from up
        elif refuse:
            yield {"type": "error", "sentence": refuse}
        elif kind == "call":
            for number, (state, code) in enumerate(states):
                sound = {"sound": more[number]} if number < len(more) else {}
                yield CALL | {"state": state, "code": code} | sound | ((end or {}) if state == "ended" else {})

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()

        def serve() -> None:
            peer, _ = listening.accept()
            with peer, peer.makefile("r", encoding="utf-8") as asked, peer.makefile("w", encoding="utf-8") as lines:
                for line in asked:
                    message = json.loads(line)
                    files = [message[name] for name in ("record", "play") if name in message]
                    heard.append(" ".join([message["type"], *files]))
                    for answer in answers(message):
                        lines.write(json.dumps(answer | {"req_id": message.get("req_id")}) + "\n")
                    with suppress(BrokenPipeError):  # it has what it wanted
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


def test_sound_is_said_once_and_counted_at_the_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sound = [{"rx_packets": packets, "tx_packets": 2 * packets} for packets in (0, 50, 100)]
    end = {"ended": "The other side hung up."}
    with voice(tmp_path / "voice.sock", ("confirmed", 200), ("confirmed", 200), ("ended", 200), more=sound, end=end):
        assert main(["call", "933", "--config", config(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "933: answered (200)",
        "933: sound is coming in",
        "933: ended (200): The other side hung up.",
        "933: 2.0 s of sound came in, 4.0 s went out",
    ]


def test_files_to_play_and_to_record_go_along(tmp_path: Path) -> None:
    with voice(tmp_path / "voice.sock", ("ended", 486)) as heard:
        main(["call", "5551234", "--record", "a.wav", "--play", "b.wav", "--config", config(tmp_path)])
    assert heard == ["hello", "call a.wav b.wav"]


def test_ctrl_c_hangs_up(tmp_path: Path) -> None:
    with voice(tmp_path / "voice.sock", ("confirmed", 200)) as heard:
        command = [sys.executable, "-m", "agent", "--config", config(tmp_path), "call", "933"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "933: answered (200)\n"
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 130
    assert heard == ["hello", "call", "hangup"]


def test_calls_are_listed_answered_and_ended_by_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ringing = CALL | {
        "call": 4,
        "to": "sip:a@b",
        "direction": "in",
        "state": "ringing",
        "code": 180,
        "emergency": False,
    }
    for words, lines, said in (
        (["calls"], [ringing], "sip:a@b: ringing (180)\n"),
        (["calls"], [], "There is no call.\n"),
        (["hangup"], [], "Hung up.\n"),
        (["hangup", "4"], [ringing], "Hung up.\n"),
        (["answer", "4"], [ringing], "Answered.\n"),
    ):
        (tmp_path / "voice.sock").unlink(missing_ok=True)
        with voice(tmp_path / "voice.sock", up=lines) as heard:
            assert main([*words, "--config", config(tmp_path)]) == 0
        assert capsys.readouterr().out == said
        assert heard[1] == {"calls": "status"}.get(words[0], words[0])


def test_answer_without_a_number_needs_exactly_one_call_that_rings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with voice(tmp_path / "voice.sock", up=[CALL | {"state": "confirmed"}]):
        assert main(["answer", "--config", config(tmp_path)]) == 1
    assert "No call rings." in capsys.readouterr().err


def test_a_refused_order_ends_with_1_and_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with voice(tmp_path / "voice.sock", refuse="There is no such call."):
        assert main(["hangup", "7", "--json", "--config", config(tmp_path)]) == 1
    assert "There is no such call." in json.loads(capsys.readouterr().out)["error"]["happened"]


def test_without_dialstack_voice_it_says_that_911_does_not_go_out_either(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["call", "933", "--config", config(tmp_path)]) == 3
    said = capsys.readouterr().err
    assert "No call can be placed from this device, 911 neither." in said
    assert "In an emergency use another phone." in said

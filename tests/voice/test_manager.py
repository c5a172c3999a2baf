"""What the service manager is told, and what keeps the device awake during an emergency call."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.voice import state
from agent.voice.calls.values import Interlock
from agent.voice.manager import MARK, Manager


def test_s4_the_device_is_kept_awake_from_dialing_to_the_end_of_the_callback_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    manager = Manager()
    manager.ready()
    assert not (tmp_path / MARK).exists()
    manager.interlock(Interlock(active=True, why="emergency call"))
    assert (tmp_path / MARK).exists()
    manager.interlock(Interlock(active=True, until=9.0, why="callback window"))
    assert (tmp_path / MARK).exists()
    manager.interlock(Interlock(active=False))
    assert not (tmp_path / MARK).exists()


def test_s4_a_mark_that_a_dead_process_left_does_not_keep_the_device_awake_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    (tmp_path / MARK).touch()
    Manager().ready()
    assert not (tmp_path / MARK).exists()


def test_s4_what_must_survive_a_crash_lies_where_systemd_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = Path("/run/dialstack-voice/voice.sock")
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    assert state.usual_file(socket) == Path("/run/dialstack-voice/voice.state")
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    assert state.usual_file(socket) == tmp_path / "voice.state"

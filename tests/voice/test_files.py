"""Files of calls: new ones that the group may read, and no more of the test calls than one."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from agent.voice.socket import files


def test_a_recording_is_for_the_group_whatever_the_umask_and_its_folder_is_made(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        files.create(tmp_path / "recordings" / "a.wav")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "recordings").stat().st_mode) == 0o750
    assert stat.S_IMODE((tmp_path / "recordings" / "a.wav").stat().st_mode) == 0o640


def test_what_is_there_is_never_written_over_nor_a_link_followed(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("mine")
    (tmp_path / "b.wav").symlink_to(tmp_path / "c.wav")
    for name in ("a.wav", "b.wav"):
        with pytest.raises(FileExistsError):
            files.create(tmp_path / name)
    assert (tmp_path / "a.wav").read_text() == "mine"
    assert not (tmp_path / "c.wav").exists()


def test_only_recordings_of_earlier_test_calls_are_removed(tmp_path: Path) -> None:
    for name in ("test-933-1.wav", "test-933-1795500000-2.wav", "test-9333.wav", "interview.wav"):
        (tmp_path / name).touch()
    files.tidy(tmp_path)
    files.tidy(tmp_path / "nowhere")
    files.tidy(None)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["interview.wav", "test-9333.wav"]

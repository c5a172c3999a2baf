"""Calls as people make them: the command, or a program on the device that also records what it hears."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import subprocess
import sys
import threading
import wave
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from agent.lab.process import die_with_parent
from agent.lab.stage import Stage
from agent.voice.socket.client import place_call
from tests.e2e.house import PATIENCE, eventually

Line = dict[str, Any]
_CALLS = itertools.count(1)
HEARD = 50
"""RTP packets: one second of sound."""


def dial(stage: Stage, number: str = "933", seconds: float = 30.0) -> tuple[int, list[Line]]:
    """Run `dialstack-agent call` on the device; return its exit code and every state of the call."""
    argv = ["-m", "agent", "--config", str(stage.folder / "agent.toml"), "call", number]
    process = stage.lab.exec(
        "device", [sys.executable, *argv, "--seconds", str(seconds), "--json"], stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, preexec_fn=die_with_parent, cwd=Path(__file__).resolve().parents[2],
    )  # fmt: skip
    out, _ = process.communicate(timeout=seconds + PATIENCE)
    return process.returncode, [json.loads(line) for line in out.splitlines()]


class Handset:
    """A program on the device that calls and records; `with` hangs up at its end."""

    def __init__(self, stage: Stage, number: str) -> None:
        self.lines: list[Line] = []
        self.record = stage.folder / f"heard-{next(_CALLS)}-{number.lstrip('+')}.wav"
        self._stage = stage
        self._number = number
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=f"handset {number}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        self._task = self._loop.create_task(self._call())
        try:
            self._loop.run_until_complete(self._task)
        except (asyncio.CancelledError, OSError):
            self._heard({"state": "gone"})
        finally:
            self._loop.close()

    async def _call(self) -> None:
        socket = self._stage.folder / "voice.sock"
        await place_call(socket, self._number, self._heard, record=str(self.record))

    def _heard(self, line: Line) -> None:
        with self._changed:
            self.lines.append(line)
            self._changed.notify_all()

    def packets(self) -> int:
        """Return how many packets came in so far."""
        with self._changed:
            return max((int(line["sound"]["rx_packets"]) for line in self.lines if line.get("sound")), default=0)

    def wait(self, state: str) -> Line:
        """Wait for a state of the call."""
        return self._wait(lambda line: line["state"] == state, state)

    def sound(self, more_than: int = 0) -> Line:
        """Wait until more packets than that came in and went out; return the counts."""

        def heard(line: Line) -> bool:
            sound = line.get("sound") or {"rx_packets": 0, "tx_packets": 0}
            return bool(min(sound["rx_packets"], sound["tx_packets"]) > more_than)

        found: Line = self._wait(heard, f"more than {more_than} packets in both directions")["sound"]
        return found

    def _wait(self, wanted: Callable[[Line], bool], what: str) -> Line:
        with self._changed:
            self._changed.wait_for(lambda: any(map(wanted, self.lines)), PATIENCE)
            found = next(filter(wanted, self.lines), None)
        assert found is not None, f"{what} did not come: {self.lines[-3:]}"
        return found


def loudest(record: Path) -> int:
    """Return the largest sample of a recording of 16 bits; its header is written a moment after the call."""
    eventually("the end of the recording", lambda: bool(_samples(record)))
    return max(map(abs, memoryview(_samples(record)).cast("h")))


def _samples(record: Path) -> bytes:
    with contextlib.suppress(wave.Error, OSError), wave.open(str(record)) as file:
        return bytes(file.readframes(file.getnframes()))
    return b""


def calls(stage: Stage, since: int, what: str, number: str) -> list[Line]:
    """Return what happened at the far end of calls to a number."""
    return [
        entry for entry in stage.platform_log("call", since)
        if entry["what"] == what and entry["number"].endswith(number.lstrip("+"))
    ]  # fmt: skip

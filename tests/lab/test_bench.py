"""The bench: honest statistics, and one quick figure measured on real parts."""

from __future__ import annotations

import json
import os
import socket
import threading
from pathlib import Path

import pytest

from agent.lab import bench
from agent.lab.figures import Figure, table
from agent.lab.meters import Usage, memory


def test_percentiles_are_values_that_were_measured() -> None:
    figure = Figure("x", "ms", tuple(float(number) for number in range(1, 21)))
    assert [figure.value(name) for name in ("median", "p95", "p99", "max")] == [10.5, 19.0, 20.0, 20.0]
    assert Figure("x", "ms", (7.0,)).value("p99") == 7.0


@pytest.mark.parametrize(
    ("values", "met"), [((59.0, 60.0), True), ((59.0, 60.1), False), ((), False)], ids=["met", "missed", "nothing"]
)
def test_a_goal_is_met_by_what_was_measured_and_never_by_nothing(values: tuple[float, ...], *, met: bool) -> None:
    assert Figure("x", "ms", values, 60.0, "max").met is met
    assert Figure("x", "ms", values).met is None


def test_the_table_names_every_goal_and_every_miss() -> None:
    text = table([Figure("a", "ms", (1.0,), 2.0, "p95"), Figure("b", "ms", (3.0,), 2.0, "max"), Figure("c", "", ())])
    lines = [line.split() for line in text.splitlines()[1:]]
    assert lines[0] == ["a", "1", "1", "1", "1", "1", "ms", "p95", "<=", "2", "met"]
    assert lines[1][-4:] == ["max", "<=", "2", "MISSED"]
    assert lines[2] == ["c", "0", "-", "-", "-", "-"]


def test_usage_counts_the_wakeups_of_every_thread() -> None:
    before = Usage.of(os.getpid())
    ours, theirs = socket.socketpair()

    def echo() -> None:
        while data := theirs.recv(1):
            theirs.send(data)

    thread = threading.Thread(target=echo, name="echo")
    thread.start()
    for _ in range(200):
        ours.send(b"x")
        ours.recv(1)
    used = Usage.of(os.getpid()) - before
    ours.close()
    thread.join()
    theirs.close()
    assert used.wakeups >= 200
    assert used.seconds > 0
    assert memory(os.getpid()) > 5


@pytest.mark.netns
@pytest.mark.sip
def test_a_clean_move_is_measured_on_real_parts_and_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "bench.json"
    code = bench.main(["--runs", "1", "--only", "moves", "--only", "memory", "--report", str(report)])
    found = json.loads(report.read_text())
    figures = {item["name"]: item for item in found["figures"]}
    assert figures["usable path -> REGISTER sent"]["count"] == 1
    sent, answered, proven = (
        figures[f"usable path -> {name}"]["median"] for name in ("REGISTER sent", "200 OK", "bound and proven")
    )
    assert 0 < sent < answered < proven
    assert figures["REGISTERs of a clean move"]["values"] == [2.0], "one without the id at once, one with it"
    assert 20 < figures["memory, both processes, page open"]["median"] < 200
    assert code == int(any(item["met"] is False for item in found["figures"]))
    assert set(found["methods"]) == {"moves", "memory"}
    assert "usable path -> REGISTER sent" in capsys.readouterr().out

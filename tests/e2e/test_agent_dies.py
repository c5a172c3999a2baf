"""S1, S4: whatever becomes of the agent, a call does not notice; and nobody is told twice of the same call."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from agent.lab.process import Follower, die_with_parent
from agent.lab.stage import Stage
from tests.e2e.conftest import Open
from tests.e2e.house import PATIENCE, bound, eventually, kill, move_in, truly_bound
from tests.e2e.phone import HEARD, Handset, calls
from tests.e2e.receivers import Receivers
from tests.e2e.rtp_tap import RtpTap

pytestmark = [pytest.mark.netns, pytest.mark.sip]

KILLS = 200
EARLY, LATE = (0.0, 0.4), (0.4, 1.2)
"""Seconds after its start in which an agent is killed: most on the way to being ready, some at work."""
LATE_SHARE = 0.2
DEAF = 1.0
"""Seconds without a packet that a caller takes for a lost call; a frame comes every 0.02 s."""
ROOT = Path(__file__).resolve().parents[2]


def die_again_and_again(stage: Stage, times: int, seed: int) -> None:
    """Start the agent and kill it without a goodbye, so many times."""
    rng = random.Random(seed)
    argv = ["-m", "agent", "--config", str(stage.folder / "agent.toml"), "run"]
    for _ in range(times):
        stage._start("agent", "device", argv)
        time.sleep(rng.uniform(*(LATE if rng.random() < LATE_SHARE else EARLY)))  # the moment is what is tried
        kill(stage, "agent")


def assert_untouched(stage: Stage, tap: RtpTap, mark: int) -> None:
    """Assert that the one call is up as it was set up, and was heard all the time in both directions."""
    assert len(calls(stage, mark, "start", "911")) == 1, "never dialed again"
    assert calls(stage, mark, "ended", "911") == []
    assert calls(stage, mark, "reinvite", "911") == []
    sys.stderr.write(
        f"sent {tap.sent.packets} packets, longest pause {tap.sent.longest * 1000:.0f} ms; "
        f"heard {tap.heard.packets}, longest pause {tap.heard.longest * 1000:.0f} ms\n"
    )
    assert tap.sent.longest < DEAF, tap.sent.gaps
    assert tap.heard.longest < DEAF, tap.heard.gaps


def test_s1_s4_a_911_call_does_not_notice_200_deaths_of_the_agent_and_is_told_once(open_stage: Open) -> None:
    stage = open_stage()
    with Receivers(stage) as told:
        move_in(stage, more=told.config(), sip="callback_window = 1")
        mark = stage.platform_mark()
        kill(stage, "agent")
        with RtpTap(stage) as tap, Handset(stage, "911") as handset:
            handset.sound(HEARD)
            die_again_and_again(stage, KILLS, seed=911)
            stage.start_agent()
            uid = told.posted("dialed")["id"]
            stage.wait_until("the interlock", lambda seen: bool(seen["interlock"]), PATIENCE)
            handset.sound(handset.packets() + 2 * HEARD)
            assert_untouched(stage, tap, mark)
        told.posted("ended", id=uid)
        eventually("the end of the interlock", lambda: not stage.status()["interlock"])
        bound(stage)
    assert {one["id"] for one in told.bodies()} == {uid}, "one call, one notice"
    revisions = Counter(one["revision"] for one in told.bodies())
    # a death between an answer and the record of it costs one more: receivers know it by its id and revision
    assert sum(revisions.values()) - len(revisions) <= 1, revisions
    assert len(told.bodies()[0]["events"]) == told.bodies()[0]["revision"], "the first message tells all"
    assert {one.uid for one in told.buzzes()} == {uid}
    assert len(calls(stage, mark, "start", "911")) == 1


NEXT = "9.9.9"
MIGRATION = "CREATE TABLE of_the_next_version (n INTEGER);"


def next_version(folder: Path) -> Path:
    """Make another version of the agent, which also changes the database."""
    tree = folder / "next"
    shutil.copytree(ROOT / "agent", tree / "agent", ignore=shutil.ignore_patterns("__pycache__"))
    init = tree / "agent" / "__init__.py"
    init.write_text(init.read_text() + f'\n__version__ = "{NEXT}"\n')
    database = tree / "agent" / "storage" / "database.py"
    text = database.read_text()
    assert text.count("\nSCHEMA_VERSION = ") == 1
    database.write_text(
        text.replace("\nSCHEMA_VERSION", f'\nMIGRATIONS = (*MIGRATIONS, "{MIGRATION}")\nSCHEMA_VERSION')
    )
    return tree


def test_s4_an_upgrade_of_the_agent_leaves_a_911_call_untouched(open_stage: Open) -> None:
    stage = open_stage()
    with Receivers(stage) as told:
        address = move_in(stage, more=told.config(), sip="callback_window = 1")
        voice = stage.process("voice").pid
        mark = stage.platform_mark()
        with RtpTap(stage) as tap, Handset(stage, "911") as handset:
            handset.sound(HEARD)
            uid = told.posted("dialed")["id"]
            stage.stop_agent()
            handset.sound(handset.packets() + HEARD)
            start_from(next_version(stage.folder), stage)
            seen = stage.wait_until("the next version", lambda seen: seen["version"] == NEXT, PATIENCE)
            stage.wait_until("the interlock", lambda seen: bool(seen["interlock"]), PATIENCE)
            handset.sound(handset.packets() + 2 * HEARD)
            assert_untouched(stage, tap, mark)
            assert [one["id"] for one in stage.status()["alerts"]] == [uid], "it knows the call"
        assert seen["version"] == NEXT
        told.posted("ended", id=uid)
    assert {one["id"] for one in told.bodies()} == {uid}
    assert stage.process("voice").pid == voice
    assert len(list((stage.folder / "state").glob("agent.db.before-v*"))) == 1
    assert bound(stage) == address
    assert truly_bound(stage) == {address}


def start_from(tree: Path, stage: Stage) -> None:
    """Start the agent of another tree, as a package that was upgraded does."""
    log = stage.folder / "agent.log"
    environment = {**os.environ, "DIALSTACK_AGENT_LOG": "json", "PYTHONPATH": str(tree)}
    process = stage.lab.exec(
        "device", [sys.executable, "-m", "agent", "--config", str(stage.folder / "agent.toml"), "run"], cwd=tree,
        env=environment, preexec_fn=die_with_parent, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    stage._processes["agent"] = process
    stage.logs["agent"] = Follower(process.stderr, log)
    stage.logs["agent"].wait("the page", lambda line: line.get("event") == "page" and "socket" in line)

"""Every error of the command line is told in the house form: what happened, what it means for 911, what to do."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from agent.cli.client import EXIT_CODES, FAILED, UNTOUCHED, Failure, not_running

AGENT = Path(__file__).parent.parent.parent / "agent"


def test_every_failure_says_what_to_do_and_has_a_code() -> None:
    found = 0
    for path in AGENT.glob("cli/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Failure":
                found += 1
                named = {keyword.arg for keyword in node.keywords}
                assert {"todo", "code"} <= named, f"{path.name}:{node.lineno}"
    assert found > 10


def test_a_failure_that_says_nothing_about_911_does_not_concern_it() -> None:
    failure = Failure(FAILED, "It happened.", todo="Do this.")
    assert failure.error["emergency"] == UNTOUCHED


@pytest.mark.parametrize("why", ["there is no socket", "nobody answers"])
def test_a_dead_agent_is_told_with_what_it_means_for_911(why: str) -> None:
    failure = not_running(Path("/run/x.sock"), why)
    assert failure.error["happened"] == f"The agent is not running: {why} on /run/x.sock."
    assert "911 and 933 still go out through dialstack-voice" in failure.error["emergency"]
    assert "systemctl start dialstack-agent" in failure.error["todo"]
    assert EXIT_CODES[failure.exit_code] == "the agent is not running or does not answer"

"""The soak: it notices what is wrong, and growth; a short story is told on real parts."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agent.lab import soak
from agent.lab.figures import Figure
from agent.lab.meters import Held
from agent.lab.process import Late
from agent.lab.soak import Soak, Story, figures
from agent.lab.stage import HOME, OFFICE, Stage


class FakeStage:
    """A phone at home whose light says what a test wants, and a platform that has `bound`."""

    def __init__(self, kind: str, sentence: str, bound: str | None = "emerg_1") -> None:
        self.lab = SimpleNamespace(plugged="home")
        self.lines = [{"event": "status", "kind": kind, "sentence": sentence}]
        self.logs = {"agent": SimpleNamespace(since=lambda _: self.lines, mark=lambda: 1)}
        self.bound = bound
        self.folder = Path("/nonexistent")

    def wait_until(self, what: str, test: Any, seconds: float) -> dict[str, Any]:
        seen = {"status": self.lines[-1], "address_id": "emerg_1"}
        if not test(seen):
            raise Late(f"{what} did not happen within {seconds:g} s")
        return seen

    def control(self, *_: object) -> dict[str, Any]:
        return {"registrations": [], "sessions": [{"bound": self.bound}]}

    def process(self, _: str) -> Any:
        return SimpleNamespace(pid=0)

    def write_token(self) -> None: ...


def story(stage: FakeStage) -> Soak:
    return Soak(cast("Stage", stage), 1, lambda _: None)


@pytest.mark.parametrize(
    ("kind", "address", "wrong"),
    [("bound", OFFICE, 1), ("provisional", OFFICE, 1), ("bound", HOME, 0), ("connecting", OFFICE, 0)],
    ids=["green", "amber", "right", "dark"],
)
def test_s3_a_light_that_names_another_place_is_wrong(kind: str, address: Any, wrong: int) -> None:
    played = story(FakeStage(kind, f"911 sends help to {address.one_line()}."))
    played._mark, played._watched = 1, "home"
    played.watch()
    assert len(played.story.wrong) == wrong


@pytest.mark.parametrize(
    ("address", "bound", "said"),
    [
        (HOME, "emerg_1", []),
        (HOME, None, ["move: the light is green, the platform has set() bound"]),
        (OFFICE, "emerg_1", ["move: bound after move did not happen within 150 s"]),
    ],
    ids=["right", "not bound", "another place"],
)
def test_s2_green_must_be_true_on_the_platform(address: Any, bound: str | None, said: list[str]) -> None:
    played = story(FakeStage("bound", f"911 sends help to {address.one_line()}.", bound))
    played.settle("move")
    assert played.story.wrong == said


def growth(of: list[float]) -> Figure:
    told = Story(held=[Held(memory, 10, 5, 100.0) for memory in of])
    return next(one for one in figures(told) if one.name == "memory: growth")


def test_growth_is_told_from_warming_up() -> None:
    warm = growth([40.0, 50.0, *[60.0] * 6])
    assert (warm.values, warm.met) == ((0.0,), True)
    leak = growth([60.0 + 2 * number for number in range(8)])
    assert (leak.values, leak.met) == ((8.0,), False)


@pytest.mark.netns
@pytest.mark.sip
def test_a_short_story_on_real_parts_ends_well(tmp_path: Path) -> None:
    report = tmp_path / "soak.json"
    assert soak.main(["--minutes", "0.2", "--seed", "4", "--report", str(report)]) == 0
    told = json.loads(report.read_text())
    assert told["wrong"] == []
    assert sum(told["events"].values()) >= 1

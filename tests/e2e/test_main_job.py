"""The main job from end to end on real parts: what `make demo` shows, asserted step by step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.lab.demo import main

pytestmark = [pytest.mark.netns, pytest.mark.sip]

KEYS = {
    "name", "verdict", "reasons", "status_before", "status_after", "presented_id", "registered_ip", "registers",
    "api_writes", "ms",
}  # fmt: skip
NAMES = ["boot", "move-home", "confirm", "back-to-office", "wan-change", "backup-uplink", "noise"]

Steps = dict[str, dict[str, Any]]


def tell(folder: Path, mobility: str) -> Steps:
    report = folder / "demo.json"
    assert main(["--once", "--mobility", mobility, "--report", str(report), "--run", str(folder)]) == 0
    steps = json.loads(report.read_text())["steps"]
    assert [step["name"] for step in steps] == NAMES
    assert all(set(step) >= KEYS for step in steps)
    return {step["name"]: step for step in steps}


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> Steps:
    return tell(tmp_path_factory.mktemp("fixed"), "fixed")


@pytest.fixture(scope="module")
def movable(tmp_path_factory: pytest.TempPathFactory) -> Steps:
    return tell(tmp_path_factory.mktemp("movable"), "movable")


@pytest.fixture(params=["fixed", "movable"])
def story(request: pytest.FixtureRequest) -> Steps:
    steps: Steps = request.getfixturevalue(request.param)
    return steps


def test_the_first_boot_ends_bound_after_the_technician_confirmed(story: Steps) -> None:
    boot = story["boot"]
    assert (boot["status_after"], boot["registered_ip"]) == ("bound", "203.0.113.10")
    assert boot["api_writes"] == 1, "one address was registered, nothing else"


def test_s3_a_fixed_device_presents_its_configured_address_provisionally_at_a_new_place(fixed: Steps) -> None:
    home = fixed["move-home"]
    assert home["verdict"] == "new"
    assert home["status_after"] == "provisional"
    assert home["presented_id"] == fixed["boot"]["presented_id"]
    assert home["registered_ip"].startswith("198.51.100.")


def test_s3_a_movable_device_presents_nothing_at_a_new_place(movable: Steps) -> None:
    home = movable["move-home"]
    assert (home["status_after"], home["presented_id"], home["api_writes"]) == ("unbound", None, 0)
    assert home["registers"] >= 1, "S7: it registers all the same"


def test_the_corrected_answer_binds_the_home_address(story: Steps) -> None:
    confirm = story["confirm"]
    assert confirm["status_after"] == "bound"
    assert confirm["presented_id"] != story["boot"]["presented_id"]
    assert confirm["registered_ip"] == "198.51.100.20"


def test_back_at_the_office_the_office_address_binds_by_itself(story: Steps) -> None:
    back = story["back-to-office"]
    assert (back["verdict"], back["status_after"]) == ("known", "bound")
    assert back["presented_id"] == story["boot"]["presented_id"]
    assert back["registered_ip"] == "203.0.113.10"


def test_a_changed_public_address_is_followed_without_anybody(story: Steps) -> None:
    wan = story["wan-change"]
    assert (wan["status_after"], wan["registered_ip"]) == ("bound", "203.0.113.77")
    assert wan["presented_id"] == story["boot"]["presented_id"]


def test_a_second_router_of_the_office_takes_over_without_anybody(story: Steps) -> None:
    backup = story["backup-uplink"]
    assert (backup["verdict"], backup["status_after"], backup["registered_ip"]) == ("same", "bound", "203.0.113.200")


def test_failures_04_05_07_noise_costs_nothing(story: Steps) -> None:
    noise = story["noise"]
    assert (noise["registers"], noise["api_writes"], noise["status_after"]) == (0, 0, "bound")


def test_kamailio_has_a_contact_from_the_network_that_is_bound(story: Steps) -> None:
    for step in story.values():
        if step["registered_ip"]:
            assert f"@{step['registered_ip']}:" in step["kamailio"]

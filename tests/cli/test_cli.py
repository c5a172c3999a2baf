"""The command line against a real PageServer on a Unix socket: texts, JSON, exit codes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent.control import SavedAddress
from agent.errors import NeedsHuman
from agent.model import Ask, StatusKind
from tests.cli.shell import DEPOT_OPTIONS, ROOT, Shell, served, shell
from tests.page.fake_control import DEPOT, OFFICE, overview, steps
from tests.page.serving import ThreadServer

__all__ = ["served", "shell"]


def test_status_says_the_sentence_first(shell: Shell) -> None:
    code, out, _ = shell("status")
    assert code == 0
    where = "123 Main St, Suite 400, San Francisco, CA 94105"
    assert out.startswith(f"911 sends help to {where}. Proven on this network.\nNothing to do.\n")
    assert re.search(r"^address   123 Main St, Suite 400, San Francisco, CA 94105 \(proven\)$", out, re.MULTILINE)
    assert re.search(r"^status    ready \(bound\) since ", out, re.MULTILINE)


def test_status_shows_question_progress_notices_and_exposure(shell: Shell, served: ThreadServer) -> None:
    asked = replace(overview(StatusKind.UNBOUND), ask=Ask.CHOOSE_ADDRESS, question="Where is this phone?")
    served.call(lambda: served.control.show(replace(asked, steps=steps(1), notices=("Damaged.",), interlock=True)))
    code, out, _ = shell("status")
    assert code == 0
    for line in (
        "Where is this phone?",
        "An emergency call is on",
        "Place compared with known places: running",
        "notice    Damaged.",
    ):
        assert line in out
    assert "911 could have been wrong since" in out


def test_status_check_ends_with_5_unless_bound(shell: Shell, served: ThreadServer) -> None:
    assert shell("status", "--check")[0] == 0
    served.call(lambda: served.control.show(overview(StatusKind.PROVISIONAL)))
    assert shell("status", "--check")[0] == 5
    assert shell("status")[0] == 0


def test_status_in_json_is_the_overview(shell: Shell) -> None:
    code, answer = shell.json("status")
    assert code == 0
    assert answer["status"]["kind"] == "bound"


def test_watch_shows_every_change_until_the_agent_goes(served: ThreadServer) -> None:
    command = [sys.executable, "-m", "agent", "--socket", str(served.socket), "status", "--watch", "--json"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as watching:
        lines = watching.stdout
        assert lines is not None
        assert json.loads(lines.readline())["status"]["kind"] == "bound"
        served.call(lambda: served.control.show(overview(StatusKind.OFFLINE)))
        assert json.loads(lines.readline())["status"]["kind"] == "offline"
        served.wait(served.server.stop())
        assert json.loads(lines.readline())["error"]["code"] == "not_running"
        assert watching.wait(10) == 3


def test_confirm_an_address_by_id(shell: Shell, served: ThreadServer) -> None:
    code, out, _ = shell("confirm", "emerg_1", "--yes")
    assert code == 0
    assert out.startswith("Saved. This phone is at 123 Main St, Suite 400, San Francisco, CA 94105.\n")
    assert served.control.confirmed == [(OFFICE, "cli")]


def test_confirm_the_address_of_the_question(shell: Shell, served: ThreadServer) -> None:
    assert shell.json("confirm", "--yes")[1]["error"]["happened"] == "There is no single address to confirm."
    served.call(served.control.ask_place)
    code, answer = shell.json("confirm", "--yes")
    assert (code, answer["address_id"]) == (0, "emerg_1")


def test_confirm_a_new_address(shell: Shell, served: ThreadServer) -> None:
    assert shell.json("confirm", *DEPOT_OPTIONS, "--yes")[0] == 0
    assert served.control.confirmed == [(DEPOT, "cli")]


def test_confirm_asks_and_takes_no_for_an_answer(
    shell: Shell, served: ThreadServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.control.lost.append(SavedAddress(None, DEPOT, in_use=False, hint="configured"))
    served.call(served.control.ask_place)
    answers: list[str] = []
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("builtins.input", lambda _prompt: answers.pop(0))
    for said in (["9"], ["x"], ["3", "n"], ["3", ""]):
        answers[:] = said
        assert shell("confirm")[0] == 1
    assert served.control.confirmed == []
    answers[:] = ["3", "y"]
    code, out, _ = shell("confirm")
    assert code == 0
    assert "  3  9 Rail Rd, Reno, NV 89501  configured" in out
    assert served.control.confirmed == [(DEPOT, "cli")]


def test_what_the_platform_refuses_is_named_by_option(shell: Shell) -> None:
    code, out, err = shell("addresses", "add", *DEPOT_OPTIONS, "--street", "Ellm St")
    assert (code, out) == (1, "")
    assert err.startswith("The address could not be validated.\nThe address in use did not change.\n")
    assert err.endswith("\n--street  no such street in this city\n")
    code, answer = shell.json("addresses", "add")
    assert code == 1
    assert answer["error"]["fields"]["city"] == "the city is missing"


def test_addresses_are_listed_added_cleared_and_deleted(shell: Shell, served: ThreadServer) -> None:
    code, out, _ = shell("addresses")
    assert code == 0
    assert out == shell("addresses", "list")[1]
    assert "* emerg_1  123 Main St, Suite 400, San Francisco, CA 94105  (last confirmed on this network)\n" in out
    assert "  emerg_2  77 Harbor Blvd" in out
    assert "Registered as emerg_3: 9 Rail Rd, Reno, NV 89501." in shell("addresses", "add", *DEPOT_OPTIONS)[1]
    assert shell("addresses", "clear", "emerg_3")[:2] == (0, "Cleared the network of emerg_3.\n")
    assert shell("addresses", "delete", "emerg_3")[:2] == (0, "Deleted emerg_3.\n")
    assert shell.json("addresses", "delete", "emerg/3 ?")[1]["error"]["code"] == "address_gone"
    assert served.control.cleared == ["emerg_3"]
    assert [one["id"] for one in shell.json("addresses")[1]["addresses"]] == ["emerg_1", "emerg_2"]


def test_decisions_and_places_are_shown(shell: Shell) -> None:
    code, out, _ = shell("decisions", "--limit", "5")
    assert code == 0
    assert "123 Main St, Suite 400, San Francisco, CA 94105 (emerg_1)" in out
    assert re.search(r"^  because   place new, fixed device$", out, re.MULTILINE)
    assert shell.json("decisions")[1]["decisions"][0]["generation"] == 3
    assert "place 1: 123 Main St, Suite 400" in shell("places")[1]
    assert shell.json("places")[1]["places"][0]["id"] == 1


def test_the_agents_no_is_worded_and_ends_with_1(shell: Shell, served: ThreadServer) -> None:
    served.control.fail = NeedsHuman("The access token is refused.", todo="Renew it.", code="token_refused")
    code, _, err = shell("addresses")
    assert (code, err) == (1, "The access token is refused.\n911 and 933 still go out.\nRenew it.\n")
    assert shell.json("addresses")[1]["error"]["code"] == "token_refused"


def test_texts_of_the_platform_cannot_steer_the_terminal(shell: Shell, served: ThreadServer) -> None:
    served.call(lambda: served.control.show(replace(overview(), phone="\x1b[2Jgone\r\n", question="\x07")))
    assert "\x1b" not in shell("status")[1]


def test_the_socket_is_found_in_the_configuration(
    served: ThreadServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(f'[page]\nsocket = "{served.socket}"\n')
    assert Shell(capsys)("status", "--config", str(file))[0] == 0
    file.write_text(file.read_text() + "[notify_email]\nto = [desk@example.net]\n")  # the daemon does without that one
    assert Shell(capsys)("status", "--config", str(file))[0] == 0

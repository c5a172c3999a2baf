"""PINs and audit on the command line: never in the arguments, never said again."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from agent.page.routes import Role
from tests.cli.shell import Shell, served, shell
from tests.page.link_world import STAFF_PIN, TECHNICIAN_PIN
from tests.page.serving import ThreadServer

__all__ = ["served", "shell"]


def test_a_pin_is_read_from_standard_input_and_counts_at_once(
    shell: Shell, served: ThreadServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{STAFF_PIN}\n"))
    code, out, err = shell("pin", "set")
    assert (code, out, err) == (0, "The staff's PIN is set. Everybody is signed out.\n", "")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{TECHNICIAN_PIN}\n"))
    assert shell.json("pin", "set", "--technician") == (0, {"set": "technician"})
    pins = served.server.access.pins
    assert served.wait(pins.check(TECHNICIAN_PIN)) is Role.TECHNICIAN
    code, out, _ = shell("access")
    assert "staff's PIN       set" in out
    code, state = shell.json("access")
    assert (state["staff_pin"], state["technician_pin"], state["urls"]) == (True, True, [])
    assert shell("pin", "remove")[0] == 0
    assert not pins.has(Role.STAFF)


def test_a_weak_pin_is_refused_with_words(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("123456\n"))
    code, out, err = shell("pin", "set")
    assert (code, out) == (1, "")
    assert "This PIN is among the first that somebody tries" in err
    assert "123456" not in err


def test_at_a_terminal_it_is_typed_twice_without_echo(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    typed = iter([STAFF_PIN, "402817"])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("agent.cli.access.getpass.getpass", lambda _prompt: next(typed))
    code, _, err = shell("pin", "set")
    assert (code, "The two PINs are not the same." in err) == (1, True)


def test_a_pin_as_an_argument_is_refused(shell: Shell) -> None:
    with pytest.raises(SystemExit) as ended:
        shell("pin", "set", STAFF_PIN)
    assert ended.value.code == 2


def test_the_audit_says_who_did_what_and_no_secret(
    shell: Shell, served: ThreadServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{STAFF_PIN}\n"))
    shell("pin", "set")
    monkeypatch.setattr("sys.stdin", io.StringIO("111111\n"))
    shell("pin", "set")
    code, out, _ = shell("audit")
    assert code == 0
    newest, oldest = out.splitlines()
    assert newest.endswith("REFUSED  cli  POST /api/v1/pins/{role}  staff's PIN")
    assert oldest.endswith("done     cli  POST /api/v1/pins/{role}  staff's PIN")
    assert STAFF_PIN not in out
    assert served.socket.parent == tmp_path

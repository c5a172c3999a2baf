"""The command line without a daemon: wrong use, a dead agent, configuration, what is passed on."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent.cli import local as cli_local
from agent.cli.main import main
from tests.cli.shell import DEPOT_OPTIONS, ROOT, Shell, served, shell
from tests.page.serving import ThreadServer

__all__ = ["served", "shell"]


@pytest.mark.parametrize(
    "words",
    [
        ("confirm", "emerg_1"),
        ("confirm", "emerg_1", *DEPOT_OPTIONS, "--yes"),
        ("confirm", "--yes", "--json", "emerg_1", "--nonsense"),
        ("decisions", "--limit", "0", "--json"),
        ("--json",),
        ("--json", "statu"),
        ("status", "--watch", "--check", "--json"),
    ],
)
def test_wrong_use_ends_with_2_and_changes_nothing(words: tuple[str, ...], shell: Shell, served: ThreadServer) -> None:
    assert shell(*words)[0] == 2
    assert served.control.confirmed == []


def test_wrong_use_without_json_shows_the_usage(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        shell("statu")
    assert "usage: dialstack-agent" in capsys.readouterr().err


def test_a_dead_agent_ends_with_3_and_says_what_that_means(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shell = Shell(capsys, "--config", str(tmp_path / "none.toml"), "--socket", str(tmp_path / "none.sock"))
    for command in (("status",), ("addresses",), ("confirm", "emerg_1", "--yes"), ("places",), ("status", "--watch")):
        code, out, err = shell(*command)
        assert (code, out) == (3, "")
        assert err.startswith("The agent is not running: there is no socket on ")
        assert "911 and 933 still go out through dialstack-voice" in err
        assert "systemctl start dialstack-agent" in err
        assert shell.json(*command)[1]["error"]["code"] == "not_running"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "none.sock"))
    assert "nobody answers" in shell("status")[2]


def test_something_else_on_the_socket_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "other.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()

        def answer() -> None:
            peer, _ = other.accept()
            with peer:
                peer.recv(4096)
                peer.sendall(b"HTTP/1.1 502 Bad\r\nContent-Length: 4\r\nConnection: close\r\n\r\n<h1>")

        thread = threading.Thread(target=answer)
        thread.start()
        code, out, _ = Shell(capsys, "--socket", str(path))("status", "--json")
        thread.join()
    assert (code, json.loads(out)["error"]["code"]) == (1, "strange_answer")


def test_version_names_both(shell: Shell, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, answer = shell.json("version")
    assert (code, answer["daemon"]) == (0, "0.1.0")
    code, out, _ = Shell(capsys, "--socket", str(tmp_path / "none"))("version")
    assert code == 0
    assert "daemon: not running" in out


def test_check_config_shows_every_error_and_ends_with_4(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shell = Shell(capsys)
    file = tmp_path / "agent.toml"
    file.write_text('[sip]\nregistrar = "sip.example"\nusernam = "desk"\nport = 70000\n')
    code, out, _ = shell("check-config", str(file))
    assert code == 4
    assert "did you mean username?" in out
    assert "sip.port" in out
    code, answer = shell.json("check-config", str(file))
    assert (code, answer["valid"]) == (4, False)
    assert len(answer["problems"]) >= 3
    file.write_text('[sip]\nregistrar = "sip.example"\nusername = "desk"\n[device]\nmobility = "movable"\n')
    assert shell("--config", str(file), "check-config")[:2] == (0, f"{file} is valid.\n")
    assert shell.json("check-config", str(file))[1]["settings"]["sip"]["username"] == "desk"


def test_run_and_demo_are_passed_on(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    def run(config: Path) -> int:
        seen.append(config)
        return 7

    def demo(rest: list[str]) -> None:
        seen.append(rest)

    monkeypatch.setattr(cli_local, "part", lambda _name: SimpleNamespace(run=run, main=demo))
    monkeypatch.setenv("DIALSTACK_AGENT_CONFIG", "/from/env.toml")
    shell = Shell(capsys)
    assert shell("run")[0] == 7
    assert shell("run", "--config", "/x.toml")[0] == 7
    assert shell("demo", "--keep", "--json", "now", "--seconds", "5")[0] == 0
    assert seen == [Path("/from/env.toml"), Path("/x.toml"), ["--keep", "--json", "now", "--seconds", "5"]]


def test_a_part_that_is_not_installed_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "agent.app", None)
    code, answer = Shell(capsys).json("run")
    assert (code, answer["error"]["code"]) == (1, "not_installed")


def test_the_exit_codes_stand_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    out = capsys.readouterr().out
    for line in (
        "0  done",
        "1  the agent said no",
        "2  the command",
        "3  the agent is not",
        "4  the conf",
        "5  the address",
    ):
        assert line in out


def test_asking_the_daemon_imports_no_web_framework() -> None:
    code = "import sys, agent.cli.main as m; m.main(['--socket', '/nonexistent', 'status']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"aiohttp", "asyncio", "jinja2", "msgspec", "yarl", "pyroute2"}

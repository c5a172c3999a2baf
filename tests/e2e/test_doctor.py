"""The check-up in a healthy house and in broken ones, as the command says it; a bundle that holds no secret."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.lab.process import die_with_parent
from agent.lab.stage import PASSWORD, USER, Stage, secret
from agent.lab.topology import PLATFORM
from tests.e2e.conftest import Open
from tests.e2e.house import PATIENCE, bound, end_voice, eventually, kill, look, move_in, shows, wall

pytestmark = [pytest.mark.netns, pytest.mark.sip]


def doctor(stage: Stage, *options: str, config: Path | None = None) -> tuple[int, dict[str, Any]]:
    """Run the command on the device; return its exit code and what it printed."""
    argv = ["-m", "agent", "--config", str(config or stage.folder / "agent.toml"), "doctor", "--json", *options]
    process = stage.lab.exec(
        "device", [sys.executable, *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=die_with_parent, cwd=Path(__file__).resolve().parents[2],
    )  # fmt: skip
    out, wrong = process.communicate(timeout=PATIENCE)
    assert wrong == b""
    found: dict[str, Any] = json.loads(out)
    return process.returncode, found


def bad(report: dict[str, Any]) -> dict[str, str]:
    """Return check -> code of everything that failed; each says what it means and what to do."""
    failed = [one for one in report["results"] if one["finding"] == "fail"]
    for one in failed:
        assert one["found"].endswith("."), one
        assert one["todo"], one
    return {one["name"]: one["code"] for one in failed}


def said(report: dict[str, Any], name: str) -> str:
    return str(next(one["found"] for one in report["results"] if one["name"] == name))


@contextmanager
def fault(stage: Stage, **what: object) -> Iterator[None]:
    stage.control("POST", "faults", {"count": None, **what})
    yield
    stage.control("DELETE", "faults")


def test_a_healthy_house_and_a_broken_network(open_stage: Open) -> None:
    stage = open_stage()
    move_in(stage)
    code, report = doctor(stage)
    assert (code, report["worst"], report["by"]) == (0, "warn", "agent")
    assert [one["name"] for one in report["results"] if one["finding"] != "ok"] == ["audio"]  # the lab has no ears
    assert said(report, "gateway") == "The router 192.168.1.1 answers."
    sessions = stage.control("GET", f"state?user={USER}")["sessions"]
    assert len(sessions) == 1, "a check-up signs nobody in"
    with wall(stage, "tcp dport 8080"):
        code, report = doctor(stage)
        assert code == 1
        assert bad(report).items() >= {"api": "timeout", "signalling": "timeout"}.items()
        assert next(one["finding"] for one in report["results"] if one["name"] == "token") == "skip"
    with fault(stage, kind="html", status=200, path="* /v1/*"):
        report = doctor(stage)[1]
        assert bad(report)["api"] == "captive_portal"
        assert "sign-in page" in said(report, "api")
    stage.lab.run("device", ["ip", "addr", "flush", "dev", "eth0"])
    report = doctor(stage)[1]
    assert bad(report).items() >= {"address": "no_address", "gateway": "no_route"}.items()
    stage.lab.unplug()
    report = doctor(stage)[1]
    assert bad(report)["link"] == "no_link"
    assert said(report, "link") == "Nothing is connected: eth0."
    stage.lab.plug("office")
    bound(stage)
    assert doctor(stage)[0] == 0


def test_broken_accounts_and_dead_programs(open_stage: Open) -> None:
    stage = open_stage()
    move_in(stage)
    good = (stage.folder / "token").read_text()
    stage.control("POST", "users", {"id": "user_other", "sip_username": "other", "sip_password": "x"})
    other = stage.control("POST", "tokens", {"user": "user_other", "ttl_seconds": 3600})["client_secret"]
    secret(stage.folder / "token", other)
    report = doctor(stage)[1]
    assert bad(report)["token"] == "token_other_user"
    stage.visitor().submit("/setup/platform", "/setup/platform/user", {})  # a person wants to be that user
    assert "token" not in bad(doctor(stage)[1])
    stage.visitor().submit("/settings", "/settings/undo", {})
    assert bad(doctor(stage)[1])["token"] == "token_other_user"
    stage.write_token(ttl_seconds=1)
    eventually("the token's end", lambda: bad(doctor(stage)[1]).get("token") == "token_expired")
    secret(stage.folder / "token", good)
    stage.control("POST", "users", {"id": USER, "sip_username": "kiosk", "sip_password": "another"})
    kill(stage, "voice")
    shows(stage, "fault", "wrong_password")
    report = doctor(stage)[1]
    assert bad(report)["sip"] == "wrong_password"
    assert said(report, "sip").startswith("The registrar refused the user name or the password (401")
    stage.control("POST", "users", {"id": USER, "sip_username": "kiosk", "sip_password": PASSWORD})
    end_voice(stage)
    assert bad(doctor(stage)[1]).items() >= {"sip": "voice_dead", "processes": "voice_dead"}.items()
    stage.stop_agent()
    named = stage.folder / "named.toml"
    named.write_text(
        (stage.folder / "agent.toml").read_text().replace(f"http://{PLATFORM}:8080", "http://api.lab.test:8080")
    )
    code, report = doctor(stage, config=named)
    assert (code, report["by"]) == (1, "command line")
    assert bad(report)["binding"] == "agent_dead"
    assert bad(report)["dns"] in {"dns_silent", "dns_unknown"}
    assert "api.lab.test" in said(report, "dns")


def test_s10_a_bundle_holds_what_support_needs_and_no_secret(open_stage: Open) -> None:
    stage = open_stage()
    move_in(stage)
    token = (stage.folder / "token").read_text()
    stage.control("POST", "revoke", {"user": USER})
    stage.lab.plug("home")
    stage.write_token()
    hidden = {PASSWORD, token, (stage.folder / "token").read_text()}
    archive = stage.folder / "support.tar.gz"
    code, report = doctor(stage, "--bundle", str(archive))
    assert (report["bundle"], code in {0, 1}) == (str(archive), True)
    assert archive.stat().st_mode & 0o777 == 0o600
    texts = unpacked(archive)
    assert {"report.json", "report.txt", "settings.json", "status.json", "decisions.json", "places.json", "log.txt",
            "network.json", "versions.txt"} <= texts.keys()  # fmt: skip
    assert json.loads(texts["settings.json"])["sip"]["username"] == "kiosk"
    assert "gateway_mac" in texts["decisions.json"]
    assert "status" in texts["log.txt"]
    leaks = [(name, text[:4]) for name, body in texts.items() for text in hidden if text in body]
    assert leaks == []
    stage.stop_agent()
    doctor(stage, "--bundle", str(archive))
    assert [name for name, body in unpacked(archive).items() for text in hidden if text in body] == []
    assert PASSWORD not in look_through(stage)


def unpacked(archive: Path) -> dict[str, str]:
    """Return name -> text of a bundle."""
    with tarfile.open(archive) as files:
        found = {}
        for one in files.getmembers():
            file = files.extractfile(one)
            assert file is not None
            found[Path(one.name).name] = file.read().decode()
        return found


def look_through(stage: Stage) -> str:
    """Return what the technician's pages say."""
    stage.start_agent()
    pages = ("/settings", "/settings/line", "/settings/platform", "/setup", "/setup/platform", "/setup/line",
             "/setup/label", "/diagnostics")  # fmt: skip
    answers = [look(stage, url) for url in pages]
    assert [status for status, _ in answers] == [200] * len(pages)
    return "\n".join(text for _, text in answers)

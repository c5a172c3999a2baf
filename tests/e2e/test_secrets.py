"""S10: secrets stay secret, after a day with moves, failures, calls and wrong answers."""

from __future__ import annotations

import contextlib
import http.server
import json
import re
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.lab.http_unix import UnixConnection, call_json
from agent.lab.stage import HOME, OFFICE, PASSWORD, USER, Stage, secret
from agent.lab.topology import PLATFORM
from tests.e2e.conftest import Open
from tests.e2e.house import bound, confirm, kill, look, shows
from tests.e2e.neighbor import set_pin
from tests.e2e.phone import dial

pytestmark = [pytest.mark.netns, pytest.mark.sip]

OWN = {"sip-password", "token", "endpoint-secret", "page-key.pem", "notify-smtp-password"}
"""Files of the device that hold one secret each and nothing else; `NAME.before-ID` are those that were replaced."""
ENTERED = tuple(f"mail-{secrets.token_hex(12)}" for _ in range(3))
"""Passwords that are entered on the page one after the other."""
PINS = {"staff": "4028167395184", "technician": "9517304862051", "wrong": "7730952846113"}
"""Long ones: the digits of a short one stand in some time stamp by chance."""
ON_LINK = 'listen = "link"\nannounce = false'
PLATFORMS = {"simulator.json"}
"""The platform's own file; it is not on the device."""
PAGES = (
    "/", "/addresses", "/addresses/new", "/history", "/static/page.js", "/static/page.css", "/nowhere",
    "/api/v1/status", "/api/v1/addresses", "/api/v1/places", "/api/v1/decisions?limit=1000", "/api/v1/nowhere",
    "/login", "/access", "/audit", "/api/v1/access", "/api/v1/audit",
    "/settings", "/settings/line", "/settings/platform", "/settings/page", "/setup", "/setup/line", "/setup/platform",
    "/setup/pin", "/setup/label", "/diagnostics", "/notices", "/test", "/metrics", "/history.csv", "/history.json",
    "/api/v1/notices", "/api/v1/test-calls",
)  # fmt: skip
STREAMS = ("/events", "/api/v1/events")
COMMANDS = (
    ["status", "--json"], ["status"], ["addresses", "--json"], ["decisions", "--json"], ["places", "--json"],
    ["check-config", "--json"], ["check-config"], ["version"],
    ["access"], ["audit"], ["audit", "--json"],
)  # fmt: skip


class TokenDesk:
    """A site's token endpoint: mints for who knows its secret, remembers what it gave out."""

    def __init__(self, stage: Stage) -> None:
        self.secret = f"endpoint-{secrets.token_hex(16)}"
        self.minted: set[str] = set()
        desk = self

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                known = self.headers["Authorization"] == f"Bearer {desk.secret}"
                body = stage.control("POST", "tokens", {"user": USER}) if known else {"error": "who are you?"}
                desk.minted |= {body["client_secret"]} if known else set()
                raw = json.dumps(body).encode()
                self.send_response(201 if known else 401)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                with contextlib.suppress(BrokenPipeError):  # the cable was moved meanwhile
                    self.wfile.write(raw)

            def log_message(self, *_: object) -> None:
                """Stay quiet."""

        with stage.lab.in_namespace("platform"):
            self.server = http.server.ThreadingHTTPServer((PLATFORM, 0), Answer)
        self.url = f"http://{PLATFORM}:{self.server.server_address[1]}/token"


@contextmanager
def token_desk(stage: Stage) -> Iterator[TokenDesk]:
    desk = TokenDesk(stage)
    thread = threading.Thread(target=desk.server.serve_forever, name="token desk")
    thread.start()
    try:
        yield desk
    finally:
        desk.server.shutdown()
        desk.server.server_close()
        thread.join()


def configure(stage: Stage, desk: TokenDesk, **changes: str) -> None:
    """Write a configuration that takes its token from the endpoint."""
    path = stage.write_config(page=ON_LINK, **changes)
    source = f'source = "endpoint"\nendpoint = "{desk.url}"\nendpoint_secret_file = "{stage.folder}/endpoint-secret"'
    path.write_text(re.sub(r"\[token\]\nfile = .*", f"[token]\n{source}", path.read_text()))


class Ears:
    """Everything that the device said to anybody."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.heard: dict[str, str] = {}

    def listen(self, when: str) -> None:
        """Read every page, stream and command."""
        for url in PAGES:
            _, self.heard[f"{when}: {url}"] = look(self._stage, url)
        for url in STREAMS:
            self.heard[f"{when}: {url}"] = self._beginning(url)
        for command in COMMANDS:
            self.heard[f"{when}: {' '.join(command)}"] = self._command(command)
        for name in ("agent", "voice"):
            pid = self._stage.process(name).pid
            self.heard[f"{when}: {name}'s arguments"] = Path(f"/proc/{pid}/cmdline").read_text()
            self.heard[f"{when}: {name}'s environment"] = Path(f"/proc/{pid}/environ").read_text()

    def _beginning(self, url: str) -> str:
        connection = UnixConnection(self._stage.agent_socket)
        connection.request("GET", url, headers={"Host": "localhost"})
        text = connection.getresponse().read1(65536).decode()
        connection.close()
        return text

    def _command(self, command: list[str]) -> str:
        argv = ["-m", "agent", "--config", str(self._stage.folder / "agent.toml"), *command]
        done = subprocess.run(
            [sys.executable, *argv],
            capture_output=True,
            text=True,
            check=False,
            cwd=Path(__file__).resolve().parents[2],
        )
        return done.stdout + done.stderr


def replace_secrets(stage: Stage, ears: Ears) -> None:
    """Enter secrets on the page, replace them, take one back; one that was replaced is there from then on."""
    folder = stage.folder / "state" / "secrets"
    for number, password in enumerate(ENTERED):
        fields = {"notify.tests": "yes", "notify_email.password_file": password}
        _, ears.heard[f"secret {number} entered"] = stage.visitor().submit(
            "/settings/notices", "/settings/notices", fields
        )
    wrong = {"notify.tests": "yes", "notify_email.password_file": ENTERED[0], "notify_email.port": "0"}
    _, ears.heard["a mistake beside it"] = stage.visitor().submit("/settings/notices", "/settings/notices", wrong)
    _, ears.heard["undo"] = stage.visitor().submit("/settings", "/settings/undo", {})
    assert "Taken back: Password at the mail server." in ears.heard["undo"]
    assert (folder / "notify-smtp-password").read_text() == ENTERED[1]
    fields = {"notify.tests": "yes", "notify_email.password_file": ENTERED[2]}
    stage.visitor().submit("/settings/notices", "/settings/notices", fields)
    assert [path.read_text() for path in folder.glob("*.before-*")] == [ENTERED[1]]


def live(stage: Stage, desk: TokenDesk, ears: Ears) -> None:
    """Confirm, move, fail in every way that mentions a secret, call, restart."""
    stage.wait_until("the question", lambda seen: seen["ask"] != "nothing")
    ears.heard["pin set"] = set_pin(stage, PINS["staff"]) + set_pin(stage, PINS["technician"], "--technician")
    for pin in ("wrong", "staff", "technician"):
        _, ears.heard[f"signing in, {pin}"] = stage.visitor().submit("/login", "/login", {"pin": PINS[pin]})
    confirm(stage, OFFICE)
    bound(stage)
    replace_secrets(stage, ears)
    dial(stage, "933", seconds=2)
    ears.listen("bound")
    ears.heard["bundle"] = json.dumps(call_json(stage.agent_socket, "POST", "/api/v1/diagnostics/bundle", {}))
    stage.control("POST", "revoke", {"user": USER})
    stage.lab.plug("home")
    stage.wait_until("provisional", lambda seen: seen["status"]["kind"] == "provisional", 60)
    confirm(stage, HOME)
    bound(stage, HOME)
    stage.control("POST", "faults", {"kind": "status", "status": 401, "path": "* /v1/*", "count": None})
    stage.lab.plug("office")
    shows(stage, "fault", "token_refused")
    ears.listen("token refused")
    stage.control("DELETE", "faults")
    stage.stop_agent()
    secret(stage.folder / "endpoint-secret", f"{desk.secret}-wrong")
    stage.start_agent()
    shows(stage, "fault", "token_source")
    ears.listen("endpoint refuses")
    secret(stage.folder / "endpoint-secret", desk.secret)


def blunder(stage: Stage, desk: TokenDesk, ears: Ears) -> None:
    """Write secrets where they must not stand, and a password that is refused."""
    stage.stop_agent()
    configure(stage, desk, sip=f'password = "{PASSWORD}"', platform_more=f'token = "{desk.secret}"')
    stage.control("POST", "users", {"id": USER, "sip_username": "kiosk", "sip_password": "another"})
    kill(stage, "voice")
    stage.start_agent()
    stage.wait_until("the refusal", lambda seen: "password is not accepted" in seen["phone"])
    shows(stage, "fault", "config_invalid")
    ears.listen("secrets in the configuration")
    stage.stop_agent()
    configure(stage, desk)


def test_s10_secrets_appear_nowhere_but_in_their_own_files(open_stage: Open) -> None:
    stage = open_stage()
    stage.start_platform()
    (stage.folder / "token").unlink()
    ears = Ears(stage)
    with token_desk(stage) as desk:
        secret(stage.folder / "endpoint-secret", desk.secret)
        configure(stage, desk)
        stage.lab.plug("office")
        stage.start_voice()
        stage.start_agent()
        live(stage, desk, ears)
        blunder(stage, desk, ears)
    key = (stage.folder / "state" / "page-key.pem").read_text().splitlines()[1]
    assert "versions.txt" in ears.heard["bundle"]
    absent = {where for where, text in ears.heard.items() if "There is no such page" in text}
    assert {where for where in absent if "nowhere" not in where} == set()
    hidden = {PASSWORD, desk.secret, *desk.minted, *PINS.values(), *ENTERED, key}
    assert len(hidden) > 7, "there were secrets to keep"
    told = {(where, word) for where, text in ears.heard.items() for word in hidden if word in text}
    assert told == set()
    files = [
        path for path in stage.folder.rglob("*")
        if path.is_file() and path.name.partition(".before-")[0] not in OWN | PLATFORMS
    ]  # fmt: skip
    written = {(str(path), word) for path in files for word in hidden if word.encode() in path.read_bytes()}
    assert written == set()
    assert {path.name for path in files} >= {"agent.log", "voice.log", "agent.db"}

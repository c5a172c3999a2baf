"""The whole main job on one machine: lab, simulator with Kamailio, voice and agent, each a real process."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from agent.lab.http_unix import Visitor, call_json
from agent.lab.lab import Lab
from agent.lab.process import Follower, Late, die_with_parent, stop
from agent.lab.topology import PLATFORM
from agent.model import CivicAddress

USER = "user_kiosk"
PASSWORD = "kiosk-password"  # noqa: S105 - of a simulator
OFFICE = CivicAddress("123", "Main St", "San Francisco", "CA", "94105", "Suite 400")
HOME = CivicAddress("500", "Elm St", "San Francisco", "CA", "94105")
LIT = frozenset({"bound", "provisional"})
"""Kinds of status that show a light."""


class Stage:
    """A context manager; everything that it starts ends with it. Needs root, or `agent.lab.unprivileged`."""

    def __init__(
        self, mobility: str = "fixed", *, backup: bool = True, laptop: bool = False, ipv6: bool = False,
        run: Path | None = None,
        transport: str = "udp",
    ) -> None:  # fmt: skip
        self.mobility = mobility
        self.transport = transport
        self.folder = run or Path(tempfile.mkdtemp(prefix="dialstack-lab-"))
        self.lab = Lab(backup=backup, laptop=laptop, ipv6=ipv6)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.logs: dict[str, Follower] = {}
        self._respawn = threading.Event()

    def __enter__(self) -> Self:
        """Build the networks; nothing runs yet and nothing is plugged in."""
        self.lab.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the programs, newest first, then the networks."""
        self._respawn.set()
        if "voice" in self._processes:
            self._processes["voice"].kill()  # asked to stop, it would wait for its calls (S4)
        for process in reversed(list(self._processes.values())):
            stop(process)
        for follower in self.logs.values():
            follower.join()
        self.lab.__exit__(kind, error, trace)

    # ------------------------------------------------------------------ programs

    def start_platform(self) -> None:
        """Start the simulator and its registrar, and give the device a token."""
        config = self.folder / "simulator.json"
        users = [{"id": USER, "sip_username": "kiosk", "sip_password": PASSWORD}]
        config.write_text(json.dumps({"users": users}))
        argv = ["-m", "agent.simulator", "--address", PLATFORM, "--run", str(self.folder / "platform")]
        self._start("simulator", "platform", [*argv, "--config", str(config)], stdout=True)
        self.logs["simulator"].wait("the simulator's start", lambda line: bool(line.get("ready")), seconds=30)
        self.write_token()

    def write_token(self, ttl_seconds: int = 86400) -> None:
        """Mint a user token and put it where the agent reads it, as a site's provisioning would."""
        minted = self.control("POST", "tokens", {"user": USER, "ttl_seconds": ttl_seconds})
        secret(self.folder / "token", minted["client_secret"])

    def write_config(self, **changes: str) -> Path:
        """Write the device's configuration; `changes` are whole lines by section."""
        secret(self.folder / "sip-password", PASSWORD)
        state = self.folder / "state"
        text = CONFIG.format(
            folder=self.folder, state=state, mobility=self.mobility, platform=PLATFORM, transport=self.transport,
            **{name: changes.get(name, "") for name in ("sip", "platform_more", "network", "page", "more")},
        )  # fmt: skip
        path = self.folder / "agent.toml"
        path.write_text(text)
        return path

    def write_blank_config(self) -> Path:
        """Write the configuration of a device as it is unpacked: where files are, and nothing else."""
        path = self.folder / "agent.toml"
        path.write_text(BLANK.format(folder=self.folder, state=self.folder / "state"))
        return path

    def start_voice(self) -> None:
        """Start `dialstack-voice`, and again whenever it ends, as systemd does."""
        self._start("voice", "device", ["-m", "agent.voice", "--config", str(self.folder / "agent.toml")])
        threading.Thread(target=self._keep_voice, name="keep-voice", daemon=True).start()

    def _keep_voice(self) -> None:
        while not self._respawn.wait(0.05):
            if self._processes["voice"].poll() is not None and not self._respawn.is_set():
                self._start("voice", "device", ["-m", "agent.voice", "--config", str(self.folder / "agent.toml")])

    def start_agent(self) -> None:
        """Start `dialstack-agent run`."""
        argv = ["-m", "agent", "--config", str(self.folder / "agent.toml"), "run"]
        self._start("agent", "device", argv)
        self.logs["agent"].wait("the page", lambda line: line.get("event") == "page" and "socket" in line)

    def stop_agent(self) -> None:
        """End the agent; the phone goes on."""
        stop(self._processes["agent"])

    def _start(self, name: str, role: str, argv: list[str], *, stdout: bool = False) -> None:
        environment = {**os.environ, "DIALSTACK_AGENT_LOG": "json", "PYTHONUNBUFFERED": "1"}
        environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).resolve().parents[2]), *filter(None, sys.path)])
        log = self.folder / f"{name}.log"
        with log.open("ab") as out:
            process = self.lab.exec(
                role, [sys.executable, *argv], env=environment, preexec_fn=die_with_parent,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE if stdout else out,
                stderr=out if stdout else subprocess.PIPE,
            )  # fmt: skip
        self._processes[name] = process
        self.logs[name] = Follower(process.stdout if stdout else process.stderr, log)

    def process(self, name: str) -> subprocess.Popen[bytes]:
        """Return a running program."""
        return self._processes[name]

    # ------------------------------------------------------------------ looking and acting

    @property
    def agent_socket(self) -> Path:
        """The page and API of the device."""
        return self.folder / "agent.sock"

    def control(self, method: str, path: str, body: object = None) -> Any:
        """Talk to the simulator's control API."""
        return call_json(self.folder / "platform" / "control.sock", method, f"/control/{path}", body)

    def status(self) -> dict[str, Any]:
        """Return the overview of the agent's API."""
        found: dict[str, Any] = call_json(self.agent_socket, "GET", "/api/v1/status")
        return found

    def places(self) -> list[dict[str, Any]]:
        """Return the places that the device knows."""
        places: list[dict[str, Any]] = call_json(self.agent_socket, "GET", "/api/v1/places")["places"]
        return places

    def visitor(self) -> Visitor:
        """Return a person at the device's page."""
        return Visitor(self.agent_socket)

    def wait_status(self, kind: str, *, after: int = 0, seconds: float = 20.0) -> dict[str, Any]:
        """Wait until the light is `kind` and return the log line that says so."""
        mark = after

        def wanted(line: dict[str, Any]) -> bool:
            return line.get("event") == "status" and line.get("kind") == kind

        return self.logs["agent"].wait(f"status {kind}", wanted, after=mark, seconds=seconds)

    def wait_until(self, what: str, test: Callable[[dict[str, Any]], bool], seconds: float = 20.0) -> dict[str, Any]:
        """Poll the overview until it passes the test; raises Late."""
        deadline = time.monotonic() + seconds
        while True:
            overview = self.status()
            if test(overview):
                return overview
            if time.monotonic() > deadline:
                raise Late(
                    f"{what} did not happen within {seconds:g} s; the page says: {overview['status']['sentence']}"
                )
            time.sleep(0.05)

    def platform_log(self, kind: str, since: int = 0) -> list[dict[str, Any]]:
        """Return entries of the simulator's log."""
        entries: list[dict[str, Any]] = self.control("GET", f"log?since={since}&kind={kind}")["entries"]
        return entries

    def platform_mark(self) -> int:
        """Return the number of the next entry of the simulator's log."""
        return int(self.control("GET", "log?since=0")["next"])

    def saved(self) -> list[dict[str, Any]]:
        """Return the device's addresses as the platform has them."""
        found: list[dict[str, Any]] = self.control("GET", f"state?user={USER}")["addresses"][USER]
        return found


def secret(path: Path, text: str) -> None:
    """Write a file that only we may read."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def form_fields(civic: CivicAddress) -> dict[str, str]:
    """Return an address as the page's form sends it."""
    fields = {name: str(value) for name, value in dataclasses.asdict(civic).items()}
    return fields if civic.unit else {**fields, "no_unit": "yes"}


BLANK = """
[sip]
socket = "{folder}/voice.sock"
recordings = "{folder}"
[page]
socket = "{folder}/agent.sock"
[paths]
state = "{state}"
"""
CONFIG = """
[sip]
registrar = "{platform}"
transport = "{transport}"
username = "kiosk"
domain = "dialstack.ai"
recordings = "{folder}"
password_file = "{folder}/sip-password"
socket = "{folder}/voice.sock"
{sip}

[platform]
api = "http://{platform}:8080"
ping_interval = 2
{platform_more}

[token]
file = "{folder}/token"

[device]
name = "Lobby kiosk"
mobility = "{mobility}"

[network]
{network}

[page]
socket = "{folder}/agent.sock"
{page}

[paths]
state = "{state}"

[address]
address_number = "123"
street = "Main St"
unit = "Suite 400"
city = "San Francisco"
state = "CA"
postal_code = "94105"

{more}
"""

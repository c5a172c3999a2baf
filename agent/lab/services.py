"""The lab with the installed services in it: systemd runs `dialstack-agent` and `dialstack-voice` on the lab's device.

Needs root and a systemd. Configuration, credentials and units of the machine are used for as long as the stage is open:
for a machine that is there for this purpose, never for a phone in use.
"""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from agent.lab.process import Follower
from agent.lab.stage import PASSWORD, Stage, secret

CONFIG = Path("/etc/dialstack-agent/agent.toml")
CREDENTIALS = Path("/etc/dialstack-agent/credentials")
UNITS = ("dialstack-voice.service", "dialstack-agent.service")
DROPINS = Path("/run/systemd/system")
_ELSEWHERE = re.compile(r'^(password_file|socket|file|state) = "/.*\n', re.MULTILINE)
"""What the stage keeps in its folder and the services have in their own places."""


class Services(Stage):
    """A stage whose agent and voice are the installed services, sandbox, credentials and all."""

    def __enter__(self) -> Self:
        """Build the networks, take the services off the machine's own network, and let them forget everything."""
        super().__enter__()
        self._before = CONFIG.read_text()
        systemctl("stop", "dialstack-agent-credentials.path", "dialstack-voice-credentials.path", *UNITS)
        systemctl("clean", "--what=state", *UNITS)
        subprocess.run(["systemd-tmpfiles", "--create", "dialstack-agent.conf"], check=True)
        for unit in UNITS:
            path = DROPINS / f"{unit}.d" / "lab.conf"
            path.parent.mkdir(parents=True, exist_ok=True)
            namespace = f"/run/netns/{self.lab.namespace('device')}"
            path.write_text(f"[Service]\nNetworkNamespacePath={namespace}\nEnvironment=DIALSTACK_AGENT_LOG=json\n")
        systemctl("daemon-reload")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the services and leave the machine as it was, services stopped."""
        systemctl("stop", *UNITS)
        for unit in UNITS:
            (DROPINS / f"{unit}.d" / "lab.conf").unlink(missing_ok=True)
        systemctl("daemon-reload")
        CONFIG.write_text(self._before)
        for name in ("token", "sip-password"):
            (CREDENTIALS / name).unlink(missing_ok=True)
        super().__exit__(kind, error, trace)

    def write_token(self, ttl_seconds: int = 86400) -> None:
        """Mint a user token and make it a credential."""
        super().write_token(ttl_seconds)
        secret(CREDENTIALS / "token", (self.folder / "token").read_text())

    def write_config(self, **changes: str) -> Path:
        """Write the configuration of the services; what belongs to them alone stands in its usual place."""
        text = _ELSEWHERE.sub("", super().write_config(**changes).read_text())
        CONFIG.write_text(text)
        secret(CREDENTIALS / "sip-password", PASSWORD)
        return CONFIG

    def start_voice(self) -> None:
        """Start the SIP line; systemd starts it again whenever it ends."""
        self._follow("voice")
        systemctl("start", "dialstack-voice.service")

    def start_agent(self) -> None:
        """Start the agent."""
        self._follow("agent")
        mark = self.logs["agent"].mark()
        systemctl("start", "dialstack-agent.service")
        self.logs["agent"].wait(
            "the page", lambda line: line.get("event") == "page" and "socket" in line, after=mark, seconds=30
        )

    def stop_agent(self) -> None:
        """Stop the agent; the phone goes on."""
        systemctl("stop", "dialstack-agent.service")

    @property
    def agent_socket(self) -> Path:
        """The page and API of the device."""
        return Path("/run/dialstack-agent/agent.sock")

    def _follow(self, name: str) -> None:
        """Read the journal of a service from now on."""
        if name in self.logs:
            return
        since = f"--since=@{int(time.time())}"
        command = ["journalctl", "-f", "-q", "-o", "cat", "-n", "all", since, "-u", f"dialstack-{name}.service"]
        journal = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self._processes[f"journal of {name}"] = journal
        self.logs[name] = Follower(journal.stdout, self.folder / f"{name}.log")


def systemctl(*arguments: str) -> None:
    """Run systemctl; raises CalledProcessError."""
    subprocess.run(["systemctl", *arguments], check=True, stdin=subprocess.DEVNULL)

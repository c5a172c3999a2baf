"""People at other computers in the end-to-end tests: HTTPS from another namespace, cookies kept, forms sent."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

from agent.lab.stage import Stage

DEVICE = "192.168.1.50"
HTTPS, HTTP = 8912, 8911
PATIENCE = 10.0
ROOT = Path(__file__).resolve().parents[2]


def connect(stage: Stage, role: str, port: int, address: str = DEVICE) -> socket.socket:
    """Return a TCP connection from a namespace; raises OSError."""
    with stage.lab.in_namespace(role):
        return socket.create_connection((address, port), timeout=PATIENCE)


class Neighbor:
    """Somebody at a computer, who trusts this certificate alone."""

    def __init__(self, stage: Stage, role: str = "laptop", address: str = DEVICE) -> None:
        self._stage, self._role, self._address = stage, role, address
        self._cookies: dict[str, str] = {}

    def request(
        self, method: str, url: str, body: str | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, str, str]:
        """Return status, body and Location."""
        trusted = ssl.create_default_context(cafile=str(self._stage.folder / "state" / "page-cert.pem"))
        raw = connect(self._stage, self._role, HTTPS, self._address)
        connection = http.client.HTTPSConnection(self._address, HTTPS)
        connection.sock = trusted.wrap_socket(raw, server_hostname=self._address)
        sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items()), **(headers or {})}
        if body is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            connection.request(method, url, body, sent)
            answer = connection.getresponse()
            for cookie in answer.headers.get_all("Set-Cookie") or ():
                name, _, value = cookie.partition(";")[0].partition("=")
                self._cookies[name] = value
            return answer.status, answer.read().decode(), answer.headers.get("Location", "")
        finally:
            connection.close()

    def submit(self, page_url: str, action: str, fields: Mapping[str, str]) -> tuple[int, str, str]:
        """Open the page with the form and send it filled in."""
        token = re.search(r'name="csrf" value="([^"]+)"', self.request("GET", page_url)[1])
        assert token
        return self.request("POST", action, urlencode({"csrf": token[1], **fields}))


def set_pin(stage: Stage, pin: str, *options: str) -> str:
    """Set a PIN with the command, as a technician does; return all that it said."""
    argv = [sys.executable, "-m", "agent", "--config", str(stage.folder / "agent.toml"), "pin", "set", *options]
    done = subprocess.run(argv, input=f"{pin}\n", capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout + done.stderr

"""HTTP over a Unix socket, as a browser on the device or a curl of the operator would speak it."""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode


class UnixConnection(http.client.HTTPConnection):
    """http.client over a Unix socket."""

    def __init__(self, path: Path, seconds: float = 10.0) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        """Connect to the path."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def call_json(path: Path, method: str, url: str, body: object = None) -> Any:
    """Return the JSON answer of a request; raises RuntimeError with the body for a status that is not 2xx."""
    connection = UnixConnection(path)
    try:
        text = None if body is None else json.dumps(body)
        connection.request(method, url, text, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        raw = answer.read()
    finally:
        connection.close()
    if answer.status // 100 != 2:  # noqa: PLR2004 - success
        raise RuntimeError(f"{method} {url}: {answer.status} {raw[:500]!r}")
    return json.loads(raw) if raw else None


class Visitor:
    """A person at the page without JavaScript: keeps the cookie, reads forms, sends them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._cookie = ""

    def get(self, url: str) -> str:
        """Return a page."""
        return self._request("GET", url, None)[1]

    def submit(self, page_url: str, action: str, fields: Mapping[str, str]) -> tuple[int, str]:
        """Open the page with the form, send it filled in, follow the redirect; return (status of the POST, page)."""
        hidden = re.findall(r'type="hidden" name="(csrf|version)" value="([^"]*)"', self.get(page_url))
        filled = {"csrf": "", **dict(hidden), **fields}
        status, text, location = self._request("POST", action, urlencode(filled))
        return status, self.get(location) if location else text

    def _request(self, method: str, url: str, body: str | None) -> tuple[int, str, str] | tuple[int, str, Any]:
        connection = UnixConnection(self._path)
        headers = {"Host": "localhost", "Cookie": self._cookie}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            connection.request(method, url, body, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        cookie = answer.getheader("Set-Cookie")
        if cookie:
            self._cookie = cookie.split(";")[0]
        return answer.status, text, answer.getheader("Location") or ""

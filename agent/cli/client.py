"""The command line's way to the daemon: plain HTTP over its Unix socket, nothing heavy imported."""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TIMEOUT = 30.0
"""Seconds: the daemon itself waits 8 s for each of at most three platform requests."""
EVENT_TIMEOUT = 15.0
"""Seconds without an event, three beats: the daemon hangs."""
MAX_ANSWER = 8 * 1024 * 1024
"""Bytes of one answer."""

OK, FAILED, USAGE, NOT_RUNNING, CONFIG_INVALID, NOT_BOUND = range(6)
EXIT_CODES = {
    OK: "done",
    FAILED: "the agent said no, or the command failed",
    USAGE: "the command was used wrongly",
    NOT_RUNNING: "the agent is not running or does not answer",
    CONFIG_INVALID: "the configuration is invalid",
    NOT_BOUND: "the address is not bound (only `status --check`)",
}
"""Exit code -> what it means; `--help` and the manual show it."""


UNTOUCHED = "Nothing was changed; 911 does not depend on this command."
"""What a failure means for 911 where nothing else is said."""


class Failure(Exception):
    """Ends a command: exit code and the three sentences."""

    def __init__(
        self,
        exit_code: int,
        happened: str,
        *,
        todo: str,
        emergency: str = UNTOUCHED,
        code: str = "failed",
        fields: dict[str, str] | None = None,
    ) -> None:
        super().__init__(happened)
        self.exit_code = exit_code
        self.error = {
            "code": code,
            "happened": happened,
            "emergency": emergency,
            "todo": todo,
            "fields": fields or {},
        }


def not_running(path: Path, why: str) -> Failure:
    """Return the failure that says what a dead agent means for 911."""
    return Failure(
        NOT_RUNNING,
        f"The agent is not running: {why} on {path}.",
        emergency=(
            "911 and 933 still go out through dialstack-voice, but nothing keeps the emergency address bound: "
            "after a move 911 may get no address."
        ),
        todo="Start it with `systemctl start dialstack-agent`; `journalctl -u dialstack-agent` says why it stopped.",
        code="not_running",
    )


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connected.settimeout(self.timeout)
        try:
            connected.connect(str(self._path))
        except BaseException:
            connected.close()
            raise
        self.sock = connected


class Client:
    """Speaks `/api/v1` (agent/page/API.md); every method may raise Failure."""

    def __init__(self, path: Path, timeout: float = TIMEOUT) -> None:
        self.path = path
        self._timeout = timeout

    def get(self, path: str) -> Any:
        """Return the JSON of a GET."""
        return self._ask("GET", path, None)

    def post(self, path: str, body: object | None = None) -> Any:
        """Return the JSON answer to a POST."""
        return self._ask("POST", path, body if body is not None else {})

    def delete(self, path: str) -> Any:
        """Return the JSON answer to a DELETE."""
        return self._ask("DELETE", path, {})

    def download(self, path: str) -> bytes:
        """Return the body of a GET as it is."""
        connection, response = self._send("GET", path, None, self._timeout)
        try:
            return response.read(MAX_ANSWER)
        except (OSError, http.client.HTTPException) as error:
            raise _strange(self.path, str(error)) from error
        finally:
            connection.close()

    def events(self) -> Iterator[Any]:
        """Yield each overview as it comes; ends only with Failure."""
        connection, response = self._send("GET", "/events", None, EVENT_TIMEOUT)
        try:
            name = ""
            for raw in iter(response.readline, b""):
                field, _, value = raw.decode().rstrip("\r\n").partition(": ")
                if field == "event":
                    name = value
                elif field == "data" and name == "status":
                    yield json.loads(value)
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        raise not_running(self.path, "the connection ended")

    def _ask(self, method: str, path: str, body: object | None) -> Any:
        connection, response = self._send(method, path, body, self._timeout)
        try:
            return json.loads(response.read(MAX_ANSWER))
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise _strange(self.path, str(error)) from error
        finally:
            connection.close()

    def _send(
        self, method: str, path: str, body: object | None, timeout: float
    ) -> tuple[_Connection, http.client.HTTPResponse]:
        connection = _Connection(self.path, timeout)
        headers = {} if body is None else {"Content-Type": "application/json"}
        payload = None if body is None else json.dumps(body).encode()
        try:
            connection.request(method, f"/api/v1{path}", body=payload, headers=headers)
            response = connection.getresponse()
            if response.status >= http.client.BAD_REQUEST:
                raise _refused(self.path, response)
        except BaseException as error:
            connection.close()
            if isinstance(error, (OSError, http.client.HTTPException)):
                raise _unreachable(self.path, error) from error
            raise
        return connection, response


def _unreachable(path: Path, error: Exception) -> Failure:
    if isinstance(error, PermissionError):
        return Failure(
            FAILED,
            f"You may not use {path}.",
            emergency="Nothing was changed; 911 and 933 still go out.",
            todo=f"Run it as root or as a member of the group that owns the socket (you are uid {os.getuid()}).",
            code="not_permitted",
        )
    if isinstance(error, FileNotFoundError):
        return not_running(path, "there is no socket")
    if isinstance(error, TimeoutError):
        return not_running(path, "it does not answer")
    return not_running(path, "nobody answers")


def _strange(path: Path, why: str) -> Failure:
    return Failure(
        FAILED,
        f"What answers on {path} is not the agent: {why}.",
        emergency="Nothing is known about 911 from here.",
        todo="Check --socket.",
        code="strange_answer",
    )


def _refused(path: Path, response: http.client.HTTPResponse) -> Failure:
    try:
        error = json.loads(response.read(MAX_ANSWER))["error"]
        return Failure(
            FAILED,
            str(error["happened"]),
            emergency=str(error["emergency"]),
            todo=str(error["todo"]),
            code=str(error["code"]),
            fields={str(name): str(text) for name, text in error["fields"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return _strange(path, f"HTTP status {response.status}")

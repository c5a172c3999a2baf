"""What people and accidents do in the end-to-end tests, and what is asked of every answer."""

from __future__ import annotations

import contextlib
import html
import http.client
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Self

from agent.lab.http_unix import UnixConnection
from agent.lab.process import stop
from agent.lab.stage import LIT, OFFICE, USER, Stage, form_fields
from agent.lab.topology import PLATFORM
from agent.model import CivicAddress

PATIENCE = 60.0
"""Seconds until a test gives up; no expectation about speed."""
Line = dict[str, Any]


# ------------------------------------------------------------------ people


def confirm(stage: Stage, civic: CivicAddress = OFFICE) -> None:
    """Answer the question on the page's own form."""
    status, page = stage.visitor().submit("/addresses/new", "/addresses/new", form_fields(civic))
    assert status // 100 == 3, page


def switch_on(stage: Stage, site: str = "office", **config: str) -> None:
    """Start everything with the cable plugged in."""
    stage.start_platform()
    stage.write_config(**config)
    stage.lab.plug(site)
    stage.start_voice()
    stage.start_agent()


def move_in(stage: Stage, **config: str) -> str:
    """Start everything at the office, confirm it there, and return the address's id once it is bound."""
    switch_on(stage, **config)
    stage.wait_until("the question", lambda seen: seen["ask"] != "nothing", PATIENCE)
    confirm(stage)
    return bound(stage)


def bound(stage: Stage, civic: CivicAddress = OFFICE) -> str:
    """Wait until an address is shown as bound, as the platform sees it too; return its id."""
    seen = stage.wait_until("bound", lambda seen: seen["status"]["kind"] == "bound", PATIENCE)
    assert seen["proven"]
    assert seen["status"]["sentence"] == f"911 sends help to {civic.one_line()}. Proven on this network."
    assert seen["address_id"] in truly_bound(stage)
    return str(seen["address_id"])


def truly_bound(stage: Stage) -> set[str]:
    """Return the ids that the platform has bound in live sessions and registrations.

    Of registrations with the same Contact only the newest counts (RFC 3261 10.3): it replaced the others.
    """
    state = stage.control("GET", f"state?user={USER}")
    newest: dict[str, Line] = {}
    for item in state["registrations"]:
        newest.setdefault(item["contact"], item)
    return {item["bound"] for item in (*newest.values(), *state["sessions"]) if item["bound"]}


# ------------------------------------------------------------------ accidents


def kill(stage: Stage, name: str) -> None:
    """End a program without a goodbye, as the kernel does when memory runs out."""
    process = stage.process(name)
    process.kill()
    process.wait()


def delete_elsewhere(stage: Stage, address_id: str) -> None:
    """Delete an address from another program with the same user's token."""
    with stage.lab.in_namespace("platform"):
        connection = http.client.HTTPConnection(PLATFORM, 8080, timeout=PATIENCE)
        connection.connect()
    token = (stage.folder / "token").read_text()
    path = f"/v1/me/emergency-addresses/{address_id}"
    connection.request("DELETE", path, headers={"Authorization": f"Bearer {token}"})
    assert connection.getresponse().status // 100 == 2
    connection.close()


def end_voice(stage: Stage) -> None:
    """End the voice process for good: nobody starts it again."""
    stage._respawn.set()
    stop(stage.process("voice"))


def back_voice(stage: Stage) -> None:
    """Let the voice process run again."""
    stage._respawn.clear()
    stage.start_voice()


@contextlib.contextmanager
def wall(stage: Stage, rule: str, role: str = "platform") -> Iterator[None]:
    """Drop packets in front of the platform, silently, as a dead route does."""
    stage.lab.run(role, ["nft", "add table inet wall"])
    stage.lab.run(role, ["nft", "add chain inet wall in { type filter hook input priority 0; }"])
    stage.lab.run(role, ["nft", f"add rule inet wall in {rule} drop"])
    try:
        yield
    finally:
        stage.lab.run(role, ["nft", "delete table inet wall"])


# ------------------------------------------------------------------ looking


def look(stage: Stage, url: str = "/") -> tuple[int, str]:
    """GET a page as a browser on the device does."""
    connection = UnixConnection(stage.agent_socket)
    try:
        connection.request("GET", url, headers={"Host": "localhost"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def sentence_of(page: str) -> str:
    """Return the one sentence of Home."""
    found = re.search(r'<h1 id="sentence">(.*?)</h1>', page, re.DOTALL)
    return html.unescape(re.sub(r"<[^>]*>", "", found.group(1))) if found else ""


@dataclass
class Window:
    """Keeps Home open and remembers every answer."""

    stage: Stage
    bad: list[str] = field(default_factory=list)
    seen: int = 0

    def __enter__(self) -> Self:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="window", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            self._once()

    def _once(self) -> None:
        try:
            status, page = look(self.stage)
        except OSError as error:
            self.bad.append(repr(error))
            return
        self.seen += 1
        if status != HTTPStatus.OK or not sentence_of(page):
            self.bad.append(f"{status}: {page[:200]}")


def lights(stage: Stage, since: int = 0) -> list[Line]:
    """Return every change of the light in the agent's log."""
    return [line for line in stage.logs["agent"].since(since) if line.get("event") == "status"]


def shows(stage: Stage, kind: str, cause: str, *, since: int = 0) -> Line:
    """Wait for a status in API, page and log, all with the same sentence; return the overview."""

    def wanted(seen: Line) -> bool:
        lit = seen["status"]
        if (lit["kind"], lit["cause"]) != (kind, cause):
            return False
        status, page = look(stage)
        assert status == HTTPStatus.OK
        return sentence_of(page) == str(lit["sentence"])

    overview = stage.wait_until(f"status {kind} because of {cause} in API and page", wanted, PATIENCE)
    said = overview["status"]["sentence"]
    stage.logs["agent"].wait(
        f"the log of {cause}",
        lambda line: line.get("event") == "status" and (line["kind"], line["sentence"]) == (kind, said),
        after=since,
    )
    return overview


def eventually(what: str, test: Callable[[], bool]) -> None:
    """Poll until it holds."""
    deadline = time.monotonic() + PATIENCE
    while not test():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.02)


def never_lit(stage: Stage, since: int = 0) -> None:
    """Assert that the light was never on since a mark of the agent's log."""
    assert not [line for line in lights(stage, since) if line["kind"] in LIT]

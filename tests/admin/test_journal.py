"""The journal: structured records that never block, and a catalog that explains every id, checked with journald."""

from __future__ import annotations

import ast
import logging
import os
import re
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.runtime.journal import Journal, attached
from agent.runtime.log import JournalHandler
from agent.runtime.messages import MESSAGES, find
from tests.admin.journald import CATALOG, ROOT, journal_of

LARGE = 3_000_000


class Listener:
    """What journald hears on its datagram socket."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(10)

    def hear(self) -> dict[str, str]:
        """Return the next record, decoded by the rules of the native protocol."""
        data, descriptors, _, _ = socket.recv_fds(self.socket, 65536, 1)
        for descriptor in descriptors:
            with os.fdopen(descriptor, "rb") as file:
                file.seek(0)
                data = file.read()
        return decode(data)


def decode(data: bytes) -> dict[str, str]:
    record = {}
    while data:
        line, _, data = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            size = struct.unpack("<Q", data[:8])[0]
            value, data = data[8 : 8 + size], data[8 + size + 1 :]
        assert re.fullmatch(rb"[A-Z][A-Z0-9_]{0,63}", name), name
        record[name.decode()] = value.decode()
    return record


@pytest.fixture
def journal(listener: Listener) -> Iterator[Journal]:
    found = Journal("dialstack-agent", str(listener.path))
    yield found
    found.close()


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    found = Listener(tmp_path / "socket")
    yield found
    found.socket.close()


def test_a_record_has_sentence_priority_id_and_fields(listener: Listener, journal: Journal) -> None:
    fields = {"kind": "unbound", "cause": "place_new", "sentence": "Nobody said.", "reasons": ("a", "b"), "none": None}
    assert journal.write("status", "Nobody said.", 6, fields)
    heard = listener.hear()
    assert heard == {
        "MESSAGE": "Nobody said.",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "dialstack-agent",
        "MESSAGE_ID": MESSAGES["status:unbound"][0],
        "DIALSTACK_EVENT": "status",
        "DIALSTACK_KIND": "unbound",
        "DIALSTACK_CAUSE": "place_new",
        "DIALSTACK_SENTENCE": "Nobody said.",
        "DIALSTACK_REASONS": "a, b",
    }


def test_the_newest_generation_stands_on_every_record(listener: Listener, journal: Journal) -> None:
    journal.write("network", "n", 6, {"generation": 7})
    journal.write("denied", "d", 6, {"final": True})
    assert [listener.hear()["DIALSTACK_GENERATION"] for _ in range(2)] == ["7", "7"]


def test_a_value_of_several_lines_cannot_forge_a_field(listener: Listener, journal: Journal) -> None:
    journal.write("log", "first\nPRIORITY=0\nMESSAGE=forged", 6, {"name=x\n": "y\nz"})
    heard = listener.hear()
    assert heard["MESSAGE"] == "first\nPRIORITY=0\nMESSAGE=forged"
    assert heard["PRIORITY"] == "6"
    assert heard["DIALSTACK_NAME_X_"] == "y\nz"


def test_a_record_too_large_for_a_datagram_goes_through_a_sealed_file(listener: Listener, journal: Journal) -> None:
    assert journal.write("log", "x" * LARGE, 6, {})
    assert len(listener.hear()["MESSAGE"]) == LARGE


def test_a_journal_that_does_not_read_costs_the_record_and_not_the_time(listener: Listener, journal: Journal) -> None:
    written = 0
    while not journal.dropped:
        assert journal.write("log", "fills the queue", 6, {})
        written += 1
        assert written < 100_000
    assert journal.write("log", "lost too", 6, {})
    for _ in range(written - 1):
        listener.hear()
    journal.write("log", "heard again", 6, {})
    assert listener.hear()["MESSAGE"] == "heard again"
    assert journal.dropped == 0


def test_what_was_lost_is_counted_in_the_next_record(listener: Listener, journal: Journal) -> None:
    journal.dropped = 3
    journal.write("log", "back", 6, {})
    assert listener.hear()["DIALSTACK_DROPPED"] == "3"


def test_without_a_journal_the_line_is_said_on_standard_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = Journal("dialstack-agent", str(tmp_path / "nobody"))
    handler = JournalHandler(journal)
    record = logging.LogRecord("agent", logging.WARNING, __file__, 1, "page is %s", ("away",), None)
    handler.emit(record)
    journal.close()
    assert capsys.readouterr().err == "page is away\n"


def test_a_message_that_cannot_be_made_is_complained_about_and_goes_no_further(
    listener: Listener, journal: Journal, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = JournalHandler(journal)
    handler.emit(logging.LogRecord("agent", logging.WARNING, __file__, 1, "%d things", ("many",), None))
    assert "--- Logging error ---" in capsys.readouterr().err
    handler.emit(logging.LogRecord("agent", logging.WARNING, __file__, 1, "%d things", (2,), None))
    heard = listener.hear()
    assert (heard["MESSAGE"], heard["PRIORITY"], heard["DIALSTACK_LOGGER"]) == ("2 things", "4", "agent")


def test_only_a_standard_error_that_is_the_journal_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    here = os.fstat(2)
    monkeypatch.setenv("JOURNAL_STREAM", f"{here.st_dev}:{here.st_ino}")
    assert attached()
    monkeypatch.setenv("JOURNAL_STREAM", f"{here.st_dev}:{here.st_ino + 1}")
    assert not attached()
    monkeypatch.delenv("JOURNAL_STREAM")
    assert not attached()


# ------------------------------------------------------------------ the catalog


def entries() -> dict[str, str]:
    """Return id -> text of the catalog."""
    parts = re.split(r"^-- ([0-9a-f]{32})$", CATALOG.read_text(), flags=re.MULTILINE)[1:]
    found = dict(zip(parts[::2], parts[1::2], strict=True))
    assert len(found) == len(parts) // 2, "an id stands twice"
    return found


def said() -> dict[str, set[str]]:
    """Return event -> names of the fields that some place in the code gives it."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "agent").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (
                isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"trace", "log"}
            ):
                continue
            if node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
                names = {keyword.arg for keyword in node.keywords if keyword.arg}
                found.setdefault(node.args[0].value, set()).update(names)
    found.setdefault("worker", {"worker"})
    return found


def test_every_id_is_in_the_catalog_and_every_entry_has_an_event() -> None:
    assert set(entries()) == {identifier for identifier, _ in MESSAGES.values()}
    assert len({identifier for identifier, _ in MESSAGES.values()}) == len(MESSAGES)


def test_every_entry_says_what_it_is_what_it_means_for_911_and_what_to_do() -> None:
    for identifier, text in entries().items():
        head, _, body = text.strip().partition("\n\n")
        names = [line.partition(":")[0] for line in head.splitlines()]
        assert names == ["Subject", "Defined-By", "Support"], identifier
        assert len(body.split("\n\n")) >= 2, f"{identifier} explains too little"
        assert "911" in text, f"{identifier} does not speak of 911"


def test_every_event_of_the_table_is_said_somewhere_with_the_fields_that_its_entry_shows() -> None:
    events = said()
    for key, (identifier, _) in MESSAGES.items():
        event = key.partition(":")[0]
        assert event in events, f"nothing in the code says {event}"
        shown = {name.lower() for name in re.findall(r"@DIALSTACK_([A-Z]+)@", entries()[identifier])}
        assert shown <= events[event], f"{key}: {shown - events[event]} is never given"


def test_every_error_of_the_telephone_program_is_explained() -> None:
    code = "".join(path.read_text() for path in (ROOT / "agent" / "voice").rglob("*.py"))
    errors = set(re.findall(r'\blog\(\s*"(\w+)",\s*"error"', code))
    assert len(errors) > 4
    assert errors <= {key.partition(":")[0] for key in MESSAGES}


def test_an_over_problem_and_an_ordinary_call_need_no_explanation() -> None:
    assert find("problem", {"sentence": "over"}) is None
    assert find("call", {"emergency": False, "state": "calling"}) is None
    assert find("call", {"emergency": True, "state": "ringing"}) is None
    assert find("call", {"emergency": True, "state": "calling"}) == MESSAGES["call:emergency"]
    assert find("call", {"emergency": True, "state": "ended"}) == MESSAGES["call:emergency_ended"]


# ------------------------------------------------------------------ with journald

_SPEAK = f"""
from agent.runtime.journal import Journal
journal = Journal("dialstack-voice")
assert journal.write("call", "call to=933", 6, {{"emergency": True, "state": "calling", "to": "933"}})
assert journal.write("log", "x" * {LARGE} + "\\nend", 6, {{}})
"""


@pytest.mark.netns
def test_journald_takes_the_records_and_journalctl_x_explains_them(tmp_path: Path) -> None:
    records, explained = journal_of(tmp_path, sys.executable, "-c", _SPEAK)
    first, second = records
    assert first["DIALSTACK_TO"] == "933"
    assert first["MESSAGE_ID"] == MESSAGES["call:emergency"][0]
    assert (first["PRIORITY"], first["_TRANSPORT"]) == ("4", "journal")
    assert len(second["MESSAGE"]) == LARGE + len("\nend")
    assert "Subject: An emergency call was dialed on this phone" in explained
    assert "Number: 933 (933 is the test number)." in explained


_FIRST_START = """
import os, subprocess, sys, time
read, write = os.pipe()
here = os.fstat(write)
env = {**os.environ, "JOURNAL_STREAM": f"{here.st_dev}:{here.st_ino}"}
agent = subprocess.Popen([sys.executable, "-m", "agent", "--config", sys.argv[1], "run"], stderr=write, env=env)
deadline = time.monotonic() + 30
while not os.path.exists(sys.argv[2]) and time.monotonic() < deadline:
    time.sleep(0.02)
assert agent.poll() is None, "the agent ended"
agent.terminate()
assert agent.wait() == 0
os.close(write)
assert os.read(read, 1000) == b"", "something was said on standard error instead"
"""


@pytest.mark.netns
def test_the_first_start_with_an_empty_configuration_stays_up_and_says_so_in_the_journal(tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    config.write_text(f'[page]\nport = 0\nsocket = "{tmp_path}/a.sock"\n[paths]\nstate = "{tmp_path}/state"\n')
    records, explained = journal_of(tmp_path, sys.executable, "-c", _FIRST_START, str(config), f"{tmp_path}/a.sock")
    faults = [item for item in records if item.get("MESSAGE_ID") == MESSAGES["status:fault"][0]]
    assert faults[0]["MESSAGE"].startswith("FAULT: This phone is not set up yet. ")
    assert "911" in faults[0]["MESSAGE"]
    assert faults[0]["PRIORITY"] == "3"
    assert faults[0]["CODE_FUNC"] == "show"
    assert {"start", "config", "page", "stopped"} <= {item["DIALSTACK_EVENT"] for item in records}
    assert "`dialstack-agent check-config` checks the configuration." in explained

"""The device as an image: a read-only root with one writable partition, and a database of a newer version."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent.app import App
from agent.model import StatusKind
from tests.admin.journald import ROOT, journal_of
from tests.voice.harness import DOMAIN, PASSWORD, Registrar, free_port

_READ_ONLY = r"""
set -e
mount --bind "$KEEP" "$KEEP"
mount -t tmpfs -o ro tmpfs /dev/shm
awk '{ print $5 }' /proc/self/mountinfo | while read -r point; do
  case "$point" in "$KEEP"|/proc*|/sys*|/dev*) ;; *) mount -o remount,bind,ro "$point" ;; esac
done
! touch "$ROOT/written" 2>/dev/null
! touch /tmp/written 2>/dev/null
cd "$KEEP"
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$ROOT"
"$PYTHON" -m agent.voice --config "$CONFIG" >"$KEEP/voice.log" 2>&1 & voice=$!
"$PYTHON" -m agent --config "$CONFIG" run >"$KEEP/agent.log" 2>&1 & agent=$!
trap 'kill $voice $agent 2>/dev/null; wait' EXIT
"""
_READY = r"""
until [ -S "$KEEP/run/agent.sock" ] && grep -q kind=registered "$KEEP/voice.log"; do
  kill -0 $voice; kill -0 $agent; sleep 0.05
done
"$PYTHON" -m agent --config "$CONFIG" --json status
"$PYTHON" -c "
import agent.lab.http_unix as unix
connection = unix.UnixConnection('$KEEP/run/agent.sock')
connection.request('GET', '/metrics', headers={'Host': 'localhost'})
answer = connection.getresponse()
assert answer.status == 200, answer.status
open('$KEEP/metrics', 'wb').write(answer.read())
"
"""


@pytest.fixture
def registrar(tmp_path: Path) -> Iterator[Registrar]:
    (tmp_path / "kamailio").mkdir()
    found = Registrar(tmp_path / "kamailio").start()
    yield found
    found.stop()


@pytest.mark.sip
@pytest.mark.netns
def test_both_processes_write_only_to_their_state_and_run_folders(tmp_path: Path, registrar: Registrar) -> None:
    keep = tmp_path / "keep"
    for name in ("run", "state", "credentials"):
        (keep / name).mkdir(parents=True)
    (keep / "credentials" / "password").write_text(PASSWORD)
    config = tmp_path / "agent.toml"
    config.write_text(
        f'[sip]\nregistrar = "127.0.0.1"\nport = {registrar.port}\nusername = "alice"\ndomain = "{DOMAIN}"\n'
        f'local_port = {free_port()}\npassword_file = "{keep}/credentials/password"\n'
        f'socket = "{keep}/run/voice.sock"\nstate_file = "{keep}/state/voice.state"\n'
        f'[device]\nmobility = "movable"\n[page]\nport = 0\nsocket = "{keep}/run/agent.sock"\n'
        f'[paths]\nstate = "{keep}/state"\n'
    )
    values = {"KEEP": str(keep), "CONFIG": str(config), "ROOT": str(ROOT), "PYTHON": sys.executable}
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", _READ_ONLY + _READY],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **values},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    logs = "".join((keep / name).read_text() for name in ("voice.log", "agent.log"))
    assert done.returncode == 0, done.stderr + logs
    assert "Read-only file system" not in logs
    assert json.loads(done.stdout)["phone"]
    assert registrar.bindings() or "kind=registered" in logs
    families = {family.name: family for family in text_string_to_metric_families((keep / "metrics").read_text())}
    assert families["dialstack_voice_connected"].samples[0].value == 1
    assert families["dialstack_registers"].samples[0].value >= 1
    assert {"agent.db", "device.json", "voice.state"} <= {item.name for item in (keep / "state").iterdir()}


# ------------------------------------------------------------------ a newer database


def newer(folder: Path) -> Path:
    """Make a state folder as a newer version leaves it; return the configuration."""
    config = folder / "agent.toml"
    config.write_text(
        f'[sip]\nregistrar = "192.0.2.1"\nusername = "k"\n[device]\nmobility = "movable"\n'
        f'[page]\nport = 0\nsocket = "{folder}/a.sock"\n[paths]\nstate = "{folder}/state"\n'
    )
    App(config).store.close()
    database = sqlite3.connect(folder / "state" / "agent.db")
    database.execute("PRAGMA user_version = 999")
    database.execute("PRAGMA journal_mode = DELETE")
    database.close()
    return config


def test_a_downgrade_is_refused_in_words_and_writes_nothing(tmp_path: Path) -> None:
    config = newer(tmp_path)
    path = tmp_path / "state" / "agent.db"
    before = path.read_bytes()
    app = App(config)
    app.engine.relight()
    status = app.desk.overview().status
    assert status.kind is StatusKind.FAULT
    assert status.cause == "store_unusable"
    assert "the database has version 999, this program knows" in status.sentence
    assert "install the newer version again" in status.sentence
    assert "911" in status.sentence
    assert not app.store.durable
    app.store.close()
    assert path.read_bytes() == before
    assert {item.name for item in path.parent.iterdir()} == {"agent.db", "device.json"}


_DOWNGRADED = """
import os, subprocess, sys, time
read, write = os.pipe()
here = os.fstat(write)
env = {**os.environ, "JOURNAL_STREAM": f"{here.st_dev}:{here.st_ino}"}
command = [sys.executable, "-m", "agent", "--config", sys.argv[1]]
agent = subprocess.Popen([*command, "run"], stderr=write, env=env)
deadline = time.monotonic() + 30
while not os.path.exists(sys.argv[2]) and time.monotonic() < deadline:
    time.sleep(0.02)
out = subprocess.run([*command, "status"], capture_output=True, check=True).stdout
open(sys.argv[3], "wb").write(out)
agent.terminate()
assert agent.wait() == 0
"""


@pytest.mark.netns
def test_a_downgrade_is_told_in_the_journal_and_on_the_command_line(tmp_path: Path) -> None:
    config = newer(tmp_path)
    told = tmp_path / "told"
    records, explained = journal_of(
        tmp_path, sys.executable, "-c", _DOWNGRADED, str(config), f"{tmp_path}/a.sock", str(told)
    )
    [store] = [item for item in records if item["DIALSTACK_EVENT"] == "store"]
    assert "the database has version 999" in store["DIALSTACK_PROBLEM"]
    assert "install the newer version again, or move the file away" in explained
    assert "the database has version 999" in told.read_text()

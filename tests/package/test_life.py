"""The life of the package on a device: a clean Debian booted with its own systemd, without network; in this order."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator

import pytest

from agent.runtime.messages import MESSAGES
from tests.package.conftest import NEWER
from tests.package.machine import Machine

pytestmark = pytest.mark.netns

BOTH = ("dialstack-agent", "dialstack-voice")
APT = "apt-get -y -qq -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold --no-install-recommends"
KILLS = 100
EXPOSURE = 1.2
"""Most that `systemd-analyze security` may find (10 is a process without any sandbox)."""
CONFIG = "/etc/dialstack-agent/agent.toml"


@pytest.fixture(scope="module")
def before(machine: Machine) -> set[str]:
    """The files of the machine before anything of ours was there."""
    return machine.files()


@pytest.fixture
def phone(machine: Machine) -> Iterator[subprocess.Popen[str]]:
    """The lab in the machine, its phone being the installed services, registered at the office."""
    inside = machine.popen("exec python3 -I /srv/inside.py")
    assert inside.stdout is not None
    said = ""
    try:
        while "READY\n" not in said:
            line = inside.stdout.readline()
            said += line
            assert line, f"{said}\n{machine.run('journalctl -u dialstack-agent -u dialstack-voice -o cat | tail -40')}"
        yield inside
    finally:
        inside.communicate(timeout=60)


def ready(machine: Machine) -> bool:
    """Tell whether both services run and have said so."""
    return all(machine.property(name, "SubState") == "running" for name in BOTH)


def pid(machine: Machine, name: str) -> int:
    """Return the main process of a service, 0 for none."""
    return int(machine.property(name, "MainPID"))


def test_it_is_installed_offline_and_runs_by_itself(machine: Machine, before: set[str]) -> None:
    assert not any("dialstack" in path for path in before)
    machine.run(f"{APT} install /srv/old/*.deb")
    machine.until("both services are ready", lambda: ready(machine))
    for name in BOTH:
        assert machine.property(name, "UnitFileState") == "enabled"
        assert machine.property(name, "NRestarts") == "0"
    assert machine.run("systemctl --failed --no-legend") == ""


def test_with_an_empty_configuration_it_says_what_is_missing_and_shows_the_page(machine: Machine) -> None:
    status = machine.property("dialstack-agent", "StatusText")
    assert status.startswith("This phone is not set up yet. ")
    assert status in machine.run("systemctl status dialstack-agent --no-pager --lines=0 -l")
    assert "sip.registrar: must name the registrar" in machine.run("journalctl -u dialstack-agent -o cat")
    fetch = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8911/').read().decode())"
    assert "<html" in machine.run(f'python3 -c "{fetch}"')
    assert machine.run("dialstack-agent --json status | head -c 1") == "{"


def test_the_journal_has_fields_and_explains_itself(machine: Machine) -> None:
    lines = machine.run("journalctl -u dialstack-agent DIALSTACK_EVENT=status -o json --no-pager").splitlines()
    newest = json.loads(lines[-1])
    assert (newest["_TRANSPORT"], newest["SYSLOG_IDENTIFIER"]) == ("journal", "dialstack-agent")
    assert newest["MESSAGE"] == f"FAULT: {newest['DIALSTACK_SENTENCE']}"
    assert newest["MESSAGE_ID"] == MESSAGES["status:fault"][0]
    explained = machine.run("journalctl -x -u dialstack-agent -u dialstack-voice --no-pager")
    assert "Subject: Something keeps this phone from proving its 911 address, and a person must act" in explained
    assert "Subject: The configuration of the telephone line is not complete" in explained
    assert "Support: man:dialstack-agent.service(8)" in explained
    assert "dialstack-agent: 911 has this phone" in machine.run("journalctl --list-catalog --no-pager").replace("'", "")


def test_the_sockets_are_for_the_group_and_secrets_for_root(machine: Machine) -> None:
    for name in ("dialstack-agent/agent.sock", "dialstack-voice/voice.sock"):
        assert machine.run(f"stat -c '%G %a' /run/{name}").split() == ["dialstack", "660"]
    assert machine.run("stat -c '%U %a' /etc/dialstack-agent/credentials").split() == ["root", "700"]
    assert "Permission denied" in machine.run(
        "setpriv --reuid nobody --regid nogroup --clear-groups ls /run/dialstack-voice/", check=False
    )


@pytest.mark.parametrize("name", BOTH)
def test_the_sandbox_is_tight(machine: Machine, name: str) -> None:
    found = machine.run(f"systemd-analyze security --no-pager --json=short {name}", check=False)
    assert json.loads(found), found
    machine.run(f"systemd-analyze security --no-pager --threshold={round(EXPOSURE * 10)} {name}")
    machine.run(f"systemd-analyze verify --man=no {name}.service dialstack-inhibit.path dialstack-inhibit.service")


def test_the_agent_hears_the_switch_on_a_socket_that_it_may_not_open_and_nobody_else_is_given_one(
    machine: Machine,
) -> None:
    machine.until("the socket is open", lambda: "88cc" in machine.run("cat /proc/net/packet"))
    assert "lldp hearing=on" in machine.run("journalctl -o cat -u dialstack-agent")
    opened = [line.split()[3] for line in machine.run("cat /proc/net/packet").splitlines()[1:]]
    assert opened == ["88cc"], "one socket, LLDP alone"
    assert machine.property("dialstack-lldp.socket", "ActiveState") == "active"
    machine.run("systemd-analyze verify --man=no dialstack-lldp.socket dialstack-lldp@.service")
    machine.run("systemd-analyze security --no-pager --threshold=14 dialstack-lldp@1.service")
    ask = (
        "import socket; s = socket.socket(socket.AF_UNIX); s.settimeout(5); s.connect('/run/dialstack-lldp/socket'); "
        "print(socket.recv_fds(s, 1, 1)[1])"
    )
    assert machine.run(f'python3 -c "{ask}"').strip() == "[]"
    machine.until(
        "the refusal is said",
        lambda: "it is not dialstack-agent.service that asks" in machine.run("journalctl -o cat -u 'dialstack-lldp@*'"),
    )


@pytest.mark.parametrize("name", BOTH)
def test_a_hung_process_is_killed_by_the_watchdog_and_started_again(machine: Machine, name: str) -> None:
    dropin = f"/run/systemd/system/{name}.service.d"
    machine.run(
        f"mkdir -p {dropin}; printf '[Service]\\nWatchdogSec=2\\n' > {dropin}/test.conf; systemctl daemon-reload"
    )
    machine.run(f"systemctl restart {name}")
    stopped = pid(machine, name)
    machine.run(f"kill -STOP {stopped}")
    machine.until(f"{name} is started again", lambda: pid(machine, name) not in {0, stopped} and ready(machine))
    assert f"{name}.service: Watchdog timeout" in machine.run(f"journalctl -u {name} -o cat")
    machine.run(f"rm -r {dropin}; systemctl daemon-reload; systemctl restart {name}")


def test_killed_100_times_at_any_moment_it_always_comes_back_sound(machine: Machine) -> None:
    for name in BOTH:
        dropin = f"/run/systemd/system/{name}.service.d"
        machine.run(f"mkdir -p {dropin}; printf '[Service]\\nRestartSec=10ms\\n' > {dropin}/test.conf")
    machine.run("systemctl daemon-reload")
    moment = "sleep 0.$(od -An -N1 -tu1 /dev/urandom | tr -d ' ')"
    machine.run(f"for n in $(seq {KILLS}); do systemctl kill --signal=KILL {' '.join(BOTH)}; {moment}; done")
    machine.until("both services are ready again", lambda: ready(machine))
    for name in BOTH:
        assert int(machine.property(name, "NRestarts")) >= KILLS / 2
        machine.run(f"rm -r /run/systemd/system/{name}.service.d")
    machine.run("systemctl daemon-reload; systemctl restart dialstack-agent dialstack-voice")
    assert "damaged" not in machine.run("ls /var/lib/private/dialstack-agent")
    assert "set aside" not in machine.run("journalctl -u dialstack-agent -o cat")
    machine.until("both services are ready", lambda: ready(machine))


def test_a_new_credential_is_taken_into_use_by_itself(machine: Machine) -> None:
    agent, voice = (pid(machine, name) for name in BOTH)
    machine.run("echo secret > /etc/dialstack-agent/credentials/token")
    machine.until("the agent has it", lambda: pid(machine, "dialstack-agent") not in {0, agent} and ready(machine))
    assert pid(machine, "dialstack-voice") == voice
    machine.run("echo secret > /etc/dialstack-agent/credentials/sip-password")
    machine.until("voice has it", lambda: pid(machine, "dialstack-voice") not in {0, voice} and ready(machine))
    machine.run("rm /etc/dialstack-agent/credentials/*")


def test_the_whole_story_of_a_moved_phone_with_the_installed_services(machine: Machine) -> None:
    machine.run("dialstack-agent demo --once --services --report /srv/demo.json", seconds=170)
    report = json.loads((machine.root / "srv" / "demo.json").read_text())
    steps = [step["step"] if "step" in step else step["name"] for step in report["steps"]]
    assert steps == ["boot", "move-home", "confirm", "back-to-office", "wan-change", "backup-uplink", "noise"]


def test_s4_an_upgrade_during_an_emergency_call_waits_and_keeps_what_was_changed(
    machine: Machine, phone: subprocess.Popen[str]
) -> None:
    machine.run(f"echo '# ours' >> {CONFIG}")
    call = machine.popen("exec dialstack-agent call 911")
    machine.until("the call is up", lambda: "emergency" in machine.property("dialstack-voice", "StatusText").lower())
    voice = pid(machine, "dialstack-voice")
    machine.until(
        "the device is kept awake", lambda: "dialstack-voice" in machine.run("systemd-inhibit --list --no-legend")
    )

    began = time.monotonic()
    machine.run(f"{APT} install /srv/new/*.deb")
    took = time.monotonic() - began
    machine.run("/etc/needrestart/restart.d/dialstack-voice.service")
    assert took < 60, "the upgrade itself does not wait for the call"
    machine.until(
        "the new agent runs", lambda: NEWER in machine.run("dialstack-agent version", check=False).split("daemon: ")[-1]
    )
    machine.until(
        "voice was told to stop", lambda: machine.property("dialstack-voice", "ActiveState") == "deactivating"
    )
    time.sleep(2)  # a stop that does not wait would be over by now
    assert pid(machine, "dialstack-voice") == voice
    assert "waits for an emergency call" in machine.property("dialstack-voice", "StatusText")
    assert call.poll() is None

    machine.run("pkill -INT -f '[d]ialstack-agent call 911'")
    call.communicate(timeout=30)
    machine.until("the new voice runs", lambda: pid(machine, "dialstack-voice") not in {0, voice} and ready(machine))
    assert "# ours" in machine.run(f"tail -1 {CONFIG}")
    assert phone.poll() is None
    machine.until(
        "nothing keeps it awake", lambda: "dialstack" not in machine.run("systemd-inhibit --list --no-legend")
    )


def test_a_downgrade_is_refused_in_words_and_changes_nothing(machine: Machine) -> None:
    said = machine.run(f"{APT} install --allow-downgrades /srv/old/*.deb", check=False)
    assert f"dialstack-agent {NEWER} is installed; this is the older" in said
    assert f"Nothing was changed: the phone goes on with {NEWER}, and 911 goes out as before." in said
    assert NEWER in machine.run("dpkg-query -W dialstack-agent")


def test_removed_it_keeps_state_and_purged_it_leaves_nothing(machine: Machine, before: set[str]) -> None:
    machine.run("systemctl start dialstack-agent dialstack-voice")
    machine.run(f"{APT} remove 'dialstack-agent*'")
    assert machine.run("ls /var/lib/private/dialstack-agent/agent.db /etc/dialstack-agent/agent.toml")
    assert machine.run("systemctl list-units --no-legend 'dialstack*'") == ""
    machine.run(f"{APT} purge 'dialstack-agent*'")
    after = machine.files()
    assert after - before == set(), "left over"
    assert before - after == set(), "not ours, and gone"
    assert machine.run("systemctl --failed --no-legend") == ""

"""What a DHCP server says about the place: read strictly, believed no longer than the cable stays in."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.heard import NOTHING, Heard, NamedAddress
from agent.lab.lab import Lab
from agent.lab.process import die_with_parent
from agent.network import named
from agent.network.leases import Leases, parse
from agent.network.named import CivicError
from agent.network.snapshot import Snapshot
from tests.network.builders import ethernet, office
from tests.network.frames import CIVIC

ROOT = Path(__file__).parents[2]
HOOK = ROOT / "config/dhcp/dialstack-agent"
COLONS = ":".join(f"{byte:x}" for byte in CIVIC)
"""As dhclient hands it to its script: without leading zeros."""


def test_both_spellings_of_the_clients_are_understood() -> None:
    assert parse(f"{COLONS}\n") == parse(CIVIC.hex()) == named.read(CIVIC)


@pytest.mark.parametrize(
    "text", ["", "02", "2:55", "2:55:53:0:2:6", "02555", f"{COLONS}:", f"0x{CIVIC.hex()}", "0" * 4000,
             f"0{COLONS[1:]}", "2:555:53:0:2:65:6e"],
)  # fmt: skip
def test_anything_else_is_no_address(text: str) -> None:
    with pytest.raises(CivicError):
        parse(text)


@given(st.text(max_size=300))
def test_no_text_raises_anything_but_the_typed_error(text: str) -> None:
    for one in (text, text.encode().hex()):
        try:
            parse(one)
        except CivicError:
            continue


def heard(leases: Leases, snapshot: Snapshot, said: Heard = NOTHING) -> NamedAddress | None:
    found = leases.add(snapshot, {10: said})[10]
    assert (found.source == "dhcp") is (found.named is not None and said.named is None)
    return found.named


def test_it_is_believed_until_carrier_goes_and_again_when_it_is_written_anew(tmp_path: Path) -> None:
    leases, file = Leases(tmp_path), tmp_path / "eth0"
    assert heard(leases, office()) is None
    file.write_text(COLONS)
    assert heard(leases, office()) == named.read(CIVIC)
    assert heard(leases, office(link=ethernet(downs=1))) is None, "the cable may be somewhere else"
    assert heard(leases, office(link=ethernet(downs=1))) is None
    new = tmp_path / ".eth0"
    new.write_text(COLONS)
    new.replace(file)
    assert heard(leases, office(link=ethernet(downs=1))) == named.read(CIVIC)
    file.unlink()
    assert heard(leases, office(link=ethernet(downs=1))) is None


def test_what_the_switch_names_comes_first(tmp_path: Path) -> None:
    (tmp_path / "eth0").write_text(COLONS)
    switch = NamedAddress({"city": "Oakland"})
    assert heard(Leases(tmp_path), office(), Heard(named=switch, source="lldp")) == switch


def test_a_file_that_is_none_or_too_large_says_nothing(tmp_path: Path) -> None:
    leases, file = Leases(tmp_path), tmp_path / "eth0"
    file.write_text(COLONS + " " * 2000)
    assert heard(leases, office()) is None
    file.unlink()
    file.symlink_to("/etc/hostname")
    assert heard(leases, office()) is None
    file.unlink()
    os.mkfifo(file)
    assert heard(leases, office()) is None


# ------------------------------------------------------------------ the real client and the real server


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab() as built:
        built.plug("office")
        yield built


@pytest.mark.netns
def test_dhclient_leaves_what_dnsmasq_says_and_takes_it_away_with_the_lease(lab: Lab, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\n. {HOOK}\n")
    script.chmod(0o755)
    server = ["dnsmasq", "--no-daemon", "--port=0", "--interface=lan", "--conf-file=/dev/null", "--dhcp-authoritative",
              f"--dhcp-leasefile={tmp_path / 'leases'}", "--dhcp-range=192.168.1.51,192.168.1.99,10m",
              "--dhcp-option-force=99," + CIVIC.hex(":")]  # fmt: skip
    (tmp_path / "dhclient.conf").write_text("also request geoconf-civic;\n")
    client = ["dhclient", "-1", "-sf", str(script), "-cf", str(tmp_path / "dhclient.conf"), "-lf", str(tmp_path / "lf"),
              "-pf", str(tmp_path / "pid"), "-e", f"DIALSTACK_DHCP={tmp_path / 'run'}"]  # fmt: skip
    with lab.exec("office", server, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent) as serving:
        try:
            lab.run("device", [*client, "eth0"])
            assert parse((tmp_path / "run/eth0").read_text()) == named.read(CIVIC)
            assert (tmp_path / "run/eth0").stat().st_mode & 0o777 == 0o644
            lab.run("device", [*client, "-r", "eth0"])
            assert list((tmp_path / "run").iterdir()) == []
        finally:
            serving.terminate()


@pytest.mark.parametrize("interface", ["", "..", ".x", "../eth0", "a/b"])
def test_a_strange_name_of_an_interface_writes_nowhere(interface: str, tmp_path: Path) -> None:
    env = {"DIALSTACK_DHCP": str(tmp_path / "run"), "interface": interface, "reason": "BOUND",
           "new_geoconf_civic": COLONS}  # fmt: skip
    subprocess.run(["/bin/sh", "-e", str(HOOK)], env=env, check=True)
    assert list(tmp_path.rglob("*")) == []

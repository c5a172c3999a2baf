"""The small parts: SIP text, the state file, the watchdog."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from pathlib import Path

import pytest

from agent.model import VoiceInstruction
from agent.voice import resolve, state, watch
from agent.voice.problems import Problems
from agent.voice.registration import sip
from agent.voice.registration.moves import Seen
from agent.voice.watchdog import Watchdog


@pytest.mark.parametrize(
    ("via", "seen"),
    [
        ("SIP/2.0/UDP 10.0.0.2:5062;rport=4000;received=203.0.113.9;branch=z", "203.0.113.9"),
        ("SIP/2.0/TLS 10.0.0.2:5062;rport;branch=z", "10.0.0.2"),
        ("SIP/2.0/UDP [2001:db8::1]:5062;branch=z;received=2001:db8::9", "2001:db8::9"),
        ("SIP/2.0/UDP [2001:db8::1]:5062;branch=z", "2001:db8::1"),
        ("SIP/2.0/UDP 10.0.0.2;received=1.2.3.4, SIP/2.0/UDP 10.9.9.9;received=5.6.7.8", "1.2.3.4"),
    ],
)
def test_via_received_is_what_the_registrar_saw(via: str, seen: str) -> None:
    assert sip.via_received(f"SIP/2.0 200 OK\r\nVia: {via}\r\nRetry-After: 7\r\n\r\n") == seen


@pytest.mark.parametrize(("value", "seconds"), [("7", 7.0), ("120 (busy)", 120.0), ("soon", None), ("-3", None)])
def test_retry_after_is_seconds_or_nothing(value: str, seconds: float | None) -> None:
    assert sip.retry_after(f"SIP/2.0 503 Busy\r\nRetry-After: {value}\r\n\r\n") == seconds


def test_s5_the_state_file_survives_and_a_damaged_one_is_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "voice.state"
    first = state.load(path)
    first.address, first.host = "198.51.100.5", "registrar.test"
    first.instruction = VoiceInstruction(3, 1, "eth0", "192.0.2.1", "198.51.100.5", "emerg_one")
    state.save(path, first)
    assert state.load(path) == first
    for damage in ("", "{", "[]", '{"unknown": 1}', '{"instruction": {"generation": 1}}'):
        path.write_text(damage)
        assert state.load(path).instruction is None
        assert state.load(path).instance.startswith("urn:uuid:")


def test_s3_an_instruction_of_another_boot_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "voice.state"
    old = state.load(path)
    old.boot = "another"
    old.instruction = VoiceInstruction(3, 1, "eth0", "192.0.2.1", "198.51.100.5", "emerg_one")
    state.save(path, old)
    assert state.load(path).instruction is None


def test_the_kernel_is_asked_for_the_path() -> None:
    seen = watch.look("127.0.0.1")
    assert seen is not None
    assert (seen.interface, seen.source) == ("lo", "127.0.0.1")


def test_failure_14_the_watchdog_fires_on_silence_and_not_for_a_call() -> None:
    fired = threading.Event()
    patient = threading.Event()
    silent = Watchdog(fired.set, deadline=0.2)
    in_call = Watchdog(patient.set, deadline=0.2)
    in_call.talking = "emergency"
    in_call.start()
    silent.start()
    assert fired.wait(10)
    assert not patient.is_set()
    silent.stop()
    in_call.stop()


@pytest.mark.parametrize(("wrong", "attempted"), [("sip.registrar: must name it", False), ("sip.port: must be", True)])
def test_nothing_is_said_to_be_attempted_where_there_is_nowhere_to_call(
    wrong: str,
    attempted: bool,  # noqa: FBT001 - a table of cases
) -> None:
    said = Problems([wrong], lambda _code, _sentence: None).open["configuration"]
    assert wrong in said
    assert ("Emergency calls are still attempted." in said) is attempted


@pytest.mark.parametrize(
    ("reached", "chosen"),
    [({4, 6}, "192.0.2.1"), ({6}, "2001:db8::1"), ({4}, "192.0.2.1"), (set(), "192.0.2.1")],
    ids=["dual stack", "IPv6 only", "IPv4 only", "no network"],
)
def test_of_a_registrars_addresses_the_first_that_can_be_reached_is_taken(
    monkeypatch: pytest.MonkeyPatch, reached: set[int], chosen: str
) -> None:
    def lookup(*_: object, **__: object) -> list[tuple[object, ...]]:
        found = ((socket.AF_INET6, "2001:db8::1"), (socket.AF_INET, "192.0.2.1"))
        return [(family, socket.SOCK_DGRAM, 17, "", (address, 0)) for family, address in found]

    def look(destination: str) -> Seen | None:
        known = ipaddress.ip_address(destination).version in reached
        return Seen("eth0", destination, destination) if known else None

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    monkeypatch.setattr(watch, "look", look)
    assert asyncio.run(resolve.resolve("registrar.test")) == chosen

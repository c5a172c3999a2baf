"""A device without a clock (failure 11): nothing waits for it, and earlier records get their time afterwards."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.cli.text import when
from agent.clock import SANE_WALL
from agent.errors import AgentError, Retry
from agent.model import Gap, StatusKind
from agent.notify.words import moment
from agent.page.words import clock_time
from agent.storage.store import DecisionRow, Store
from agent.storage.undated import Undated
from tests.dialstack.bench import client, jwt, refused
from tests.engine.virtual_world import World
from tests.notify.samples import notice

NOW = 1_800_000_000.0


@pytest.fixture
def world() -> Iterator[World]:
    """A device whose clock begins at 1970, as without a battery."""
    found = World("fixed")
    found.clock.offset = 0.0
    found.restart()
    yield found
    found.close()


def set_clock(world: World, to: float) -> None:
    """Let a time server set the clock, and the network watcher notice."""
    step = to - world.clock.wall()
    world.clock.offset += step
    world.engine.gap(Gap("clock_step", abs(step), "set", step))


def test_s1_a_device_without_a_clock_registers_binds_and_takes_answers(world: World) -> None:
    world.plug("office")
    world.advance(2)
    assert world.confirm("office")
    world.advance(2)
    assert world.engine.light.kind is StatusKind.BOUND
    [notice] = [text for text in world.desk.overview().notices if "clock" in text]
    assert notice.startswith("The clock of this device is not set. 911 and 933 still go out;")


def test_records_from_before_the_clock_was_set_get_their_time(world: World) -> None:
    world.plug("office")
    world.advance(2)
    assert world.confirm("office")
    world.advance(100)
    before = [row.at for row in world.desk.decisions() if row.at < SANE_WALL]
    step = NOW - world.clock.wall()
    assert before
    set_clock(world, NOW)
    after = [row.at for row in world.desk.decisions()]
    assert all(any(at == pytest.approx(early + step, abs=0.001) for at in after) for early in before)
    assert all(at > NOW - 200 for at in after)
    [place] = world.desk.places()
    assert place.confirmed_at == pytest.approx(NOW - 100, abs=5)
    assert place.last_seen > SANE_WALL
    assert NOW - 200 < world.desk.overview().status.since <= NOW
    assert not [text for text in world.desk.overview().notices if "clock" in text]


def test_a_step_under_way_is_not_said_to_run_since_1970(world: World) -> None:
    world.plug("office")
    world.advance(2)
    world.unplug()
    world.advance(60)
    [since] = [one.since for one in world.desk.overview().steps if one.since is not None]
    seconds = world.clock.wall() - since
    assert 0 < seconds < 100
    set_clock(world, NOW)
    [since] = [one.since for one in world.desk.overview().steps if one.since is not None]
    assert NOW - since == pytest.approx(seconds, abs=1)


def test_an_emergency_call_is_not_said_to_last_since_1970() -> None:
    made = notice(dialed_at=100.0, boot="boot-1", boot_at=50.0)
    assert made.dialed_by(160.4, 110.0, "boot-1") == 100.0, "a clock that is slewed moves nothing"
    assert made.dialed_by(NOW, 110.0, "boot-1") == NOW - 60
    assert made.dialed_by(NOW, 3.0, "boot-2") == 100.0, "of another boot nothing better is known"


def test_since_when_911_could_be_wrong_moves_with_the_clock_and_its_duration_does_not(world: World) -> None:
    world.plug("nowhere")
    world.advance(60)
    seconds = world.engine.lamp.exposure.total_seconds()
    set_clock(world, NOW)
    since = world.desk.overview().exposure_since
    assert since is not None
    assert NOW - since == pytest.approx(seconds, abs=1)
    assert world.engine.lamp.exposure.total_seconds() == pytest.approx(seconds, abs=0.1)


def test_a_step_of_a_clock_that_was_right_rewrites_nothing(world: World) -> None:
    set_clock(world, NOW)
    world.plug("office")
    world.advance(2)
    before = [row.at for row in world.desk.decisions()]
    set_clock(world, world.clock.wall() + 7200)
    assert [row.at for row in world.desk.decisions()] == before


def decision(at: float) -> DecisionRow:
    return DecisionRow(
        at=at, generation=1, verdict="new", place_id=None, reasons=(), evidence=(), wanted="nothing", cause="start"
    )


def test_an_earlier_run_without_a_clock_keeps_its_marks_as_nobody_knows_when_it_was(tmp_path: Path) -> None:
    first = Store(tmp_path / "agent.db")
    first.add_decision(decision(5.0))
    first.close()
    second = Store(tmp_path / "agent.db")
    undated = Undated(second)
    second.add_decision(decision(7.0))
    second.add_event(8.0, "gap:overrun", 0.1, "x")
    undated.correct(NOW)
    undated.correct(3600.0)
    assert [row.at for row in second.decisions(9)] == [NOW + 7.0, 5.0]
    assert second.events("gap:overrun")[0][0] == NOW + 8.0
    second.close()


def test_a_time_without_a_clock_is_said_and_not_shown_as_1970() -> None:
    assert when(5.0) == "before the clock was set"
    assert clock_time(5.0, NOW) == "before the clock was set"
    assert moment(5.0) == "unknown, this phone's clock is not set", "what a notice of an emergency call says"
    assert moment(NOW).startswith("2027-01-15 ")


CA = """
[ca]
default_ca = it
[it]
database = index
new_certs_dir = .
serial = serial
default_md = sha256
policy = any
x509_extensions = server
[any]
commonName = supplied
[server]
basicConstraints = critical,CA:TRUE
subjectAltName = IP:127.0.0.1
"""


def of_tomorrow(folder: Path) -> tuple[Path, Path]:
    """Make a certificate that is not valid yet: what every certificate is for a device whose clock shows 1970."""
    (folder / "index").touch()
    (folder / "serial").write_text("01")
    (folder / "ca.cnf").write_text(CA)
    key = ["req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "a.csr", "-subj", "/CN=x"]
    sign = ["ca", "-batch", "-selfsign", "-config", "ca.cnf", "-keyfile", "key.pem", "-in", "a.csr", "-out", "c.pem"]
    dates = ["-startdate", "20981231000000Z", "-enddate", "20991231000000Z", "-notext"]
    for command in (key, [*sign, *dates]):
        subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True)
    return folder / "c.pem", folder / "key.pem"


def test_a_certificate_that_is_not_valid_yet_is_a_named_state_that_is_tried_again(tmp_path: Path) -> None:
    certificate, key = of_tomorrow(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def ask() -> AgentError:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        async with server, client(f"https://127.0.0.1:{port}", jwt(sub="user_1"), ca_file=certificate) as rest:
            return await refused(rest.list())

    problem = asyncio.run(ask())
    assert isinstance(problem, Retry)
    assert problem.code == "clock_wrong"
    assert "911" in problem.emergency
    assert "once the clock is set" in problem.todo

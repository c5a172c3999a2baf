"""/metrics: read by Prometheus' own parser, named as METRICS.md says, true in every state, without secrets."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent.config.settings import PageSettings
from agent.light.tally import Tally
from agent.metrics import Family, Metrics, gauge, render
from agent.model import CallView, Gap, StatusKind, VoiceState
from agent.page.server import PageServer
from agent.runtime.lag import Lag
from agent.testcall.evidence import Answer, Evidence, Result, Subject
from tests.admin.journald import ROOT
from tests.engine.virtual_world import SITES, World
from tests.page.fake_control import FakeControl

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@dataclass
class Platform:
    """What the platform side would say."""

    requests: int = 7
    writes: int = 2
    token_end: float | None = None


@dataclass
class Notices:
    """What the side of the notices would say."""

    told: tuple[int, int, int] = (1, 2, 3)

    def standing(self) -> tuple[int, int, int]:
        return self.told


@dataclass
class Past:
    """What the tester remembers."""

    past: tuple[Evidence, ...] = ()


SUBJECT = Subject(1, "e", None, proven=True, network="n", place_id=1)
TEST = Evidence(1, 1_800_000_000.0, "cli", Result.SPEECH, SUBJECT, answers=(Answer(same=True, at=0.0, who="cli"),))


@pytest.fixture
def world() -> Iterator[World]:
    found = World("fixed")
    yield found
    found.close()


def scrape(
    world: World, platform: Platform | None = None, past: tuple[Evidence, ...] = ()
) -> tuple[Samples, dict[str, str]]:
    """Return the samples and the kind of each metric, as Prometheus' parser reads them."""
    metrics = Metrics(
        world.engine, platform=platform or Platform(), lag=Lag(world.clock), notices=Notices(), tests=Past(past)
    )
    text = metrics.text()
    families = list(text_string_to_metric_families(text))
    assert all(family.documentation for family in families)
    samples = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families for sample in family.samples
    }  # fmt: skip
    assert len(samples) == sum(len(family.samples) for family in families), "a sample stands twice"
    kinds = {sample.name: family.type for family in families for sample in family.samples}
    return samples, kinds


def value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, frozenset(labels.items())))


def states(samples: Samples) -> dict[str, float]:
    return {dict(labels)["state"]: number for (name, labels), number in samples.items() if name == "dialstack_status"}


def settled(world: World, site: str = "office") -> None:
    """Plug in, answer, and be bound."""
    world.plug(site)
    world.advance(2)
    assert world.confirm(site)
    world.advance(2)


# ------------------------------------------------------------------ what is said


def test_the_light_is_a_state_set_with_exactly_one_state(world: World) -> None:
    before, _ = scrape(world)
    assert sum(states(before).values()) == 1
    assert set(states(before)) == {kind.value for kind in StatusKind}
    settled(world)
    after, _ = scrape(world)
    assert [state for state, on in states(after).items() if on] == ["bound"]
    assert (value(before, "dialstack_proven"), value(after, "dialstack_proven")) == (0, 1)
    assert (value(before, "dialstack_exposed"), value(after, "dialstack_exposed")) == (1, 0)
    assert value(after, "dialstack_status_since_timestamp_seconds") == world.engine.lamp.since
    assert value(after, "dialstack_status_cause", cause="proven") == 1


def test_exposure_counts_every_second_in_which_911_could_be_wrong(world: World) -> None:
    settled(world)
    bound = value(scrape(world)[0], "dialstack_exposure_seconds_total")
    assert bound is not None
    assert bound >= 2
    world.advance(100)
    assert value(scrape(world)[0], "dialstack_exposure_seconds_total") == bound
    world.unplug()
    world.advance(50)
    open_window = value(scrape(world)[0], "dialstack_exposure_seconds_total")
    assert open_window == pytest.approx(bound + 50, abs=0.1)
    world.plug("office")
    world.advance(5)
    assert world.engine.light.kind is StatusKind.BOUND
    closed = value(scrape(world)[0], "dialstack_exposure_seconds_total")
    world.advance(100)
    assert value(scrape(world)[0], "dialstack_exposure_seconds_total") == closed


def test_moves_confirmations_and_registers_are_counted_once(world: World) -> None:
    settled(world)
    first, _ = scrape(world)
    assert value(first, "dialstack_moves_total") == 0
    assert value(first, "dialstack_confirmations_total") == 1
    settled(world, "home")
    world.plug("office")
    world.advance(5)
    second, _ = scrape(world)
    assert value(second, "dialstack_moves_total") == 2
    assert value(second, "dialstack_places") == 2
    assert value(second, "dialstack_confirmations_total") == 2
    assert value(second, "dialstack_registers_total") == world.engine.tally.registers
    assert (value(second, "dialstack_api_requests_total"), value(second, "dialstack_api_writes_total")) == (7, 2)


def test_a_device_that_was_moved_while_it_was_off_has_moved(world: World) -> None:
    settled(world)
    world.site = SITES["home"]
    world.restart()
    world.advance(5)
    assert value(scrape(world)[0], "dialstack_moves_total") == 1


def test_what_is_not_known_is_left_out_and_never_old(world: World) -> None:
    settled(world)
    samples, _ = scrape(world)
    assert value(samples, "dialstack_token_expiry_timestamp_seconds") is None
    assert value(samples, "dialstack_registration_expiry_timestamp_seconds") is not None

    async def lose_voice() -> None:
        world.engine.voice_changed(VoiceState(connected=False, registration=world.engine.voice.registration))

    world.loop.finish(lose_voice())
    samples, _ = scrape(world)
    assert value(samples, "dialstack_registration_expiry_timestamp_seconds") is None
    assert value(samples, "dialstack_registered") == 0
    assert value(samples, "dialstack_calls_active", kind="emergency") is None


def test_the_token_s_end_is_told_in_wall_time(world: World) -> None:
    platform = Platform()
    platform.token_end = world.clock.boottime() + 600
    samples, _ = scrape(world, platform)
    assert value(samples, "dialstack_token_expiry_timestamp_seconds") == pytest.approx(world.clock.wall() + 600)


def test_gaps_are_counted_by_kind(world: World) -> None:
    world.engine.gap(Gap("overrun", 0.5, "lost"))
    world.engine.gap(Gap("overrun", 1.0, "lost"))
    samples, _ = scrape(world)
    assert value(samples, "dialstack_gaps_total", kind="overrun") == 2
    assert value(samples, "dialstack_gap_seconds_total") == 1.5


def call(number: int, *, emergency: bool = False, test: bool = False) -> CallView:
    return CallView(number, "x", "out", "calling", emergency=emergency, test=test)


def test_each_call_is_counted_once_and_933_is_no_emergency() -> None:
    tally, silent = Tally(), VoiceState(connected=True)
    one = VoiceState(connected=True, calls=(call(1, emergency=True),))
    two = VoiceState(connected=True, calls=(call(1, emergency=True), call(2, emergency=True, test=True), call(3)))
    for old, new in ((silent, one), (one, two), (two, two), (two, one), (one, silent)):
        tally.voice(old, new)
    assert tally.calls == {("emergency", "out"): 1, ("test", "out"): 1, ("ordinary", "out"): 1}


def test_notices_that_wait_and_the_newest_test_call_are_told(world: World) -> None:
    samples, _ = scrape(world)
    names = ("open", "pending", "failed")
    assert [value(samples, f"dialstack_notices_{name}") for name in names] == [1, 2, 3]
    assert value(samples, "dialstack_test_call_timestamp_seconds") is None
    samples, _ = scrape(world, None, (TEST, Evidence(0, 5.0, "cli", Result.FAILED, SUBJECT)))
    assert value(samples, "dialstack_test_call_timestamp_seconds") == TEST.at
    assert value(samples, "dialstack_test_call_result", result="speech") == 1
    assert value(samples, "dialstack_test_call_result", result="failed") == 0
    assert value(samples, "dialstack_test_call_address_right") == 1


def test_the_worst_lag_of_the_last_minute_is_told(world: World) -> None:
    lag = Lag(world.clock)
    assert lag.worst() == 0
    for late in (2.0, *[0.001] * 11):
        lag.seen(late)
    assert lag.worst() == 2.0
    lag.seen(0.001)
    assert lag.worst() == 0.001


def test_text_that_would_break_a_line_is_escaped() -> None:
    text = render([gauge("a", "A.", 1, cause='quo"te\\\nline'), Family("b", "gauge", "B.", ())])
    [family] = text_string_to_metric_families(text)
    assert family.samples[0].labels == {"cause": 'quo"te\\\nline'}


# ------------------------------------------------------------------ names


def documented() -> dict[str, str]:
    """Return name -> kind in METRICS.md."""
    rows = re.findall(r"^\| (`.*?) \| (\w*) \|", (ROOT / "agent" / "METRICS.md").read_text(), re.MULTILINE)
    return {name: kind for names, kind in rows for name in re.findall(r"`(\w+)`", names)}


def everything(world: World) -> dict[str, str]:
    """Return name -> kind of every metric there is."""
    settled(world)
    world.engine.gap(Gap("suspend", 1.0, "slept"))
    platform = Platform()
    platform.token_end = 1.0
    return scrape(world, platform, (TEST,))[1]


def test_every_metric_is_documented_and_every_documented_one_exists(world: World) -> None:
    said, written = everything(world), documented()
    assert said == written


def test_alert_rules_use_metrics_and_labels_that_exist(world: World) -> None:
    text = (ROOT / "config" / "prometheus-rules.yml").read_text()
    expressions = re.findall(r"^ +expr: (.+)$", text, re.MULTILINE)
    assert len(expressions) == text.count("- alert: ") == text.count("summary: ") == text.count("description: ")
    names = everything(world)
    for expression in expressions:
        used = set(re.findall(r"\b(?:dialstack|process)_\w+|\bup\b", expression))
        assert used, expression
        assert used - {"up"} <= set(names), expression
        for name in re.findall(r"increase\((\w+)", expression):
            assert names[name] == "counter", f"{name} is no counter"
    told = set(re.findall(r'state=~"([\w|]+)"', text)[0].split("|"))
    assert told <= {kind.value for kind in StatusKind}
    assert set(re.findall(r'kind="(\w+)"', text)) <= {"ordinary", "emergency", "test"}


# ------------------------------------------------------------------ over HTTP


def test_metrics_are_served_on_loopback_and_socket_and_refused_to_other_names(tmp_path: Path) -> None:
    async def story() -> None:
        server = PageServer(
            FakeControl(), PageSettings(port=0, socket=tmp_path / "s"), metrics=lambda: "# HELP a A.\na 1.0\n"
        )
        await server.start()
        try:
            unix = aiohttp.UnixConnector(str(tmp_path / "s"))
            async with aiohttp.ClientSession() as tcp, aiohttp.ClientSession(connector=unix) as local:
                for session, base in ((tcp, f"http://127.0.0.1:{server.port}"), (local, "http://localhost")):
                    async with session.get(f"{base}/metrics") as answer:
                        assert (answer.status, await answer.text()) == (200, "# HELP a A.\na 1.0\n")
                        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
                        assert answer.headers["Cache-Control"] == "no-store"
                rebound = {"Host": "evil.example"}
                async with tcp.get(f"http://127.0.0.1:{server.port}/metrics", headers=rebound) as answer:
                    assert answer.status == 421
        finally:
            await server.stop()

    asyncio.run(story())

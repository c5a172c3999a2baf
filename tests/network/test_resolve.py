"""Names are looked up in the background, and a bad answer never replaces a good one."""

from __future__ import annotations

import asyncio

import pytest

from agent.network import resolve
from agent.network.resolve import Resolver, look_up


@pytest.mark.parametrize(
    ("host", "addresses"),
    [("192.0.2.10", ("192.0.2.10",)), ("[2001:db8::1]", ("2001:db8::1",)), ("2001:DB8::1", ("2001:db8::1",)), ("", ())],
)
def test_literals_need_no_lookup(host: str, addresses: tuple[str, ...]) -> None:
    resolver = Resolver(host, lambda: None)
    resolver.refresh()  # no loop is running: it would raise if it looked anything up
    assert resolver.addresses == addresses


def test_ipv4_comes_first_and_a_change_is_told_once() -> None:
    async def main() -> None:
        told: list[None] = []

        async def ask(_: str) -> list[str]:
            return ["2001:db8::1", "192.0.2.10", "192.0.2.10"]

        resolver = Resolver("sip.example", lambda: told.append(None), ask)
        for _ in range(2):
            resolver.refresh()
            await resolver.settled()
        assert (resolver.addresses, len(told)) == (("192.0.2.10", "2001:db8::1"), 1)

    asyncio.run(main())


def test_failure_18_a_hung_lookup_ends_at_the_deadline_and_keeps_the_last_good_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resolve, "DEADLINE", 0.0)

    async def main() -> None:
        async def ask(_: str) -> list[str]:
            await asyncio.Event().wait()
            return []

        resolver = Resolver("sip.example", lambda: None, ask)
        resolver.addresses = ("192.0.2.10",)
        resolver.refresh()
        await resolver.settled()
        assert resolver.addresses == ("192.0.2.10",)

    asyncio.run(main())


def test_refreshes_during_a_lookup_lead_to_one_more() -> None:
    async def main() -> None:
        calls = 0
        started, gate = asyncio.Event(), asyncio.Event()

        async def ask(_: str) -> list[str]:
            nonlocal calls
            calls += 1
            started.set()
            await gate.wait()
            return ["192.0.2.10"]

        resolver = Resolver("sip.example", lambda: None, ask)
        resolver.refresh()
        await started.wait()
        for _ in range(5):
            resolver.refresh()
        gate.set()
        await resolver.settled()
        assert calls == 2

    asyncio.run(main())


def test_the_system_knows_localhost_and_not_what_cannot_exist() -> None:
    assert set(asyncio.run(look_up("localhost"))) <= {"127.0.0.1", "::1"}
    with pytest.raises((OSError, UnicodeError)):
        asyncio.run(look_up("a" * 300 + ".invalid"))


def test_a_name_that_was_never_answered_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve, "RETRY", 0.0)

    async def main() -> None:
        changed = asyncio.Event()
        answers = [[], [], ["192.0.2.10"]]

        async def ask(_: str) -> list[str]:
            return answers.pop(0)

        resolver = Resolver("sip.example", changed.set, ask)
        resolver.refresh()
        await changed.wait()
        assert resolver.addresses == ("192.0.2.10",)
        await resolver.close()

    asyncio.run(main())

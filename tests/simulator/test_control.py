"""The control port: what tests and the demo order and read."""

from __future__ import annotations

import asyncio
from dataclasses import fields
from pathlib import Path

import aiohttp
import pytest

from agent.simulator.behavior import Behavior, BehaviorError
from tests.simulator.world import ADDRESSES, OFFICE, run, world


def test_behavior_is_read_changed_and_checked_by_name_and_type(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            shown = (await w.rest("GET", "/control/behavior", base="control")).body
            assert set(shown) == {field.name for field in fields(Behavior)}
            changed = await w.rest("POST", "/control/behavior", {"anchor_match": "prefix"}, base="control")
            assert changed.body["anchor_match"] == w.platform.behavior.anchor_match == "prefix"
            wrong = await w.rest("POST", "/control/behavior", {"anchor_match": "maybe"}, base="control")
            assert wrong.status == 400
            assert "anchor_match" in wrong.body["error"]
            unknown = await w.rest("POST", "/control/behavior", {"mood": 1}, base="control")
            assert unknown.body["error"].startswith("no such switch: mood; there are anchor_match,")
            assert w.platform.behavior.anchor_match == "prefix"

    run(main())


def test_every_switch_has_a_docstring_and_a_row_in_the_readme() -> None:
    import agent.simulator.behavior as module

    readme = Path(module.__file__).with_name("README.md").read_text()
    for field in fields(Behavior):
        assert f"| `{field.name}` |" in readme, field.name
    with pytest.raises(BehaviorError):
        Behavior().changed({"session_cap": "many"})


def test_state_shows_addresses_sessions_and_registrations(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            number = await w.address()
            await w.session(number)
            state = (await w.rest("GET", "/control/state?user=user_1", base="control")).body
            assert [a["id"] for a in state["addresses"]["user_1"]] == [number]
            (session,) = state["sessions"]
            assert (session["bound"], session["source"], session["judgement"]) == (number, OFFICE, "bound")
            assert state["registrations"] == []
            other = (await w.rest("GET", "/control/state?user=user_2", base="control")).body
            assert other["sessions"] == []

    run(main())


def test_an_address_can_be_wrong_on_the_platform_without_its_user_knowing(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            number = await w.address()
            way = f"/control/addresses/{number}"
            wrong = (await w.rest("POST", way, {"address_number": "500", "unit": "Floor 9"}, base="control")).body
            assert wrong["address"]["formatted_address"].startswith("500 ")
            assert (await w.rest("GET", f"{ADDRESSES}/{number}", key=await w.token())).body["address"] == wrong[
                "address"
            ]
            assert (await w.rest("POST", way, {"street": "Nowhere St"}, base="control")).status == 422
            assert (await w.rest("POST", "/control/addresses/emerg_none", {}, base="control")).status == 404

    run(main())


def test_the_log_is_numbered_and_can_be_waited_for(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            start = (await w.rest("GET", "/control/log", base="control")).body["next"]
            path = f"/control/log?since={start}&kind=present&wait=5"
            waiting = asyncio.create_task(w.rest("GET", path, base="control"))
            await w.session("emerg_unknown")
            (entry,) = (await waiting).body["entries"]
            assert (entry["kind"], entry["judgement"], entry["channel"]) == ("present", "gone", "signalling")
            assert entry["at"] == pytest.approx(w.platform.clock.monotonic(), abs=5)
            late = await w.rest(
                "GET", f"/control/log?since={entry['number'] + 1}&kind=present&wait=0.01", base="control"
            )
            assert late.body["entries"] == []

    run(main())


def test_users_are_added_with_sip_credentials_and_get_tokens(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            body = {"id": "user_3", "sip_username": "carol", "sip_password": "secret"}
            made = await w.rest("POST", "/control/users", body, base="control")
            assert made.body == {"id": "user_3", "account": "acct_1", "sip_username": "carol"}
            listed = (await w.rest("GET", "/control/users", base="control")).body
            assert made.body in listed
            assert "secret" not in str(listed)
            minted = await w.rest("POST", "/control/tokens", {"user": "user_3", "ttl_seconds": 60}, base="control")
            assert (await w.rest("GET", ADDRESSES, key=minted.body["client_secret"])).status == 200
            wrong = await w.rest("POST", "/control/users", {"id": "carol"}, base="control")
            assert wrong.body == {"error": "`id` must start with user_ (platform.md 1.2)"}

    run(main())


def test_control_also_listens_on_a_socket_in_the_run_folder(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            connector = aiohttp.UnixConnector(w.simulator.urls["control_socket"])
            async with (
                aiohttp.ClientSession(connector=connector) as client,
                client.get("http://simulator/control/behavior") as response,
            ):
                assert (await response.json())["session_cap"] == 10

    run(main())


def test_sip_orders_without_sip_are_409(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            answer = await w.rest("GET", "/control/location", base="control")
            assert (answer.status, answer.body) == (409, {"error": "The simulator runs without SIP"})

    run(main())


def test_control_is_not_reachable_through_the_public_port(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path) as w:
            for path in ("/control/state", "/internal/password"):
                assert (await w.rest("GET", path)).status == 404

    run(main())

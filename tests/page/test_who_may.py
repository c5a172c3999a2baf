"""Every route and method, asked by everybody there is: nobody gets more than their role, and nobody less (S9)."""

from __future__ import annotations

import asyncio
import re
from http import HTTPStatus
from pathlib import Path

import aiohttp
import pytest

from agent.page.routes import Role
from tests.page.link_world import LAPTOP, OTHER_LAPTOP, STAFF_PIN, TECHNICIAN_PIN, World, link_world, sign_in

VALUES = {
    "id": "emerg_1", "action": "forget", "role": "staff", "name": "page.css", "number": "1", "call": "1",
    "step": "network", "group": "device",
}  # fmt: skip
"""What stands in for the variable parts of paths."""
NOT_OURS = ("OPTIONS", "TRACE", "PUT", "PATCH", "PROPFIND")
"""Methods that no route takes."""


SAYS = (
    (403, b"Only a technician may do this.", "technician"),
    (403, b"Calls are placed and answered on the phone itself only.", "not here"),
    (401, b"Sign in first.", "sign in"),
    (200, b"event: gone", "sign in"),
)
"""(status, what the answer says, what that means)."""
FOR_TECHNICIANS = {
    "/addresses/{action}", "/audit", "/api/v1/audit", "/settings", "/settings/{group}", "/setup", "/setup/{step}",
    "/diagnostics",
}  # fmt: skip
"""Pages that staff may not even see."""


async def answer(client: aiohttp.ClientSession, method: str, path: str) -> str:
    """Ask without a body; return `in`, or why not: `sign in`, `technician`, `not here`."""
    async with client.request(method, path, allow_redirects=False) as response:
        if response.status == HTTPStatus.SEE_OTHER and response.headers["Location"].startswith("/login?"):
            return "sign in"
        endless = response.content_type == "text/event-stream"
        said = await (response.content.readuntil(b"\n\n") if endless else response.read())
        for status, words, meaning in SAYS:
            if words in said:
                return meaning if response.status == status else f"{meaning} with {response.status}"
        if method == "HEAD":  # has no words
            return {401: "sign in", 403: "technician"}.get(response.status, "in")
        return "in" if response.status not in {401, 500} else str(response.status)


def expected(role: Role, needed: Role, method: str, path: str, *, on_link: bool) -> str:
    if role >= needed:
        # orders of calls fail at the gate of forms here, which stands before that of calls
        calls = on_link and re.match(r"/api/v1/calls(/|$)", path)
        return {"GET": "not here", "HEAD": "technician"}.get(method, "in") if calls else "in"
    looks = method in {"GET", "HEAD"} and not path.startswith("/api/")
    return "sign in" if role is Role.ANYONE or looks else "technician"  # a page leads to the PIN


def ways(world: World) -> list[tuple[str, str, Role]]:
    """Return method, path and role of everything there is, and of what there is not."""
    found = [
        (method, re.sub(r"\{(\w+)(:[^{}]*(\{[^{}]*\})?[^{}]*)?\}", lambda name: VALUES[name[1]], path), role)
        for method, path, role in world.server.gate.routes.all()
    ]
    assert len(found) > 80
    paths = sorted({path for _, path, _ in found} | {"/nothing", "/api/v1/nothing", "/static/../pins.json"})
    return found + [(method, path, Role.STAFF) for path in paths for method in NOT_OURS]


WHO = {
    "nobody": Role.ANYONE, "stolen session": Role.ANYONE, "staff": Role.STAFF, "screen": Role.STAFF,
    "technician": Role.TECHNICIAN, "open screen": Role.TECHNICIAN, "screen's technician": Role.TECHNICIAN,
}  # fmt: skip


def test_s9_no_page_of_a_technician_is_for_staff(tmp_path: Path) -> None:
    async def inside() -> None:
        async with link_world(tmp_path, workshop=True) as world:
            table = world.server.gate.routes.all()
            looks = {path for method, path, role in table if method == "GET" and role is Role.TECHNICIAN}
            assert looks == FOR_TECHNICIANS
            by_staff = {path for method, path, role in table if method != "GET" and role < Role.TECHNICIAN}
            assert not {path for path in by_staff if re.search("settings|setup|diagnostics|pins|audit", path)}

    asyncio.run(inside())


@pytest.mark.parametrize("who", WHO)
def test_s9_everybody_may_what_their_role_lets_them_and_nothing_else(who: str, tmp_path: Path) -> None:
    role = WHO[who]

    async def inside() -> None:
        async with link_world(tmp_path, workshop=True) as world:
            client = await (world.screen() if "screen" in who else world.browser(LAPTOP))
            if who == "open screen":
                world.access.remove_pin(Role.TECHNICIAN)
            if who in {"staff", "technician", "screen's technician"}:
                assert (await sign_in(client, STAFF_PIN if who == "staff" else TECHNICIAN_PIN))[0] == 303
            if who == "stolen session":
                await sign_in(client, TECHNICIAN_PIN)
                thief = await world.browser(OTHER_LAPTOP)
                thief.headers["Cookie"] = "; ".join(f"{one.key}={one.value}" for one in client.cookie_jar)
                client = thief
            wrong = []
            for method, path, needed in ways(world):
                if who == "stolen session":
                    client.cookie_jar.clear()  # of its own: the stolen ones stand in the header
                found = await answer(client, method, path)
                if found != expected(role, needed, method, path, on_link="screen" not in who):
                    wrong.append((method, path, needed.name, found))
            assert wrong == []
            assert world.control.confirmed == []

    asyncio.run(inside())

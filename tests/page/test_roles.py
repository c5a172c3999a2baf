"""Who may do what: every route has its role, and what has none is for technicians only."""

from __future__ import annotations

import asyncio
from pathlib import Path

from agent.page.routes import Role
from agent.page.views.access import ACTIONS
from tests.page.fake_control import FakeControl
from tests.page.serving import serving

OPEN = {
    (method, path)
    for path, methods in {
        "/static/{name}": ("GET", "HEAD"),
        "/login": ("GET", "HEAD", "POST"),
        "/logout": ("POST",),
        "/language": ("POST",),
    }.items()
    for method in methods
}
"""All that somebody may have who is not signed in."""
FOR_STAFF = {
    "/confirm", "/addresses/new", "/notices/acknowledge",
    "/api/v1/addresses", "/api/v1/confirm", "/api/v1/notices/{id}/acknowledge",
    "/test", "/test/{number}", "/api/v1/test-calls", "/api/v1/test-calls/{number}/answer",
    *(f"/api/v1/calls{path}" for path in ("", "/hangup")),
    *(f"/api/v1/calls/{{call}}/{verb}" for verb in ("answer", "reject", "hangup", "hold", "resume", "dtmf")),
}  # fmt: skip
"""What staff may change, and calls, which nobody makes from the link; the rest that changes is for technicians."""


def test_s9_only_what_is_listed_here_is_open_to_anybody_and_to_staff(tmp_path: Path) -> None:
    async def inside() -> None:
        async with serving(FakeControl(), tmp_path) as (server, _):
            table = server.gate.routes.all()
            assert server.application is not None
            assert len(table) > 20
            served = {
                (route.method, route.resource.canonical if route.resource else "")
                for route in server.application.router.routes()
            }
            assert {(method, path) for method, path, _ in table} == served
            assert {(method, path) for method, path, role in table if role is Role.ANYONE} == OPEN
            changes = {path for method, path, role in table if method not in {"GET", "HEAD"} and role is Role.STAFF}
            assert changes == FOR_STAFF
            told = {f"{method} {path}" for method, path, _ in table if method not in {"GET", "HEAD"}}
            assert told - {"POST /language"} <= set(ACTIONS), "the audit tells them in words"

    asyncio.run(inside())

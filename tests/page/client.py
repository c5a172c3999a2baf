"""What a browser does in the tests: read pages, send their forms, follow events."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp

from tests.page.fake_control import FakeControl
from tests.page.serving import serving

Client = aiohttp.ClientSession
Scenario = Callable[[FakeControl, Client], Awaitable[None]]


def play(folder: Path, scenario: Scenario) -> FakeControl:
    """Run a scenario against a served fake daemon."""

    async def inside() -> None:
        async with serving(control, folder) as (_, client):
            await scenario(control, client)

    control = FakeControl()
    asyncio.run(inside())
    return control


async def text_of(client: Client, path: str, status: int = 200) -> str:
    async with client.get(path) as response:
        assert response.status == status
        return await response.text()


def token_in(page: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found
    return found[1]


async def post(client: Client, path: str, page: str, **values: str) -> tuple[int, str, str]:
    """Send a form of that page; return status, location and body."""
    version = re.search(r'name="version" value="([^"]*)"', page)
    form = {"csrf": token_in(page), **({"version": version[1]} if version else {}), **values}
    async with client.post(path, data=form, allow_redirects=False) as response:
        return response.status, response.headers.get("Location", ""), await response.text()


async def next_event(response: aiohttp.ClientResponse) -> tuple[str, str]:
    """Return name and data of the next event."""
    name, data = "", list[str]()
    while True:
        line = (await response.content.readline()).decode().rstrip("\n")
        if not line and name:
            return name, "\n".join(data)
        field, _, value = line.partition(": ")
        name = value if field == "event" else name
        data += [value] if field == "data" else []

"""A test notice through one channel: a person waits for the answer."""

from __future__ import annotations

import asyncio
from typing import Final

from agent.control import Delivery
from agent.errors import AgentError
from agent.notify.channels import Channel
from agent.notify.notice import Event, Notice
from agent.say import say

PATIENCE: Final = 20.0
"""Seconds that a channel gets: a person, and a browser, wait for the answer."""


async def attempt(channel: Channel, notice: Notice) -> Delivery:
    """Send a notice once and return how that went; nothing is kept of it."""
    try:
        async with asyncio.timeout(PATIENCE):
            detail = await channel.deliver(notice, (Event.DIALED,))
    except TimeoutError:
        return Delivery(
            channel.name, delivered=False, detail=say("It did not finish within {seconds} s.", seconds=f"{PATIENCE:g}")
        )
    except AgentError as error:
        return Delivery(channel.name, delivered=False, detail=error.happened)
    return Delivery(channel.name, delivered=True, detail=detail)

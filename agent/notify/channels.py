"""What carries a notice out of the device, and which of them the configuration asks for."""

from __future__ import annotations

from typing import Protocol

from agent.clock import Clock
from agent.config.settings import Settings
from agent.notify import core
from agent.notify.command import Command
from agent.notify.mail import Mail
from agent.notify.notice import Event, Notice
from agent.notify.webhook import Webhook

NAMES = ("webhook", "email", "command", "webhook (escalation)", "email (escalation)", "command (escalation)")
"""Of all channels that there can be."""


class Channel(Protocol):
    """One way to one set of receivers; slow or dead, it delays nobody else."""

    name: str
    """Stable: it stands in the database, on the page and in the journal."""
    kind: core.Kind
    made_of: object
    """What it was built from: another one of that name is the same channel while this is equal."""

    async def deliver(self, notice: Notice, events: tuple[Event, ...]) -> str:
        """Tell what is new, and return the receiver's word for it; raises AgentError, and ends within a minute."""
        ...


def build(settings: Settings, clock: Clock) -> tuple[Channel, ...]:
    """Return the channels that are configured, those for escalation after the others."""
    tests = settings.notify.tests
    usual, late = core.Kind(tests=tests), core.Kind(escalation=True, tests=tests)
    hook, mail, command = settings.notify_webhook, settings.notify_email, settings.notify_command
    found: list[Channel] = []
    for kind, suffix, url, to, run in (
        (usual, "", hook.url, mail.to, command.run),
        (late, " (escalation)", hook.escalation_url, mail.escalation_to, command.escalation_run),
    ):
        if url:
            found.append(Webhook(f"webhook{suffix}", kind, url, hook, clock))
        if mail.host and to:
            found.append(Mail(f"email{suffix}", kind, to, mail, clock))
        if run:
            found.append(Command(f"command{suffix}", kind, run))
    return tuple(found)

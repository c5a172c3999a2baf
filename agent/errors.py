"""Errors typed by what to do next, worded for the reader: what happened, what it means for 911, what to do."""

from __future__ import annotations

from agent.say import Said, say, sentences

STILL_OUT = say("911 and 933 still go out.")
"""What most errors mean for 911: nothing."""


class AgentError(Exception):
    """An error that a person can read."""

    def __init__(
        self,
        happened: str,
        *,
        emergency: str = STILL_OUT,
        todo: str = "",
        code: str = "",
    ) -> None:
        super().__init__(happened)
        self.happened = happened
        """What happened, one sentence."""
        self.emergency = emergency
        """What it means for 911, one sentence."""
        self.todo = todo
        """What to do next, one sentence; empty when nothing is to be done."""
        self.code = code
        """Stable, for programs and tests."""

    @property
    def told(self) -> Said:
        """Return the three sentences one after the other."""
        return sentences(self.happened, self.emergency, self.todo)

    def __str__(self) -> str:
        """Return the same as plain text."""
        return str(self.told)


class Retry(AgentError):
    """Transient: try again on the usual schedule."""


class Backoff(AgentError):
    """Try again, but late: `retry_after` seconds if the peer named them."""

    def __init__(
        self,
        happened: str,
        *,
        retry_after: float | None = None,
        emergency: str = STILL_OUT,
        todo: str = "",
        code: str = "",
    ) -> None:
        super().__init__(happened, emergency=emergency, todo=todo, code=code)
        self.retry_after = retry_after


class NeedsHuman(AgentError):
    """Only a person can change the outcome."""


class AddressRefused(NeedsHuman):
    """The platform did not accept an address (422) or a field (400); keeps its words."""

    def __init__(self, happened: str, *, fields: dict[str, str] | None = None, code: str = "address_refused") -> None:
        super().__init__(
            happened,
            emergency=say("The address in use did not change."),
            todo=say("Check number, street, city, state and postal code."),
            code=code,
        )
        self.fields = fields or {}
        """Field of CivicAddress -> what is wrong with it, in the platform's words."""


class AddressGone(NeedsHuman):
    """404: the platform does not know this id (any more)."""


class Bug(AgentError):
    """Ours: record it, restart what it broke."""

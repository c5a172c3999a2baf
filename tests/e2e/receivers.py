"""Who is told of emergency calls in the end-to-end tests: a web server, a mail server and a program of the device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from agent.lab.stage import Stage, secret
from agent.lab.topology import PLATFORM
from tests.e2e.house import eventually
from tests.notify.sinks import HttpSink, SmtpSink

SECRET = "webhook-secret-4711"
CALLBACK = "+14155550100"
CONFIG = """
[notify]
callback_number = "{callback}"
escalate_after = {escalate_after}

[notify_webhook]
url = "{url}"
escalation_url = "{url}/second-circle"
secret_file = "{folder}/webhook-secret"

[notify_email]
host = "{platform}"
port = {smtp}
security = "none"
sender = "kiosk@example.net"
to = ["desk@example.net"]
escalation_to = ["boss@example.net"]

[notify_command]
run = ["{folder}/buzzer", "{folder}/buzzed"]
escalation_run = ["{folder}/buzzer", "{folder}/siren"]
"""
BUZZER = """#!/bin/sh
echo "$(date +%s.%N)|$DIALSTACK_EVENT|$DIALSTACK_TEST|$DIALSTACK_NUMBER|$DIALSTACK_ID|$DIALSTACK_LOCATION" >>"$1"
"""


@dataclass(frozen=True)
class Buzz:
    """One run of the program."""

    at: float
    """Unix seconds."""
    event: str
    test: bool
    number: str
    uid: str
    location: str


class Receivers:
    """The servers stand beside the platform; `with` ends them."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        with stage.lab.in_namespace("platform"):
            self.hook = HttpSink(PLATFORM)
            self.mail = SmtpSink(PLATFORM)

    def __enter__(self) -> Self:
        self.hook.__enter__()
        self.mail.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hook.__exit__(kind, error, trace)
        self.mail.__exit__(kind, error, trace)

    def config(self, escalate_after: float = 0) -> str:
        """Return the sections of the configuration, and make the files that they name."""
        folder = self._stage.folder
        secret(folder / "webhook-secret", SECRET)
        buzzer = folder / "buzzer"
        buzzer.write_text(BUZZER)
        buzzer.chmod(0o755)
        return CONFIG.format(
            callback=CALLBACK, escalate_after=escalate_after, url=self.hook.url, folder=folder, platform=PLATFORM,
            smtp=self.mail.port,
        )  # fmt: skip

    def posted(self, event: str, *, after: int = 0, **fields: object) -> dict[str, Any]:
        """Wait for a POST that tells of an event with these fields; return its JSON."""

        def wanted(body: dict[str, Any]) -> bool:
            return event in body["events"] and all(body[name] == value for name, value in fields.items())

        eventually(f"the POST of {event}", lambda: any(map(wanted, self.bodies()[after:])))
        return next(filter(wanted, self.bodies()[after:]))

    def bodies(self) -> list[dict[str, Any]]:
        """Return everything that was posted."""
        return [one.json for one in list(self.hook.inbox.items)]

    def buzzes(self, name: str = "buzzed") -> list[Buzz]:
        """Return every run of the program."""
        file: Path = self._stage.folder / name
        lines = file.read_text().splitlines() if file.exists() else []
        parts = [line.split("|") for line in lines]
        return [Buzz(float(at), event, test == "1", *rest) for at, event, test, *rest in parts]

    def buzzed(self, event: str, *, name: str = "buzzed", after: int = 0, uid: str = "") -> Buzz:
        """Wait until the program ran for an event."""

        def found() -> list[Buzz]:
            return [one for one in self.buzzes(name)[after:] if one.event == event and uid in {"", one.uid}]

        eventually(f"the buzz of {event}", lambda: bool(found()))
        return found()[0]

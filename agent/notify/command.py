"""A program of the device: a relay, a buzzer, a pager. No shell; what happened is in its environment."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import Final

from agent.errors import Retry
from agent.notify import core, words
from agent.notify.notice import Event, Notice
from agent.say import say
from agent.system_words import os_words

TIMEOUT: Final = 10.0
"""Seconds after which the program and what it started are ended."""
REAP_WAIT: Final = 1.0
PREFIX: Final = "DIALSTACK_"
_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "HOME")
"""What a program may know of our own environment; credentials' folders are not among it."""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Command:
    """A channel that runs one program for each change of a notice, one at a time."""

    def __init__(self, name: str, kind: core.Kind, run: tuple[str, ...]) -> None:
        self.name = name
        self.kind = kind
        self._run = run
        self.made_of: object = (kind, run)

    async def deliver(self, notice: Notice, events: tuple[Event, ...]) -> str:
        """Run it to its end; anything but status 0 is a failure. Raises AgentError."""
        program = os.path.basename(self._run[0])  # noqa: PTH119 - a text for people, not a path
        try:
            process = await asyncio.create_subprocess_exec(
                *self._run, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL, env=environment(notice, events), start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise Retry(
                say("{program} cannot be started: {strerror}.", program=program, strerror=os_words(error))
            ) from error
        try:
            async with asyncio.timeout(TIMEOUT):
                status = await process.wait()
        except TimeoutError as error:
            raise Retry(
                say("{program} did not end within {timeout:g} s and was ended.", program=program, timeout=TIMEOUT)
            ) from error
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                with contextlib.suppress(TimeoutError):  # what cannot be killed (state D) is not waited for
                    async with asyncio.timeout(REAP_WAIT):
                        await process.wait()
        if status != 0:
            raise Retry(say("{program} ended with status {status}.", program=program, status=status))
        return say("{program} ended with status {status}.", program=program, status=0)


def environment(notice: Notice, events: tuple[Event, ...]) -> dict[str, str]:
    """Return what the program gets to know."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    told = {PREFIX + name: value for name, value in words.fields(notice, events).items()}
    return {"PATH": _PATH, **kept, **told}

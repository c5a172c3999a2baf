"""Secrets are read from files of their own, or from systemd credentials; never from the configuration (S10)."""

from __future__ import annotations

import os
from pathlib import Path

from agent.errors import NeedsHuman
from agent.say import say


def read_secret(file: Path | None, credential: str) -> str:
    """Return a secret from its file, or from the systemd credential of that name; raises NeedsHuman.

    systemd gives `credential` itself or, with a whole folder loaded as `cred`, `cred_<credential>`.
    """
    for candidate in _candidates(file, credential):
        try:
            text = candidate.read_text().strip()
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise NeedsHuman(
                say("The secret in {candidate} cannot be read: {error}.", candidate=candidate, error=error),
                todo=say("Correct the file's owner and mode."),
                code="secret_unreadable",
            ) from error
        if text:
            return text
    where = str(file) if file else say("the systemd credential {name}", name=credential)
    raise NeedsHuman(
        say("The secret {credential} is missing: {where} is not there or empty.", credential=credential, where=where),
        todo=say("Put it there; nothing needs to be restarted."),
        code="secret_missing",
    )


def _candidates(file: Path | None, credential: str) -> list[Path]:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    found = [file] if file else []
    if folder:
        found += [Path(folder) / credential, Path(folder) / f"cred_{credential}"]
    return found

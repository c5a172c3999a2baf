"""Certificates of the receivers: always verified, against the system's authorities or a private one."""

from __future__ import annotations

import ssl
from pathlib import Path

from agent.errors import NeedsHuman
from agent.say import say


def trusting(ca_file: Path | None, key: str) -> ssl.SSLContext:
    """Return what verifies a server's certificate; raises NeedsHuman for a CA file that cannot be used."""
    try:
        return ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise NeedsHuman(
            say("The certificate authority in {ca_file} cannot be read: {error}.", ca_file=ca_file, error=error),
            todo=say("Correct {key}.", key=key),
            code="ca_file",
        ) from error

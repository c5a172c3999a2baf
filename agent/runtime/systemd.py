"""Word to the service manager (sd_notify(3)): ready, status sentence, watchdog; nothing without one."""

from __future__ import annotations

import os
import socket


def notify(**fields: str) -> None:
    """Send fields such as READY="1" to $NOTIFY_SOCKET; a manager that is not there is fine."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    text = "\n".join(f"{name}={value}" for name, value in fields.items())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        try:
            channel.sendto(text.encode(), address)
        except OSError:
            return


def watchdog_interval() -> float | None:
    """Return the seconds between keep-alives that the manager wants, None when it wants none."""
    text = os.environ.get("WATCHDOG_USEC", "")
    return int(text) / 2_000_000 if text.isdigit() and int(text) > 0 else None

"""Make the kernel learn a gateway's hardware address, without privileges: one empty datagram toward it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable

from agent.model import Path
from agent.network.snapshot import Snapshot

DISCARD = 9
"""UDP port of RFC 863; a router throws it away or says "unreachable", both after the address was resolved."""


def solicit(snapshot: Snapshot, paths: Iterable[Path]) -> None:
    """Send to the gateway of each path from the path's own source; failures are no news, the next try follows."""
    for path in paths:
        gateway = snapshot.gateway(path)
        if gateway is None:
            continue
        family = socket.AF_INET6 if ":" in gateway else socket.AF_INET
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.setblocking(False)  # noqa: FBT003 - the name of the standard library
            if (":" in path.source) == (":" in gateway):
                scope = (0, 0) if family == socket.AF_INET6 else ()
                probe.bind((path.source, 0, *scope))
            target = (gateway, DISCARD, 0, path.ifindex) if family == socket.AF_INET6 else (gateway, DISCARD)
            probe.sendto(b"", target)

"""Tries out new settings of the page before they are saved: a port that is taken, a certificate that does not work."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

from agent.config.settings import PageSettings
from agent.config.side import SCREEN
from agent.errors import NeedsHuman
from agent.page.access import certificate
from agent.page.access.guard import is_loopback
from agent.say import say
from agent.system_words import os_words

if TYPE_CHECKING:
    from agent.page.server import PageServer


def probe(server: PageServer, old: PageSettings, new: PageSettings) -> dict[str, str]:
    """Return key -> what is wrong with it; only what was changed is tried, and nothing stays open."""
    on_link = new.enabled and not is_loopback(new.listen)
    addresses = [one.address for one in server.access.links.mine] if on_link else []
    if new.listen != "link":
        addresses = [one for one in addresses if one == new.listen]
    newly = new.listen != old.listen
    wrong: dict[str, str] = {}
    for key, number, hosts, changed in (
        ("page.port", new.port, [new.listen if is_loopback(new.listen) else SCREEN], new.port != old.port),
        ("page.port", new.port, addresses, newly or new.port != old.port),
        ("page.https_port", new.https_port, addresses, newly or new.https_port != old.https_port),
    ):
        if changed and number and not server.holds(number):
            for why in _taken(hosts, number):
                wrong.setdefault(key, why)
    pair = (new.certificate, new.key)
    if pair != (old.certificate, old.key) and new.certificate is not None and new.key is not None:
        try:
            certificate.supplied(new.certificate, new.key)
        except NeedsHuman as error:
            wrong["page.certificate"] = error.happened
    return wrong


def _taken(hosts: list[str], port: int) -> Iterator[str]:
    """Yield why a port cannot be had at these addresses."""
    for host in hosts:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((host, port))
            except OSError as error:
                busy = error.errno == errno.EADDRINUSE
                yield say("another program uses that port") if busy else os_words(error)

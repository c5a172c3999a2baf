"""The page on the link: HTTPS on the device's own addresses, opened and closed as addresses and PINs come and go."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import ssl
from collections.abc import Callable
from pathlib import Path

from agent.clock import Clock
from agent.config.settings import PageSettings
from agent.errors import NeedsHuman
from agent.page.access import certificate
from agent.page.access.access import Access
from agent.page.access.door import Door
from agent.page.access.link_port import Crowd, LinkPort, Redirect
from agent.page.access.links import LinkAddress, in_urls
from agent.say import say

RETRY = 15.0
"""Seconds until a port in use, or an address that is not ready yet, is tried again."""
LOOK = 600.0
"""Seconds between looks at the certificate's age: a device without a clock makes it before it knows the time."""

log = logging.getLogger(__name__)


class LinkServer:
    """Keeps the listening sockets on the link what settings, PINs and addresses want them to be."""

    def __init__(
        self,
        settings: PageSettings,
        access: Access,
        door: Door,
        *,
        clock: Clock,
        folder: Path | None,
        names: tuple[str, ...],
    ) -> None:
        self.problem: NeedsHuman | None = None
        """Why the page is not on the link although it should be; for the notices."""
        self.fingerprint = ""
        """Of the certificate in use; staff compare it with what their browser shows."""
        self._settings = settings
        self._access = access
        self._door = door
        self._clock = clock
        self._folder = folder
        self._names = names
        self.on_change: Callable[[], None] = _nothing
        """Called when the page was opened on an address or closed there."""
        self._crowd = Crowd(access.links.may)
        self._context: ssl.SSLContext | None = None
        self._open: dict[LinkAddress, tuple[LinkPort, ...]] = {}

    def urls(self) -> tuple[str, ...]:
        """Return under which URLs the link reaches the page now."""
        return tuple(url for one, ports in self._open.items() for url in in_urls([one], ports[0].port))

    def port(self) -> int | None:
        """Return the port of HTTPS, None while the page is not on the link."""
        return next((ports[0].port for ports in self._open.values()), None)

    async def run(self) -> None:
        """Open and close until cancelled."""
        try:
            while True:
                before = set(self._open)
                done = await self._reconcile()
                if before != set(self._open):
                    self.on_change()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK if done else RETRY):
                        await self._access.links.wait_change()
        finally:
            await asyncio.gather(*(port.close() for ports in self._open.values() for port in ports))
            self._open = {}
            self._crowd.end()

    async def _reconcile(self) -> bool:
        """Make the sockets fit; False: something is to be tried again."""
        wanted = self._access.links.wanted() if self._access.pins.usable() else ()
        for gone in set(self._open) - set(wanted):
            for port in self._open.pop(gone):
                await port.close()
            log.info("the page is no longer on %s", gone.address)
        if not wanted:
            self.problem = None
            return True
        try:
            await self._renew(wanted)
            for address in wanted:
                if address not in self._open:
                    self._open[address] = self._listen(address)
                    log.info("the page is on %s", ", ".join(in_urls([address], self._open[address][0].port)))
        except NeedsHuman as error:
            if str(error) != str(self.problem):
                log.warning("%s", error)
            self.problem = error
            return False
        self.problem = None
        return True

    async def _renew(self, wanted: tuple[LinkAddress, ...]) -> None:
        """Have a certificate for every name and address; raises NeedsHuman."""
        settings = self._settings
        if settings.certificate is not None and settings.key is not None:
            pair = await asyncio.to_thread(certificate.supplied, settings.certificate, settings.key)
        elif self._folder is None:
            raise NeedsHuman(say("There is no place for a certificate."), code="certificate_failed")
        else:
            names = [*self._names, *(one.address for one in wanted)]
            pair = await asyncio.to_thread(certificate.device_made, self._folder, names, self._clock.wall())
        if self._context is None:
            self._context = certificate.server_context(pair)
        elif pair.fingerprint != self.fingerprint:
            self._context.load_cert_chain(pair.certificate, pair.key)  # for the connections from now on
        self.fingerprint = pair.fingerprint

    def _listen(self, address: LinkAddress) -> tuple[LinkPort, ...]:
        """Open HTTPS and the redirect to it; raises NeedsHuman."""
        crowd, settings = self._crowd, self._settings
        ports: list[LinkPort] = []
        try:
            ports.append(LinkPort(address.address, settings.https_port, crowd, self._door, self._context))
            url = in_urls([address], ports[0].port)[0]
            ports.append(LinkPort(address.address, settings.port, crowd, lambda: Redirect(url), None))
        except OSError as error:
            for port in ports:
                port.abandon()
            busy = error.errno == errno.EADDRINUSE
            why = "another program uses that port" if busy else error.strerror or str(error)
            raise NeedsHuman(
                say("The page cannot be opened on {address}: {why}.", address=address.address, why=why),
                emergency=say("911 and 933 still go out; the page is open on the phone's own screen."),
                todo=say("Stop the other program, or set page.https_port and page.port."),
                code="page_port_in_use" if busy else "page_port_failed",
            ) from error
        return tuple(ports)


def _nothing() -> None:
    """Nobody wants to know."""

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
from agent.system_words import os_words

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
        on_change: Callable[[], None],
    ) -> None:
        """`on_change` is called when the page was opened on an address or closed there, or has another port."""
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
        self._on_change = on_change
        self._crowd = Crowd(access.links.may)
        self._context: ssl.SSLContext | None = None
        self._open: dict[LinkAddress, tuple[LinkPort, ...]] = {}
        """HTTPS and the redirect to it."""

    def use(self, settings: PageSettings, names: tuple[str, ...]) -> None:
        """Go by other settings; what cannot be opened leaves open what is."""
        self._settings, self._names = settings, names
        self._access.links.reconsider()

    def urls(self) -> tuple[str, ...]:
        """Return under which URLs the link reaches the page now."""
        return tuple(url for one, ports in self._open.items() for url in in_urls([one], ports[0].port))

    def holds(self, port: int) -> bool:
        """Tell whether a TCP port is one of ours."""
        return any(one.port == port for ports in self._open.values() for one in ports)

    def port(self) -> int | None:
        """Return the port of HTTPS, None while the page is not on the link."""
        return next((ports[0].port for ports in self._open.values()), None)

    async def run(self) -> None:
        """Open and close until cancelled."""
        try:
            while True:
                before = self.urls()
                done = await self._reconcile()
                if before != self.urls():
                    self._on_change()
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
            await self._close(gone)
            log.info("the page is no longer on %s", gone.address)
        if not wanted:
            self.problem = None
            return True
        try:
            await self._renew(wanted)
            for address in wanted:
                await self._listen(address)
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

    async def _listen(self, address: LinkAddress) -> None:
        """Have HTTPS and the redirect to it open as the settings want them; raises NeedsHuman, with all as it was."""
        crowd, settings = self._crowd, self._settings
        old, wanted = self._open.get(address, ()), (settings.https_port, settings.port)
        kept = [port for port, number in zip(old, wanted, strict=False) if port.asked == number]
        if old and len(kept) == len(old):
            return
        if {port.port for port in old if port not in kept} & set(wanted):  # the two change places
            await self._close(address)
            old, kept = (), []
        made: list[LinkPort] = []
        try:
            for number, factory, context in (
                (settings.https_port, self._door, self._context),
                (settings.port, lambda: Redirect(self._url(address)), None),
            ):
                place = len(made)
                again = old[place] if old and old[place] in kept else None
                made.append(again or LinkPort(address.address, number, crowd, factory, context))
        except OSError as error:
            for port in made:
                if port not in kept:
                    port.abandon()
            raise _cannot_open(address.address, error) from error
        self._open[address] = tuple(made)
        for port in old:
            if port not in made:
                await port.close()
        log.info("the page is on %s", ", ".join(in_urls([address], made[0].port)))

    def _url(self, address: LinkAddress) -> str:
        ports = self._open.get(address, ())
        return next(iter(in_urls([address], ports[0].port)), "/") if ports else "/"

    async def _close(self, address: LinkAddress) -> None:
        for port in self._open.pop(address):
            await port.close()


def _cannot_open(address: str, error: OSError) -> NeedsHuman:
    busy = error.errno == errno.EADDRINUSE
    why = say("another program uses that port") if busy else os_words(error)
    return NeedsHuman(
        say("The page cannot be opened on {address}: {why}.", address=address, why=why),
        emergency=say("911 and 933 still go out; the page is open on the phone's own screen."),
        todo=say("Stop the other program, or set page.https_port and page.port."),
        code="page_port_in_use" if busy else "page_port_failed",
    )

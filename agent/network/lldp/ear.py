"""Hears the network switches on every cable that may tell a place, and announces the phone to them; never busy."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import socket
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from agent.clock import Clock
from agent.config.settings import NetworkSettings
from agent.heard import Heard, Hearing
from agent.model import LinkKind
from agent.network.links import Link
from agent.network.lldp import opener
from agent.network.lldp.announcement import Schedule, announcement
from agent.network.lldp.frame import ETHERTYPE, GROUP, MAX_FRAME, LldpError, decode
from agent.network.lldp.neighbors import Neighbors
from agent.network.snapshot import Snapshot
from agent.runtime.liveness import waiting
from agent.runtime.log import trace

BURST, RATE = 64, 20.0
"""Frames taken at once, and a second in the long run: a quiet network has one in thirty seconds."""
PAUSE = 1.0
"""Seconds that a flood is left to the kernel, which drops it."""
CALM = 1.0
"""Seconds at least between two pieces of news; the first is told at once."""
ASK_AGAIN = 300.0
"""Seconds between tries to get the socket: the helper comes with an upgrade or is started by hand."""
LLDPD = Path("/run/lldpd.socket")
"""Where lldpd runs it announces the device already; two of them on one cable confuse a switch."""
SIOCGIFHWADDR = 0x8927


def open_socket() -> socket.socket:
    """Return the socket, opened here where that is allowed, else by the helper; raises OSError."""
    try:
        return opener.open_here()
    except OSError as error:
        if error.errno not in opener.NO_RIGHT:
            raise
    return opener.ask()


@dataclass(slots=True)
class _Wire:
    """A network card that is listened on."""

    name: str
    downs: int
    speech: Schedule


class Ear:
    """`run` listens; `see` tells it the cables; `heard` tells what was heard on them."""

    def __init__(
        self,
        settings: NetworkSettings,
        clock: Clock,
        *,
        get_socket: Callable[[], socket.socket] = open_socket,
        lldpd: Path = LLDPD,
    ) -> None:
        self._mode = settings.lldp
        self._clock = clock
        self._get_socket = get_socket
        self._lldpd = lldpd
        self.on_change: Callable[[], None] = lambda: None
        """Called when something else is heard than before."""
        self.hearing = Hearing.OFF
        self.frames = 0
        """Frames read since the start."""
        self.refused = 0
        """Those of them that were malformed."""
        self._neighbors = Neighbors()
        self._wires: dict[int, _Wire] = {}
        self._socket: socket.socket | None = None
        self._reading = False
        self._tokens, self._tokens_at = float(BURST), clock.monotonic()
        self._paused_until: float | None = None
        self._wake = asyncio.Event()
        self._failure: OSError | None = None
        self._news = False
        self._calm_at = float("-inf")
        """When news may be told again."""

    # ------------------------------------------------------------------ what the watcher tells and asks

    def configure(self, settings: NetworkSettings) -> None:
        """Go on in another mode."""
        self._mode = settings.lldp
        self._wake.set()

    def see(self, snapshot: Snapshot) -> None:
        """Follow the cables; what was heard on one whose carrier was away is forgotten."""
        wanted = dict(_wires(snapshot))
        away = [index for index, wire in self._wires.items() if _was_away(wire, wanted.get(index))]
        if away and self._reading:
            self._drain()  # what waits there was heard before the loss, and is forgotten with the rest
        for index in away:
            self._neighbors.forget(index)
            wire = self._wires.pop(index)
            if self._socket is not None:
                opener.member(self._socket, index, join=False)
            trace("lldp_forgotten", interface=wire.name)
        now = self._clock.monotonic()
        for index, link in wanted.items():
            if index not in self._wires:
                self._wires[index] = _Wire(link.name, link.carrier_downs, Schedule(now))
                if self._socket is not None:
                    opener.member(self._socket, index, join=True)
                self._wake.set()

    def heard(self, snapshot: Snapshot) -> dict[int, Heard]:
        """Return what is heard on every link that tells a place, by its index."""
        return {link.index: self._heard(link.wires) for link in snapshot.links if link.tells_place}

    def _heard(self, wires: Iterable[int]) -> Heard:
        found = self._neighbors.switches(tuple(wires))
        ports = tuple(one.switch_port() for one in found)
        if len(found) != 1 or found[0].address is None:
            return Heard(self.hearing, ports, elin=found[0].elin if len(found) == 1 else "")
        return Heard(self.hearing, ports, found[0].address, "lldp", found[0].elin)

    # ------------------------------------------------------------------ life

    async def run(self) -> None:
        """Listen until cancelled; after a failure, call it again."""
        try:
            while True:
                self._wake.clear()
                await self._turn()
                await self._pause()
        finally:
            self._stop()

    async def _turn(self) -> None:
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        if self._mode == "off":
            self._stop()
            return
        if self._socket is None:
            await self._start()
        now = self._clock.monotonic()
        if self._paused_until is not None and now >= self._paused_until:
            self._paused_until = None
            self._listen(on=True)
        self._news = self._neighbors.expire(now) or self._news
        if self._news and now >= self._calm_at:
            self._news, self._calm_at = False, now + CALM
            self.on_change()
        self._announce(now)

    async def _start(self) -> None:
        was, self.hearing = self.hearing, Hearing.NO_RIGHT
        opening = asyncio.ensure_future(asyncio.to_thread(self._get_socket))  # the helper has to be started first
        try:
            self._socket = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close)
            raise
        except OSError as error:
            if was is not self.hearing:
                trace("lldp", hearing=self.hearing, problem=str(error))
                self.on_change()
            return
        self.hearing = Hearing.ON
        for index in self._wires:
            opener.member(self._socket, index, join=True)
        self._listen(on=True)
        trace("lldp", hearing=self.hearing)
        self.on_change()

    def _stop(self) -> None:
        if self._socket is not None:
            self._listen(on=False)
            self._socket.close()
            self._socket = None
        forgotten = [self._neighbors.forget(index) for index in self._wires]
        if any(forgotten) or self.hearing is not Hearing.OFF:
            self.hearing = Hearing.OFF
            self.on_change()

    def _listen(self, *, on: bool) -> None:
        if self._socket is None or self._reading is on:
            return
        loop = asyncio.get_running_loop()
        if on:
            loop.add_reader(self._socket.fileno(), self._read)
        else:
            loop.remove_reader(self._socket.fileno())
        self._reading = on

    async def _pause(self) -> None:
        """Sleep until there is something to do: nothing, most of the time."""
        times = [self._paused_until, self._neighbors.next_expiry(), self._calm_at if self._news else None]
        if self._socket is not None:
            times += [wire.speech.next_at for wire in self._wires.values()] if self._announces() else []
        elif self._mode != "off":
            times.append(self._clock.monotonic() + ASK_AGAIN)
        due = min((one for one in times if one is not None), default=None)
        with waiting(), contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if due is None else max(0.0, due - self._clock.monotonic())):
                await self._wake.wait()

    # ------------------------------------------------------------------ hearing

    def _read(self) -> None:
        """Take what is there, as long as it is no flood."""
        now = self._clock.monotonic()
        self._tokens = min(float(BURST), self._tokens + (now - self._tokens_at) * RATE)
        self._tokens_at = now
        while self._tokens >= 1:
            self._tokens -= 1
            if not self._read_one():
                return
        self._listen(on=False)
        self._paused_until = now + PAUSE
        self._wake.set()

    def _drain(self) -> None:
        """Take everything that waits, as much as the kernel's buffer held at most."""
        for _ in range(opener.RECEIVE_BUFFER):
            if not self._read_one():
                return

    def _read_one(self) -> bool:
        """Read one frame; False when there is none."""
        if self._socket is None:
            return False
        try:
            data, (_, protocol, kind, *_), index = _receive(self._socket)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno != errno.ENETDOWN:  # a card went; the snapshot says so, too
                self._failure = error
                self._wake.set()
            return False
        self.frames += 1
        wire = self._wires.get(index)
        if wire is None or protocol != ETHERTYPE or kind == socket.PACKET_OUTGOING:
            return True
        try:
            neighbor = decode(data)
        except LldpError:
            self.refused += 1
            return True
        if self._neighbors.hear(index, neighbor, self._clock.monotonic()):
            trace("lldp_heard", interface=wire.name, chassis=neighbor.chassis, port=neighbor.port, ttl=neighbor.ttl,
                  switch=neighbor.switch, med=neighbor.med, problem=neighbor.address_problem)  # fmt: skip
            if neighbor.switch:
                wire.speech.heard(self._clock.monotonic())
            self._news = True
            self._wake.set()
        return True

    # ------------------------------------------------------------------ speaking

    def _announces(self) -> bool:
        return self._mode == "announce" and not self._lldpd.exists()

    def _announce(self, now: float) -> None:
        if self._socket is None or not self._announces():
            return
        for index, wire in self._wires.items():
            if wire.speech.due(now):
                self._send(self._socket, wire.name)
                wire.speech.sent(now, med=self._neighbors.med(index))

    def _send(self, speaker: socket.socket, name: str) -> None:
        with contextlib.suppress(OSError):  # the link went meanwhile: there is nobody to tell
            request = struct.pack("=16s24x", name.encode())
            mac = fcntl.ioctl(speaker.fileno(), SIOCGIFHWADDR, request)[18:24]
            speaker.sendto(announcement(mac, socket.gethostname()), (name, ETHERTYPE, 0, 0, GROUP))


def _close(opened: asyncio.Future[socket.socket]) -> None:
    """Close a socket that nobody waits for any more."""
    if not opened.cancelled() and opened.exception() is None:
        opened.result().close()


def _receive(listener: socket.socket) -> tuple[bytes, tuple[str, int, int, int, bytes], int]:
    """Return the next frame without its Ethernet header, its address, and the index of its card."""
    data, address = listener.recvfrom(MAX_FRAME + 1)
    try:
        index = socket.if_nametoindex(address[0])
    except OSError:
        index = 0  # the card is gone
    return data, address, index


def _wires(snapshot: Snapshot) -> Iterable[tuple[int, Link]]:
    """Return the network cards under the links that tell a place, those that have a carrier."""
    links = {link.index: link for link in snapshot.links}
    for link in snapshot.links:
        if link.tells_place and link.kind is LinkKind.ETHERNET:
            for index in link.wires:
                if (wire := links.get(index)) and wire.usable and not wire.portable:
                    yield index, wire


def _was_away(wire: _Wire, link: Link | None) -> bool:
    return link is None or (wire.name, wire.downs) != (link.name, link.carrier_downs)

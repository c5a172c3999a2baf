"""Which Wi-Fi network and access point a link is connected to, asked of the kernel (nl80211) without privileges.

BSSID (the access point's hardware address) is strong evidence, SSID is weak. A hot-spot that travels along, such as a
phone with its locally administered BSSID, is evidence like any other unless its interface stands in
`portable_interfaces`: then it is not asked about at all. With Wi-Fi 7 the address is that of the multi-link device.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Mapping

from agent.model import LinkKind
from agent.network.hints import HEADER, attributes
from agent.network.snapshot import Snapshot, Wifi

log = logging.getLogger(__name__)

DEADLINE = 0.25
"""Seconds that a snapshot waits: the answer takes below 1 ms, a driver that hangs in its firmware takes seconds."""
SEND_BUFFER = 1 << 15
FAMILY = "nl80211"
GENERIC = struct.Struct("=BBH")
ERROR = struct.Struct("=i")
STATION_FLAGS = struct.Struct("=II")
"""struct nl80211_sta_flag_update: which flags are told, and which of them are set."""

NETLINK_GENERIC = 16
NLM_F_REQUEST, NLM_F_DUMP_INTERRUPTED, NLM_F_DUMP = 0x01, 0x10, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
GENL_ID_CTRL, CTRL_CMD_NEWFAMILY, CTRL_CMD_GETFAMILY = 16, 1, 3
CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME = 1, 2
GET_INTERFACE, NEW_INTERFACE, GET_STATION, NEW_STATION = 5, 7, 17, 19
ATTR_IFINDEX, ATTR_IFTYPE, ATTR_MAC, ATTR_STA_INFO, ATTR_SSID = 3, 5, 6, 21, 52
STA_INFO_FLAGS = 17
AUTHORIZED, TDLS_PEER = 1 << 1, 1 << 6
CLIENTS = frozenset((2, 8))
"""NL80211_IFTYPE_STATION and P2P_CLIENT: only there the other station is an access point."""

Answer = tuple[int, bytes]
"""(command, attributes) of one generic-netlink message."""


# --------------------------------------------------------------------------- messages, pure


def attribute(kind: int, payload: bytes) -> bytes:
    """Return one attribute with its padding."""
    return struct.pack("=HH", 4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


def request(family: int, command: int, sequence: int, body: bytes, *, dump: bool = False) -> bytes:
    """Return one generic-netlink request."""
    flags = NLM_F_REQUEST | (NLM_F_DUMP if dump else 0)
    return HEADER.pack(HEADER.size + GENERIC.size + len(body), family, flags, sequence, 0) + (
        GENERIC.pack(command, 1, 0) + body
    )


def family_request(sequence: int) -> bytes:
    """Ask for the number of nl80211; ENOENT where there is no wireless."""
    name = attribute(CTRL_ATTR_FAMILY_NAME, FAMILY.encode() + b"\0")
    return request(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, sequence, name)


def answers(data: bytes, family: int, sequence: int) -> tuple[list[Answer], bool]:
    """Return a datagram's answers and whether they end; raise OSError for the kernel's no, ValueError for nonsense."""
    found: list[Answer] = []
    offset = 0
    while offset < len(data):
        if len(data) - offset < HEADER.size:
            raise ValueError("truncated message")
        length, kind, flags, number, _ = HEADER.unpack_from(data, offset)
        if length < HEADER.size or offset + length > len(data):
            raise ValueError("a length that lies")
        body = data[offset + HEADER.size : offset + length]
        offset += (length + 3) & ~3
        if number != sequence:
            continue
        if flags & NLM_F_DUMP_INTERRUPTED:
            raise ValueError("the stations changed while they were listed")
        if kind in (NLMSG_ERROR, NLMSG_DONE):
            code = -ERROR.unpack_from(body)[0] if len(body) >= ERROR.size else 0
            if code > 0:
                raise OSError(code, os.strerror(code))
            return found, True
        if kind == family and len(body) >= GENERIC.size:
            found.append((GENERIC.unpack_from(body)[0], body[GENERIC.size :]))
    return found, False


def fields(body: bytes) -> dict[int, bytes]:
    """Return the attributes by their number; raise ValueError where a length lies."""
    return {kind: bytes(value) for kind, value in attributes(memoryview(body))}


def family_id(found: Iterable[Answer]) -> int:
    """Return the number of the family; raise ValueError if it is not in the answer."""
    for command, body in found:
        value = fields(body).get(CTRL_ATTR_FAMILY_ID, b"")
        if command == CTRL_CMD_NEWFAMILY and len(value) == 2:  # noqa: PLR2004 - a 16-bit number
            return int(struct.unpack("=H", value)[0])
    raise ValueError("no family number in the answer")


def ssid(found: Iterable[Answer], index: int) -> str | None:
    r"""Return the name of the network that a client link is in; None for other modes, or while there is none.

    An SSID is up to 32 bytes of anything: what is not readable UTF-8 is written as `\xff`.
    """
    for command, body in found:
        values = fields(body)
        if command != NEW_INTERFACE or values.get(ATTR_IFINDEX) != struct.pack("=I", index):
            continue
        mode, name = values.get(ATTR_IFTYPE, b""), values.get(ATTR_SSID, b"")
        if len(mode) == 4 and struct.unpack("=I", mode)[0] in CLIENTS and name:  # noqa: PLR2004 - 32 bits
            text = name.decode("utf-8", "backslashreplace")
            return "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in text)
    return None


def bssid(found: Iterable[Answer], index: int) -> str | None:
    """Return the access point of a client link; None while there is none that let us in, or more than one.

    A client's only station is its access point, except for direct links to other clients (TDLS).
    """
    points = set()
    for command, body in found:
        values = fields(body)
        mac = values.get(ATTR_MAC, b"")
        if command == NEW_STATION and values.get(ATTR_IFINDEX) == struct.pack("=I", index) and _is_point(values):
            if len(mac) != 6 or not any(mac) or mac[0] & 1:  # noqa: PLR2004 - a unicast hardware address
                raise ValueError("a station without an address")
            points.add(mac.hex(":"))
    return points.pop() if len(points) == 1 else None


def _is_point(values: Mapping[int, bytes]) -> bool:
    """Not a peer of a direct link, and authorized; drivers that do not tell have no others."""
    flags = fields(values.get(ATTR_STA_INFO, b"")).get(STA_INFO_FLAGS, b"")
    if len(flags) != STATION_FLAGS.size:
        return True
    told, on = STATION_FLAGS.unpack(flags)
    return not told & on & TDLS_PEER and (not told & AUTHORIZED or bool(on & AUTHORIZED))


# --------------------------------------------------------------------------- asking, on a thread


def ask(indexes: Iterable[int], deadline: float = DEADLINE) -> dict[int, Wifi]:
    """Ask the kernel about these links; raise OSError or ValueError. ENOENT: there is no nl80211 here."""
    until = time.monotonic() + deadline
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_GENERIC) as door:
        door.connect((0, 0))  # from here on only the kernel can send to it
        family = family_id(_exchange(door, family_request(1), GENL_ID_CTRL, 1, until, dump=False))
        found = {}
        for sequence, index in enumerate(indexes, start=2):
            with contextlib.suppress(OSError, ValueError):  # this link went away, or its driver says nothing
                found[index] = _ask_link(door, family, 2 * sequence, index, until)
        return {index: one for index, one in found.items() if one != Wifi()}


def _ask_link(door: socket.socket, family: int, sequence: int, index: int, until: float) -> Wifi:
    which = attribute(ATTR_IFINDEX, struct.pack("=I", index))
    query = request(family, GET_INTERFACE, sequence, which)
    name = ssid(_exchange(door, query, family, sequence, until, dump=False), index)
    if name is None:
        return Wifi()  # not a client, or in no network: other stations are no access points
    query = request(family, GET_STATION, sequence + 1, which, dump=True)
    return Wifi(name, bssid(_exchange(door, query, family, sequence + 1, until, dump=True), index))


def _exchange(
    door: socket.socket, query: bytes, family: int, sequence: int, until: float, *, dump: bool
) -> list[Answer]:
    door.send(query)
    found: list[Answer] = []
    while True:
        door.settimeout(max(0.001, until - time.monotonic()))
        more, ended = answers(door.recv(SEND_BUFFER), family, sequence)
        found += more
        if ended or (found and not dump):
            return found


class WifiReader:
    """Reads what Wi-Fi links are connected to, never fails, and makes nobody wait longer than the deadline.

    On a thread: a netlink request runs in the driver, inside send(), where no time-out reaches it. While one hangs no
    other is started. Where there is no nl80211 it asks again only when a Wi-Fi link appears.
    """

    def __init__(self, query: Callable[[Iterable[int]], dict[int, Wifi]] = ask, deadline: float = DEADLINE) -> None:
        self._query = query
        self._deadline = deadline
        self._without: frozenset[int] = frozenset()
        """The links for which there was no nl80211."""
        self._busy = False
        """A question is still in the driver."""

    async def read(self, snapshot: Snapshot) -> dict[int, Wifi]:
        """Return what the usable Wi-Fi links that tell a place are connected to; empty where nothing is known."""
        links = {link.index for link in snapshot.links if link.kind is LinkKind.WIFI and link.tells_place}
        self._without &= links
        usable = sorted(link.index for link in snapshot.links if link.index in links and link.usable)
        if not set(usable) - self._without or self._busy:
            return {}
        try:
            async with asyncio.timeout(self._deadline):
                return await self._on_thread(usable)
        except TimeoutError:
            log.warning("The Wi-Fi driver does not answer: this snapshot is without access point.")
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT):
                self._without = frozenset(links)
            log.info("No Wi-Fi evidence (%s).", error)
        except (ValueError, struct.error) as error:
            log.warning("The kernel's answer about Wi-Fi makes no sense (%s).", error)
        return {}

    async def _on_thread(self, indexes: list[int]) -> dict[int, Wifi]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[dict[int, Wifi]] = loop.create_future()

        def settle(found: dict[int, Wifi] | Exception) -> None:
            if answer.done():
                return
            if isinstance(found, Exception):
                answer.set_exception(found)
            else:
                answer.set_result(found)

        def body() -> None:
            found: dict[int, Wifi] | Exception
            try:
                found = self._query(indexes)
            except (OSError, ValueError, struct.error) as failure:
                found = failure
            finally:
                self._busy = False
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody asks any more
                loop.call_soon_threadsafe(settle, found)

        self._busy = True
        threading.Thread(target=body, name="wifi", daemon=True).start()
        return await answer

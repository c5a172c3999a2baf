"""Opens the one socket that hears LLDP, and hands it to the agent, which may not open such sockets itself.

`dialstack-lldp.socket` starts this file as a program with the agent's connection as standard input. It needs nothing
but the standard library, so that it can run isolated (`python3 -IS`).
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import errno
import os
import socket
import struct
import sys

LLDP = 0x88CC
GROUP = bytes.fromhex("0180c200000e")
FOLDER = "/run/dialstack-lldp"
DOOR = f"{FOLDER}/socket"
"""Where the helper is reached; only the agent's group may pass."""
WAIT = 5.0
"""Seconds for the helper to start and answer."""
RECEIVE_BUFFER = 1 << 16
"""Bytes: dozens of frames; a flood is dropped by the kernel."""
SO_NETNS_COOKIE = 71
SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_DROP_MEMBERSHIP, PACKET_MR_MULTICAST = 263, 1, 2, 0
SO_ATTACH_FILTER, SO_LOCK_FILTER = 26, 44
MSG_CMSG_CLOEXEC = 0x40000000
NO_RIGHT = frozenset((errno.EPERM, errno.EACCES, errno.EAFNOSUPPORT))
"""What the kernel says to a process that may not open packet sockets; the last is systemd's RestrictAddressFamilies."""
_PROTOCOL = 0xFFFFF000
"""SKF_AD_OFF + SKF_AD_PROTOCOL: the ethertype, whatever the link layer looks like."""
_FILTER = (
    (0x28, 0, 0, _PROTOCOL),  # ldh proto
    (0x15, 0, 1, LLDP),  # jeq LLDP
    (0x06, 0, 0, 0xFFFF),  # ret all
    (0x06, 0, 0, 0),  # ret none
)


def open_here() -> socket.socket:
    """Return a packet socket that passes nothing but LLDP, for good; raises OSError, of NO_RIGHT without CAP_NET_RAW.

    The protocol it is opened for is LLDP already; the filter keeps it so, whatever it is bound to later.
    """
    kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    opened = socket.socket(socket.AF_PACKET, kind, socket.htons(LLDP))
    try:
        program = b"".join(struct.pack("=HBBI", *step) for step in _FILTER)
        memory = ctypes.create_string_buffer(program)
        fprog = struct.pack("HL", len(_FILTER), ctypes.addressof(memory))
        opened.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, fprog)
        opened.setsockopt(socket.SOL_SOCKET, SO_LOCK_FILTER, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    except BaseException:
        opened.close()
        raise
    return opened


def ask(door: str = DOOR) -> socket.socket:
    """Return the socket that the helper opens; raises OSError where there is no helper."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as connection:
        connection.settimeout(WAIT)
        connection.connect(door)
        _, given, _, _ = socket.recv_fds(connection, 1, 1, MSG_CMSG_CLOEXEC)
    if not given:
        raise OSError(errno.ECONNREFUSED, "the helper opened nothing")
    received = socket.socket(fileno=given[0])
    received.settimeout(0)
    if _network(received) != _network(None):
        received.close()
        raise OSError(errno.ECONNREFUSED, "the helper is in another network namespace")
    return received


def _network(of: socket.socket | None) -> bytes:
    """Return what tells one network namespace from another (Linux 5.14; nothing on older ones)."""
    with contextlib.ExitStack() as stack:
        asked = of or stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        try:
            return asked.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8)
        except OSError:
            return b""


def member(listener: socket.socket, link: int, *, join: bool) -> None:
    """Let a network card pass LLDP's group address, or not any more; a card that is gone is no error."""
    request = struct.pack("=iHH8s", link, PACKET_MR_MULTICAST, len(GROUP), GROUP)
    with contextlib.suppress(OSError):
        listener.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP if join else PACKET_DROP_MEMBERSHIP, request)


def asked_by(connection: socket.socket, unit: str) -> bool:
    """Tell whether a process of a service is at the other end: the socket can send, too, and is not for everybody."""
    (pid,) = struct.unpack_from("=i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:  # noqa: PTH123 - isolated, and in a hurry
            return any(line.rstrip("\n").endswith(f"/{unit}") for line in file)
    except OSError:
        return False


def main(arguments: list[str]) -> int:
    """Open the socket and pass it to whoever is connected to standard input, if it is the service that is named."""
    with socket.socket(fileno=os.dup(0)) as connection:
        if arguments and not asked_by(connection, arguments[0]):
            sys.stderr.write(f"Refused: it is not {arguments[0]} that asks.\n")
            return 1
        with open_here() as opened:
            rights = array.array("i", [opened.fileno()])
            connection.sendmsg([b"+"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

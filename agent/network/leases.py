"""The address that a DHCP server names (option 99, RFC 4776), as the device's DHCP client leaves it in a file."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from agent.heard import Heard, NamedAddress
from agent.network import named
from agent.network.snapshot import Snapshot
from agent.runtime.log import trace

FOLDER = Path("/run/dialstack-dhcp")
"""One file an interface, written by root (`config/dhcp/dialstack-agent`)."""
MAX_FILE = 1024
"""Bytes: an option has 255 at most, three characters each."""
_COLONS = re.compile(r"[0-9a-f]{1,2}(:[0-9a-f]{1,2}){2,254}", re.IGNORECASE | re.ASCII)
"""As dhclient writes it, without leading zeros."""
_PLAIN = re.compile(r"([0-9a-f]{2}){3,255}", re.IGNORECASE | re.ASCII)
"""As udhcpc has it (`opt99`)."""

_Identity = tuple[int, int, int]


def parse(text: str) -> NamedAddress:
    """Return the address in a file's text; raises CivicError and nothing else."""
    text = text.strip(" \n")
    if _COLONS.fullmatch(text):
        payload = bytes(int(part, 16) for part in text.split(":"))
    elif _PLAIN.fullmatch(text):
        payload = bytes.fromhex(text)
    else:
        raise named.CivicError("it is not hexadecimal")
    if not named.describes_client(payload):
        raise named.CivicError("it is not about this device")
    return named.read(payload)


class Leases:
    """Believes a file as long as its interface has not been away since it was written."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._downs: dict[str, int] = {}
        """Interface -> losses of carrier at the last look."""
        self._stale: dict[str, _Identity | None] = {}
        """Interface -> the file that was there when carrier was lost."""
        self._refused: dict[str, str] = {}

    def add(self, snapshot: Snapshot, heard: Mapping[int, Heard]) -> dict[int, Heard]:
        """Return what is heard with what the DHCP server says where no switch names an address."""
        found = dict(heard)
        for link in snapshot.links:
            if link.index not in found:
                continue
            if not link.usable or self._downs.setdefault(link.name, link.carrier_downs) != link.carrier_downs:
                self._downs[link.name] = link.carrier_downs
                self._stale[link.name] = self._read(link.name)[0]
            if link.usable and found[link.index].named is None and (address := self._named(link.name)):
                found[link.index] = replace(found[link.index], named=address, source="dhcp")
        return found

    def _named(self, interface: str) -> NamedAddress | None:
        identity, text = self._read(interface)
        if identity is None or identity == self._stale.get(interface):
            return None
        try:
            return parse(text)
        except named.CivicError as error:
            if self._refused.get(interface) != text:
                self._refused[interface] = text
                trace("dhcp_civic", interface=interface, problem=str(error))
            return None

    def _read(self, interface: str) -> tuple[_Identity | None, str]:
        """Return what tells a file from a later one, and its text; (None, "") where there is none that fits."""
        try:
            handle = os.open(self._folder / interface, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None, ""
        with os.fdopen(handle, "rb") as file:
            seen = os.fstat(handle)
            if not stat.S_ISREG(seen.st_mode) or seen.st_size > MAX_FILE:
                return None, ""
            return (seen.st_dev, seen.st_ino, seen.st_mtime_ns), file.read(MAX_FILE).decode("ascii", "replace")

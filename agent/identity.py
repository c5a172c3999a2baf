"""Which device this is: state that was written on other hardware is another device's, whatever copied it here.

A card or disk image carries the state of the device that it was made on. What staff confirmed there says nothing about
this one (S3), and its keys must not be shared; so such state is set aside at the start, never used and never deleted.
/etc/machine-id alone cannot tell: a copied card brings it along, and a read-only system makes a new one at every boot.
So the hardware decides where it can be seen, and the machine id where it cannot (virtual machines, containers).
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

NAME: Final = "device.json"
BOUND: Final = ("agent.db*", "page-cert.*", "page-key.pem", "test-calls")
"""What belongs to one device, under the state folder. Settings, secrets and PINs stay: without its account a phone
whose network card was replaced could not even dial 911."""
PERMANENT: Final = "0"
"""NET_ADDR_PERM: the address came with the hardware, nobody set or randomized it."""
SERIALS: Final = ("proc/device-tree/serial-number", "sys/class/dmi/id/product_uuid")
MOST: Final = 16
"""Marks that are remembered: docks and cards come and go."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What tells one device from another; each may be missing."""

    machine: str
    """/etc/machine-id."""
    hardware: frozenset[str]
    """`serial ...` of the board, `mac ...` of each network card."""


def read(root: Path = Path("/")) -> Marks:
    """Return the marks of the machine whose file system begins at `root`; never raises."""
    hardware = {f"mac {address}" for address in map(_address, _cards(root)) if address}
    hardware |= {f"serial {text}" for text in (_text(root / name) for name in SERIALS) if text}
    return Marks(_text(root / "etc/machine-id"), frozenset(hardware))


def _cards(root: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return [card for card in (root / "sys/class/net").iterdir() if (card / "device").exists()]
    return []


def _address(card: Path) -> str:
    return _text(card / "address") if _text(card / "addr_assign_type") == PERMANENT else ""


def _text(path: Path) -> str:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return path.read_text(encoding="ascii").strip("\0\n ")
    return ""


def same(before: Marks, now: Marks) -> bool:
    """Tell whether two sets of marks are of one device; one mark in common is enough, none known says nothing."""
    if before.hardware and now.hardware:
        return bool(before.hardware & now.hardware)
    return not (before.machine and now.machine) or before.machine == now.machine


def claim(folder: Path, now: Marks) -> Path | None:
    """Make the state folder this device's; return where another device's state was put, None if there was none.

    Raises OSError when the folder cannot be written: nothing of it must be used then.
    """
    before = _load(folder / NAME)
    moved = None
    if before is not None and not same(before, now):
        moved, before = _set_aside(folder), None
    hardware = sorted(now.hardware) + sorted((before.hardware if before else frozenset()) - now.hardware)
    fresh = Marks(now.machine, frozenset(hardware[:MOST]))
    if fresh != before:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(folder / NAME, fresh)
    return moved


def _load(path: Path) -> Marks | None:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        data = json.loads(path.read_text())
        return Marks(str(data["machine"]), frozenset(map(str, data["hardware"])))
    return None


def _write(path: Path, marks: Marks) -> None:
    """Replace the file in one step, on disk when it returns."""
    temporary = path.with_name(f"{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump({"machine": marks.machine, "hardware": sorted(marks.hardware)}, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _set_aside(folder: Path) -> Path:
    """Move what is bound to a device into a folder of its own; interrupted, the next start goes on."""
    stem = f"other-device-{int(time.time())}"
    names = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
    target = next(found for found in map(folder.joinpath, names) if not found.exists())
    target.mkdir(mode=0o700)
    for pattern in BOUND:
        for item in sorted(folder.glob(pattern)):
            item.rename(target / item.name)
    return target

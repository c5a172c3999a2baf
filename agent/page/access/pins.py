"""PINs: what a good one is, how they are kept (scrypt, RFC 7914), and how one is compared."""

from __future__ import annotations

import asyncio
import ctypes
import hashlib
import hmac
import itertools
import logging
import os
import re
import secrets
from pathlib import Path

import msgspec

from agent.errors import NeedsHuman
from agent.page.problems import PageError
from agent.page.routes import Role
from agent.say import say
from agent.system_words import os_words

log = logging.getLogger(__name__)

COST, BLOCK, LANES = 2**14, 8, 1
"""scrypt: 16 MiB for about 50 to 100 ms on a desktop core, four times that on a phone.

More would not help: whoever has the file tries a million PINs in a day at any cost that a phone can bear. Guessing
through the page is what `attempts` makes hopeless.
"""
MAX_MEMORY = 32 * 1024 * 1024
"""Bytes that OpenSSL may take for one comparison; one runs at a time."""
KEY_BYTES = SALT_BYTES = 16
MIN_DIGITS, MAX_DIGITS = 6, 16
FEWEST = 2
"""Different digits that are not enough: 122121."""
MODE = 0o600

COMMON = frozenset(
    ("123321", "112233", "332211", "111222", "101010", "147258", "258369", "159753", "147852", "789456", "456123",
     "520520", "131313", "696969", "100200", "102030", "123654", "202020", "314159", "010203")
)  # fmt: skip
"""What people choose most, beyond what the rules below refuse."""

M_MMAP_THRESHOLD, OWN_BLOCK = -3, 1024 * 1024
"""mallopt(3): blocks of 1 MiB and more are mapped by themselves, so that what scrypt takes is given back.

glibc else raises that limit at the first of them and keeps the next for ever: 16 MiB more of a daemon that has 40.
"""

PIN_ROLES = (Role.STAFF, Role.TECHNICIAN)


class PinRefused(PageError):
    """A PIN that is not good enough; says why."""

    def __init__(self, why: str) -> None:
        super().__init__(
            422, why, todo=say("Choose another PIN: six digits or more that nobody guesses."), code="weak_pin"
        )


def weakness(pin: str) -> str:
    """Return why a PIN is refused, empty for a good one."""
    if not (pin.isascii() and pin.isdigit()):
        return say("A PIN has digits only.")
    if len(pin) < MIN_DIGITS:
        return say("A PIN needs at least six digits.")
    if len(pin) > MAX_DIGITS:
        return say("A PIN has at most sixteen digits.")
    steps = {(int(after) - int(before)) % 10 for before, after in itertools.pairwise(pin)}
    repeats = re.fullmatch(r"(.{1,3})\1+.{0,2}", pin) or len(set(pin)) <= FEWEST
    if repeats or steps in ({1}, {9}) or pin in COMMON:
        return say("This PIN is among the first that somebody tries: it repeats itself, counts, or is a common one.")
    return ""


def hash_pin(pin: str, salt: bytes) -> bytes:
    """Return the scrypt hash of a PIN; takes 16 MiB and a while."""
    if tell := getattr(ctypes.CDLL(None), "mallopt", None):  # glibc's; others give back by themselves
        tell(M_MMAP_THRESHOLD, OWN_BLOCK)
    return hashlib.scrypt(
        pin.encode(), salt=salt, n=COST, r=BLOCK, p=LANES, maxmem=MAX_MEMORY, dklen=KEY_BYTES
    )  # fmt: skip


class _Kept(msgspec.Struct, forbid_unknown_fields=True):
    """One PIN in the file."""

    salt: bytes
    hash: bytes

    def __post_init__(self) -> None:
        if len(self.salt) != SALT_BYTES or len(self.hash) != KEY_BYTES:
            raise ValueError("a PIN has the wrong length")


class _File(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The file; `version` 1 means the parameters above."""

    version: int = 1
    staff: _Kept | None = None
    technician: _Kept | None = None


class Pins:
    """The staff's and the technicians' PIN, in a file of their own: it outlives a damaged database.

    A damaged file opens nothing: the link stays closed and the local screen stays with the staff's rights until a
    new PIN is set over the Unix socket.
    """

    def __init__(self, path: Path | None) -> None:
        """Read the file; `None` keeps the PINs in memory."""
        self.problem = ""
        """In words, when the file cannot be used."""
        self._path = path
        self._one_at_a_time = asyncio.Lock()
        self._file = self._read()

    def _read(self) -> _File:
        if self._path is None:
            return _File()
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_File)
        except FileNotFoundError:
            return _File()
        except (OSError, msgspec.MsgspecError, ValueError) as error:
            log.error("%s cannot be used: %s", self._path, type(error).__name__)  # noqa: TRY400 - it may quote the file
            self.problem = say(
                "The file with the PINs cannot be used: nobody can sign in. "
                "Set the PINs again with dialstack-agent pin set."
            )
            return _File()

    def has(self, role: Role) -> bool:
        """Tell whether a PIN is set; a damaged file counts as one that nobody knows."""
        return bool(self.problem) or self._kept(role) is not None

    def usable(self) -> bool:
        """Tell whether somebody could sign in."""
        return not self.problem and any(self._kept(role) for role in PIN_ROLES)

    async def check(self, pin: str, roles: tuple[Role, ...] = PIN_ROLES) -> Role | None:
        """Return the highest role that a PIN opens; takes the same time whether it is right or wrong."""
        found: Role | None = None
        for role in roles:
            kept = self._kept(role)
            if kept is None or len(pin) > MAX_DIGITS:
                continue
            if hmac.compare_digest(await self._hash(pin, kept.salt), kept.hash):
                found = role
        return found

    async def set(self, role: Role, pin: str) -> None:
        """Keep a new PIN, on disk when it returns; raises PinRefused for a weak one and NeedsHuman for the disk."""
        if why := weakness(pin):
            raise PinRefused(why)
        others = tuple(other for other in PIN_ROLES if other is not role)
        if await self.check(pin, others) is not None:
            raise PinRefused(say("Staff and technicians need different PINs."))
        salt = secrets.token_bytes(SALT_BYTES)
        self._replace(role, _Kept(salt, await self._hash(pin, salt)))

    def remove(self, role: Role) -> None:
        """Forget a PIN, on disk when it returns."""
        self._replace(role, None)

    def _kept(self, role: Role) -> _Kept | None:
        return self._file.technician if role is Role.TECHNICIAN else self._file.staff

    def _replace(self, role: Role, kept: _Kept | None) -> None:
        fresh = _File(staff=self._file.staff, technician=self._file.technician)
        setattr(fresh, role.name.lower(), kept)
        if self._path is not None:
            try:
                if self.problem and self._path.exists():
                    self._path.replace(self._path.with_name(f"{self._path.name}.damaged"))
                write_private(self._path, msgspec.json.encode(fresh))
            except OSError as error:
                raise NeedsHuman(
                    say("The PIN could not be saved: {why}.", why=os_words(error)),
                    todo=say("Have the device's storage checked; the PIN before it still counts."),
                    code="pin_not_saved",
                ) from error
        self._file, self.problem = fresh, ""

    async def _hash(self, pin: str, salt: bytes) -> bytes:
        async with self._one_at_a_time:
            return await asyncio.to_thread(hash_pin, pin, salt)


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only we may read, whole or not at all, on disk when it returns; raises OSError."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

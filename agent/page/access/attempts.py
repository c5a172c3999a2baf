"""How often somebody may try a PIN: growing delays for each address, and one budget for the whole link; pure."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass

FREE = 5
"""Wrong PINs in a row that cost nothing: people mistype."""
FIRST_DELAY = 30.0
"""Seconds after the last free one; doubles with each further wrong PIN."""
MAX_DELAY = 3600.0
"""Seconds between two tries of one address on the link."""
MAX_SCREEN_DELAY = 300.0
"""Seconds between two tries at the device's own screen: a technician who stands there is not sent home."""
FORGET_AFTER = 24 * 3600.0
"""Seconds after which wrong PINs of an address no longer count."""
BUDGET = 20
"""Wrong PINs that all addresses together may have at once, whoever they say they are."""
REFILL = 300.0
"""Seconds in which one of them comes back: 288 a day, nine years for a million PINs."""
MAX_ADDRESSES = 256
"""Addresses remembered; beyond them the budget alone holds."""


@dataclass(frozen=True, slots=True)
class Record:
    """What one address did."""

    wrong: int = 0
    last: float = float("-inf")
    """Boottime seconds of its last wrong PIN."""

    def delay(self, longest: float) -> float:
        """Return the seconds that the next try must keep from the last one."""
        over = self.wrong - FREE
        return 0.0 if over < 0 else min(longest, FIRST_DELAY * 2.0 ** min(over, 16))


class Attempts:
    """Counts a try as wrong before the PIN is looked at, so that many at once gain nothing."""

    def __init__(self, *, longest: float = MAX_DELAY, budget: float = BUDGET) -> None:
        self._longest = longest
        self._budget = self._size = budget
        self._filled_at = 0.0
        self._records: OrderedDict[str, Record] = OrderedDict()

    def wait(self, address: str, now: float) -> float:
        """Return the seconds until this address may try; 0.0: now."""
        record = self._record(address, now)
        alone = record.last + record.delay(self._longest) - now
        self._fill(now)
        together = (1 - self._budget) * REFILL
        return max(0.0, alone, together)

    def left(self, address: str, now: float) -> int:
        """Return how many wrong PINs this address may still give without waiting."""
        return int(max(0, min(FREE - self._record(address, now).wrong, self._budget)))

    def begin(self, address: str, now: float) -> bool:
        """Count a try; False: it came too early and its PIN must not be looked at."""
        if self.wait(address, now) > 0:
            return False
        self._budget -= 1
        key = key_of(address)
        self._records[key] = Record(self._record(address, now).wrong + 1, now)
        self._records.move_to_end(key)
        while len(self._records) > MAX_ADDRESSES:
            self._records.popitem(last=False)
        return True

    def right(self, address: str) -> None:
        """Take back the last try: its PIN was right."""
        self._records.pop(key_of(address), None)
        self._budget = min(self._size, self._budget + 1)

    def _record(self, address: str, now: float) -> Record:
        record = self._records.get(key_of(address), Record())
        return Record() if now - record.last > FORGET_AFTER else record

    def _fill(self, now: float) -> None:
        self._budget = min(self._size, self._budget + (now - self._filled_at) / REFILL)
        self._filled_at = now


def key_of(address: str) -> str:
    """Return what counts as one address: of IPv6 the /64, which one computer has all to itself."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else str(found)  # noqa: PLR2004

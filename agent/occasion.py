"""Which network and place a question was about: an answer that comes after a move must not count at the new place."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOLD = re.compile(r"(?P<life>[0-9a-f]+)\.(?P<generation>\d{1,18})\.(?P<place>\d{0,18})")


@dataclass(frozen=True, slots=True)
class Occasion:
    """What an answer is about; its text goes out with every question and comes back with the answer."""

    life: str
    """Differs from start to start of the agent: generations are counted from each start."""
    generation: int
    """Of the network."""
    place: int | None
    """The place, where evidence tells it."""

    def __str__(self) -> str:
        return f"{self.life}.{self.generation}.{'' if self.place is None else self.place}"

    def fits(self, told: str) -> bool:
        """Tell whether an answer with that text is about here: this network, or this place as evidence tells it."""
        found = _TOLD.fullmatch(told)
        if found is None:
            return False
        if (found["life"], int(found["generation"])) == (self.life, self.generation):
            return True
        return self.place is not None and found["place"] == str(self.place)

"""Where the phone is and what 911 was told of it: a pure reading of what the workers publish, no guess (S2, S3)."""

from __future__ import annotations

import re
from collections.abc import Callable

from agent.config.settings import Settings
from agent.dialstack.proof import Binding
from agent.model import AddressSource, CivicAddress, Decision, NetworkState, Place, VoiceState
from agent.notify.notice import Certainty, Conveyed, Where

_NUMBER = re.compile(r"\+?[0-9]{3,15}", re.ASCII)
"""What can be dialed (E.164, and extensions)."""


def callback_number(settings: Settings) -> str:
    """Return the number to call back; empty where none is known: a name is nothing that a dispatcher can dial."""
    username = settings.sip.username
    return settings.notify.callback_number or (username if _NUMBER.fullmatch(username) else "")


def where(
    network: NetworkState | None,
    voice: VoiceState,
    binding: Binding,
    decision: Decision | None,
    *,
    place: Place | None,
    proven: bool,
    text_of: Callable[[str], CivicAddress | None],
    invite: str | None = None,
) -> Where:
    """Return both facts as of now; `place` is the verdict's, `text_of` knows the text of an id that was presented.

    `invite`: the id that the call itself carried, if it did; another one than the proven one proves nothing.
    """
    here, certainty = _here(network, decision, place)
    if proven and decision is not None and invite in {None, binding.address_id}:
        conveyed = Conveyed.PROVISIONAL if decision.wanted.provisional else Conveyed.PROVEN
        return Where(here, certainty, decision.wanted.civic, conveyed)
    presented = invite or voice.registration.presented_id or binding.presented_id
    if presented is not None:
        return Where(here, certainty, text_of(presented), Conveyed.UNPROVEN)
    blind = network is None or decision is None or not voice.connected
    return Where(here, certainty, None, Conveyed.UNKNOWN if blind else Conveyed.NONE)


def _here(
    network: NetworkState | None, decision: Decision | None, place: Place | None
) -> tuple[CivicAddress | None, Certainty]:
    if network is None or decision is None:
        return None, Certainty.UNKNOWN
    wanted = decision.wanted
    if wanted.civic is None:  # nothing may be presented here, but staff may have said where this is
        said = place.confirmation if place is not None else None
        return (said.civic, Certainty.UNCONFIRMED) if said is not None else (None, Certainty.UNKNOWN)
    steady = not network.interrupted and not network.flapping and wanted.generation == network.generation
    sure = steady and wanted.source is AddressSource.CONFIRMED_HERE
    return wanted.civic, Certainty.CONFIRMED if sure else Certainty.UNCONFIRMED

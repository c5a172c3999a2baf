"""Proving a binding under S2: wait until everything presented was accepted, read back, give a no time to arrive."""

from __future__ import annotations

import asyncio

from agent.clock import Clock
from agent.dialstack.listener import Listener, Ways
from agent.dialstack.ports import AddressApi
from agent.dialstack.proof import Proof, differs, same_ip, voice_presents
from agent.errors import Retry
from agent.model import NetworkState, RegistrationKind, VoiceState, Wanted
from agent.runtime.liveness import waiting
from agent.say import say

READ_BACKS = (0.0, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
"""Seconds between read-backs until the anchor shows; then it counts as a failure."""
GRACE_SURE = 0.2
"""Seconds to wait for a `network.changed` where the anchor was null or equals our own public address."""
GRACE_UNSURE = 2.0
"""The same where an old anchor was reused and nothing else says that it is ours (stale anchor, platform.md 3.4)."""


class Surroundings:
    """What the worker hears from network and voice; `poke` is set whenever something worth a look happened."""

    def __init__(self) -> None:
        self.network: NetworkState | None = None
        self.voice = VoiceState(connected=False)
        self.registration = 0
        """Number of the SIP registration in force; see Proof.registration."""
        self.poke = asyncio.Event()

    @property
    def resumed(self) -> int:
        """How often an interruption ended on the same network."""
        return self.network.resumed if self.network is not None else 0

    @property
    def online(self) -> bool:
        """There is a path to the platform."""
        return self.network is not None and self.network.api is not None

    @property
    def registered(self) -> bool:
        """The phone line is registered, whatever it presents."""
        return self.voice.registration.kind is RegistrationKind.REGISTERED

    def hear(self, voice: VoiceState) -> None:
        """Take the newest state of the voice process; a new registration gets a new number, a refresh does not."""
        if _epoch(self.voice) != _epoch(voice) and voice.registration.kind is RegistrationKind.REGISTERED:
            self.registration += 1
        self.voice = voice
        self.poke.set()


class Prover:
    """Makes proofs and tells whether one still stands."""

    def __init__(self, *, api: AddressApi, listener: Listener, clock: Clock, ways: Ways, around: Surroundings) -> None:
        self._api = api
        self._listener = listener
        self._clock = clock
        self._ways = ways
        self._around = around

    async def prove(self, wanted: Wanted, address_id: str, *, connection: int, null_anchor: bool) -> Proof:
        """Return a proof for what is presented now; raises Retry when the platform does not show the anchor.

        `null_anchor`: the id was presented against a null anchor, so an anchor that shows now is this presentation's.
        """
        around = self._around
        while True:
            await self._accepted(wanted, address_id)
            registration, resumed, accepted = around.registration, around.resumed, self._clock.monotonic()
            anchor = await self._read_back(address_id)
            grace = self._grace(anchor, null_anchor=null_anchor) - (self._clock.monotonic() - accepted)
            if grace > 0:
                await asyncio.sleep(grace)
            if (registration, resumed) == (around.registration, around.resumed):
                return Proof(
                    generation=wanted.generation, attempt=wanted.attempt, resumed=resumed, connection=connection,
                    registration=registration, address_id=address_id, registered_ip=anchor,
                    at=self._clock.monotonic(),
                )  # fmt: skip

    def stands(self, proof: Proof | None) -> bool:
        """Tell whether a proof needs no new read-back: no interruption and no new registration since."""
        if proof is None:
            return False
        if self._ways.sip and not self._around.registered:
            return True  # nothing to prove before the line is back; the light is off by itself (S2)
        same_line = proof.registration == self._around.registration or not self._ways.sip
        return same_line and proof.resumed == self._around.resumed

    async def _accepted(self, wanted: Wanted, address_id: str) -> None:
        """Wait until the phone line is registered with the id, where SIP presents."""
        while self._ways.sip and not voice_presents(self._around.voice, wanted, address_id):
            self._around.poke.clear()
            with waiting():
                await self._around.poke.wait()

    async def _read_back(self, address_id: str) -> str:
        for pause in READ_BACKS:
            await asyncio.sleep(pause)
            record = await self._api.get(address_id)
            if record.registered_ip is not None:
                return record.registered_ip
        raise Retry(
            say("The platform accepted the address but does not show it as bound."),
            emergency=say("911 goes out, but without a proven location."),
            code="not_anchored",
        )

    def _grace(self, anchor: str, *, null_anchor: bool) -> float:
        own = self._listener.public_address()
        if own is not None and differs(anchor, own):
            return GRACE_UNSURE
        return GRACE_SURE if null_anchor or (own is not None and same_ip(anchor, own)) else GRACE_UNSURE


def _epoch(voice: VoiceState) -> tuple[object, ...]:
    registration = voice.registration
    return (
        voice.connected,
        registration.kind is RegistrationKind.REGISTERED,
        registration.generation,
        registration.attempt,
        registration.presented_id,
    )

"""What the phone line is told: which way to register, which address to present, where the phone is (S2, S7)."""

from __future__ import annotations

from typing import Protocol

from agent.model import SOMEWHERE, CivicAddress, NetworkState, VoiceInstruction, Wanted


class VoicePort(Protocol):
    """The agent's side of the voice socket."""

    def instruct(self, instruction: VoiceInstruction) -> None:
        """Register so; newest wins."""

    def offline(self, generation: int) -> None:
        """There is no usable path."""

    def interrupted(self, generation: int) -> None:
        """Sight is lost for a moment: send nothing."""

    def locate(self, generation: int, civic: CivicAddress | None, *, confirmed: bool) -> None:
        """Where this phone is in this generation, for emergency calls that carry it."""


class Steering:
    """Keeps the newest instruction, so that a change of path goes on presenting what is presented."""

    def __init__(self, port: VoicePort) -> None:
        self._port = port
        self._network: NetworkState | None = None
        self._last: VoiceInstruction | None = None
        """Of this generation."""

    def follow(self, state: NetworkState) -> None:
        """Tell the line which way to go, or that there is none."""
        if self._network is None or self._network.generation != state.generation:
            self._last = None
        self._network = state
        if state.interrupted:
            self._port.interrupted(state.generation)
        elif state.sip is None:
            self._port.offline(state.generation)
        else:
            last = self._last
            self._instruct(last.attempt if last else 0, last.present_id if last else None)

    def again(self) -> None:
        """Tell the line once more: it went its own way."""
        if self._network is not None:
            self.follow(self._network)

    def present(self, wanted: Wanted, address_id: str | None) -> None:
        """Let the line present an id; one that is registered without an id already is left alone."""
        if self._network is None or wanted.generation != self._network.generation:
            return
        if self._last is not None and address_id is None and self._last.present_id is None:
            return
        self._instruct(wanted.attempt, address_id)

    def locate(self, generation: int, civic: CivicAddress | None, *, confirmed: bool) -> None:
        """See VoicePort."""
        self._port.locate(generation, civic, confirmed=confirmed)

    def _instruct(self, attempt: int, present_id: str | None) -> None:
        network = self._network
        path = network.sip if network is not None else None
        if network is None or path is None:
            return
        self._last = VoiceInstruction(
            generation=network.generation, attempt=attempt, interface=path.interface, source=path.source,
            destination="" if path.destination in SOMEWHERE.values() else path.destination, present_id=present_id,
        )  # fmt: skip
        self._port.instruct(self._last)

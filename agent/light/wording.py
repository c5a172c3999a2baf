"""The sentences around the light: the one question, the phone line, the network, and the progress of the work."""

from __future__ import annotations

from agent.control import Step
from agent.dialstack.proof import voice_presents
from agent.light.status import Scene
from agent.model import Ask, CivicAddress, LinkKind, NetworkState, Registration, RegistrationKind, VoiceState
from agent.say import say

VOICE_DEAD = say("The telephone program does not run.")
_VOICE_COMES = say("The telephone program is being connected.")
_LINE_COMES = say("The telephone line is being connected.")
_LINE_OFF = say("The telephone line is not connected.")
KINDS = {
    LinkKind.ETHERNET: say("cable"),
    LinkKind.WIFI: say("Wi-Fi"),
    LinkKind.CELLULAR: say("mobile network"),
    LinkKind.TUNNEL: say("tunnel"),
    LinkKind.CONTAINER: say("virtual network"),
    LinkKind.LOOPBACK: say("this device"),
    LinkKind.OTHER: say("other"),
}
"""Kinds of links in words."""


def question(ask: Ask, likely: CivicAddress | None) -> str:
    """Return the one question, in words that a receptionist understands."""
    if ask is Ask.NOTHING:
        return ""
    if ask is Ask.FIX_ADDRESS:
        return say("The address was not accepted. Where is this phone?")
    if ask is Ask.CONFIRM_PLACE and likely is not None:
        street = " ".join(part for part in (likely.address_number, likely.street) if part)
        where = ", ".join(part for part in (street, likely.unit) if part)
        return say("Is this phone still at {where}?", where=where)
    return say("Where is this phone?")


def phone_sentence(voice: VoiceState, *, overdue: bool) -> str:
    """Return one sentence about the SIP line."""
    if not voice.connected:
        return VOICE_DEAD if overdue else _VOICE_COMES
    if voice.problem:
        return voice.problem
    return _line_sentence(voice.registration)


def _line_sentence(registration: Registration) -> str:
    if registration.kind is RegistrationKind.REGISTERED:
        if registration.via_received:
            return say("The telephone line is connected, seen from {address}.", address=registration.via_received)
        return say("The telephone line is connected.")
    if registration.kind is RegistrationKind.FAILED:
        answer = registration.answer
        if registration.retry_in is not None:
            return say(
                "The telephone line is not connected: {answer}; next try in {seconds:.0f} s.",
                answer=answer,
                seconds=registration.retry_in,
            )
        return say("The telephone line is not connected: {answer}.", answer=answer)
    return _LINE_OFF if registration.kind is RegistrationKind.OFFLINE else _LINE_COMES


def network_sentence(network: NetworkState | None) -> str:
    """Return one sentence about the network."""
    if network is None or (network.sip is None and network.api is None):
        return say("No network.")
    path = network.sip or network.api
    assert path is not None  # noqa: S101 - one of them is
    parts = {"interface": path.interface, "kind": KINDS[path.kind], "source": path.source}
    if path.gateway:
        return say("Connected by {interface} ({kind}) as {source} through {gateway}.", gateway=path.gateway, **parts)
    return say("Connected by {interface} ({kind}) as {source}.", **parts)


def steps(scene: Scene, address_id: str | None) -> tuple[Step, ...]:
    """Return the progress of the work under way, for people."""
    network, binding, decision = scene.network, scene.binding, scene.decision
    online = network is not None and network.api is not None and not network.interrupted
    placed = online and network is not None and network.evidence_complete
    registration = scene.voice.registration
    registered = scene.voice.connected and registration.kind is RegistrationKind.REGISTERED and network is not None
    on_line = registered and network is not None and registration.generation == network.generation
    presented = (
        address_id is not None
        and decision is not None
        and (binding.presented_id == address_id or voice_presents(scene.voice, decision.wanted, address_id))
    )
    refused = binding.problem.happened if binding.problem is not None and not scene.proven else ""
    failures = {"sip": _line_failure(scene), "present": refused, "proof": refused}
    order: tuple[tuple[str, str, bool], ...] = (
        ("network", say("Network found"), online),
        ("place", say("Place compared with known places"), placed),
        ("sip", say("Telephone line connected"), on_line),
        ("present", say("Address presented on this network"), presented),
        ("proof", say("Proven by reading it back"), scene.proven),
    )
    return tuple(_step(index, order, failures.get(one[0], "")) for index, one in enumerate(order))


def _line_failure(scene: Scene) -> str:
    """Return why the telephone line is not connected; empty while it is, or may still be."""
    if not scene.voice.connected:
        return VOICE_DEAD if scene.voice_overdue else ""
    registration = scene.voice.registration
    if registration.kind is not RegistrationKind.FAILED:
        return ""
    answer = registration.answer
    return say("The telephone line is not connected: {answer}.", answer=answer)


def _step(index: int, order: tuple[tuple[str, str, bool], ...], failure: str) -> Step:
    """Return a step; the address is presented and proven without waiting for the telephone line."""
    name, label, done = order[index]
    if done:
        return Step(name, label, "done")
    before = {item[0] for item in order[:index] if not item[2]}
    if failure and before <= ({"sip"} if name != "sip" else set()):
        return Step(name, label, "failed", failure)
    return Step(name, label, "waiting" if before else "running")

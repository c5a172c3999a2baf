"""Rule S2 as a pure predicate: green only when proven, in this generation, on the connections in use."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from agent.errors import AgentError
from agent.model import EmergencyAddress, NetworkState, RegistrationKind, VoiceState, Wanted


@dataclass(frozen=True, slots=True)
class Proof:
    """A read-back that was made after everything that presents the id had been accepted."""

    generation: int
    attempt: int
    resumed: int
    """`NetworkState.resumed` when it was made: an interruption since then voids it."""
    connection: int
    """Number of the signalling connection that it is about; 0 where signalling does not present."""
    registration: int
    """Number of the SIP registration that it is about; refreshes keep the number."""
    address_id: str
    registered_ip: str
    at: float
    """Monotonic seconds."""


@dataclass(frozen=True, slots=True)
class Binding:
    """What the binding worker publishes; it is the only writer."""

    generation: int = 0
    attempt: int = 0
    phase: str = "idle"
    """`idle`, `address`, `present`, `proof`, `bound`, `open` (connected, presenting nothing), `waiting` (to retry)."""
    address_id: str | None = None
    presented_id: str | None = None
    """Latched on the signalling connection that is open (S2)."""
    connection: int = 0
    """Number of the open signalling connection; 0: none."""
    denied: bool = False
    """`network.changed` was heard on the open connection."""
    proof: Proof | None = None
    problem: AgentError | None = field(default=None, compare=False)
    retry_in: float | None = None


def voice_presents(voice: VoiceState, wanted: Wanted, address_id: str) -> bool:
    """Tell whether the phone line is registered in this generation and attempt with the id in its REGISTER."""
    registration = voice.registration
    return (
        voice.connected
        and registration.kind is RegistrationKind.REGISTERED
        and (registration.generation, registration.attempt) == (wanted.generation, wanted.attempt)
        and registration.presented_id == address_id
    )


def proven(
    binding: Binding,
    network: NetworkState,
    voice: VoiceState,
    *,
    wanted: Wanted,
    registration: int,
    by_signalling: bool,
    by_sip: bool,
) -> bool:
    """Tell whether the light may be on (S2). Everything is checked each time; unknown is not bound.

    `registration`: number of the SIP registration in force now. `by_*`: the configured ways of presenting.
    """
    proof = binding.proof
    if proof is None or network.interrupted or network.flapping or (network.sip is None and network.api is None):
        return False
    current = (
        proof.generation == network.generation == wanted.generation
        and proof.resumed == network.resumed
        and proof.attempt == wanted.attempt
        and wanted.civic is not None
        and (wanted.address_id is None or wanted.address_id == proof.address_id)
    )
    if not current or binding.denied or not (by_signalling or by_sip):
        return False
    if binding.connection == 0 or proof.connection != binding.connection:
        return False
    if by_signalling and binding.presented_id != proof.address_id:
        return False
    if by_sip:
        return proof.registration == registration and voice_presents(voice, wanted, proof.address_id)
    return True


def must_clear(record: EmergencyAddress, keep_anchor: str | None, public_address: str | None) -> bool:
    """Tell whether an anchor has to be cleared before presenting (null-anchor rule, platform.md 3.1.4).

    It may stay where it is exactly the one proven here before, unless the registrar just saw us come from another
    public address. Addresses are compared as addresses, never as text (platform.md 11.4).
    """
    if record.registered_ip is None:
        return False
    if keep_anchor is None or not same_ip(record.registered_ip, keep_anchor):
        return True
    return public_address is not None and differs(record.registered_ip, public_address)


def same_ip(one: str, other: str) -> bool:
    """Tell whether two texts are the same IP address."""
    try:
        return _ip(one) == _ip(other)
    except ValueError:
        return one == other


def differs(anchor: str, public_address: str) -> bool:
    """Tell whether a public address contradicts an anchor; another family or a private one says nothing."""
    try:
        left, right = _ip(anchor), _ip(public_address)
    except ValueError:
        return False
    return left.version == right.version and left != right and is_public(public_address)


def is_public(address: str) -> bool:
    """Tell whether an address could be seen from the Internet: not RFC 1918, CGNAT, link-local or ULA."""
    try:
        ip = _ip(address)
    except ValueError:
        return False
    return not any(ip in network for network in _INSIDE if network.version == ip.version)


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    ip = ipaddress.ip_address(text.strip("[]"))
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    return ip


_INSIDE = tuple(
    ipaddress.ip_network(text)
    for text in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
        "fc00::/7", "fe80::/10", "::1/128",
    )
)  # fmt: skip

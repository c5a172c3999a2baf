"""The configuration as frozen values: what `config.py` reads out of `agent.toml`, one docstring a field."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Literal

from agent.model import CivicAddress


@dataclass(frozen=True, slots=True)
class SipSettings:
    """Section `[sip]`: the account that registers and calls."""

    registrar: str = ""
    """Host name or address of the registrar."""
    port: int = 5060
    """5061 is usual for TLS."""
    transport: Literal["udp", "tcp", "tls"] = "udp"
    username: str = ""
    domain: str = ""
    """Host part of the address of record; empty: the registrar."""
    password_file: FilePath | None = None
    """File with the SIP password alone; else the systemd credential `sip-password`."""
    local_port: int = 5062
    """Fixed, so that a restart replaces its own binding; 0 lets the kernel choose (leaves a second one)."""
    expires: int = 120
    """Seconds asked for; what the registrar grants is what counts."""
    header: str = "X-DialStack-Emergency-Address"
    """Header that carries the id of the emergency address on REGISTER."""
    ca_file: FilePath | None = None
    """PEM of a private CA for TLS; empty: the system's."""
    callback_window: float = 300.0
    """Seconds after a 911 call in which the dispatcher may call back and nothing may disturb (S4)."""
    audio: Literal["none", "null"] = "null"
    """`null`: a clocked silent device (media flows); sound cards come with a later version."""
    socket: FilePath = FilePath("/run/dialstack-voice/voice.sock")
    """Where agent, CLI and the device's own application reach `dialstack-voice`."""
    state_file: FilePath | None = None
    """Where the voice process keeps the last good registrar; empty: beside the socket."""


@dataclass(frozen=True, slots=True)
class PlatformSettings:
    """Section `[platform]`: where the DialStack API is and how an address is presented."""

    api: str = "https://api.dialstack.ai"
    """Base of the REST API; paths under /v1 are appended."""
    signalling: str = ""
    """WebSocket URL; empty: derived from `api` (platform.md 1.3)."""
    presentation: tuple[Literal["signalling", "sip"], ...] = ("signalling", "sip")
    """The ways an id is presented; all that are named must have been accepted before an address is bound."""
    ca_file: FilePath | None = None
    ping_interval: float = 15.0
    """Seconds between signalling pings: how soon a dead connection or a changed WAN address is noticed."""
    audit_interval: float = 900.0
    """Seconds between read-backs of a bound address."""
    timeout: float = 8.0
    """Seconds for one API request."""


@dataclass(frozen=True, slots=True)
class TokenSettings:
    """Section `[token]`: where user tokens come from; the platform's secret key is never on the device."""

    source: Literal["file", "command", "endpoint"] = "file"
    file: FilePath | None = None
    """File with the token alone; else the systemd credential `token`."""
    command: tuple[str, ...] = ()
    """Program and arguments; prints the token, or the JSON of POST /v1/user_sessions."""
    endpoint: str = ""
    """URL answering a POST as /v1/user_sessions does."""
    endpoint_secret_file: FilePath | None = None
    """File with a bearer secret for the endpoint, if it wants one."""
    user: str = ""
    """`user_...` that this device must be; empty: the first token's user is remembered."""


@dataclass(frozen=True, slots=True)
class DeviceSettings:
    """Section `[device]`: what this device is."""

    name: str = "this phone"
    mobility: Literal["fixed", "movable"] = "fixed"
    """fixed: present the configured address provisionally in a new place; movable: present nothing there."""


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """Section `[network]`: how changes are judged."""

    portable_interfaces: tuple[str, ...] = ("wwan*", "wwp*", "ppp*", "rmnet*", "usb*")
    """Interfaces that travel with the device: traffic yes, place evidence no."""
    ignore_interfaces: tuple[str, ...] = ()
    """Never looked at, beyond what is known to be tunnels and containers."""
    loss_grace: float = 5.0
    """Seconds that carrier or route may be away without tearing connections down; the light is off at once."""
    quiet: float = 0.25
    """Seconds without hints before the second, settling snapshot."""
    evidence_wait: float = 2.0
    """Seconds to wait for the gateway's hardware address before a place counts as unknown."""
    audit_interval: float = 60.0
    """Seconds between snapshots that nobody asked for."""


@dataclass(frozen=True, slots=True)
class PageSettings:
    """Section `[page]`: the local web page."""

    enabled: bool = True
    listen: str = "127.0.0.1"
    """Loopback only in this version: the device's own screen."""
    port: int = 8911
    socket: FilePath = FilePath("/run/dialstack-agent/agent.sock")
    """The same page and API for the command line."""


@dataclass(frozen=True, slots=True)
class PathSettings:
    """Section `[paths]`: where state is kept."""

    state: FilePath = FilePath("/var/lib/dialstack-agent")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything."""

    sip: SipSettings = field(default_factory=SipSettings)
    platform: PlatformSettings = field(default_factory=PlatformSettings)
    token: TokenSettings = field(default_factory=TokenSettings)
    device: DeviceSettings = field(default_factory=DeviceSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    page: PageSettings = field(default_factory=PageSettings)
    paths: PathSettings = field(default_factory=PathSettings)
    address: CivicAddress | None = None
    """Section `[address]`: the configured address; None: none configured."""

"""The configuration as frozen values: what `load.py` reads out of `agent.toml`, one docstring a field.

The docstrings are the help of the settings page and the comments of `config/agent.toml` (`help.py`); after a
change here run `python -m agent.config.help > config/agent.toml`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Literal

from agent.model import CivicAddress


@dataclass(frozen=True, slots=True)
class SipSettings:
    """Section `[sip]`: the account that registers and calls."""

    registrar: str = ""
    """Host name or address of the registrar; required."""
    port: int = 5060
    """5061 is usual for tls."""
    transport: Literal["udp", "tcp", "tls"] = "udp"
    """How SIP is carried: "udp", "tcp" or "tls"."""
    username: str = ""
    """User name of the SIP account; required."""
    domain: str = ""
    """Domain of the address of record; "": the registrar."""
    password_file: FilePath | None = None
    """File with the password alone; "": systemd credential sip-password."""
    local_port: int = 5062
    """Fixed port: a restart replaces its own registration. 0: any port; a crash then leaves a second registration until
    it expires."""
    expires: int = 120
    """60 to 3600 seconds asked for. Too low: needless traffic and battery; too high: over UDP a registrar that lost its
    memory goes unnoticed for as long."""
    header: str = "X-DialStack-Emergency-Address"
    """Header on REGISTER and INVITE that carries the id of the emergency address."""
    ca_file: FilePath | None = None
    """PEM of a private CA for tls; "": the system's."""
    callback_window: float = 300.0
    """0 to 3600 seconds after a 911 call in which nothing is touched, so that the dispatcher can call back. Too low:
    the callback may be lost; too high: a new place waits as long."""
    audio: Literal["none", "null", "alsa"] = "null"
    """Sound device. "null": a silent one, media flows; "none": no media at all; "alsa": sound cards, where PJSIP was
    built with them."""
    playback_device: str = ""
    """Card to hear with, a part of a name that `dialstack-voice --list-audio` shows; "": the default one."""
    capture_device: str = ""
    """Card to speak into, the same way."""
    codecs: tuple[str, ...] = ("PCMU", "PCMA", "G722", "opus")
    """Codecs in the order in which they are offered; what the build has and nobody names comes last."""
    emergency_numbers: tuple[str, ...] = ()
    """More numbers that are sent as 911, such as "112"; what is sent without being named stands in
    agent/voice/EMERGENCY.md. Too many: extensions of that name reach a dispatcher."""
    geolocation: bool = False
    """Emergency calls carry the confirmed address (RFC 6442, PIDF-LO)."""
    recordings: FilePath | None = FilePath("/run/dialstack-voice/recordings")
    """Folder for recordings of calls, in memory by default; "": no call can be recorded, the 933 test neither."""
    sounds: FilePath | None = None
    """Folder with WAV files that a call may play; "": none can be played."""
    socket: FilePath = FilePath("/run/dialstack-voice/voice.sock")
    """The call API, see agent/voice/PROTOCOL.md. Taken up when the agent starts."""
    socket_group: str = ""
    """Group that owns the socket: its members may call. "": the group of the process."""
    stop_wait: float = 3600.0
    """0 to 7200 seconds that a stop or upgrade waits at most for an emergency call and its callback window. Too low: a
    911 call is cut off."""
    stop_wait_ordinary: float = 60.0
    """0 to 3600 seconds that it waits for an ordinary call. Too low: calls are cut off; too high: an upgrade takes as
    long."""
    state_file: FilePath | None = None
    """What voice needs to come back at once; "": systemd's state folder, else beside the socket."""


@dataclass(frozen=True, slots=True)
class PlatformSettings:
    """Section `[platform]`: where the DialStack API is and how an address is presented."""

    api: str = "https://api.dialstack.ai"
    """Base of the REST API."""
    signalling: str = ""
    """WebSocket URL; "": derived from api (api.x becomes webrtc.x)."""
    presentation: tuple[Literal["signalling", "sip"], ...] = ("signalling", "sip")
    """How an address is presented; all that stand here must have been accepted before an address counts as bound."""
    ca_file: FilePath | None = None
    """PEM of a private CA; "": the system's."""
    ping_interval: float = 15.0
    """1 to 120 seconds between signalling pings. Too high: a dead connection or a changed public address is noticed
    late; too low: traffic."""
    audit_interval: float = 900.0
    """10 to 86400 seconds between read-backs of a bound address. Too high: an address cleared on the platform stays
    green as long; too low: API requests."""
    timeout: float = 8.0
    """1 to 60 seconds for one API request. Too low: slow networks fail; too high: a dead network holds up the next
    try."""


@dataclass(frozen=True, slots=True)
class TokenSettings:
    """Section `[token]`: where user tokens come from; the platform's secret key is never on the device."""

    source: Literal["file", "command", "endpoint"] = "file"
    """Where tokens come from: "file", "command" or "endpoint"."""
    file: FilePath | None = None
    """File with the token; "": systemd credential token. Read again shortly before the token expires, and when it was
    refused."""
    command: tuple[str, ...] = ()
    """Program and arguments; prints a token or the JSON of POST /v1/user_sessions."""
    endpoint: str = ""
    """URL that answers a POST as /v1/user_sessions does: your backend as a thin proxy."""
    endpoint_secret_file: FilePath | None = None
    """File with a bearer secret for that endpoint."""
    user: str = ""
    """Id "user_..." of the phone's user: tokens of anybody else are refused; "": the first one is remembered."""


@dataclass(frozen=True, slots=True)
class DeviceSettings:
    """Section `[device]`: what this device is."""

    name: str = "this phone"
    """What people call it, in questions and notices."""
    mobility: Literal["fixed", "movable"] = "fixed"
    """What a new place means. "fixed": the address below is presented provisionally and staff are asked. "movable":
    nothing is presented until staff confirm."""


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """Section `[network]`: how changes are judged."""

    portable_interfaces: tuple[str, ...] = ("wwan*", "wwp*", "ppp*", "rmnet*", "usb*")
    """Travel with the device: they carry traffic but never tell where it is. Add the interface of a hot-spot that is
    carried along."""
    ignore_interfaces: tuple[str, ...] = ()
    """Never looked at; tunnels and containers are known already."""
    loss_grace: float = 5.0
    """0 to 30 seconds that the link may be away before everything is built anew; the light is off at once. Too low: a
    roam costs a registration; too high: late on a real loss."""
    quiet: float = 0.25
    """0.01 to 5 seconds without changes before the network is read once more."""
    evidence_wait: float = 2.0
    """0.1 to 30 seconds to wait for the gateway's hardware address before the place counts as unknown."""
    audit_interval: float = 60.0
    """5 to 3600 seconds between looks at the network that nothing asked for."""
    lldp: Literal["off", "listen", "announce"] = "announce"
    """Whether the network switch is asked where this is (LLDP, LLDP-MED). "listen": only heard, switches speak every
    30 s; "announce": the phone says what it is as desk phones do, for most switches tell an address only then, and
    answer at once; left to lldpd where that runs. "off": a move behind the same router goes unnoticed."""


@dataclass(frozen=True, slots=True)
class PageSettings:
    """Section `[page]`: the local web page."""

    enabled: bool = True
    """Serve the page; the command line's socket stays open without it."""
    listen: str = "127.0.0.1"
    """Where the page is. "127.0.0.1" or "::1": on the device's own screen. "link", or one address of the device: by
    HTTPS on the network that the device is plugged into as well, as soon as a PIN is set."""
    port: int = 8911
    """TCP port of HTTP on the device's own screen; on the link it only leads to HTTPS. 0: any."""
    https_port: int = 8912
    """TCP port of HTTPS on the link; 0: any."""
    socket: FilePath = FilePath("/run/dialstack-agent/agent.sock")
    """Unix socket with the same page and API for the command line. Taken up when the agent starts."""
    networks: tuple[str, ...] = ()
    """Networks such as "10.20.0.0/16" from which the page may be used with a PIN although the device is not plugged
    into them; nobody else from outside the link gets an answer."""
    names: tuple[str, ...] = ()
    """Further host names of the device, such as its name in the site's DNS; its own host name is known already."""
    certificate: FilePath | None = None
    """PEM file with a certificate for HTTPS and its chain; "": the device makes its own."""
    key: FilePath | None = None
    """PEM file with the key of that certificate, mode 0600."""
    local_role: Literal["staff", "technician"] = "staff"
    """What the device's own screen may do without a PIN, once a technician's PIN exists. "staff": confirm and choose
    addresses; "technician": everything, for a screen that nobody else can reach."""
    announce: bool = True
    """Tell the link by mDNS (avahi-publish) where the page is, while it is there."""


@dataclass(frozen=True, slots=True)
class CallTestSettings:
    """Section `[test_call]`: calls to 933 and the evidence of them."""

    automatic: bool = False
    """After an address was bound anew, 933 is called and recorded by itself, as rarely as the keys below say."""
    min_interval: float = 21600.0
    """Seconds at least between a test call and an automatic one. Too low: needless calls; too high: a new place is
    tested late."""
    hours: str = "08:00-18:00"
    """Local time in which an automatic test call may be made; may span midnight."""
    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = ("mon", "tue", "wed", "thu", "fri")
    """Days on which it may; a span over midnight belongs to the day on which it begins."""
    keep: int = 20
    """Recordings that are kept; of older test calls only what was found stays."""


@dataclass(frozen=True, slots=True)
class PathSettings:
    """Section `[paths]`: where state is kept."""

    state: FilePath = FilePath("/var/lib/dialstack-agent")
    """Database: places, confirmations, decisions. Taken up when the agent starts."""


@dataclass(frozen=True, slots=True)
class NotifySettings:
    """Section `[notify]`: who hears of an emergency call at once (47 CFR 9.16(b)(2)); page and journal always do."""

    callback_number: str = ""
    """Number under which this phone is reached, as notices and the page say it; "": sip.username where it is one."""
    escalate_after: float = 120.0
    """0 to 3600 seconds until a call that nobody acknowledged is told again and further; 0: never. Too high: nobody
    notices that nobody goes."""
    tests: bool = True
    """Tell of 933 too, marked as a test."""


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Section `[notify_webhook]`: a webhook, a signed POST for every notice (agent/page/API.md)."""

    url: str = ""
    """URL that takes the notices; "": none."""
    escalation_url: str = ""
    """URL that is told as well when nobody acknowledges."""
    secret_file: FilePath | None = None
    """File with the secret that signs (HMAC-SHA256); "": systemd credential notify-webhook-secret."""
    ca_file: FilePath | None = None
    """PEM of a private CA; "": the system's."""


@dataclass(frozen=True, slots=True)
class EmailSettings:
    """Section `[notify_email]`: e-mail through a mail server (SMTP submission)."""

    host: str = ""
    """Mail server; "": no e-mail."""
    port: int = 587
    """587 is usual for starttls, 465 for tls."""
    security: Literal["starttls", "tls", "none"] = "starttls"
    """"starttls", "tls" or "none"; "none" only to a server on this site, and never with a password."""
    username: str = ""
    """User name at the mail server; "": without signing in."""
    password_file: FilePath | None = None
    """File with the password alone; "": systemd credential notify-smtp-password."""
    ca_file: FilePath | None = None
    """PEM of a private CA; "": the system's."""
    sender: str = ""
    """Address that the notices come from; "": username, or the first of to."""
    to: tuple[str, ...] = ()
    """Addresses that are told of every call."""
    escalation_to: tuple[str, ...] = ()
    """Addresses that are told as well when nobody acknowledges."""


@dataclass(frozen=True, slots=True)
class CommandSettings:
    """Section `[notify_command]`: a program of this device, for a relay, a buzzer or a pager."""

    run: tuple[str, ...] = ()
    """Program and arguments, no shell, 10 s at most; what happened is in its environment (DIALSTACK_EVENT, ...). It
    cannot be set on the page."""
    escalation_run: tuple[str, ...] = ()
    """Program that is run as well when nobody acknowledges."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything."""

    sip: SipSettings = field(default_factory=SipSettings)
    platform: PlatformSettings = field(default_factory=PlatformSettings)
    token: TokenSettings = field(default_factory=TokenSettings)
    device: DeviceSettings = field(default_factory=DeviceSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    page: PageSettings = field(default_factory=PageSettings)
    test_call: CallTestSettings = field(default_factory=CallTestSettings)
    paths: PathSettings = field(default_factory=PathSettings)
    notify: NotifySettings = field(default_factory=NotifySettings)
    notify_webhook: WebhookSettings = field(default_factory=WebhookSettings)
    notify_email: EmailSettings = field(default_factory=EmailSettings)
    notify_command: CommandSettings = field(default_factory=CommandSettings)
    address: CivicAddress | None = None
    """Section `[address]`: the configured address; None: none configured."""

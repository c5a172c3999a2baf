"""How PJSIP is set up: every default that is wrong for an emergency phone, and why (imported by stack.py alone)."""

from __future__ import annotations

import ipaddress
from typing import Any

import pjsua2 as pj

from agent.voice.events import Dial, StackPlan

USER_AGENT = "DialStack-Agent"
"""The registrar's NAT keepalive depends on this string (platform.md 6.4): plain CRLF is what we want."""
CLOCK_RATE = 8000
"""G.711 is what desk phones speak; no resampling."""
MAX_CALLS = 4
"""Compiled into the wheel; one is always free for an emergency call because ordinary calls yield."""
TLS_TIMEOUT_MS = 4000
"""A dead TLS peer must not eat the whole deadline of an attempt."""

SYSTEM_CA = "/etc/ssl/certs/ca-certificates.crt"
_BESIDE = {"udp": ("udp",), "tcp": ("tcp", "udp"), "tls": ("tls", "tcp", "udp")}
_TYPES = {
    ("udp", 4): pj.PJSIP_TRANSPORT_UDP,
    ("tcp", 4): pj.PJSIP_TRANSPORT_TCP,
    ("tls", 4): pj.PJSIP_TRANSPORT_TLS,
    ("udp", 6): pj.PJSIP_TRANSPORT_UDP6,
    ("tcp", 6): pj.PJSIP_TRANSPORT_TCP6,
    ("tls", 6): pj.PJSIP_TRANSPORT_TLS6,
}


def endpoint_config() -> Any:
    """Return the configuration of the endpoint: no threads, no log that could print a digest (S10)."""
    config = pj.EpConfig()
    config.logConfig.level = config.logConfig.consoleLevel = 0
    config.logConfig.msgLogging = 0
    config.uaConfig.threadCnt = 0
    config.uaConfig.mainThreadOnly = True
    config.uaConfig.maxCalls = MAX_CALLS
    config.uaConfig.userAgent = USER_AGENT
    config.medConfig.hasIoqueue = False
    config.medConfig.threadCnt = 0
    config.medConfig.clockRate = CLOCK_RATE
    config.medConfig.noVad = True
    return config


def create_transports(core: Any, plan: StackPlan) -> None:
    """Open the plan's transport, bound to its source; a free port serves when ours is taken.

    Beside TCP and TLS stand the lesser ones, unused by us: a far end whose Contact names another transport and
    that keeps no Record-Route (RFC 3261 12.2.1.1) would else never get its ACK. For the same reason the account
    is not tied to a transport: PJSIP with assertions aborts when it may not send that ACK.
    """
    config = pj.TransportConfig()
    if plan.source:
        config.boundAddress = plan.source
    if plan.transport == "tls":
        # Verified by Core.onTransportState: by itself PJSIP would have to resolve the name that it verifies.
        config.tlsConfig.verifyServer = False
        config.tlsConfig.proto = pj.PJ_SSL_SOCK_PROTO_TLS1_2 | pj.PJ_SSL_SOCK_PROTO_TLS1_3
        config.tlsConfig.CaListFile = str(plan.ca_file) if plan.ca_file else SYSTEM_CA
        config.tlsConfig.msecTimeout = TLS_TIMEOUT_MS
    version = ipaddress.ip_address(plan.address).version
    for transport in _BESIDE[plan.transport]:
        # The listener of TCP and TLS is not what calls arrive on (that is the connection), so any port will do.
        config.port = plan.local_port if transport == plan.transport == "udp" else 0
        try:
            core.transportCreate(_TYPES[transport, version], config)
        except pj.Error:
            config.port = 0
            core.transportCreate(_TYPES[transport, version], config)


def account_config(plan: StackPlan) -> Any:
    """Return the configuration of the account: our own retries, our own refresh, contacts as they are."""
    config = pj.AccountConfig()
    domain = plan.domain or plan.host or bracketed(plan.address)
    config.idUri = f"sip:{plan.username or 'anonymous'}@{domain}"
    registration = config.regConfig
    registration.registrarUri = f"sip:{domain}" if plan.username else ""
    registration.registerOnAdd = plan.register and bool(plan.username)
    registration.timeoutSec = plan.expires
    registration.retryIntervalSec = registration.firstRetryIntervalSec = registration.randomRetryIntervalSec = 0
    registration.disableRegOnModify = True
    set_present_id(config, plan.header, plan.present_id)
    config.sipConfig.proxies.append(route(plan))
    config.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", plan.username, 0, plan.password))
    # A contact that PJSIP rewrites costs REGISTERs of its own and hides what was presented when.
    config.natConfig.contactRewriteUse = 0
    config.natConfig.udpKaIntervalSec = 0
    if plan.instance_id:
        config.natConfig.sipOutboundInstanceId = f"<{plan.instance_id}>"
    six = ipaddress.ip_address(plan.address).version == 6  # noqa: PLR2004
    use = pj.PJSUA_IPV6_ENABLED_USE_IPV6_ONLY if six else pj.PJSUA_IPV6_DISABLED
    config.sipConfig.ipv6Use = config.mediaConfig.ipv6Use = use
    set_sound_address(config, plan.source)
    config.ipChangeConfig.hangupCalls = False
    config.ipChangeConfig.shutdownTp = True
    return config


def set_sound_address(config: Any, source: str | None) -> None:
    """Have sound sent to this address: PJSIP by itself names that of the default route, which may be another way."""
    config.mediaConfig.transportConfig.publicAddress = source or ""


def set_present_id(config: Any, header: str, present_id: str | None) -> None:
    """Make REGISTER carry this id, or none."""
    config.regConfig.headers = _headers(((header, present_id),) if present_id is not None else ())


def call_options() -> Any:
    """Return options for a call or an answer: sound alone, no picture, no text."""
    parameters = pj.CallOpParam(True)  # noqa: FBT003 - PJSIP's default settings
    parameters.opt.videoCount = 0
    if hasattr(parameters.opt, "textCount"):  # since 2.15.2; on by default there
        parameters.opt.textCount = 0
    return parameters


def invite(dial: Dial) -> Any:
    """Return the options of an INVITE; with a body beside the SDP it is multipart/mixed (RFC 5621)."""
    parameters = call_options()
    parameters.txOption.headers = _headers(dial.headers)
    if dial.body is not None:
        parameters.txOption.multipartContentType.type = "multipart"
        parameters.txOption.multipartContentType.subType = "mixed"
        part = pj.SipMultipartPart()
        part.contentType.type, _, part.contentType.subType = dial.body.kind.partition("/")
        part.headers = _headers((("Content-ID", f"<{dial.body.content_id}>"),))
        part.body = dial.body.text
        parts = pj.SipMultipartPartVector()
        parts.append(part)
        parameters.txOption.multipartParts = parts
    return parameters


def _headers(lines: tuple[tuple[str, str], ...]) -> Any:
    headers = pj.SipHeaderVector()
    for name, value in lines:
        line = pj.SipHeader()
        line.hName, line.hValue = name, value
        headers.append(line)
    return headers


def route(plan: StackPlan) -> str:
    """Return the hidden route to the registrar: always a literal, so that PJSIP never resolves anything."""
    return f"sip:{bracketed(plan.address)}:{plan.port};transport={plan.transport};lr;hide"


def bracketed(address: str) -> str:
    """Return an IP literal as it stands in a URI (RFC 3986 3.2.2)."""
    return f"[{address}]" if ":" in address else address

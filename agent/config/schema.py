"""Tables of the configuration: sections and keys with their validators, secrets, what the page may not set."""

from __future__ import annotations

from typing import Any

from agent.config import values as v
from agent.config.settings import (
    CallTestSettings,
    CommandSettings,
    DeviceSettings,
    EmailSettings,
    NetworkSettings,
    NotifySettings,
    PageSettings,
    PathSettings,
    PlatformSettings,
    SipSettings,
    TokenSettings,
    WebhookSettings,
)
from agent.model import CivicAddress

SCHEMA: dict[str, tuple[type[Any], dict[str, v.Validator]]] = {
    "sip": (
        SipSettings,
        {
            "registrar": v.a_empty_or(v.a_host),
            "port": v.a_whole(1, 65535),
            "transport": v.a_choice("udp", "tcp", "tls"),
            "username": v.a_text,
            "domain": v.a_empty_or(v.a_host),
            "password_file": v.a_file,
            "local_port": v.a_whole(0, 65535),
            "expires": v.a_whole(60, 3600),
            "header": v.a_header,
            "ca_file": v.a_file,
            "callback_window": v.a_seconds(0, 3600),
            "audio": v.a_choice("none", "null", "alsa"),
            "playback_device": v.a_text,
            "capture_device": v.a_text,
            "codecs": v.a_texts(v.a_codec),
            "emergency_numbers": v.a_texts(v.a_number),
            "geolocation": v.a_boolean,
            "recordings": v.a_file,
            "sounds": v.a_file,
            "socket": v.a_path,
            "socket_group": v.a_text,
            "stop_wait": v.a_seconds(0, 7200),
            "stop_wait_ordinary": v.a_seconds(0, 3600),
            "state_file": v.a_file,
        },
    ),
    "platform": (
        PlatformSettings,
        {
            "api": v.a_url("https", "http"),
            "signalling": v.a_empty_or(v.a_url("wss", "ws")),
            "presentation": v.a_texts(v.a_choice("signalling", "sip")),
            "ca_file": v.a_file,
            "ping_interval": v.a_seconds(1, 120),
            "audit_interval": v.a_seconds(10, 86400),
            "timeout": v.a_seconds(1, 60),
        },
    ),
    "token": (
        TokenSettings,
        {
            "source": v.a_choice("file", "command", "endpoint"),
            "file": v.a_file,
            "command": v.a_texts(),
            "endpoint": v.a_empty_or(v.a_url("https", "http")),
            "endpoint_secret_file": v.a_file,
            "user": v.a_text,
        },
    ),
    "device": (DeviceSettings, {"name": v.a_text, "mobility": v.a_choice("fixed", "movable")}),
    "network": (
        NetworkSettings,
        {
            "portable_interfaces": v.a_texts(),
            "ignore_interfaces": v.a_texts(),
            "loss_grace": v.a_seconds(0, 30),
            "quiet": v.a_seconds(0.01, 5),
            "evidence_wait": v.a_seconds(0.1, 30),
            "audit_interval": v.a_seconds(5, 3600),
            "lldp": v.a_choice("off", "listen", "announce"),
        },
    ),
    "page": (
        PageSettings,
        {
            "enabled": v.a_boolean,
            "listen": v.a_listen,
            "port": v.a_whole(0, 65535),
            "https_port": v.a_whole(0, 65535),
            "socket": v.a_path,
            "networks": v.a_texts(v.a_network),
            "names": v.a_texts(v.a_host),
            "certificate": v.a_file,
            "key": v.a_file,
            "local_role": v.a_choice("staff", "technician"),
            "announce": v.a_boolean,
        },
    ),
    "test_call": (
        CallTestSettings,
        {
            "automatic": v.a_boolean,
            "min_interval": v.a_seconds(300, 604800),
            "hours": v.a_span,
            "days": v.a_texts(v.a_choice("mon", "tue", "wed", "thu", "fri", "sat", "sun")),
            "keep": v.a_whole(1, 200),
        },
    ),
    "paths": (PathSettings, {"state": v.a_path}),
    "notify": (
        NotifySettings,
        {"callback_number": v.a_text, "escalate_after": v.a_seconds(0, 3600), "tests": v.a_boolean},
    ),
    "notify_webhook": (
        WebhookSettings,
        {
            "url": v.a_empty_or(v.a_url("https", "http")),
            "escalation_url": v.a_empty_or(v.a_url("https", "http")),
            "secret_file": v.a_file,
            "ca_file": v.a_file,
        },
    ),
    "notify_email": (
        EmailSettings,
        {
            "host": v.a_empty_or(v.a_host),
            "port": v.a_whole(1, 65535),
            "security": v.a_choice("starttls", "tls", "none"),
            "username": v.a_text,
            "password_file": v.a_file,
            "ca_file": v.a_file,
            "sender": v.a_empty_or(v.a_mailbox),
            "to": v.a_mailboxes,
            "escalation_to": v.a_mailboxes,
        },
    ),
    "notify_command": (CommandSettings, {"run": v.a_texts(), "escalation_run": v.a_texts()}),
    "address": (CivicAddress, {}),
}
"""Section -> (settings class, key -> validator); `[address]` is checked as a whole by `civic_from`."""

SIDE = frozenset({"page", "test_call", "notify", "notify_webhook", "notify_email", "notify_command"})
"""Sections on which neither the line nor the address depends: a mistake there costs what they are for, nothing else."""

NEEDS_RESTART = frozenset({"sip.socket", "page.socket", "paths.state"})
"""Keys that are taken up when the agent starts; all others at once."""

INLINE_SECRETS = {
    "sip.password": "sip.password_file",
    "token.token": "token.file",
    "token.secret": "token.endpoint_secret_file",
    "token.endpoint_secret": "token.endpoint_secret_file",
    "notify_webhook.secret": "notify_webhook.secret_file",
    "notify_email.password": "notify_email.password_file",
}


SECRET_FILES = {
    "sip.password_file": "sip-password",
    "token.file": "token",
    "token.endpoint_secret_file": "token-endpoint-secret",
    "notify_webhook.secret_file": "notify-webhook-secret",
    "notify_email.password_file": "notify-smtp-password",
}
"""Keys that name a file with a secret -> its name under `<paths.state>/secrets/` and as a systemd credential. A secret
that was entered on the page is used when the key names no other file."""

ONLY_PACKAGED = frozenset(
    {
        "sip.socket",
        "sip.state_file",
        "page.enabled",
        "page.socket",
        "paths.state",
        "token.command",
        "notify_command.run",
        "notify_command.escalation_run",
    }
)
"""Keys that the page cannot change: where the processes find each other and their files, and which programs are
run, is the installation's: nobody who found out a PIN may run programs, and a page that was closed on the page could
not be opened there again."""

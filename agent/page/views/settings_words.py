"""What settings and their groups are called; sections that are not named here appear in a group of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from agent.config.help import title
from agent.config.schema import SCHEMA
from agent.say import say


@dataclass(frozen=True, slots=True)
class Group:
    """One page of settings."""

    name: str
    """In the URL."""
    title: str
    sections: tuple[str, ...]


GROUPS = (
    Group("line", say("Phone line and sound"), ("sip",)),
    Group("platform", say("Platform and token"), ("platform", "token")),
    Group("device", say("Name and mobility"), ("device",)),
    Group("notices", say("Notices of emergency calls"), ("notify", "notify_webhook", "notify_email", "notify_command")),
    Group("tests", say("Test calls"), ("test_call",)),
    Group("page", say("This page and access to it"), ("page",)),
    Group("network", say("Network"), ("network",)),
    Group("storage", say("Storage"), ("paths",)),
)

LABELS = {
    "sip.registrar": say("Registrar"),
    "sip.port": say("Port"),
    "sip.transport": say("Transport"),
    "sip.username": say("SIP user name"),
    "sip.domain": say("SIP domain"),
    "sip.password_file": say("SIP password"),
    "sip.local_port": say("Local port"),
    "sip.expires": say("Registration time in seconds"),
    "sip.header": say("Header for the address id"),
    "sip.ca_file": say("File with a private CA"),
    "sip.callback_window": say("Callback time after 911 in seconds"),
    "sip.audio": say("Sound device"),
    "platform.api": say("Platform URL"),
    "platform.signalling": say("Signalling URL"),
    "platform.presentation": say("Ways to present the address"),
    "platform.ca_file": say("File with a private CA"),
    "token.source": say("Where tokens come from"),
    "token.file": say("Token"),
    "token.command": say("Program that prints a token"),
    "token.endpoint": say("Token endpoint"),
    "token.endpoint_secret_file": say("Secret of the token endpoint"),
    "token.user": say("User of this phone"),
    "device.name": say("Name of this phone"),
    "device.mobility": say("Mobility"),
    "page.listen": say("Where the page is"),
    "page.local_role": say("What the phone's own screen may do"),
    "notify_email.password_file": say("Password at the mail server"),
    "notify_webhook.secret_file": say("Secret that signs"),
    "sip.playback_device": say("Loudspeaker"),
    "sip.capture_device": say("Microphone"),
    "sip.codecs": say("Codecs, best first"),
    "sip.emergency_numbers": say("Emergency numbers"),
    "sip.geolocation": say("Send the confirmed address with emergency calls"),
    "sip.recordings": say("Folder for recordings"),
    "sip.sounds": say("Folder with sounds"),
    "sip.socket": say("Socket for calls"),
    "sip.socket_group": say("Group that may place calls"),
    "sip.stop_wait": say("Longest wait for an emergency call before a stop, in seconds"),
    "sip.stop_wait_ordinary": say("Longest wait for another call before a stop, in seconds"),
    "sip.state_file": say("State file of the telephone program"),
    "platform.ping_interval": say("Seconds between signs of life"),
    "platform.audit_interval": say("Seconds between read-backs of the address"),
    "platform.timeout": say("Longest wait for an answer, in seconds"),
    "network.portable_interfaces": say("Interfaces that travel along"),
    "network.ignore_interfaces": say("Interfaces to ignore"),
    "network.loss_grace": say("Grace after a loss, in seconds"),
    "network.quiet": say("Quiet time between looks, in seconds"),
    "network.evidence_wait": say("Wait for evidence of the place, in seconds"),
    "network.audit_interval": say("Seconds between full looks"),
    "network.lldp": say("Ask the network switch (LLDP)"),
    "page.enabled": say("Page on the network port"),
    "page.port": say("HTTP port"),
    "page.https_port": say("HTTPS port"),
    "page.socket": say("Socket of the page"),
    "page.networks": say("Further networks that may open the page"),
    "page.names": say("Further names of this device"),
    "page.certificate": say("Certificate file"),
    "page.key": say("Key file of the certificate"),
    "page.announce": say("Announce the page on the network"),
    "test_call.automatic": say("Make test calls by itself"),
    "test_call.min_interval": say("Shortest time between test calls, in seconds"),
    "test_call.hours": say("Hours in which it may call"),
    "test_call.days": say("Days on which it may call"),
    "test_call.keep": say("Recordings to keep"),
    "paths.state": say("Folder for what must survive"),
    "notify.callback_number": say("Callback number"),
    "notify.escalate_after": say("Seconds until the next ones are told"),
    "notify.tests": say("Tell of test calls too"),
    "notify_webhook.url": say("Webhook URL"),
    "notify_webhook.escalation_url": say("Webhook URL when nobody reacts"),
    "notify_webhook.ca_file": say("File with a private CA"),
    "notify_email.host": say("Mail server"),
    "notify_email.port": say("Port"),
    "notify_email.security": say("Encryption"),
    "notify_email.username": say("User name at the mail server"),
    "notify_email.ca_file": say("File with a private CA"),
    "notify_email.sender": say("Sender"),
    "notify_email.to": say("Recipients"),
    "notify_email.escalation_to": say("Recipients when nobody reacts"),
    "notify_command.run": say("Command"),
    "notify_command.escalation_run": say("Command when nobody reacts"),
}
"""Labels of all fields; a new one without a label is called by its name in the file, and a test says so."""

CHOICES = {
    "sip.audio": {"null": say("silent"), "none": say("no media"), "alsa": say("sound cards")},
    "token.source": {"file": say("a file"), "command": say("a program"), "endpoint": say("a service on the network")},
    "device.mobility": {"fixed": say("stays in one place"), "movable": say("is carried to other places")},
    "network.lldp": {"listen": say("only listen"), "announce": say("listen, and say that this is a telephone")},
    "page.local_role": {"staff": say("confirm and choose addresses"), "technician": say("everything")},
    "notify_email.security": {"none": say("not encrypted")},
}
"""Setting -> value in the file -> what it means, where the value does not say it by itself."""

FIRST = frozenset({
    "sip.registrar", "sip.port", "sip.transport", "sip.username", "sip.domain", "sip.password_file", "sip.audio",
    "platform.api", "token.source", "token.file", "token.endpoint", "token.endpoint_secret_file",
    "page.listen", "page.local_role", "page.enabled",
})  # fmt: skip
"""Fields shown at once in groups that have many; the others are one tap away."""


def groups() -> tuple[Group, ...]:
    """Return every group, those of sections that nobody named last."""
    return tuple(_groups())


def _groups() -> Iterator[Group]:
    named = {section for group in GROUPS for section in group.sections}
    for group in GROUPS:
        known = tuple(section for section in group.sections if section in SCHEMA)
        if known:
            yield Group(group.name, group.title, known)
    for section in SCHEMA:
        if section not in named and section != "address":
            yield Group(section.replace("_", "-"), title(section), (section,))


def label(key: str) -> str:
    """Return what a setting is called."""
    name = key.partition(".")[2].replace("_", " ")
    return LABELS.get(key) or f"{name[:1].upper()}{name[1:]}"


def choice(key: str, value: str) -> str:
    """Return a value that can be chosen, in words where it has some: `fixed: stays in one place`."""
    told = CHOICES.get(key, {}).get(value)
    return say("{value}: {meaning}", value=value, meaning=told) if told else value


def is_first(key: str) -> bool:
    """Tell whether a field is shown at once: a section of which none is named shows all."""
    section = key.partition(".")[0]
    return key in FIRST or not any(one.startswith(f"{section}.") for one in FIRST)

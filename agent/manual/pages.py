"""The man pages, made from the command line's parsers, the packaged configuration and the table of messages."""

from __future__ import annotations

import re

from agent.cli.client import EXIT_CODES
from agent.manual.keys import Section
from agent.manual.roff import Page
from agent.manual.walk import Command
from agent.runtime.messages import MESSAGES

ABOUT = """\
A VoIP phone can be unplugged and plugged in elsewhere; the emergency address that the DialStack platform bound to its
old network then no longer applies, and 911 goes out without a location. dialstack-agent runs on the phone or kiosk,
notices the move, registers the phone through the new network, presents the right address, proves that it is bound, and
asks staff the one question that only people can answer: is this phone here?

Calls, 911 and 933 among them, are placed by dialstack-voice(8), which does not depend on the agent.
"""
FILES = (
    ("/etc/dialstack-agent/agent.toml", "the configuration, dialstack-agent.toml(5)"),
    ("/etc/dialstack-agent/credentials/", "secrets, one file each, for root only"),
    ("/var/lib/dialstack-agent/agent.db", "places, confirmations, decisions"),
    ("/run/dialstack-agent/agent.sock", "page and API for this command"),
    ("/run/dialstack-voice/voice.sock", "calls, for this command and the device's own program"),
)
PAGES = ("dialstack-agent(1)", "dialstack-voice(8)", "dialstack-agent.toml(5)", "dialstack-agent.service(8)")


def command_page(command: Command, date: str, version: str) -> str:
    """Return dialstack-agent(1)."""
    page = Page("dialstack-agent", 1, date, version, "keep the 911 address of a SIP phone bound to where it is")
    page.section("SYNOPSIS")
    page.add("dialstack-agent [OPTIONS] COMMAND [ARGUMENTS]")
    page.section("DESCRIPTION")
    page.add(ABOUT)
    page.section("OPTIONS")
    page.add("They may stand before or after the command.")
    _arguments(page, command)
    page.section("COMMANDS")
    for one in (item for top in command.inner for item in top.all()):
        page.part(" ".join(one.words))
        page.add(_sentence(one.meaning))
        page.add(_usage(one))
        _arguments(page, one, without=command)
        if one.epilog:
            page.literal(one.epilog)
    page.section("EXIT STATUS")
    for code, meaning in EXIT_CODES.items():
        page.entry(str(code), _sentence(meaning))
    page.section("ENVIRONMENT")
    page.entry("DIALSTACK_AGENT_CONFIG", "The configuration, in place of the usual one.")
    page.entry("DIALSTACK_AGENT_LOG", "Set to json, the daemon writes one JSON object a line on standard error.")
    _files(page)
    page.see_also([*PAGES[1:], "journalctl(1)"])
    return page.text()


def voice_page(command: Command, date: str, version: str) -> str:
    """Return dialstack-voice(8)."""
    page = Page("dialstack-voice", 8, date, version, "the SIP line of a DialStack phone")
    page.section("SYNOPSIS")
    page.add(command.usage)
    page.section("DESCRIPTION")
    page.add(
        """\
        The smallest program that can place a 911 call: it registers the SIP account of dialstack-agent.toml(5) and
        places and answers calls, nothing else. dialstack-agent(1) tells it through which path to register and which
        emergency address to present; without the agent it goes on by itself.

        Emergency numbers (911 and the test number 933) are attempted at once in every state: before the registration,
        while the network changes, with a configuration that is only half valid.

        Its Unix socket takes JSON lines from the agent, from `dialstack-agent call` and from the device's own program.
        """
    )
    page.section("OPTIONS")
    _arguments(page, command)
    page.section("SIGNALS")
    page.entry("SIGTERM, SIGINT", "End. An emergency call in progress and its callback time are waited for first.")
    _files(page)
    page.see_also([PAGES[0], *PAGES[2:]])
    return page.text()


def configuration_page(sections: list[Section], date: str, version: str) -> str:
    """Return dialstack-agent.toml(5)."""
    page = Page("dialstack-agent.toml", 5, date, version, "configuration of dialstack-agent and dialstack-voice")
    page.section("SYNOPSIS")
    page.add("/etc/dialstack-agent/agent.toml")
    page.section("DESCRIPTION")
    page.add(
        """\
        A TOML file. Every key may be left out; the value shown is its default. `dialstack-agent check-config` shows
        every error at once. With an invalid file the phone's page is up and says so, and dialstack-voice(8) still dials
        911 on whatever is readable.

        Secrets never stand in this file: they are files of their own (mode 0600), or systemd credentials.
        """
    )
    for section in sections:
        page.section(f"[{section.name}]")
        if section.meaning:
            page.add(_sentence(section.meaning))
        for key in section.keys:
            page.entry(f"{key.name} = {key.default}", _sentence(key.meaning))
    page.section("EXAMPLE")
    page.literal(EXAMPLE)
    page.see_also([PAGES[0], PAGES[1], PAGES[3]])
    return page.text()


EXAMPLE = """\
[sip]
registrar = "sip.example.net"
username = "kiosk-7"

[address]
address_number = "123"
street = "Main St"
unit = "Suite 400"
city = "San Francisco"
state = "CA"
postal_code = "94105"
"""


def service_page(catalog: str, date: str, version: str) -> str:
    """Return dialstack-agent.service(8); `catalog` is the message catalog, whose subjects are listed."""
    page = Page("dialstack-agent.service", 8, date, version, "dialstack-agent and dialstack-voice under systemd")
    page.section("SYNOPSIS")
    page.add("dialstack-agent.service\n\ndialstack-voice.service")
    page.section("DESCRIPTION")
    page.add(SERVICE)
    page.section("CREDENTIALS")
    for name, meaning in CREDENTIALS:
        page.entry(name, meaning)
    page.section("MONITORING")
    page.add(MONITORING)
    page.section("JOURNAL")
    page.add(JOURNAL)
    for identifier, subject in subjects(catalog).items():
        page.entry(identifier, _sentence(subject))
    _files(page)
    page.see_also([*PAGES[:3], "journalctl(1)", "systemd.exec(5)", "systemd-creds(1)"])
    return page.text()


SERVICE = """\
Two services of one phone. dialstack-voice registers the SIP line and places calls; dialstack-agent looks after network,
place, emergency address, page and command line. Each works without the other: stopping or upgrading the agent does not
touch a call.

The status line of `systemctl status dialstack-agent` is the sentence of the phone's page: where 911 would send help,
and whether that is proven. Both services tell systemd when they are ready and feed its watchdog only while they make
progress. During an emergency call, and for the callback time after it, a stop waits.

The page speaks English, Spanish and French, as the reader's browser asks or by the switch at its foot. Command line,
journal, notices by mail or webhook, and JSON are English.

dialstack-lldp.socket gives dialstack-agent, and nobody else, the socket that hears the network switch (LLDP). Without
it the agent works, and says that a move within the building would not be noticed.
"""
CREDENTIALS = (
    ("sip-password", "The SIP password, unless sip.password_file names another file."),
    ("token", "The user token, unless token.file names another file; read again when it changes."),
    ("token-endpoint-secret", "The bearer secret for token.endpoint, unless token.endpoint_secret_file names a file."),
)
"""Name of the file in the credentials folder -> what it holds."""
MONITORING = """\
`dialstack-agent status --check` exits with 0 only while 911 has a proven and confirmed address.

Prometheus reads /metrics on the page's port (on the device itself) or through the Unix socket; METRICS.md in the
package's documentation folder names every metric; prometheus-rules.yml in examples/ beside it holds alert rules.
"""
JOURNAL = """\
Records carry fields: DIALSTACK_EVENT, DIALSTACK_GENERATION (of the network), and one DIALSTACK_ field for each detail,
so that `journalctl DIALSTACK_EVENT=status` shows every change of the light. `journalctl -x` explains the important
ones: what happened, what it means for 911, what to do. In steady state nothing is written. The message ids:
"""


def subjects(catalog: str) -> dict[str, str]:
    """Return MESSAGE_ID -> subject, in the order of the table of messages."""
    found = dict(re.findall(r"^-- ([0-9a-f]{32})\nSubject: (.*)$", catalog, re.MULTILINE))
    return {identifier: found[identifier] for identifier, _ in MESSAGES.values()}


def _usage(command: Command) -> str:
    """Return how a command is written, without the options that all share."""
    places = [argument for argument in command.arguments if not argument.flags]
    shown = [place.metavar if place.required else f"[{place.metavar}]" for place in places]
    return " ".join(["dialstack-agent", *command.words, "[OPTIONS]", *shown, *["COMMAND"] * bool(command.inner)])


def _arguments(page: Page, command: Command, without: Command | None = None) -> None:
    known = {argument.flags for argument in without.arguments} if without else set()
    for argument in command.arguments:
        if not argument.flags or argument.flags not in known:
            page.entry(argument.tag(), _sentence(argument.meaning))


def _files(page: Page) -> None:
    page.section("FILES")
    for path, meaning in FILES:
        page.entry(path, _sentence(meaning))


def _sentence(text: str) -> str:
    text = text.strip()
    upper = f"{text[:1].upper()}{text[1:]}"
    return upper if not text or upper[-1] in ".:)!?" else upper + "."

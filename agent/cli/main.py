"""The command `dialstack-agent`: what may be said, and how it ends."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from agent import __version__
from agent.cli import access as who_may
from agent.cli import call as calling
from agent.cli import commands, local, notices, text
from agent.cli.client import EXIT_CODES, FAILED, USAGE, Failure
from agent.cli.doctor import doctor
from agent.cli.test_call import test_933

DEFAULT_CONFIG = "/etc/dialstack-agent/agent.toml"
INTERRUPTED = 130
"""What shells expect after Ctrl-C."""

EPILOG = """\
exit codes:
{codes}

With --json every answer is one JSON document a line on standard output, errors too:
{{"error": {{"code", "happened", "emergency", "todo", "fields"}}}}.

911 and 933 never pass through this command's daemon: calls go through dialstack-voice.
""".format(codes="\n".join(f"  {code}  {meaning}" for code, meaning in EXIT_CODES.items()))

Command = Callable[[argparse.Namespace], int]


class _Parser(argparse.ArgumentParser):
    as_json = False

    def error(self, message: str) -> NoReturn:
        if not _Parser.as_json:
            super().error(message)
        failed = Failure(USAGE, f"{message[:1].upper()}{message[1:]}.", todo=f"See {self.prog} --help.", code="usage")
        raise failed


def _common(*, top: bool) -> _Parser:
    """Return the options that may stand before or after the command."""
    parser = _Parser(add_help=False, allow_abbrev=False)

    def default(value: Path | None) -> Path | str | None:
        return value if top else argparse.SUPPRESS

    config = Path(os.environ.get("DIALSTACK_AGENT_CONFIG") or DEFAULT_CONFIG)
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        default=default(config),
        help=f"configuration (default: $DIALSTACK_AGENT_CONFIG, else {DEFAULT_CONFIG})",
    )
    parser.add_argument(
        "--socket", type=Path, metavar="PATH", default=default(None), help="socket of the agent (default: page.socket)"
    )
    parser.add_argument(
        "--json", action="store_true", default=False if top else argparse.SUPPRESS, help="answer in JSON, errors too"
    )
    return parser


def _civic_options(parser: argparse.ArgumentParser) -> None:
    for name, meaning in (
        ("number", "house number"),
        ("street", "street without the number"),
        ("unit", "suite, floor or room"),
        ("city", "city"),
        ("state", "state, as code or name"),
        ("postal-code", "ZIP or postal code"),
        ("country", "two-letter country code (default US)"),
    ):
        parser.add_argument(f"--{name}", metavar="TEXT", help=meaning)


class _Commands:
    """Adds commands that share the common options."""

    def __init__(self, parser: argparse.ArgumentParser, common: _Parser, *, required: bool) -> None:
        self._common = common
        self._all = parser.add_subparsers(metavar="COMMAND", required=required, parser_class=_Parser)

    def add(self, name: str, command: Command, meaning: str, *examples: str) -> argparse.ArgumentParser:
        """Add a command; `examples` are whole lines as they are typed after `dialstack-agent`."""
        shown = [f"  dialstack-agent {example}" for example in examples]
        parser = self._all.add_parser(
            name,
            parents=[self._common],
            help=meaning,
            description=f"{meaning[:1].upper()}{meaning[1:]}.",
            epilog="\n".join(["examples:", *shown]) if shown else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        parser.set_defaults(command=command)
        return parser

    def add_passing(self, name: str, command: Command, meaning: str) -> None:
        """Add a command that takes whatever follows."""
        parser = self._all.add_parser(name, add_help=False, help=meaning, allow_abbrev=False)
        parser.set_defaults(command=command, passes=True)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of everything."""
    parser = _Parser(
        prog="dialstack-agent",
        description="Keeps the 911 address of a SIP device bound to the place where it is plugged in.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[_common(top=True)],
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"dialstack-agent {__version__}")
    parser.set_defaults(passes=False)
    common = _common(top=False)
    add = _Commands(parser, common, required=True)
    add.add("run", local.run, "be the daemon")
    status = add.add(
        "status", commands.status, "show where 911 would send help and whether that is proven",
        "status", "status --watch", "status --check --json  # for monitoring: 0 only while the light is on",
    )  # fmt: skip
    how = status.add_mutually_exclusive_group()
    how.add_argument("--watch", action="store_true", help="show every change until Ctrl-C")
    how.add_argument("--check", action="store_true", help="exit with 5 unless the address is bound")
    confirm = add.add(
        "confirm", commands.confirm, "confirm where this device is",
        "confirm  # shows the saved addresses and asks",
        "confirm emerg_123 --yes",
        'confirm --number 123 --street "Main St" --unit "Suite 400" --city Boston --state MA --postal-code 02101',
    )  # fmt: skip
    confirm.add_argument("address_id", nargs="?", metavar="ADDRESS_ID", help="a saved address; nothing: choose")
    _civic_options(confirm)
    confirm.add_argument("--yes", action="store_true", help="do not ask")
    _add_addresses(add, common)
    _add_calls(add)
    check = add.add(
        "check-config", local.check_config, "show every error in a configuration",
        "check-config", "check-config /tmp/new.toml --json",
    )  # fmt: skip
    check.add_argument("file", nargs="?", type=Path, metavar="FILE", help="default: --config")
    checked = add.add(
        "doctor", doctor, "test every layer from the cable to the 911 address, also while the agent is stopped",
        "doctor", "doctor --json", "doctor --bundle support.tar.gz",
    )  # fmt: skip
    checked.add_argument("--bundle", type=Path, metavar="FILE", help="write a .tar.gz for support; it holds no secret")
    add.add_passing("demo", local.demo, "show everything on one machine (its own options follow)")
    add.add("decisions", commands.decisions, "show what was decided, when and why").add_argument(
        "--limit", type=_limit, default=20, metavar="N", help="1 to 1000 (default 20)"
    )
    add.add("places", commands.places, "show the known places")
    _add_notices(add, common)
    _add_access(add, common)
    add.add("version", local.version, "show the versions")
    return parser


def _add_addresses(add: _Commands, common: _Parser) -> None:
    addresses = add.add("addresses", commands.addresses_list, "list, add, delete or clear saved addresses")
    inner = _Commands(addresses, common, required=False)
    inner.add("list", commands.addresses_list, "list the saved addresses")
    _civic_options(inner.add("add", commands.addresses_add, "register an address; confirms nothing"))
    for name, command, meaning in (
        ("delete", commands.addresses_delete, "delete a saved address on the platform"),
        ("clear", commands.addresses_clear, "clear the network binding of a saved address"),
    ):
        inner.add(name, command, meaning).add_argument("address_id", metavar="ADDRESS_ID")


def _add_notices(add: _Commands, common: _Parser) -> None:
    told = add.add(
        "notices", notices.notices_list, "show emergency calls and who was told; acknowledge; test",
        "notices", "notices ack", "notices test  # a notice marked as a test to everybody",
    )  # fmt: skip
    inner = _Commands(told, common, required=False)
    inner.add("list", notices.notices_list, "show emergency and test calls, and who was told").add_argument(
        "--limit", type=_limit_of(notices.MAX_NOTICES), default=20, metavar="N", help="1 to 500 (default 20)"
    )
    ack = inner.add("ack", notices.notices_ack, "say that you take care of an emergency call")
    ack.add_argument("notice_id", nargs="?", metavar="NOTICE_ID", help="default: the newest that nobody took")
    inner.add("test", notices.notices_test, "send a notice marked as a test to everybody and show who got it")


def _add_calls(add: _Commands) -> None:
    """Add what calls and tests; all but the evidence of a test works while the agent is stopped."""
    call = add.add(
        "call", calling.call, "place a call through dialstack-voice, also while the agent is stopped; Ctrl-C hangs up",
        "call 933 --seconds 30  # reads back where 911 would send help", "call 5551234 --play hello.wav --record a.wav",
    )  # fmt: skip
    call.add_argument("number", metavar="NUMBER", help="933 tests 911; 911 is a real emergency call")
    call.add_argument("--seconds", type=float, metavar="N", help="hang up after so many seconds")
    call.add_argument("--record", metavar="NAME", help="record what is heard, as a new file in sip.recordings")
    call.add_argument("--play", metavar="NAME", help="play a file of sip.sounds in place of the microphone")
    calls = add.add("calls", calling.calls, "show the calls that are up", "calls", "calls --follow --json")
    calls.add_argument("--follow", action="store_true", help="show every change until Ctrl-C")
    for name, command, meaning in (
        ("answer", calling.answer, "answer an incoming call"),
        ("hangup", calling.hangup, "end a call; without a number all calls"),
    ):
        add.add(name, command, meaning, name, f"{name} 3").add_argument(
            "call", nargs="?", type=int, metavar="CALL", help="number of the call, as `calls` shows it"
        )
    test = add.add(
        "test-933", test_933, "call 933, record it, check that it speaks, and file the evidence",
        "test-933", "test-933 --save heard.wav", "test-933 --says same  # after listening: the right address",
    )  # fmt: skip
    test.add_argument("--save", type=Path, metavar="FILE", help="save the recording, too")
    test.add_argument(
        "--says", choices=("same", "other"), help="no call: say whether the last recording says the address it should"
    )


def _add_access(add: _Commands, common: _Parser) -> None:
    """Add what is about who may use the page."""
    add.add("access", who_may.access, "show how the page is reached from the network, and which PINs are set")
    pins = add.add("pin", who_may.access, "set or remove the PINs of the page")
    inner = _Commands(pins, common, required=True)
    for name, command, meaning in (
        ("set", who_may.pin_set, "set a PIN: typed twice, or one line of standard input; never an argument"),
        ("remove", who_may.pin_remove, "remove a PIN; without any the page is on the phone's own screen only"),
    ):
        inner.add(name, command, meaning, f"pin {name} --technician").add_argument(
            "--technician", action="store_true", help="the technician's PIN instead of the staff's"
        )
    add.add("audit", who_may.audit, "show who changed what from where, and who was refused").add_argument(
        "--limit", type=_limit, default=50, metavar="N", help="1 to 1000 (default 50)"
    )


def _limit_of(most: int) -> Callable[[str], int]:
    def limit(value: str) -> int:
        if value.isascii() and value.isdigit() and len(value) < len("10000") and 1 <= int(value) <= most:
            return int(value)
        raise argparse.ArgumentTypeError(f"must be 1 to {most}")

    return limit


_limit = _limit_of(1000)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; argparse itself exits with 2 or, after --help, 0."""
    given = list(sys.argv[1:] if argv is None else argv)
    _Parser.as_json = "--json" in given
    try:
        parser = build_parser()
        args, rest = parser.parse_known_args(given)
        if rest and not args.passes:
            parser.error(f"unrecognized arguments: {' '.join(rest)}")
        args.rest = rest
        command: Command = args.command
        return command(args)
    except Failure as failure:
        if _Parser.as_json:
            text.say(json.dumps({"error": failure.error}))
        else:
            text.warn(text.failure(failure.error))
        return failure.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `dialstack-agent status --watch | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED

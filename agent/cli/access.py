"""The commands about who may use the page: pin, audit, access. A PIN is never taken from the arguments."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from agent.cli import text
from agent.cli.client import FAILED, OK, Failure
from agent.cli.commands import client, show

MAX_LINE = 64
"""Characters of a PIN that are read: more than any has."""


def access(args: argparse.Namespace) -> int:
    """Show how the page is reached from the link, and which PINs are set."""
    state = client(args).get("/access")
    rows = [
        ("on the link", ", ".join(map(text.clean, state["urls"])) or "no"),
        ("fingerprint", text.clean(state["fingerprint"])),
        ("staff's PIN", _is_set(state["staff_pin"])),
        ("technician's PIN", _is_set(state["technician_pin"])),
    ]
    show(args, state, text.aligned((name, value) for name, value in rows if value))
    return OK


def _is_set(value: object) -> str:
    return "set" if value else "not set"


def pin_set(args: argparse.Namespace) -> int:
    """Set a PIN, typed twice at a terminal or read as one line from standard input."""
    role = _role(args)
    client(args).post(f"/pins/{role}", {"pin": _read_pin()})
    show(args, {"set": role}, f"The {role}'s PIN is set. Everybody is signed out.")
    return OK


def pin_remove(args: argparse.Namespace) -> int:
    """Remove a PIN."""
    role = _role(args)
    client(args).delete(f"/pins/{role}")
    show(args, {"removed": role}, f"The {role}'s PIN is removed. Everybody is signed out.")
    return OK


def _role(args: argparse.Namespace) -> str:
    return "technician" if args.technician else "staff"


def _read_pin() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline(MAX_LINE).strip()
    first = getpass.getpass("New PIN: ").strip()
    if first != getpass.getpass("The same again: ").strip():
        raise Failure(FAILED, "The two PINs are not the same.", todo="Type the same PIN twice.", code="pins_differ")
    return first


def audit(args: argparse.Namespace) -> int:
    """Show who changed what, and who was refused."""
    answer = client(args).get(f"/audit?limit={args.limit}")
    show(args, answer, _lines(answer["audit"]))
    return OK


def _lines(rows: Iterable[Mapping[str, Any]]) -> str:
    lines = [
        (
            text.when(row["at"]),
            "  ".join(
                text.clean(part)
                for part in (
                    "done   " if row["done"] else "REFUSED",
                    row["who"] + (f" at {row['origin']}" if row["origin"] else ""),
                    row["action"],
                    row["detail"],
                )
                if part
            ),
        )
        for row in rows
    ]
    return text.aligned(lines) if lines else "Nothing was changed or refused yet."

"""The commands that ask the daemon: status, confirm, addresses, decisions, places."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from agent.cli import text
from agent.cli.client import FAILED, NOT_BOUND, OK, USAGE, Client, Failure

CIVIC_OPTIONS = ("number", "street", "unit", "city", "state", "postal_code", "country")
"""Options of `confirm` and `addresses add`, as argparse names them."""

AGAIN = "Run the command again and answer, or answer on the phone's page."


def show(args: argparse.Namespace, data: object, human: str) -> None:
    """Print an answer as JSON on one line or for people."""
    text.say(json.dumps(data) if args.json else human)


def client(args: argparse.Namespace) -> Client:
    """Return the way to the daemon: `--socket`, else the configuration, else the default."""
    if args.socket is not None:
        return Client(args.socket)
    return Client(configured(args.config, "page", Path("/run/dialstack-agent/agent.sock")))


def configured(config: Path, section: str, default: Path) -> Path:
    """Return `socket` of a section; the default when the file cannot be read, so that commands work without it."""
    import tomllib

    try:
        found = tomllib.loads(config.read_text())[section]["socket"]
    except (ValueError, RecursionError):  # a slip of the pen: the daemon goes by the sections that can be read
        from agent.config.document import read

        table = read(config)[0].get(section)
        found = table.get("socket") if isinstance(table, dict) else None
    except (OSError, KeyError, TypeError):
        return default
    return Path(found) if isinstance(found, str) and found else default


def status(args: argparse.Namespace) -> int:
    """Show the status once, or each change."""
    if args.watch:
        return _watch(args)
    overview = client(args).get("/status")
    show(args, overview, text.status(overview))
    return NOT_BOUND if args.check and overview["status"]["kind"] != "bound" else OK


def _watch(args: argparse.Namespace) -> int:
    try:
        for overview in client(args).events():
            show(args, overview, text.status(overview) + "\n")
    except KeyboardInterrupt:
        pass
    return OK


def civic_of(args: argparse.Namespace) -> dict[str, str] | None:
    """Return the address that the options give, None without any."""
    given = {name: getattr(args, name) for name in CIVIC_OPTIONS if getattr(args, name) is not None}
    if not given:
        return None
    if "number" in given:
        given["address_number"] = given.pop("number")
    return given


def confirm(args: argparse.Namespace) -> int:
    """Confirm where the device is, after asking unless `--yes`."""
    civic = civic_of(args)
    if civic is not None and args.address_id is not None:
        raise Failure(USAGE, "An address id and an address were given.", todo="Give one of them.", code="usage")
    if not args.yes and (args.json or not sys.stdin.isatty()):
        raise Failure(
            USAGE, "Nobody can be asked here.", todo="Add --yes, or run it in a terminal without --json.", code="usage"
        )
    daemon = client(args)
    body: dict[str, Any] = {"civic": civic} if civic is not None else {"address_id": args.address_id}
    name = text.one_line({**dict.fromkeys(("address_number", *CIVIC_OPTIONS), ""), **civic}) if civic else ""
    if civic is None:
        body, name = _saved_choice(args, daemon)
    if not args.yes and not _agreed(f"Is this phone at {name}? [y/N] "):
        raise Failure(FAILED, "Not confirmed.", todo=AGAIN, code="not_confirmed")
    overview = daemon.post("/confirm", body)
    where = f" This phone is at {text.one_line(overview['address'])}." if overview["address"] else ""
    show(args, overview, f"Saved.{where}\n\n{text.status(overview)}")
    return OK


def _saved_choice(args: argparse.Namespace, daemon: Client) -> tuple[dict[str, Any], str]:
    if args.address_id is not None:
        known = () if args.yes else daemon.get("/addresses")["addresses"]
        names = [text.one_line(one["civic"]) for one in known if one["id"] == args.address_id]
        return {"address_id": args.address_id}, names[0] if names else args.address_id
    overview = daemon.get("/status")
    choices = overview["choices"]
    if args.yes:
        if overview["ask"] != "confirm_place" or not choices:
            raise Failure(
                USAGE,
                "There is no single address to confirm.",
                todo="Give an address id from `dialstack-agent addresses` or an address.",
                code="usage",
            )
        return _choice(choices[0], overview)
    choices = choices or daemon.get("/addresses")["addresses"]
    if not choices:
        raise Failure(
            FAILED, "No address is saved.", todo="Give one: --number, --street and so on.", code="no_addresses"
        )
    text.say(overview["question"] or "Where is this phone?")
    for number, one in enumerate(choices, 1):
        text.say(f"  {number}  {text.one_line(one['civic'])}  {text.clean(one['hint'])}")
    answer = _input(f"Number (1 to {len(choices)}): ")
    if not (answer.isascii() and answer.isdigit() and 1 <= int(answer[:4]) <= len(choices)):
        raise Failure(FAILED, "Not confirmed.", todo=AGAIN, code="not_confirmed")
    return _choice(choices[int(answer) - 1], overview)


def _choice(one: Mapping[str, Any], overview: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Return the answer to the question that was shown, and the address in words."""
    body = {"address_id": one["id"]} if one["id"] is not None else {"civic": one["civic"]}
    return {**body, "question_id": overview["question_id"]}, text.one_line(one["civic"])


def _input(prompt: str) -> str:
    try:
        return input(prompt).strip()
    except EOFError:
        return ""


def _agreed(prompt: str) -> bool:
    return _input(prompt).lower() in {"y", "yes"}


def addresses_list(args: argparse.Namespace) -> int:
    """List the saved addresses."""
    answer = client(args).get("/addresses")
    show(args, answer, text.addresses(answer["addresses"]))
    return OK


def addresses_add(args: argparse.Namespace) -> int:
    """Register an address without confirming that the device is there."""
    saved = client(args).post("/addresses", civic_of(args) or {})
    human = f"Registered as {text.clean(saved['id'])}: {text.one_line(saved['civic'])}."
    show(args, saved, f"{human}\nIt is not in use: `dialstack-agent confirm {text.clean(saved['id'])}` does that.")
    return OK


def addresses_delete(args: argparse.Namespace) -> int:
    """Delete a saved address."""
    answer = client(args).delete(f"/addresses/{quote(args.address_id, safe='')}")
    show(args, answer, f"Deleted {text.clean(args.address_id)}.")
    return OK


def addresses_clear(args: argparse.Namespace) -> int:
    """Clear the network binding of a saved address."""
    answer = client(args).post(f"/addresses/{quote(args.address_id, safe='')}/clear")
    show(args, answer, f"Cleared the network of {text.clean(args.address_id)}.")
    return OK


def decisions(args: argparse.Namespace) -> int:
    """Show the last decisions."""
    answer = client(args).get(f"/decisions?limit={args.limit}")
    show(args, answer, text.decisions(answer["decisions"]))
    return OK


def places(args: argparse.Namespace) -> int:
    """Show the known places."""
    answer = client(args).get("/places")
    show(args, answer, text.places(answer["places"]))
    return OK

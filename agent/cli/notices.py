"""`dialstack-agent notices`: emergency calls and who was told, the acknowledgement, and the test of every channel."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from agent.cli import text
from agent.cli.client import FAILED, OK
from agent.cli.commands import client, show

MAX_NOTICES = 500
"""As many as are kept."""


def notices_list(args: argparse.Namespace) -> int:
    """Show the newest notices."""
    answer = client(args).get(f"/notices?limit={getattr(args, 'limit', 20)}")
    show(args, answer, records(answer["notices"]))
    return OK


def notices_ack(args: argparse.Namespace) -> int:
    """Record that somebody takes care of a call; without an id of the newest that nobody took."""
    daemon = client(args)
    uid = args.notice_id
    if uid is None:
        waiting = [one["id"] for one in daemon.get(f"/notices?limit={MAX_NOTICES}")["notices"] if one["open"]]
        if not waiting:
            show(args, {"notices": []}, "Every emergency call has been acknowledged.")
            return OK
        uid = waiting[0]
    taken = daemon.post(f"/notices/{quote(uid, safe='')}/acknowledge", {})
    show(args, taken, f"Acknowledged: {text.clean(taken['headline'])} {text.clean(taken['here'])}")
    return OK


def notices_test(args: argparse.Namespace) -> int:
    """Send a notice marked as a test through every channel; fails when one of them does."""
    answer = client(args).post("/notices/test", {})
    ways = answer["deliveries"]
    human = "\n".join(f"{'ok    ' if one['delivered'] else 'FAILED'}  {_way(one)}" for one in ways)
    show(args, answer, human or "Nothing is configured: only the page and the journal tell of emergency calls.")
    return OK if all(one["delivered"] for one in ways) else FAILED


def records(found: Iterable[Mapping[str, Any]]) -> str:
    """Return notices for people, the newest first."""
    blocks = []
    for one in found:
        rows = [
            ("  911 got", one["told"]),
            ("  phone", one["here"]),
            ("  callback", one["callback_number"]),
            ("  answered", _time(one["answered_at"])),
            ("  over", f"{_time(one['ended_at'])} {one['outcome']}".strip()),
            ("  call in", _time(one["callback_at"])),
            ("  escalated", _time(one["escalated_at"])),
            (
                "  taken",
                f"{_time(one['acknowledged_at'])} by {one['acknowledged_by']}" if one["acknowledged_at"] else "",
            ),
            ("  told", "; ".join(_way(way) for way in one["deliveries"] if way["delivered"])),
            ("  NOT told", "; ".join(_way(way) for way in one["deliveries"] if not way["delivered"])),
        ]
        mark = "  NOBODY HAS ACKNOWLEDGED IT" if one["open"] else ""
        blocks.append(
            f"{text.when(one['dialed_at'])}  {text.clean(one['headline'])}{mark}  ({one['id']})\n{text.aligned(rows)}"
        )
    return "\n\n".join(blocks) or "No emergency or test call was made from this phone."


def _time(at: float | None) -> str:
    return text.when(at) if at is not None else ""


def _way(way: Mapping[str, Any]) -> str:
    return text.clean(f"{way['channel']}: {way['detail']}" if way["detail"] else way["channel"])

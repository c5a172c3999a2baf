"""The command `test-933`: the test call, made and filed by the agent, or made from here when the agent is stopped."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from agent.cli import text
from agent.cli.call import DEFAULT_SOCKET
from agent.cli.client import FAILED, NOT_RUNNING, OK, Failure
from agent.cli.commands import client, configured
from agent.cli.local import part

POLL = 0.5
"""Seconds between looks at a test call that is being made."""
STATES = {
    "calling": "calling 933",
    "ringing": "it rings",
    "early": "it rings",
    "confirmed": "answered; recording",
    "ended": "the call is over",
    "listening": "checking the recording for a voice",
}
"""State of a test call -> words."""


def test_933(args: argparse.Namespace) -> int:
    """Make a test call and show what was heard, or say of the last one whether it said the right address."""
    try:
        if args.says is not None:
            return _answer(args)
        started = client(args).post("/test-calls")
    except Failure as failure:
        if failure.exit_code == NOT_RUNNING and args.says is None:
            return _alone(args, failure)
        raise
    evidence = _wait(args, started)
    if args.save is not None and evidence["recording"]:
        _save(args, evidence)
    text.say(json.dumps(evidence) if args.json else _words(evidence))
    return OK if evidence["result"] == "speech" else FAILED


def _wait(args: argparse.Namespace, now: dict[str, Any]) -> dict[str, Any]:
    """Follow the test call that is being made; return its evidence."""
    shown = ""
    while now["running"] is not None:
        state = str(now["running"]["state"])
        if state != shown and not args.json:
            text.say(STATES.get(state, text.clean(state)))
        shown = state
        time.sleep(POLL)
        now = client(args).get("/test-calls")
    evidence: dict[str, Any] = now["test_calls"][0]
    return evidence


def _answer(args: argparse.Namespace) -> int:
    done = client(args).get("/test-calls")["test_calls"]
    if not done:
        raise Failure(FAILED, "There was no test call yet.", todo="Make one with `test-933`.", code="no_such_test")
    evidence = client(args).post(f"/test-calls/{done[0]['id']}/answer", {"same": args.says == "same"})
    text.say(json.dumps(evidence) if args.json else _words(evidence))
    return OK


def _save(args: argparse.Namespace, evidence: dict[str, Any]) -> None:
    body = client(args).download(f"/test-calls/{evidence['id']}/recording")
    try:
        Path(args.save).write_bytes(body)
    except OSError as error:
        raise Failure(
            FAILED,
            f"The recording could not be saved as {args.save}: {error.strerror}.",
            todo="It is on the page of the test call.",
            code="not_saved",
        ) from error


def _words(evidence: dict[str, Any]) -> str:
    """Return the evidence for people."""
    tested, answers = evidence["tested"], evidence["answers"]
    civic = part("agent.model").CivicAddress(**tested["civic"]) if tested["civic"] else None
    where = civic.one_line() if civic else "that there is no address for this phone"
    lines = [str(part("agent.testcall.evidence").TOLD[evidence["result"]])]
    if evidence["answer_seconds"] is not None:
        lines.append(
            f"Answered after {evidence['answer_seconds']:.1f} s; {evidence['speech_seconds']:.1f} s of speech."
        )
    if evidence["detail"]:
        lines.append(f"The network said: {evidence['detail']}.")
    proven = "proven" if tested["proven"] else "not proven"
    lines.append(f"The recording should say: {where} ({proven} on this network when it was made).")
    if evidence["moved"]:
        lines.append("But network or address changed during the call, so it tested neither.")
    if answers:
        said = answers[-1]
        lines.append(f"{said['who']}: it says {'this address' if said['same'] else 'something else'}.")
    elif evidence["result"] == "speech":
        lines.append(
            "Listen to it (on the page, or with --save FILE), then: dialstack-agent test-933 --says same|other"
        )
    return "\n".join(map(text.clean, lines))


def _alone(args: argparse.Namespace, failure: Failure) -> int:
    """Call 933 from here: it must work while the agent is stopped; nothing is filed then."""
    import asyncio

    alone, settings = part("agent.testcall.alone"), part("agent.config.load").load_sip(args.config)[0]
    socket = configured(args.config, "sip", DEFAULT_SOCKET)
    if not args.json:
        text.warn(f"{failure.error['happened']} The call is made from here, and its evidence is not kept.")
    try:
        found: dict[str, Any] = asyncio.run(alone.call_and_listen(socket, settings.recordings, args.save))
    except OSError as error:
        raise Failure(
            NOT_RUNNING,
            f"dialstack-voice cannot be reached on {socket} ({error.strerror or error or 'no answer'}).",
            emergency="No call can be placed from this device, 911 neither.",
            todo="In an emergency use another phone. Start it with `systemctl start dialstack-voice`.",
            code="voice_not_running",
        ) from error
    except ValueError as error:
        raise Failure(
            FAILED,
            f"dialstack-voice did not place the call: {error}",
            emergency="911 is still attempted when it is dialed.",
            todo="Test again; if it stays, `dialstack-agent status` says what is wrong with the line.",
            code="call_refused",
        ) from error
    text.say(json.dumps({**found, "filed": False}) if args.json else _words_alone(found))
    return OK if found["result"] == "speech" else FAILED


def _words_alone(found: dict[str, Any]) -> str:
    lines = [str(part("agent.testcall.evidence").TOLD[found["result"]])]
    if found["answer_seconds"] is not None:
        lines.append(_figures(found))
    if found["detail"]:
        lines.append(f"{found['detail']}.")
    return "\n".join(map(text.clean, lines))


def _figures(found: dict[str, Any]) -> str:
    return f"Answered after {found['answer_seconds']:.1f} s; {found['speech_seconds']:.1f} s of speech."

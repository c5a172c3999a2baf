"""The examples of PROTOCOL.md do what it says, run as they stand against a real line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from agent.voice.calls.values import Call
from agent.voice.socket import protocol

from .harness import Registrar, Uas, Voice

DOCUMENT = (Path(protocol.__file__).parents[1] / "PROTOCOL.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```(python|sh)\n(.*?)```", DOCUMENT, re.DOTALL)
Start = Callable[..., Registrar]
Speak = Callable[..., Voice]
FarEnd = Callable[..., Uas]


def start(number: int, phone: Voice) -> subprocess.Popen[str]:
    """Start an example."""
    kind, text = EXAMPLES[number]
    command = [sys.executable, "-c", text] if kind == "python" else ["sh", "-c", text]
    environment = {**os.environ, "VOICE": str(phone.socket), "LISTEN": "2", "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def output(number: int, phone: Voice) -> list[str]:
    """Run an example to its end and return what it printed."""
    with start(number, phone) as example:
        said, _ = example.communicate(timeout=60)
        assert example.returncode == 0
        return said.splitlines()


@pytest.mark.sip
def test_the_examples_do_what_they_say(registrar: Start, voice: Speak, uas: FarEnd) -> None:
    assert [kind for kind, _ in EXAMPLES] == ["python", "python", "sh", "sh"]
    there = registrar()
    uas(there)
    alice, bob = voice(there), voice(there, username="bob")
    line, other = alice.client(), bob.client()
    for one in (line, other):
        one.hear(type="registration", kind="registered")

    assert output(2, alice) == ["registered OK"]

    said = output(3, alice)
    assert said[0] == "calling "
    assert "confirmed OK" in said
    assert said[-1] == "ended Ended here."

    with start(1, alice) as answering:
        assert answering.stdout is not None
        other.say(type="call", to="sip:alice@voice.test")
        assert answering.stdout.readline().startswith("answering ")
        other.hear(type="call", state="confirmed")
        assert answering.communicate(timeout=60)[0].splitlines() == ["Ended here."]
        assert other.hear(type="call", state="ended")["ended"] == "The other side hung up."

    with start(0, alice) as calling:
        assert calling.stdout is not None
        watching = alice.client()
        number = watching.hear(type="call", to="933", state="confirmed", patience=30)["call"]
        line.say(type="hangup", call=number)
        states = [text.split()[0] for text in calling.communicate(timeout=60)[0].splitlines()]
        assert states[0] == "calling"
        assert states[-2:] == ["ended", "Ended"]


def test_every_field_of_a_call_and_every_verb_is_in_the_document() -> None:
    shown = set(protocol.call_message(Call(1, "911", "out"))) | {
        "req_id",
        "record",
        "ended",
        "refused",
        "again",
        "sound",
    }
    table = DOCUMENT[DOCUMENT.index("Fields of `call`:") : DOCUMENT.index("## Several calls")]
    rows = "".join(line.split("|")[1] for line in table.splitlines() if line.startswith("| `"))
    assert set(re.findall(r"`(\w+)`", rows)) == shown - {"type"}
    assert {item.name for item in fields(Call)} - {"number"} <= shown | {"call"}

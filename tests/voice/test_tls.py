"""Whom a TLS connection reached decides whether a password is shown there (RFC 5922), with either build of PJSIP."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from .harness import Registrar, Voice

pytestmark = pytest.mark.sip

Start = Callable[..., Registrar]
Speak = Callable[..., Voice]

OWN_BUILD = "dialstack-agent" in os.environ.get("PYTHONPATH", "")
"""PJSIP is the one that the packages ship (debian/pjsua2), not the wheel with its OpenSSL of 2017."""
SELF_SIGNED = "self-signed"


def test_the_best_tls_of_the_build_is_spoken_and_a_private_ca_is_accepted(registrar: Start, voice: Speak) -> None:
    there = registrar(transport="tls")
    line = voice(there).client()
    assert line.hear(type="registration", kind="registered")["code"] == 200
    assert ("TLSv1.3" if OWN_BUILD else "TLSv1.2") in there.rpc("tls.list")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tls_name": "elsewhere.test"}, "certificate is for elsewhere.test, not for 127.0.0.1"),
        ({"certificate": "expired"}, "certificate not trusted: The certificate has expired"),
        ({"certificate": SELF_SIGNED}, "certificate not trusted: The certificate is untrusted"),
    ],
    ids=["wrong-name", "expired", SELF_SIGNED],
)
def test_a_certificate_that_proves_nothing_is_refused_in_words_and_nothing_is_sent(
    registrar: Start, voice: Speak, options: dict[str, str], said: str
) -> None:
    there = registrar(transport="tls", **options)
    line = voice(there).client()
    sentence = line.hear(type="problem", code="tls")["sentence"]
    assert sentence.startswith("The registrar's certificate is refused: ")
    assert said in sentence
    assert sentence.endswith("Emergency calls are still attempted.")
    assert there.registers() == []


def test_a_ca_that_the_system_does_not_know_is_refused_unless_it_is_configured(registrar: Start, voice: Speak) -> None:
    there = registrar(transport="tls")
    line = voice(there, ca_file=None).client()
    assert "certificate not trusted" in line.hear(type="problem", code="tls")["sentence"]
    assert there.registers() == []


def test_s2_an_answer_over_a_refused_connection_is_never_a_registration() -> None:
    from agent.voice.pjsip import objects as pjobjects

    inbox: deque[Any] = deque()
    peer = pjobjects.Peer("sip.example.net", refused="certificate is for elsewhere.test, not for sip.example.net")
    answer = SimpleNamespace(code=200, reason="OK", expiration=120, rdata=SimpleNamespace(wholeMsg=""))
    account: Any = SimpleNamespace(_inbox=inbox, _life=1, _peer=peer)
    pjobjects.Account.onRegState(account, answer)
    assert (inbox[0].code, inbox[0].expires, inbox[0].reason) == (503, 0, peer.refused)

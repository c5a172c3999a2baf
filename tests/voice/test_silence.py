"""Steady state writes nothing: a journal in which every line is news."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .harness import Registrar, Voice

pytestmark = pytest.mark.sip


def test_a_registration_that_is_only_renewed_is_not_logged(
    registrar: Callable[..., Registrar], voice: Callable[..., Voice]
) -> None:
    there = registrar()
    there.mode(code="short", expires="3")
    phone = voice(there)
    line = phone.client()
    line.hear(type="registration", kind="registered")
    before = phone.log()
    for _ in range(2):
        line.hear(type="registration", kind="registered")
    assert len(there.registers("ACCEPTED")) >= 3
    assert phone.log() == before

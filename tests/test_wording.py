"""The sentences around the light say of each layer what is true of it, and give no layer the fault of another."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.dialstack.proof import Binding
from agent.errors import NeedsHuman
from agent.light.status import Scene
from agent.light.wording import phone_sentence, steps
from agent.model import LinkKind, NetworkState, Path, Registration, RegistrationKind, VoiceState

PATH = Path("eth0", 2, "192.0.2.50", "192.0.2.1", "192.0.2.9", LinkKind.ETHERNET, 4)
NETWORK = NetworkState(4, PATH, PATH, (), evidence_complete=True, cause="boot", event_at=0.0)
REGISTERED = Registration(kind=RegistrationKind.REGISTERED, generation=4, presented_id=None)
EXPIRED = NeedsHuman("The token has expired.")


def scene(**changes: object) -> Scene:
    whole = Scene(
        network=NETWORK, voice=VoiceState(connected=True, registration=REGISTERED), voice_overdue=False,
        binding=Binding(), decision=None, proven=False, config_problems=(), store_problem=None, present=None,
        likely=None,
    )  # fmt: skip
    return replace(whole, **changes)  # type: ignore[arg-type]


def told(found: Scene) -> dict[str, str]:
    return {one.name: f"{one.state}: {one.detail}" if one.detail else one.state for one in steps(found, "emerg_1")}


def test_a_telephone_program_that_does_not_run_has_no_line_connected() -> None:
    away = scene(voice=VoiceState(connected=False, registration=REGISTERED))
    assert told(away)["sip"] == "running", "it is restarted in a moment"
    assert told(replace(away, voice_overdue=True))["sip"] == "failed: The telephone program does not run."


def test_a_line_that_is_refused_fails_at_its_own_step_with_the_answer() -> None:
    refused = Registration(
        kind=RegistrationKind.FAILED, generation=4, presented_id=None, code=403, reason="Forbidden", retry_in=900.0
    )
    found = told(scene(voice=VoiceState(connected=True, registration=refused)))
    assert found["sip"] == "failed: The telephone line is not connected: 403 Forbidden."
    assert (found["present"], found["proof"]) == ("waiting", "waiting")


def test_what_the_platform_refuses_is_no_fault_of_the_line() -> None:
    connecting = Registration(kind=RegistrationKind.REGISTERING, generation=4, presented_id=None)
    found = told(scene(voice=VoiceState(connected=True, registration=connecting), binding=Binding(problem=EXPIRED)))
    assert found["sip"] == "running"
    assert found["present"] == "failed: The token has expired."
    assert found["proof"] == "waiting"


def test_without_a_network_nothing_has_failed_yet() -> None:
    offline = scene(network=None, binding=Binding(problem=EXPIRED), voice=VoiceState(connected=True))
    assert set(told(offline).values()) == {"running", "waiting"}
    assert told(offline)["network"] == "running"


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        (RegistrationKind.OFFLINE, "The telephone line is not connected."),
        (RegistrationKind.REGISTERING, "The telephone line is being connected."),
    ],
)
def test_a_line_without_a_network_is_not_said_to_be_on_its_way(kind: RegistrationKind, sentence: str) -> None:
    voice = VoiceState(connected=True, registration=Registration(kind=kind, generation=0, presented_id=None))
    assert phone_sentence(voice, overdue=False) == sentence

"""The steps of the set-up: their order, what each tests, and how far each is; pure."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.config.load import Layers
from agent.control import Overview
from agent.doctor.result import Finding, Result
from agent.say import say


class Progress(enum.StrEnum):
    """How far a step is."""

    OPEN = "open"
    DONE = "done"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Step:
    """One page of the set-up."""

    name: str
    title: str
    checks: tuple[str, ...] = ()
    """What is tested when it is saved or opened: names of agent.doctor checks."""
    keys: tuple[str, ...] = ()
    """Settings that are entered here."""
    optional: bool = False


STEPS = (
    Step("network", say("Network"), ("link", "address", "gateway")),
    Step("platform", say("Platform and token"), ("dns", "clock", "api", "token", "signalling"),
         ("platform.api", "token.file", "token.endpoint", "token.endpoint_secret_file")),
    Step("line", say("Phone line"), ("dns", "sip"),
         ("sip.registrar", "sip.transport", "sip.port", "sip.username", "sip.password_file", "sip.domain")),
    Step("mobility", say("Name and mobility"), (), ("device.name", "device.mobility")),
    Step("address", say("Address")),
    Step("proof", say("Proof"), ("sip", "binding")),
    Step("test", say("Test call to 933"), optional=True),
    Step("pin", say("Staff's PIN"), optional=True),
    Step("label", say("Label and summary")),
)  # fmt: skip
BY_NAME = {step.name: step for step in STEPS}


def after(name: str) -> str:
    """Return the name of the next step, empty after the last."""
    names = [step.name for step in STEPS]
    index = names.index(name) + 1
    return names[index] if index < len(names) else ""


def judge(results: Sequence[Result]) -> Progress | None:
    """Return what a step's checks say; None while there are none, or some are under way."""
    if not results or any(one.finding is Finding.RUNNING for one in results):
        return None
    bad = any(one.finding in {Finding.FAIL, Finding.SKIP} for one in results)
    return Progress.PROBLEM if bad else Progress.DONE


def progress(
    layers: Layers, overview: Overview, tested: Mapping[str, Sequence[Result]], *, pin: bool, call: bool
) -> dict[str, Progress]:
    """Return how far each step is, from what is true now and what was tested since the start."""
    states = {step.name: step.state for step in overview.steps}
    settings, mobility = layers.settings, "device.mobility"
    chosen = mobility in layers.overlay.values or "mobility" in layers.packaged.get("device", {})
    facts = {
        "network": states.get("network") == "done",
        "platform": overview.proven,
        "line": bool(settings.sip.registrar) and states.get("sip") == "done",
        "mobility": chosen,
        "address": overview.address is not None or settings.address is not None,
        "proof": overview.proven,
        "test": call,
        "pin": pin,
        "label": False,
    }
    found: dict[str, Progress] = {}
    for step in STEPS:
        verdict = judge(tested.get(step.name, ()))
        if step.name == "proof" or (step.name == "network" and verdict is Progress.DONE):
            verdict = None  # only what is true now counts
        done = facts[step.name] or verdict is Progress.DONE
        found[step.name] = Progress.DONE if done else verdict or Progress.OPEN
    return found


def resume(found: Mapping[str, Progress]) -> str:
    """Return the step to go on with: the first that is not done, optional ones only after all others."""
    waiting = [step for step in STEPS if found[step.name] is not Progress.DONE]
    must = [step for step in waiting if not step.optional and step.name != "label"]
    return (must or waiting)[0].name if waiting else STEPS[-1].name

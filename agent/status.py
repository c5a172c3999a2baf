"""The light and its sentences: a pure function of what the workers publish; unknown is never green (S2)."""

from __future__ import annotations

from dataclasses import dataclass

from agent.control import Step
from agent.dialstack.proof import Binding, voice_presents
from agent.errors import NeedsHuman
from agent.model import (
    Ask,
    CivicAddress,
    Decision,
    NetworkState,
    RegistrationKind,
    StatusKind,
    VerdictKind,
    VoiceState,
)

NO_LOCATION = "If somebody dials 911 now, the call goes out, but without a location."
UNPROVEN = "If somebody dials 911 now, the call goes out, but it is not certain that the right location goes with it."
NO_CALL = "911 cannot be called from this phone now; use another phone."

_VOICE_DEAD = "The telephone program does not run."
_FAULT_CODES = frozenset(
    {
        "token_expired", "token_refused", "token_other_user", "secret_missing", "secret_unreadable", "session_replaced",
        "certificate", "ca_file", "no_token_source", "request_refused",
    }
)  # fmt: skip
"""Problems that stay until a person acts."""
_WORSE_CODES = frozenset({"captive_portal"})
"""Problems that may keep the call itself from going out; they say so in words of their own."""


@dataclass(frozen=True, slots=True)
class Light:
    """Status without its time: what the engine compares to know that it changed."""

    kind: StatusKind
    cause: str
    sentence: str
    next_step: str


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that the light depends on."""

    network: NetworkState | None
    voice: VoiceState
    voice_overdue: bool
    """The voice process has been away for longer than a restart takes."""
    binding: Binding
    decision: Decision | None
    proven: bool
    config_problems: tuple[str, ...]
    store_problem: str | None
    """Why nothing can be kept on disk."""
    present: CivicAddress | None
    """The text of what is presented."""
    likely: CivicAddress | None
    """The address to ask about."""


def light(scene: Scene) -> Light:
    """Return the light for a scene: the first rule that applies, gravest first."""
    for rule in (_config, _store, _offline, _voice, _platform, _bound, _unbound):
        found = rule(scene)
        if found is not None:
            return found
    return _connecting(scene)


def _config(scene: Scene) -> Light | None:
    if not scene.config_problems:
        return None
    more = len(scene.config_problems) - 1
    tail = f" (and {more} more)" if more else ""
    return Light(
        StatusKind.FAULT,
        "config_invalid",
        f"The configuration is invalid: {scene.config_problems[0]}{tail}. {_reach(scene, NO_LOCATION)}",
        "Correct it, check it with `dialstack-agent check-config`, and restart the service.",
    )


def _reach(scene: Scene, otherwise: str) -> str:
    """Return what dialing 911 would do where another problem hides that there is no way out."""
    network = scene.network
    no_path = network is not None and network.sip is None and network.api is None
    no_registrar = any("sip.registrar: " in line for line in scene.config_problems)
    return NO_CALL if no_path or no_registrar or scene.voice_overdue else otherwise


def _store(scene: Scene) -> Light | None:
    if scene.store_problem is None:
        return None
    return Light(
        StatusKind.FAULT,
        "store_unusable",
        f"This phone cannot keep what it is told: {scene.store_problem}. {_reach(scene, UNPROVEN)}",
        "Correct it and restart the service; until then an answer holds only until the next restart.",
    )


def _offline(scene: Scene) -> Light | None:
    network = scene.network
    if network is None:
        return Light(StatusKind.CONNECTING, "starting", f"Starting. {UNPROVEN}", "Wait a moment.")
    if network.flapping:
        return Light(
            StatusKind.CONNECTING,
            "flapping",
            f"The network comes and goes. {UNPROVEN}",
            "Check the cable and the switch; the phone settles by itself once it is calm.",
        )
    if network.interrupted or (network.sip is None and network.api is None):
        return Light(
            StatusKind.OFFLINE,
            "interrupted" if network.interrupted else "no_path",
            "This phone has no network. 911 cannot be called from it now; use another phone.",
            "Plug the network cable in, or check the switch and the router.",
        )
    return None


def _voice(scene: Scene) -> Light | None:
    if not scene.voice.connected:
        if not scene.voice_overdue:
            return None
        return Light(
            StatusKind.FAULT,
            "voice_dead",
            f"{_VOICE_DEAD} This phone cannot place calls, 911 neither; use another phone.",
            "It is restarted by itself. If this stays, switch the device off and on and call your technician.",
        )
    registration = scene.voice.registration
    if registration.kind is not RegistrationKind.FAILED:
        return None
    answer = f"{registration.code} {registration.reason}".strip()
    if registration.code in {401, 403, 404, 407}:
        return Light(
            StatusKind.FAULT,
            "wrong_password",
            f"The telephone line refused this phone's user name or password ({answer}). "
            f"911 is still attempted; nobody can call this phone. {UNPROVEN}",
            "Have the SIP user name and password corrected.",
        )
    return Light(
        StatusKind.CONNECTING,
        "registrar_unreachable",
        f"The telephone line does not answer ({answer}). 911 is still attempted. {UNPROVEN}",
        "It is tried again by itself. If this stays, check the Internet connection.",
    )


def _platform(scene: Scene) -> Light | None:
    problem = scene.binding.problem
    if problem is None or scene.proven:
        return None
    if problem.code in {"address_gone", "address_refused", "present_refused"}:
        return None  # the question says it
    return Light(
        StatusKind.FAULT if isinstance(problem, NeedsHuman) or problem.code in _FAULT_CODES else StatusKind.CONNECTING,
        problem.code or "platform",
        f"{problem.happened} {problem.emergency if problem.code in _WORSE_CODES else UNPROVEN}",
        problem.todo or "It is tried again by itself.",
    )


def _bound(scene: Scene) -> Light | None:
    if not scene.proven or scene.decision is None or scene.present is None:
        return None
    where = scene.present.one_line()
    if scene.decision.wanted.provisional:
        return Light(
            StatusKind.PROVISIONAL,
            "not_confirmed",
            f"911 would send help to {where}, but nobody has confirmed that this phone is there.",
            "Please answer the question.",
        )
    return Light(
        StatusKind.BOUND,
        "proven",
        f"911 sends help to {where}. Proven on this network.",
        "Nothing to do.",
    )


_UNBOUND: dict[str, tuple[str, str]] = {
    "address_refused": ("The platform could not validate the address of this phone.", "Please correct the address."),
    "address_gone": (
        "The platform no longer has the address of this phone.",
        "Please confirm where this phone is; the address is then registered again.",
    ),
    "denied": ("The platform refused the address on this network.", "Please confirm where this phone is."),
    "place_new": ("This phone is in a place that nobody has confirmed.", "Please answer the question."),
    "place_unknown": ("It cannot be told where this phone is plugged in.", "Please answer the question."),
}


def _unbound(scene: Scene) -> Light | None:
    decision = scene.decision
    if decision is None or decision.wanted.civic is not None or decision.ask is Ask.NOTHING:
        return None
    reasons = decision.reasons
    cause = "place_new"
    for name in ("address_refused", "address_gone", "denied"):
        if getattr(reasons, name):
            cause = name
            break
    else:
        if decision.verdict.kind is VerdictKind.UNKNOWN:
            cause = "place_unknown"
    happened, todo = _UNBOUND[cause]
    return Light(StatusKind.UNBOUND, cause, f"{happened} {NO_LOCATION}", todo)


def _connecting(scene: Scene) -> Light:
    network, phase = scene.network, scene.binding.phase
    if network is not None and not network.evidence_complete:
        return Light(
            StatusKind.CONNECTING, "checking_place", f"Finding out where this phone is. {UNPROVEN}", "Wait a moment."
        )
    if not scene.voice.connected or scene.voice.registration.kind is not RegistrationKind.REGISTERED:
        return Light(
            StatusKind.CONNECTING, "registering", f"The telephone line is being connected. {UNPROVEN}", "Wait a moment."
        )
    cause = "denied" if scene.binding.denied else f"{phase}"
    return Light(
        StatusKind.CONNECTING, cause, f"The address is being set for this network. {UNPROVEN}", "Wait a moment."
    )


# ------------------------------------------------------------------ sentences for Home


def question(ask: Ask, likely: CivicAddress | None) -> str:
    """Return the one question, in words that a receptionist understands."""
    if ask is Ask.NOTHING:
        return ""
    if ask is Ask.FIX_ADDRESS:
        return "The address was not accepted. Where is this phone?"
    if ask is Ask.CONFIRM_PLACE and likely is not None:
        street = " ".join(part for part in (likely.address_number, likely.street) if part)
        return f"Is this phone still at {', '.join(part for part in (street, likely.unit) if part)}?"
    return "Where is this phone?"


def phone_sentence(voice: VoiceState, *, overdue: bool) -> str:
    """Return one sentence about the SIP line."""
    if not voice.connected:
        return _VOICE_DEAD if overdue else "The telephone program is being connected."
    if voice.problem:
        return voice.problem
    registration = voice.registration
    if registration.kind is RegistrationKind.REGISTERED:
        seen = f", seen from {registration.via_received}" if registration.via_received else ""
        return f"The telephone line is connected{seen}."
    if registration.kind is RegistrationKind.FAILED:
        wait = f"; next try in {registration.retry_in:.0f} s" if registration.retry_in is not None else ""
        return f"The telephone line is not connected: {registration.code} {registration.reason}{wait}."
    return "The telephone line is being connected."


def network_sentence(network: NetworkState | None) -> str:
    """Return one sentence about the network."""
    if network is None or (network.sip is None and network.api is None):
        return "No network."
    path = network.sip or network.api
    assert path is not None  # noqa: S101 - one of them is
    way = f" through {path.gateway}" if path.gateway else ""
    return f"Connected by {path.interface} ({path.kind}) as {path.source}{way}."


def steps(scene: Scene, address_id: str | None) -> tuple[Step, ...]:
    """Return the progress of the work under way, for people."""
    network, binding, decision = scene.network, scene.binding, scene.decision
    online = network is not None and network.api is not None and not network.interrupted
    placed = online and network is not None and network.evidence_complete
    registered = scene.voice.registration.kind is RegistrationKind.REGISTERED and network is not None
    on_line = registered and network is not None and scene.voice.registration.generation == network.generation
    presented = (
        address_id is not None
        and decision is not None
        and (binding.presented_id == address_id or voice_presents(scene.voice, decision.wanted, address_id))
    )
    failed = binding.problem is not None and not scene.proven
    order: tuple[tuple[str, str, bool], ...] = (
        ("network", "Network found", online),
        ("place", "Place compared with known places", placed),
        ("sip", "Telephone line connected", on_line),
        ("present", "Address presented on this network", presented),
        ("proof", "Proven by reading it back", scene.proven),
    )
    return tuple(_step(index, order, failed=failed, problem=binding) for index in range(len(order)))


def _step(index: int, order: tuple[tuple[str, str, bool], ...], *, failed: bool, problem: Binding) -> Step:
    name, label, done = order[index]
    if done:
        return Step(name, label, "done")
    first = all(item[2] for item in order[:index])
    if not first:
        return Step(name, label, "waiting")
    if failed and problem.problem is not None:
        return Step(name, label, "failed", problem.problem.happened)
    return Step(name, label, "running")

"""The light and its sentences: a pure function of what the workers publish; unknown is never green (S2)."""

from __future__ import annotations

from dataclasses import dataclass

from agent.dialstack.proof import Binding
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
from agent.say import say, say_n, sentences

NO_LOCATION = say("If somebody dials 911 now, the call goes out, but without a location.")
UNPROVEN = say(
    "If somebody dials 911 now, the call goes out, but it is not certain that the right location goes with it."
)
NO_CALL = say("911 cannot be called from this phone now; use another phone.")
WAIT = say("Wait a moment.")
ANSWER = say("Please answer the question.")

_VOICE_DEAD = say("The telephone program does not run.")
_LINE_COMES = say("The telephone line is being connected.")
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
    if _is_blank(scene.config_problems):
        return Light(
            StatusKind.FAULT,
            "not_set_up",
            sentences(say("This phone is not set up yet."), NO_CALL),
            say("Have a technician set it up: Settings, then Set-up."),
        )
    more = len(scene.config_problems) - 1
    first = scene.config_problems[0]
    wrong = say_n("{first} (and {count} more)", "{first} (and {count} more)", more, first=first) if more else first
    return Light(
        StatusKind.FAULT,
        "config_invalid",
        sentences(say("The configuration is invalid: {wrong}.", wrong=wrong), _reach(scene, NO_LOCATION)),
        say("Correct it, check it with `dialstack-agent check-config`, and restart the service."),
    )


def _is_blank(problems: tuple[str, ...]) -> bool:
    """Tell whether nobody has entered a phone line yet."""
    return all(any(f"sip.{name}: must" in line for line in problems) for name in ("registrar", "username"))


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
        sentences(
            say("This phone cannot keep what it is told: {problem}.", problem=scene.store_problem),
            _reach(scene, UNPROVEN),
        ),
        say("Correct it and restart the service; until then an answer holds only until the next restart."),
    )


def _offline(scene: Scene) -> Light | None:
    network = scene.network
    if network is None:
        return Light(StatusKind.CONNECTING, "starting", sentences(say("Starting."), UNPROVEN), WAIT)
    if network.flapping:
        return Light(
            StatusKind.CONNECTING,
            "flapping",
            sentences(say("The network comes and goes."), UNPROVEN),
            say("Check the cable and the switch; the phone settles by itself once it is calm."),
        )
    if network.interrupted or (network.sip is None and network.api is None):
        return Light(
            StatusKind.OFFLINE,
            "interrupted" if network.interrupted else "no_path",
            say("This phone has no network. 911 cannot be called from it now; use another phone."),
            say("Plug the network cable in, or check the switch and the router."),
        )
    return None


def _voice(scene: Scene) -> Light | None:
    if not scene.voice.connected:
        if not scene.voice_overdue:
            return None
        return Light(
            StatusKind.FAULT,
            "voice_dead",
            sentences(_VOICE_DEAD, say("This phone cannot place calls, 911 neither; use another phone.")),
            say("It is restarted by itself. If this stays, switch the device off and on and call your technician."),
        )
    registration = scene.voice.registration
    if registration.kind is not RegistrationKind.FAILED:
        return None
    answer = registration.answer
    if registration.code in {401, 403, 404, 407}:
        return Light(
            StatusKind.FAULT,
            "wrong_password",
            sentences(
                say("The telephone line refused this phone's user name or password ({answer}).", answer=answer),
                say("911 is still attempted; nobody can call this phone."),
                UNPROVEN,
            ),
            say("Have the SIP user name and password corrected."),
        )
    return Light(
        StatusKind.CONNECTING,
        "registrar_unreachable",
        sentences(
            say("The telephone line does not answer ({answer}).", answer=answer),
            say("911 is still attempted."),
            UNPROVEN,
        ),
        say("It is tried again by itself. If this stays, check the Internet connection."),
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
        sentences(problem.happened, problem.emergency if problem.code in _WORSE_CODES else UNPROVEN),
        problem.todo or say("It is tried again by itself."),
    )


def _bound(scene: Scene) -> Light | None:
    if not scene.proven or scene.decision is None or scene.present is None:
        return None
    where = scene.present.one_line()
    if scene.decision.wanted.provisional:
        return Light(
            StatusKind.PROVISIONAL,
            "not_confirmed",
            say("911 would send help to {where}, but nobody has confirmed that this phone is there.", where=where),
            ANSWER,
        )
    return Light(
        StatusKind.BOUND,
        "proven",
        say("911 sends help to {where}. Proven on this network.", where=where),
        say("Nothing to do."),
    )


_UNBOUND: dict[str, tuple[str, str]] = {
    "address_refused": (
        say("The platform could not validate the address of this phone."),
        say("Please correct the address."),
    ),
    "address_gone": (
        say("The platform no longer has the address of this phone."),
        say("Please confirm where this phone is; the address is then registered again."),
    ),
    "denied": (say("The platform refused the address on this network."), say("Please confirm where this phone is.")),
    "place_new": (say("This phone is in a place that nobody has confirmed."), ANSWER),
    "place_unknown": (say("It cannot be told where this phone is plugged in."), ANSWER),
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
    return Light(StatusKind.UNBOUND, cause, sentences(happened, NO_LOCATION), todo)


def _connecting(scene: Scene) -> Light:
    network, phase = scene.network, scene.binding.phase
    if network is not None and not network.evidence_complete:
        return Light(
            StatusKind.CONNECTING, "checking_place", sentences(say("Finding out where this phone is."), UNPROVEN), WAIT
        )
    if not scene.voice.connected or scene.voice.registration.kind is not RegistrationKind.REGISTERED:
        return Light(StatusKind.CONNECTING, "registering", sentences(_LINE_COMES, UNPROVEN), WAIT)
    cause = "denied" if scene.binding.denied else f"{phase}"
    return Light(
        StatusKind.CONNECTING, cause, sentences(say("The address is being set for this network."), UNPROVEN), WAIT
    )

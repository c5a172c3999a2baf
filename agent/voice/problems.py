"""What is wrong with this process, in words; one sentence a code, said once and taken back once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from agent.model import Registration, RegistrationKind
from agent.say import say, sentences
from agent.voice.log import log

_CODES: Final = {
    401: say("The SIP password is not accepted by the registrar."),
    403: say("The registrar refuses this SIP account."),
    404: say("The registrar does not know this SIP account."),
    407: say("The SIP password is not accepted by the registrar."),
}
_EMERGENCY: Final = say("Emergency calls are still attempted.")


class Problems:
    """Code -> sentence; `tell(code, sentence)` hears every change, with None when it is over."""

    def __init__(self, configuration: list[str], tell: Callable[[str, str | None], None]) -> None:
        self.open: dict[str, str] = {}
        self._tell = tell
        if configuration:
            lines = sentences(*configuration)
            incomplete = say("The configuration is not complete: {lines}", lines=lines)
            nowhere = any("sip.registrar: " in line for line in configuration)
            self.open["configuration"] = incomplete if nowhere else sentences(incomplete, _EMERGENCY)

    def set(self, code: str, sentence: str | None) -> None:
        """Say a problem, or with None that it is over."""
        if self.open.get(code) == sentence:
            return
        if sentence is None:
            del self.open[code]
        else:
            self.open[code] = sentence
        log("problem", "warning" if sentence else "info", code=code, sentence=sentence or "over")
        self._tell(code, sentence)

    def registration(self, registration: Registration) -> None:
        """Say what a registration means to people."""
        if registration.kind is RegistrationKind.REGISTERED:
            for code in ("registration", "tls"):
                self.set(code, None)
        elif registration.kind is RegistrationKind.FAILED:
            if registration.code in _CODES:
                self.set("registration", sentences(_CODES[registration.code], _EMERGENCY))
            certificate = "certificate" in registration.reason.lower() or "ssl" in registration.reason.lower()
            if certificate:
                refused = say("The registrar's certificate is refused: {reason}.", reason=registration.reason)
                self.set("tls", sentences(refused, _EMERGENCY))

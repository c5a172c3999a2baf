"""The objects that PJSIP calls back: they copy plain values into an inbox, never raise and hold nothing else.

No reference leads from here to anything of ours, so there are no cycles for a collector to free on a foreign
thread (failure 15).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import pjsua2 as pj

from agent.say import say
from agent.voice.events import (
    CallEvent,
    CallState,
    ConnectionLost,
    DigitHeard,
    MediaChanged,
    RegisterResult,
    Reinvited,
    StackEvent,
    Trying,
)
from agent.voice.registration import sip

RINGING = 180
REFUSED = 503
"""What a registration over a connection to somebody else counts as (RFC 5922 7.3)."""
TRYING = 100
REDIRECTED = 300
CHALLENGES = (401, 407)
"""PJSIP answers these itself."""
Inbox = deque[StackEvent]
_STATES: dict[int, CallState] = {
    pj.PJSIP_INV_STATE_CALLING: "calling",
    pj.PJSIP_INV_STATE_INCOMING: "ringing",
    pj.PJSIP_INV_STATE_CONFIRMED: "confirmed",
    pj.PJSIP_INV_STATE_DISCONNECTED: "ended",
}


@dataclass(slots=True)
class Numbers:
    """Numbers for calls, never used twice: PJSIP's own are, for the next call, while the news of the last one waits."""

    last: int = 0

    def next(self) -> int:
        """Return a new one."""
        self.last += 1
        return self.last


@dataclass(slots=True)
class Peer:
    """Whom a TLS connection must have reached, and why it did not."""

    name: str
    """Empty: nobody in particular."""
    refused: str = ""


class Account(pj.Account):  # type: ignore[misc]
    """The account: copies plain values out, holds nothing but the inbox (no cycles: failure 15)."""

    def __init__(self, inbox: Inbox, life: int, legs: dict[int, Leg], peer: Peer, numbers: Numbers) -> None:
        super().__init__()
        self._inbox, self._life, self._legs, self._peer, self._numbers = inbox, life, legs, peer, numbers

    def onRegState(self, prm: Any) -> None:  # noqa: N802
        """PJSIP's name."""
        message = str(prm.rdata.wholeMsg or "")
        # Whoever answered over a refused connection is not the registrar, whatever it answers.
        code = REFUSED if self._peer.refused else int(prm.code)
        self._inbox.append(
            RegisterResult(
                code,
                self._peer.refused or str(prm.reason),
                int(prm.expiration) if code // 100 == 2 else 0,  # noqa: PLR2004
                sip.via_received(message),
                sip.retry_after(message),
                self._life,
            )
        )

    def onIncomingCall(self, prm: Any) -> None:  # noqa: N802
        """PJSIP's name."""
        # PJSIP refuses a call that has no object when this returns.
        number = self._numbers.next()
        leg = self._legs[number] = Leg(self, self._inbox, self._life, number, call_id=int(prm.callId))
        parameters = pj.CallOpParam()
        parameters.statusCode = RINGING
        leg.answer(parameters)
        self._inbox.append(leg.describe())


class Leg(pj.Call):  # type: ignore[misc]
    """A call: copies plain values out."""

    def __init__(self, account: Account, inbox: Inbox, life: int, number: int, *, call_id: int | None = None) -> None:
        super().__init__(account, call_id if call_id is not None else pj.PJSUA_INVALID_ID)
        self._inbox, self._life, self.number = inbox, life, number
        self._incoming = call_id is not None

    def onCallState(self, prm: Any) -> None:  # noqa: ARG002, N802
        """PJSIP's name."""
        self._inbox.append(self.describe())

    def onCallMediaState(self, prm: Any) -> None:  # noqa: ARG002, N802
        """PJSIP's name."""
        status = audio_status(self.getInfo())
        self._inbox.append(
            MediaChanged(
                self.number,
                status == pj.PJSUA_CALL_MEDIA_ACTIVE,
                status == pj.PJSUA_CALL_MEDIA_LOCAL_HOLD,
                status == pj.PJSUA_CALL_MEDIA_REMOTE_HOLD,
                self._life,
            )
        )

    def onCallTsxState(self, prm: Any) -> None:  # noqa: N802
        """PJSIP's name. Neither a 100 nor a refused re-INVITE changes the state of the call."""
        transaction = prm.e.body.tsxState.tsx
        code = int(transaction.statusCode)
        if transaction.role != pj.PJSIP_ROLE_UAC:
            return
        if code == TRYING:
            self._inbox.append(Trying(self.number, self._life))
        completed = transaction.method == "INVITE" and transaction.state == pj.PJSIP_TSX_STATE_COMPLETED
        if completed and code >= REDIRECTED and code not in CHALLENGES:
            self._inbox.append(Reinvited(self.number, code, str(transaction.statusText), self._life))

    def onDtmfDigit(self, prm: Any) -> None:  # noqa: N802
        """PJSIP's name."""
        self._inbox.append(DigitHeard(self.number, str(prm.digit)[:1], self._life))

    def describe(self) -> CallEvent:
        """Return what the call is now."""
        info = self.getInfo()
        code = int(info.lastStatusCode)
        heard = code not in (0, RINGING) or audio_status(info) == pj.PJSUA_CALL_MEDIA_ACTIVE
        ringing: CallState = "early" if heard and not self._incoming else "ringing"
        return CallEvent(
            self.number,
            _STATES.get(info.state, ringing),
            "in" if self._incoming else "out",
            code,
            str(info.lastReason),
            str(info.remoteUri),
            self._life,
        )


class Core(pj.Endpoint):  # type: ignore[misc]
    """The endpoint: verifies whom a TLS connection reached, and says when the connection is gone."""

    def __init__(self, inbox: Inbox, life: int, peer: Peer) -> None:
        super().__init__()
        self._inbox, self._life, self._peer = inbox, life, peer

    def onTransportState(self, prm: Any) -> None:  # noqa: N802
        """PJSIP's name. On `connected` nothing was sent yet; a connection shut down here never carries a byte."""
        kind = str(prm.type).lower()[:3]
        if prm.state == pj.PJSIP_TP_STATE_CONNECTED and kind == "tls" and self._peer.name:
            self._peer.refused = _refusal(prm.tlsInfo, self._peer.name)
            if self._peer.refused:
                self.transportShutdown(prm.hnd)
        elif prm.state == pj.PJSIP_TP_STATE_DISCONNECTED and kind in {"tcp", "tls"}:
            reason = self._peer.refused or say(
                "{transport} connection closed ({status})", transport=str(prm.type), status=int(prm.lastError)
            )
            self._inbox.append(ConnectionLost(reason, self._life))


def audio_status(info: Any) -> int:
    """Return the state of a call's sound (PJSUA_CALL_MEDIA_...)."""
    for media in info.media:
        if media.type == pj.PJMEDIA_TYPE_AUDIO:
            return int(media.status)
    return int(pj.PJSUA_CALL_MEDIA_NONE)


def _refusal(info: Any, name: str) -> str:
    """Return why this peer is not `name` (RFC 5922 7.1, 7.2: no wildcards), empty if it is."""
    status = int(info.verifyStatus) & ~pj.PJ_SSL_CERT_EIDENTITY_NOT_MATCH
    if status:
        return say("certificate not trusted: {why}", why="; ".join(info.verifyMsgs) or hex(status))
    certificate = info.remoteCertInfo
    names = [str(entry.name).lower() for entry in certificate.subjectAltName] or [str(certificate.subjectCn).lower()]
    if name.lower() in names:
        return ""
    return say("certificate is for {names}, not for {name}", names=", ".join(names), name=name)

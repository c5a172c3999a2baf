"""Frames of the signalling WebSocket: what is read out of them and what their error codes mean (platform.md 4)."""

from __future__ import annotations

import msgspec

from agent.dialstack.ports import Ended
from agent.errors import AgentError, Backoff, NeedsHuman
from agent.say import say

TOKEN_CODES = frozenset({"auth_failed", "auth_expired", "session_revoked"})
_NEEDED = ("authenticated", "error", "network.changed", "auth.refreshed", "pong")
_TEXTS = ("type", "req_id", "code", "message", "user_id")
_NOT_OURS = frozenset({"call_failed", "call_not_found", "presence_unavailable", "reachability_unavailable"})
"""Codes that answer nothing that is sent here."""


class Frame(msgspec.Struct):
    """The fields of any frame that matter here; all others, and unknown types, are ignored (platform.md 9.10)."""

    type: str = ""
    req_id: str | None = None
    code: str = ""
    message: str = ""
    fatal: bool = False
    user_id: str = ""


def parse(text: str | bytes) -> Frame | None:
    """Return the frame in a message; one field of another type than expected must not hide a verdict (S6)."""
    try:
        raw = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return None
    if not isinstance(raw, dict) or raw.get("type") not in _NEEDED:
        return None
    texts = {name: raw[name] for name in _TEXTS if isinstance(raw.get(name), str)}
    return Frame(fatal=raw.get("fatal") is True, **texts)


def answers(frame: Frame, request: str) -> bool:
    """Tell whether a frame is the reply to a request; older servers echo no req_id (platform.md 4.1)."""
    return frame.req_id == request or (frame.req_id is None and frame.code not in _NOT_OURS)


def ended(code: str) -> Ended:
    """Return what a fatal error code asks for next (platform.md 4.3)."""
    if code in TOKEN_CODES:
        return Ended.TOKEN
    return Ended.REPLACED if code == "session_replaced" else Ended.LOST


def refusal(frame: Frame) -> AgentError:
    """Return the typed error for an `error` frame during sign-in or refresh (platform.md 4.3)."""
    said = f"{frame.code}: {frame.message}"[:200].rstrip(". ")
    if frame.code in TOKEN_CODES:
        return NeedsHuman(say("The platform refused the token ({said}).", said=said), code="token_refused")
    if frame.code in {"invalid_message", "emergency_address_required"}:
        return NeedsHuman(say("The platform refused the address ({said}).", said=said), code="present_refused")
    if frame.code == "session_replaced":
        return NeedsHuman(say("Another device uses this phone's user."), code="session_replaced")
    return Backoff(say("The platform refused the sign-in ({said}).", said=said), code=frame.code or "signalling_error")

"""The platform's no to a REST request (platform.md 2.4)."""

from __future__ import annotations

from typing import Any


class Refusal(Exception):
    """An HTTP status with the documented error envelope."""

    def __init__(self, status: int, text: str, *, code: str = "", details: dict[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.code = code
        self.details = details

    def body(self, shape: str = "documented", *, details: bool = True) -> dict[str, Any] | str:
        """Return the body in one of the forms of `Behavior.refusal_shape`; a string is no JSON."""
        known = self.details if details else None
        if shape == "text":
            return self.text
        if shape == "message":
            return {"message": self.text}
        if shape == "nested":
            return {"error": {"message": self.text, "code": self.code or "invalid_request", "type": "invalid_request"}}
        answer: dict[str, Any] = {"error": self.text}
        if self.code:
            answer["code"] = self.code
        if known and shape == "siblings":
            answer |= known
        elif known:
            answer["details"] = known
        return answer


def not_found() -> Refusal:
    """404 without saying more."""
    return Refusal(404, "Emergency address not found")

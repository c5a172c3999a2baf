"""The open questions of platform.md 10 as switches, so that tests can try every reading."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec


class BehaviorError(ValueError):
    """A switch that does not exist or a value that it does not take."""


@dataclass(frozen=True, slots=True)
class Behavior:
    """How the platform answers where public material is silent; the defaults are the likeliest readings."""

    # Signalling (platform.md 10: 1, 2, 3, 4, 9)
    anchor_match: Literal["exact", "prefix"] = "exact"
    """Compare `registered_ip` as one host, or as its /24 (IPv4) or /64 (IPv6)."""
    network_changed_first: bool = False
    """`network.changed` comes before `authenticated` instead of after it."""
    network_changed_delay: float = 0.0
    """Seconds between the verdict and the frame."""
    network_changed_missing: bool = False
    """The frame is never sent, although the address was refused."""
    foreign_id: Literal["network.changed", "error", "fatal"] = "network.changed"
    """Answer to presenting another user's id."""
    deleted_id: Literal["network.changed", "error", "fatal"] = "network.changed"
    """Answer to presenting an id that was deleted or never existed."""
    malformed_id: Literal["network.changed", "error", "fatal"] = "error"
    """Answer to presenting something that is no id: not a string, empty, or over 255 characters."""
    reconnect_denied_within: float = 0.0
    """Presenting an address again within so many seconds of the end of its session comes back denied."""
    echo_req_id: bool = True
    """Replies carry the `req_id` of the request; older servers left it out."""
    session_cap: int = 10
    """Signalling sessions of one user."""
    at_cap: Literal["replace", "refuse"] = "replace"
    """The oldest session gets `session_replaced`, or the new one `session_limit`."""
    revoke_at_once: bool = False
    """Revocation tears sockets down at once instead of at their next call event."""
    close_code: int = 1000
    """WebSocket close code after a fatal error."""
    call_refusal: Literal["silent", "error"] = "silent"
    """A gated `call.create` is dropped, or answered with `emergency_address_required`."""

    # Addresses (platform.md 10: 8, 9, 12, 14)
    create_status: Literal[200, 201] = 201
    """Status of a successful POST."""
    foreign_status: Literal[403, 404] = 404
    """Status for another user's id."""
    refusal_shape: Literal["documented", "siblings", "nested", "message", "text"] = "documented"
    """Form of a 422: the documented envelope, with sibling fields, nested, `{"message"}`, or not JSON."""
    refusal_details: bool = True
    """A 422 names the field that is wrong."""
    duplicates: Literal["allow", "merge"] = "allow"
    """An exact duplicate becomes a second address, or answers with the first."""
    idempotency: Literal["honor", "ignore"] = "honor"
    """`Idempotency-Key` replays the first answer, or means nothing."""
    max_addresses: int = 1000
    """Saved addresses of one user; one more is a 422 `limit_reached`."""
    delete_drops_binding: bool = True
    """Deleting an address takes it from the sessions and registrations that it is bound in."""
    delete_notifies: bool = False
    """... and sends them `network.changed`."""
    clear_drops_binding: bool = False
    """Clearing `registered_ip` touches live sessions; rule 3.1.2 says that it does not."""
    sandbox: bool = False
    """Emergency addresses answer 400 `sandbox_feature_unsupported`."""
    canada: bool = True
    """Canadian addresses are taken."""
    ttl_status: Literal[400, 422] = 400
    """Status for a `ttl_seconds` over seven days."""

    # SIP and calls (platform.md 10: 5, 6, 7)
    sip_header: Literal["honor", "ignore"] = "honor"
    """The id presented on REGISTER binds the registration, or is ignored (platform.md 6.5, 11.1)."""
    sip_mismatch_notifies: bool = True
    """A REGISTER whose id is refused sends `network.changed` to the user's signalling sessions."""
    sip_gated: bool = True
    """Non-emergency SIP calls need a bound address, too."""
    gate_scope: Literal["user", "channel"] = "user"
    """A binding in any live session or registration opens the gate, or only one of the calling channel."""

    def changed(self, changes: Mapping[str, Any]) -> Behavior:
        """Return a copy with these switches set; raise `BehaviorError` that names what is wrong."""
        names = {field.name for field in dataclasses.fields(self)}
        unknown = sorted(set(changes) - names)
        if unknown:
            raise BehaviorError(f"no such switch: {', '.join(unknown)}; there are {', '.join(sorted(names))}")
        try:
            return msgspec.convert(dataclasses.asdict(self) | dict(changes), Behavior)
        except msgspec.ValidationError as error:
            raise BehaviorError(str(error)) from error

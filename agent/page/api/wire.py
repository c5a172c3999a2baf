"""JSON of the API: typed bodies in, typed answers out (msgspec); API.md is the contract."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from agent.control import DecisionRecord, Delivery, NoticeRecord, PlaceRecord, SavedAddress
from agent.dialstack.civic import civic_from
from agent.errors import AddressRefused, AgentError
from agent.model import CivicAddress
from agent.page.problems import PageError, code_of
from agent.say import plain
from agent.storage.audit import AuditRow

T = TypeVar("T")


class CivicBody(msgspec.Struct, forbid_unknown_fields=True):
    """An address as a program sends it; what is missing is said field by field."""

    address_number: str = ""
    street: str = ""
    unit: str = ""
    city: str = ""
    state: str = ""
    postal_code: str = ""
    country: str = "US"

    def civic(self) -> CivicAddress:
        """Return the address; raises AddressRefused naming every field that is wrong."""
        civic, wrong = civic_from(msgspec.structs.asdict(self))
        if civic is None:
            raise AddressRefused("The address is incomplete or malformed.", fields=wrong, code="address_malformed")
        return civic


class ConfirmBody(msgspec.Struct, forbid_unknown_fields=True):
    """`POST confirm`: exactly one of the first two."""

    address_id: str | None = None
    civic: CivicBody | None = None
    question_id: str | None = None
    """Beside them: what is answered."""


class PinBody(msgspec.Struct, forbid_unknown_fields=True):
    """`POST pins/{role}`."""

    pin: str


class AuditAnswer(msgspec.Struct):
    """`GET audit`."""

    audit: tuple[AuditRow, ...]


class Addresses(msgspec.Struct):
    """`GET addresses`."""

    addresses: tuple[SavedAddress, ...]


class Decisions(msgspec.Struct):
    """`GET decisions`."""

    decisions: tuple[DecisionRecord, ...]


class Places(msgspec.Struct):
    """`GET places`."""

    places: tuple[PlaceRecord, ...]


class Notices(msgspec.Struct):
    """`GET notices`."""

    notices: tuple[NoticeRecord, ...]


class Deliveries(msgspec.Struct):
    """`POST notices/test`."""

    deliveries: tuple[Delivery, ...]


class Done(msgspec.Struct):
    """The answer to what has nothing else to say."""

    done: bool = True


class ErrorBody(msgspec.Struct):
    """What happened, what it means for 911, what to do."""

    code: str
    happened: str
    emergency: str
    todo: str
    fields: dict[str, str]


class ErrorAnswer(msgspec.Struct):
    """Every answer that is not 2xx."""

    error: ErrorBody


def encode(value: object) -> bytes:
    """Return JSON of answers and of the values of `agent.control`."""
    return msgspec.json.encode(value, enc_hook=plain)


def encode_error(error: AgentError) -> bytes:
    """Return an error as the API words it."""
    fields = error.fields if isinstance(error, AddressRefused) else {}
    return encode(
        ErrorAnswer(
            ErrorBody(
                code=code_of(error), happened=error.happened, emergency=error.emergency, todo=error.todo, fields=fields
            )
        )
    )


def decode(body: bytes, kind: type[T]) -> T:
    """Return a typed body; raises PageError 400 that says what does not fit."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PageError(
            400, f"The JSON is malformed: {error}.", todo="See agent/page/API.md.", code="malformed"
        ) from error

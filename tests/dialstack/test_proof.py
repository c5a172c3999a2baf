"""Rule S2 as a table: each condition alone turns the light off."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import pytest

from agent.dialstack.proof import Binding, Proof, differs, is_public, must_clear, proven, same_ip, voice_presents
from agent.model import (
    AddressSource,
    EmergencyAddress,
    LinkKind,
    NetworkState,
    Path,
    Registration,
    RegistrationKind,
    VoiceState,
    Wanted,
)
from tests.dialstack.bench import CIVIC

PATH = Path("eth0", 2, "192.0.2.7", "192.0.2.1", "203.0.113.1", LinkKind.ETHERNET, 4)
PROOF = Proof(
    generation=5, attempt=2, resumed=1, connection=3, registration=4,
    address_id="e_1", registered_ip="203.0.113.7", at=0,
)  # fmt: skip

BINDING = Binding(
    generation=5, attempt=2, phase="bound", address_id="e_1", presented_id="e_1", connection=3, proof=PROOF
)
NETWORK = NetworkState(5, PATH, PATH, (), evidence_complete=True, cause="", event_at=0, resumed=1)
VOICE = VoiceState(
    connected=True, registration=Registration(RegistrationKind.REGISTERED, 5, "e_1", code=200, attempt=2)
)
WANTED = Wanted(5, 2, CIVIC, "e_1", None, AddressSource.CONFIRMED_HERE, provisional=False)


@dataclass(frozen=True)
class Case:
    """Everything that the light depends on; as it stands, it is on."""

    binding: Binding = BINDING
    network: NetworkState = NETWORK
    voice: VoiceState = VOICE
    wanted: Wanted = WANTED
    registration: int = 4
    by_signalling: bool = True
    by_sip: bool = True

    def lit(self) -> bool:
        return proven(
            self.binding, self.network, self.voice, wanted=self.wanted, registration=self.registration,
            by_signalling=self.by_signalling, by_sip=self.by_sip,
        )  # fmt: skip

    def but(self, part: str, **changes: Any) -> Case:
        """Return it with changes in one part; `proof` and `line` are inside of others."""
        if part == "proof":
            return self.but("binding", proof=dataclasses.replace(PROOF, **changes))
        if part == "line":
            return self.but("voice", registration=dataclasses.replace(self.voice.registration, **changes))
        if part == "self":
            return dataclasses.replace(self, **changes)
        return dataclasses.replace(self, **{part: dataclasses.replace(getattr(self, part), **changes)})


OFF: list[tuple[str, str, dict[str, Any]]] = [
    ("no read-back", "binding", {"proof": None}),
    ("network.changed came", "binding", {"denied": True}),
    ("no connection is open", "binding", {"connection": 0}),
    ("the proof is of no connection", "proof", {"connection": 0}),
    (
        "no connection is open, nor was one",
        "binding",
        {"connection": 0, "proof": dataclasses.replace(PROOF, connection=0)},
    ),
    ("the proof is of an earlier connection", "binding", {"connection": 4}),
    ("another id was presented on the connection", "binding", {"presented_id": "e_2"}),
    ("no id was presented on the connection", "binding", {"presented_id": None}),
    ("the proof is of an earlier generation", "proof", {"generation": 4}),
    ("the proof is of a later generation", "proof", {"generation": 6}),
    ("the network is another generation", "network", {"generation": 6}),
    ("something is wanted for another generation", "wanted", {"generation": 6}),
    ("the proof is of an earlier attempt", "proof", {"attempt": 1}),
    ("another attempt is wanted", "wanted", {"attempt": 3}),
    ("there was an interruption since", "network", {"resumed": 2}),
    ("the proof is of before an interruption", "proof", {"resumed": 0}),
    ("the network is interrupted", "network", {"interrupted": True}),
    ("the network is flapping", "network", {"flapping": True}),
    ("there is no path", "network", {"sip": None, "api": None}),
    ("nothing is wanted", "wanted", {"civic": None, "address_id": None}),
    ("nothing is wanted, the id still stands there", "wanted", {"civic": None}),
    ("another address is wanted", "wanted", {"address_id": "e_2"}),
    ("the proof is of another address", "proof", {"address_id": "e_2"}),
    ("the line registered again since", "self", {"registration": 5}),
    ("the proof is of another registration", "proof", {"registration": 3}),
    ("the voice process is away", "voice", {"connected": False}),
    ("the line is registering", "line", {"kind": RegistrationKind.REGISTERING}),
    ("the line failed to register", "line", {"kind": RegistrationKind.FAILED}),
    ("the line is offline", "line", {"kind": RegistrationKind.OFFLINE}),
    ("the line is registered in another generation", "line", {"generation": 4}),
    ("the line is registered in another attempt", "line", {"attempt": 1}),
    ("the line presented another id", "line", {"presented_id": "e_2"}),
    ("the line presented nothing", "line", {"presented_id": None}),
    ("no way of presenting is configured", "self", {"by_signalling": False, "by_sip": False}),
]


def test_s2_the_light_is_on_when_everything_is_proven() -> None:
    assert Case().lit()
    assert Case().but("wanted", address_id=None).lit()  # registered just now: the id is not written back yet
    assert Case().but("network", sip=None).lit()
    assert Case().but("network", api=None).lit()


@pytest.mark.parametrize(("why", "part", "changes"), OFF, ids=[why for why, *_ in OFF])
def test_s2_each_missing_condition_alone_turns_the_light_off(why: str, part: str, changes: dict[str, Any]) -> None:
    assert not Case().but(part, **changes).lit(), why


LINE_ONLY = [row for row in OFF if row[1] in {"line", "voice"} or "line" in row[0] or "registration" in row[0]]


@pytest.mark.parametrize(("why", "part", "changes"), OFF, ids=[why for why, *_ in OFF])
def test_s2_with_signalling_alone_only_the_line_does_not_matter(why: str, part: str, changes: dict[str, Any]) -> None:
    case = Case(by_sip=False).but(part, **changes)
    assert case.lit() == ((why, part, changes) in LINE_ONLY)


SOCKET_ONLY = {"another id was presented on the connection", "no id was presented on the connection"}


@pytest.mark.parametrize(("why", "part", "changes"), OFF, ids=[why for why, *_ in OFF])
def test_s2_with_sip_alone_only_the_id_on_the_socket_does_not_matter(
    why: str, part: str, changes: dict[str, Any]
) -> None:
    assert Case(by_signalling=False).but(part, **changes).lit() == (why in SOCKET_ONLY)


def test_s2_an_empty_binding_is_dark_everywhere() -> None:
    for by_signalling in (True, False):
        for by_sip in (True, False):
            assert not dataclasses.replace(Case(), binding=Binding(), by_signalling=by_signalling, by_sip=by_sip).lit()


def test_voice_presents_asks_for_the_very_id() -> None:
    case = Case()
    assert voice_presents(case.voice, case.wanted, "e_1")
    assert not voice_presents(case.voice, case.wanted, "e_2")


# ------------------------------------------------------------------ addresses of the network


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.7", "203.0.113.7", True),
        ("203.0.113.7", "203.0.113.8", False),
        ("2001:db8::1", "2001:DB8:0:0:0:0:0:1", True),
        ("2001:db8::1", "[2001:0db8::0001]", True),
        ("2001:db8::1", "2001:db8::2", False),
        ("::ffff:203.0.113.7", "203.0.113.7", True),
        ("::ffff:cb00:7107", "203.0.113.7", True),
        ("::203.0.113.7", "203.0.113.7", False),
        ("203.0.113.7", "2001:db8::1", False),
        ("not an address", "not an address", True),
        ("not an address", "203.0.113.7", False),
        ("203.0.113.0/24", "203.0.113.7", False),
    ],
)
def test_addresses_are_compared_as_addresses(one: str, other: str, *, same: bool) -> None:
    assert same_ip(one, other) is same_ip(other, one) is same


@pytest.mark.parametrize(
    ("anchor", "public", "different"),
    [
        ("203.0.113.7", "203.0.113.8", True),
        ("203.0.113.7", "203.0.113.7", False),
        ("203.0.113.7", "::ffff:203.0.113.8", True),
        ("203.0.113.7", "2001:db8::1", False),
        ("2001:db8::1", "2001:db8::2", True),
        ("203.0.113.7", "192.168.1.5", False),
        ("203.0.113.7", "100.64.1.5", False),
        ("203.0.113.7", "nonsense", False),
        ("nonsense", "203.0.113.7", False),
    ],
)
def test_what_contradicts_an_anchor(anchor: str, public: str, *, different: bool) -> None:
    assert differs(anchor, public) is different


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("203.0.113.7", True), ("8.8.8.8", True), ("2001:db8::1", True), ("172.32.0.1", True), ("100.128.0.1", True),
        ("10.1.2.3", False), ("172.31.255.255", False), ("192.168.0.1", False), ("100.64.0.1", False),
        ("127.0.0.1", False), ("169.254.1.1", False), ("::1", False), ("fe80::1", False), ("fe80::1%eth0", False),
        ("fd00::1", False), ("::ffff:10.0.0.1", False), ("", False), ("nonsense", False),
    ],
)  # fmt: skip
def test_what_the_internet_could_see(address: str, *, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    ("anchor", "keep", "public", "clear"),
    [
        (None, None, None, False),
        (None, "203.0.113.7", "203.0.113.8", False),
        ("203.0.113.7", None, None, True),
        ("203.0.113.7", None, "203.0.113.7", True),
        ("203.0.113.7", "203.0.113.7", None, False),
        ("203.0.113.7", "203.0.113.7", "203.0.113.7", False),
        ("203.0.113.7", "203.0.113.8", None, True),
        ("203.0.113.7", "203.0.113.7", "203.0.113.8", True),
        ("203.0.113.7", "203.0.113.7", "192.168.1.9", False),
        ("203.0.113.7", "203.0.113.7", "2001:db8::1", False),
        ("2001:db8::1", "2001:0DB8:0::1", None, False),
        ("2001:db8::1", "2001:db8::1", "2001:db8::2", True),
        ("::ffff:203.0.113.7", "203.0.113.7", "203.0.113.7", False),
    ],
)
def test_when_an_anchor_has_to_be_cleared(
    anchor: str | None, keep: str | None, public: str | None, *, clear: bool
) -> None:
    assert must_clear(EmergencyAddress("e_1", CIVIC, anchor), keep, public) is clear

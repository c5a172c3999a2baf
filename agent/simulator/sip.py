"""As much of SIP as a user agent server needs: read a message, answer it, read and write an audio SDP."""

from __future__ import annotations

import ipaddress
import re
import secrets
from dataclasses import dataclass, field

COMPACT = {
    "v": "via",
    "f": "from",
    "t": "to",
    "i": "call-id",
    "m": "contact",
    "c": "content-type",
    "l": "content-length",
}
PCMU = 0


class SipError(ValueError):
    """Bytes that are no SIP message."""


@dataclass(slots=True)
class Message:
    """A request or a response (RFC 3261 7)."""

    start: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    """Names in lower case, compact forms expanded, in order."""
    body: bytes = b""

    @property
    def method(self) -> str:
        """The request's method; empty for a response."""
        return "" if self.start.startswith("SIP/") else self.start.split(" ", 1)[0]

    @property
    def uri(self) -> str:
        """The Request-URI."""
        return self.start.split(" ")[1]

    @property
    def status(self) -> int:
        """The response's code; 0 for a request."""
        return int(self.start.split(" ")[1]) if self.start.startswith("SIP/") else 0

    def get(self, name: str) -> str:
        """Return the first header of this name, or an empty string."""
        return next((value for key, value in self.headers if key == name), "")

    def all(self, name: str) -> list[str]:
        """Return every value of a header that is a list, one by one."""
        return [part.strip() for key, value in self.headers if key == name for part in _split(value)]

    def tag(self, name: str) -> str:
        """Return the tag of From or To, or an empty string."""
        found = re.search(r";\s*tag=([^;\s]+)", self.get(name))
        return found[1] if found else ""

    @property
    def cseq(self) -> int:
        """The CSeq number."""
        return int(self.get("cseq").split()[0])

    def encode(self) -> bytes:
        """Return the bytes for the wire."""
        lines = [self.start, *(f"{name}: {value}" for name, value in self.headers)]
        lines.append(f"content-length: {len(self.body)}")
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body

    def reply(self, code: int, reason: str, to_tag: str = "") -> Message:
        """Return a response to this request (RFC 3261 8.2.6)."""
        headers: list[tuple[str, str]] = []
        for name, value in self.headers:
            if name in {"via", "from", "call-id", "cseq", "record-route"}:
                headers.append((name, value))
            elif name == "to":
                headers.append((name, value if self.tag("to") or not to_tag else f"{value};tag={to_tag}"))
        return Message(f"SIP/2.0 {code} {reason}", headers)


def parse(data: bytes) -> Message:
    """Read one datagram; raise `SipError`."""
    head, _, body = data.partition(b"\r\n\r\n")
    try:
        lines = re.sub(r"\r\n[ \t]+", " ", head.decode()).split("\r\n")
    except UnicodeDecodeError as error:
        raise SipError("not text") from error
    start = lines[0]
    if not re.fullmatch(r"SIP/2\.0 \d{3} .*|[A-Z]+ \S+ SIP/2\.0", start):
        raise SipError("no SIP start line")
    message = Message(start, body=body)
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon:
            raise SipError("no header")
        name = name.strip().lower()
        message.headers.append((COMPACT.get(name, name), value.strip()))
    if not re.match(r"\d+ +[A-Z]+$", message.get("cseq")) or not message.get("call-id"):
        raise SipError("no CSeq or Call-ID")
    return message


def _split(value: str) -> list[str]:
    """Split a list header at the commas outside of <> and quotes."""
    return re.findall(r'(?:[^,<"]|<[^>]*>|"[^"]*")+', value)


def uri_in(header: str) -> str:
    """Return the URI of a name-addr or addr-spec."""
    found = re.search(r"<([^>]*)>", header)
    return found[1] if found else header.split(";", maxsplit=1)[0].strip()


def user_in(header: str) -> str:
    """Return the user part of a header's URI."""
    found = re.match(r"sips?:([^@;>]+)@", uri_in(header))
    return found[1] if found else ""


def host_port(uri: str) -> tuple[str, int]:
    """Return where a SIP URI points to; the port is 5060 if it names none."""
    found = re.match(r"sips?:(?:[^@]*@)?(\[[^\]]+\]|[^:;?>]+)(?::(\d+))?", uri)
    if not found:
        raise SipError("no SIP URI")
    return found[1].strip("[]"), int(found[2] or 5060)


def new_tag() -> str:
    """Return a fresh tag or branch suffix."""
    return secrets.token_hex(6)


# --------------------------------------------------------------------------- SDP


@dataclass(frozen=True, slots=True)
class Audio:
    """Where the other side wants its audio."""

    host: str
    port: int
    pcmu: bool

    @property
    def ipv6(self) -> bool:
        """Whether the offer is for IPv6."""
        return ":" in self.host


def read_sdp(body: bytes) -> Audio | None:
    """Return the first audio stream of an offer or answer, None without one."""
    text = body.decode(errors="replace")
    media = re.search(r"^m=audio (\d+) \S+ ([\d ]+)", text, re.MULTILINE)
    if not media:
        return None
    stream = text[media.start() :].split("\nm=")[0]
    connection = re.search(r"^c=IN IP[46] ([^\s/]+)", stream, re.MULTILINE) or re.search(
        r"^c=IN IP[46] ([^\s/]+)", text, re.MULTILINE
    )
    if not connection:
        return None
    try:
        host = str(ipaddress.ip_address(connection[1]))
    except ValueError:
        return None
    return Audio(host, int(media[1]), str(PCMU) in media[2].split())


def write_sdp(address: str, port: int, version: int = 1) -> bytes:
    """Return an offer or answer with PCMU and telephone-event."""
    family = "IP6" if ":" in address else "IP4"
    lines = [
        "v=0",
        f"o=simulator 1 {version} IN {family} {address}",
        "s=-",
        f"c=IN {family} {address}",
        "t=0 0",
        f"m=audio {port} RTP/AVP 0 101",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=ptime:20",
        "a=sendrecv",
        "",
    ]
    return "\r\n".join(lines).encode()

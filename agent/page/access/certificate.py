"""The certificate under which the link sees the page: a supplied one, or one that the device makes for itself.

Made by the `openssl` program, which every Debian has for its CA certificates: a library for it would cost the daemon
some 10 MiB for something that happens once a year.
"""

from __future__ import annotations

import hashlib
import re
import ssl
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from agent.clock import SANE_WALL
from agent.errors import NeedsHuman
from agent.page.access.pins import write_private
from agent.say import say

DAYS = 397
"""Days: the most that browsers accept of a certificate."""
RENEW = 30 * 86400.0
"""Seconds before the end: a device that is switched off over the holidays is still in time."""
MAX_NAMES = 16
"""Names and addresses kept in it: one that comes back after a move needs no new certificate."""
OPENSSL_TIMEOUT = 20.0
"""Seconds: a fraction of one on a phone."""
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?")


class _Made(msgspec.Struct):
    """What is known of the certificate, beside it."""

    at: float
    """Unix seconds."""
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate with its key, ready for TLS."""

    certificate: Path
    key: Path
    fingerprint: str
    """SHA-256 as browsers show it: `AB:CD:...`."""


def supplied(certificate: Path, key: Path) -> Pair:
    """Return a supplied pair; raises NeedsHuman where it does not work."""
    try:
        return _checked(certificate, key)
    except (OSError, ValueError) as error:
        raise NeedsHuman(
            say(
                "The certificate {certificate} with the key {key} cannot be used: {name}.",
                certificate=certificate,
                key=key,
                name=type(error).__name__,
            ),
            emergency=say(
                "911 and 933 still go out; the page is closed on the link and open on the phone's own screen."
            ),
            todo=say("Correct page.certificate and page.key (PEM, readable by the agent), or leave both empty."),
            code="certificate_unusable",
        ) from error


def device_made(folder: Path, names: Iterable[str], now: float) -> Pair:
    """Return the device's own pair for these names and addresses, made or renewed where needed; raises NeedsHuman.

    The key stays the same for the life of the device, with mode 0600. Blocks for a moment: run it in a thread.
    """
    certificate, key, about = (folder / name for name in ("page-cert.pem", "page-key.pem", "page-cert.json"))
    wanted = [name for name in dict.fromkeys(names) if _NAME.fullmatch(name)]
    made = _about(about)
    kept = list(made.names) if made else []
    unset = now < SANE_WALL  # what there is stays: a boot without a clock must not change what staff compare
    fresh = made is not None and (unset or made.at <= now < made.at + DAYS * 86400.0 - RENEW)
    try:
        if fresh and set(wanted) <= set(kept):
            try:
                return _checked(certificate, key)
            except (OSError, ValueError):
                pass  # damaged: made anew below
        everything = tuple(dict.fromkeys([*wanted, *kept]))[:MAX_NAMES]
        if not _is_key(key):
            write_private(key, _openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"))
        text = _config(everything)
        pem = _openssl(
            "req", "-x509", "-new", "-key", str(key), "-days", str(DAYS), "-config", "/dev/stdin", stdin=text
        )
        write_private(certificate, pem)
        write_private(about, msgspec.json.encode(_Made(now, everything)))
        return _checked(certificate, key)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise NeedsHuman(
            say("The device's certificate could not be made: {name}.", name=type(error).__name__),
            emergency=say(
                "911 and 933 still go out; the page is closed on the link and open on the phone's own screen."
            ),
            todo=say("Install the openssl program and check the storage, or supply page.certificate and page.key."),
            code="certificate_failed",
        ) from error


def server_context(pair: Pair) -> ssl.SSLContext:
    """Return TLS 1.2 or newer with a pair."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.load_cert_chain(pair.certificate, pair.key)
    return context


def _checked(certificate: Path, key: Path) -> Pair:
    """Return the pair; raises OSError (ssl.SSLError too) or ValueError where the two do not work together."""
    first = re.search(
        r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", certificate.read_text("ascii"), re.DOTALL
    )
    if first is None:
        raise ValueError("no certificate in PEM")
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(first[0])).hexdigest().upper()
    pair = Pair(certificate, key, ":".join(re.findall("..", digest)))
    server_context(pair)
    return pair


def _about(path: Path) -> _Made | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Made)
    except (OSError, msgspec.MsgspecError):
        return None


def _is_key(path: Path) -> bool:
    try:
        return b"PRIVATE KEY" in path.read_bytes()
    except OSError:
        return False


def _config(names: tuple[str, ...]) -> str:
    """Return openssl's configuration; the names were checked, so that none can add a line of its own."""
    is_address = re.compile(r"[0-9.]+|.*:.*")
    alternatives = ",".join(f"{'IP' if is_address.fullmatch(name) else 'DNS'}:{name}" for name in names)
    return (
        "[req]\ndistinguished_name=dn\nx509_extensions=ext\nprompt=no\nutf8=yes\n"
        "[dn]\nO=DialStack phone\nCN=dialstack-agent\n"
        "[ext]\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
        f"extendedKeyUsage=serverAuth\nsubjectKeyIdentifier=hash\nsubjectAltName={alternatives}\n"
    )


def _openssl(*arguments: str, stdin: str = "") -> bytes:
    done = subprocess.run(
        ["openssl", *arguments], input=stdin.encode(), capture_output=True, check=True, timeout=OPENSSL_TIMEOUT
    )
    return done.stdout

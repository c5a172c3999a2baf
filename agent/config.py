"""`agent.toml` to frozen settings: every error at once, with file, section.key, what must be, and did-you-mean."""

from __future__ import annotations

import dataclasses
import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli

from agent import config_values as v
from agent.dialstack.civic import FIELDS as CIVIC_FIELDS
from agent.dialstack.civic import civic_from
from agent.errors import NeedsHuman
from agent.model import CivicAddress
from agent.settings import (
    DeviceSettings,
    NetworkSettings,
    PageSettings,
    PathSettings,
    PlatformSettings,
    Settings,
    SipSettings,
    TokenSettings,
)

MAX_FILE = 256 * 1024
"""Bytes: a configuration is a page of text."""


class ConfigError(NeedsHuman):
    """The configuration is invalid; `problems` has one line each."""

    def __init__(self, path: Path, problems: list[str]) -> None:
        super().__init__(
            f"{path} has {len(problems)} error{'s' if len(problems) != 1 else ''}:\n" + "\n".join(problems),
            emergency="\n911 and 933 still go out where registrar and account are readable; no address is bound.",
            todo="Correct the lines above and check them with `dialstack-agent check-config`.",
            code="config_invalid",
        )
        self.problems = problems


SCHEMA: dict[str, tuple[type[Any], dict[str, v.Validator]]] = {
    "sip": (
        SipSettings,
        {
            "registrar": v.a_empty_or(v.a_host),
            "port": v.a_whole(1, 65535),
            "transport": v.a_choice("udp", "tcp", "tls"),
            "username": v.a_text,
            "domain": v.a_empty_or(v.a_host),
            "password_file": v.a_file,
            "local_port": v.a_whole(0, 65535),
            "expires": v.a_whole(60, 3600),
            "header": v.a_header,
            "ca_file": v.a_file,
            "callback_window": v.a_seconds(0, 3600),
            "audio": v.a_choice("none", "null"),
            "socket": v.a_path,
            "state_file": v.a_file,
        },
    ),
    "platform": (
        PlatformSettings,
        {
            "api": v.a_url("https", "http"),
            "signalling": v.a_empty_or(v.a_url("wss", "ws")),
            "presentation": v.a_texts(v.a_choice("signalling", "sip")),
            "ca_file": v.a_file,
            "ping_interval": v.a_seconds(1, 120),
            "audit_interval": v.a_seconds(10, 86400),
            "timeout": v.a_seconds(1, 60),
        },
    ),
    "token": (
        TokenSettings,
        {
            "source": v.a_choice("file", "command", "endpoint"),
            "file": v.a_file,
            "command": v.a_texts(),
            "endpoint": v.a_empty_or(v.a_url("https", "http")),
            "endpoint_secret_file": v.a_file,
            "user": v.a_text,
        },
    ),
    "device": (DeviceSettings, {"name": v.a_text, "mobility": v.a_choice("fixed", "movable")}),
    "network": (
        NetworkSettings,
        {
            "portable_interfaces": v.a_texts(),
            "ignore_interfaces": v.a_texts(),
            "loss_grace": v.a_seconds(0, 30),
            "quiet": v.a_seconds(0.01, 5),
            "evidence_wait": v.a_seconds(0.1, 30),
            "audit_interval": v.a_seconds(5, 3600),
        },
    ),
    "page": (
        PageSettings,
        {"enabled": v.a_boolean, "listen": v.a_loopback, "port": v.a_whole(0, 65535), "socket": v.a_path},
    ),
    "paths": (PathSettings, {"state": v.a_path}),
    "address": (CivicAddress, {}),
}
"""Section -> (settings class, key -> validator); `[address]` is checked as a whole by `civic_from`."""

INLINE_SECRETS = {
    "sip.password": "sip.password_file",
    "token.token": "token.file",
    "token.secret": "token.endpoint_secret_file",
    "token.endpoint_secret": "token.endpoint_secret_file",
}


# ------------------------------------------------------------------ reading


def load(path: Path) -> Settings:
    """Return the settings in a file; raises ConfigError with every problem in it, missing values included."""
    settings, problems = load_lenient(path)
    if problems:
        raise ConfigError(path, problems)
    return settings


def load_lenient(path: Path) -> tuple[Settings, list[str]]:
    """Return what is valid in a file, defaults for the rest, and the problems; never raises (S1)."""
    document, problems = _read(path)
    found: dict[str, Any] = {}
    for name, table in document.items():
        if name not in SCHEMA:
            problems.append(f"{path}: [{name}]: no such section{_did_you_mean(name, SCHEMA)}")
        elif not isinstance(table, dict):
            problems.append(f"{path}: {name}: must be a section written as [{name}]")
        elif name == "address":
            found[name] = _address(path, table, problems)
        else:
            found[name] = _section(path, name, table, problems)
    settings = Settings(**found)
    problems += [f"{path}: {line}" for line in _missing(settings)]
    return settings, problems


def load_sip(path: Path) -> tuple[SipSettings, list[str]]:
    """Return section `[sip]` and its problems, whatever the rest of the file is like; never raises (S1)."""
    settings, problems = load_lenient(path)
    ours = tuple(f"{path}: {start}" for start in ("sip.", "sip:", "[sip", "not readable"))
    mine = [line for line in problems if line.startswith(ours)]
    return settings.sip, mine


def _read(path: Path) -> tuple[dict[str, object], list[str]]:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE + 1)
        if len(raw) > MAX_FILE:
            return {}, [f"{path}: not readable as configuration: larger than {MAX_FILE // 1024} KiB"]
        return tomli.loads(raw.decode()), []
    except FileNotFoundError:
        return {}, [f"{path}: not readable: there is no such file; start from the packaged agent.toml"]
    except OSError as error:
        return {}, [f"{path}: not readable: {error.strerror}"]
    except (ValueError, RecursionError) as error:  # tomli's own errors, and what garbage makes of int() and nesting
        return {}, [f"{path}: not readable as TOML: {error}"]


def _section(path: Path, name: str, table: Mapping[str, object], problems: list[str]) -> object:
    settings_class, validators = SCHEMA[name]
    valid: dict[str, Any] = {}
    for key, value in table.items():
        where = f"{path}: {name}.{key}"
        if f"{name}.{key}" in INLINE_SECRETS:
            problems.append(
                f"{where}: a secret must not stand here; put it into a file of its own and name it in "
                f"{INLINE_SECRETS[f'{name}.{key}']}"
            )
        elif key not in validators:
            problems.append(f"{where}: no such key{_did_you_mean(key, validators)}")
        else:
            try:
                valid[key] = validators[key](value)
            except (ValueError, RecursionError) as error:
                problems.append(f"{where}: {error}" + ("" if _is_delicate(name, key) else _shown(value)))
    return settings_class(**valid)


def _address(path: Path, table: Mapping[str, object], problems: list[str]) -> CivicAddress | None:
    unknown = [key for key in table if key not in CIVIC_FIELDS]
    problems += [f"{path}: address.{key}: no such key{_did_you_mean(key, CIVIC_FIELDS)}" for key in unknown]
    civic, wrong = civic_from(table)
    problems += [f"{path}: address.{key}: {what}" for key, what in wrong.items()]
    return civic


def _missing(settings: Settings) -> list[str]:
    lines = []
    if not settings.sip.registrar:
        lines.append("sip.registrar: must name the registrar; without it no call can be placed, 911 neither")
    if not settings.sip.username:
        lines.append("sip.username: must be the SIP account's user name")
    if settings.token.source == "command" and not settings.token.command:
        lines.append("token.command: must name the program that prints a token")
    if settings.token.source == "endpoint" and not settings.token.endpoint:
        lines.append("token.endpoint: must be the URL that answers as POST /v1/user_sessions does")
    if not settings.platform.presentation:
        lines.append("platform.presentation: must name at least one of 'signalling', 'sip'")
    if settings.device.mobility == "fixed" and settings.address is None:
        lines.append("address: a fixed device needs its address in section [address]; or set device.mobility")
    return lines


def _did_you_mean(name: str, names: Mapping[str, object] | tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, list(names), 1)
    return f"; did you mean {near[0]}?" if near else f"; there are {', '.join(names)}"


def _is_delicate(section: str, key: str) -> bool:
    """Tell whether somebody may have put a secret where its file belongs (S10)."""
    return key.endswith("file") or key in {"command", "endpoint", "api", "signalling"} or section == "token"


def _shown(value: object) -> str:
    limit = 60
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of 100,000 digits, tables in tables in tables
        return ""
    return f"; is {text if len(text) <= limit else text[:limit] + '...'}"


# ------------------------------------------------------------------ secrets


def read_secret(file: Path | None, credential: str) -> str:
    """Return a secret from its file, or from the systemd credential of that name; raises NeedsHuman.

    systemd gives `credential` itself or, with a whole folder loaded as `cred`, `cred_<credential>`.
    """
    for candidate in _candidates(file, credential):
        try:
            text = candidate.read_text().strip()
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise NeedsHuman(
                f"The secret in {candidate} cannot be read: {error}.",
                todo="Correct the file's owner and mode.",
                code="secret_unreadable",
            ) from error
        if text:
            return text
    where = str(file) if file else f"the systemd credential {credential}"
    raise NeedsHuman(
        f"The secret {credential} is missing: {where} is not there or empty.",
        todo="Put it there; nothing needs to be restarted.",
        code="secret_missing",
    )


def _candidates(file: Path | None, credential: str) -> list[Path]:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    found = [file] if file else []
    if folder:
        found += [Path(folder) / credential, Path(folder) / f"cred_{credential}"]
    return found


def describe(settings: Settings) -> dict[str, dict[str, object]]:
    """Return the settings as plain values, for `check-config --json`; holds no secret, only names of files."""
    plain: dict[str, dict[str, object]] = {}
    for item in dataclasses.fields(settings):
        value = getattr(settings, item.name)
        if value is not None:
            plain[item.name] = {
                key: (str(entry) if isinstance(entry, Path) else entry)
                for key, entry in dataclasses.asdict(value).items()
            }
    return plain

"""`agent.toml` to frozen settings: every error at once, with file, section.key, what must be, and did-you-mean.

Two layers: the packaged file, and over it what was set on the page (`overlay.py`, in `paths.state`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tomli

from agent.config import overlay as config_overlay
from agent.config import values as v
from agent.config.overlay import Overlay
from agent.config.problem import no_such_key, no_such_section, problem
from agent.config.schema import INLINE_SECRETS, SCHEMA, SECRET_FILES
from agent.config.secrets import read_secret
from agent.config.settings import Settings, SipSettings
from agent.dialstack.civic import FIELDS as CIVIC_FIELDS
from agent.dialstack.civic import civic_from
from agent.errors import NeedsHuman
from agent.model import CivicAddress
from agent.say import say
from agent.system_words import os_words

__all__ = [
    "ConfigError",
    "Layers",
    "describe",
    "load",
    "load_layers",
    "load_lenient",
    "load_sip",
    "read_secret",
]

MAX_FILE = 256 * 1024
"""Bytes: a configuration is a page of text."""
NO_FILE = say("there is no such file; start from the packaged agent.toml")


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


@dataclasses.dataclass(frozen=True, slots=True)
class Layers:
    """The settings in force and where each comes from."""

    settings: Settings
    problems: tuple[str, ...]
    """Lines of `config_problem.problem`."""
    packaged: dict[str, dict[str, Any]]
    """Section -> key -> value as the packaged file has it, valid or not."""
    overlay: Overlay
    kept: frozenset[str] = frozenset()
    """Keys of SECRET_FILES whose secret was entered on the page and is in force."""


# ------------------------------------------------------------------ reading


def load(path: Path) -> Settings:
    """Return the settings in force; raises ConfigError with every problem, missing values included."""
    settings, problems = load_lenient(path)
    if problems:
        raise ConfigError(path, problems)
    return settings


def load_lenient(path: Path) -> tuple[Settings, list[str]]:
    """Return what is valid in both layers, defaults for the rest, and the problems; never raises (S1)."""
    layers = load_layers(path)
    return layers.settings, list(layers.problems)


def load_layers(path: Path) -> Layers:
    """Return both layers and what they make together; never raises (S1)."""
    document, problems = _read(path)
    folder = state_folder(document)
    overlay, damage = config_overlay.read(folder)
    if overlay.values:
        problems = [line for line in problems if not line.endswith(NO_FILE)]
    problems += [damage] if damage else []
    return _merge(path, document, problems, folder, overlay)


def layers_with(path: Path, overlay: Overlay, folder: Path) -> Layers:
    """Return what the packaged file and this overlay make together, before anything is written."""
    document, problems = _read(path)
    if overlay.values:
        problems = [line for line in problems if not line.endswith(NO_FILE)]
    return _merge(path, document, problems, folder, overlay)


def _merge(path: Path, document: dict[str, object], problems: list[str], folder: Path, overlay: Overlay) -> Layers:
    here, ours = folder / config_overlay.NAME, overlay.tables()
    found: dict[str, Any] = {}
    for name in dict.fromkeys((*document, *ours)):
        file, table = (path, document[name]) if name in document else (here, ours[name])
        if name not in SCHEMA:
            problems.append(problem(file, f"[{name}]", no_such_section(name, SCHEMA)))
        elif not isinstance(table, dict):
            problems.append(problem(file, name, say("must be a section written as [{name}]", name=name)))
        elif name == "address":
            found[name] = _address(here if name in ours else file, ours.get(name, table), problems)
        else:
            found[name] = _section(name, ((here, ours.get(name, {})), (path, table if file == path else {})), problems)
    settings, kept = _with_secrets(Settings(**found), folder)
    problems += [problem(path, key, what) for key, what in _missing(settings)]
    packaged = {name: table for name, table in document.items() if isinstance(table, dict)}
    return Layers(settings, tuple(problems), packaged, overlay, kept)


def state_folder(document: Mapping[str, object]) -> Path:
    """Return where state is kept, whatever else the packaged file is like."""
    paths = document.get("paths")
    try:
        return v.a_path(paths["state"]) if isinstance(paths, dict) and "state" in paths else Settings().paths.state
    except (ValueError, RecursionError):
        return Settings().paths.state


def load_sip(path: Path) -> tuple[SipSettings, list[str]]:
    """Return section `[sip]` and its problems, whatever the rest of the files is like; never raises (S1)."""
    layers = load_layers(path)
    here = layers.settings.paths.state / config_overlay.NAME
    ours = tuple(f"{file}: {start}" for file in (path, here) for start in ("sip.", "sip:", "[sip", "not readable"))
    return layers.settings.sip, [line for line in layers.problems if line.startswith(ours)]


def _read(path: Path) -> tuple[dict[str, object], list[str]]:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE + 1)
        if len(raw) > MAX_FILE:
            too_large = say("not readable as configuration: larger than {size} KiB", size=MAX_FILE // 1024)
            return {}, [problem(path, "", too_large)]
        return tomli.loads(raw.decode()), []
    except FileNotFoundError:
        return {}, [problem(path, "", say("not readable: {why}", why=NO_FILE))]
    except OSError as error:
        return {}, [problem(path, "", say("not readable: {why}", why=os_words(error)))]
    except (ValueError, RecursionError) as error:  # tomli's own errors, and what garbage makes of int() and nesting
        return {}, [problem(path, "", say("not readable as TOML: {why}", why=error))]


def _section(name: str, tables: tuple[tuple[Path, Mapping[str, object]], ...], problems: list[str]) -> object:
    """Return a section out of its layers, the strongest first; what is wrong in one is taken from the next."""
    settings_class, validators = SCHEMA[name]
    valid: dict[str, Any] = {}
    for file, table in tables:
        for key, value in table.items():
            if key in valid:
                continue
            full = f"{name}.{key}"
            if full in INLINE_SECRETS:
                what = say(
                    "a secret must not stand here; put it into a file of its own and name it in {key}",
                    key=INLINE_SECRETS[full],
                )
                problems.append(problem(file, full, what))
            elif key not in validators:
                problems.append(problem(file, full, no_such_key(key, validators)))
            else:
                try:
                    valid[key] = validators[key](value)
                except (ValueError, RecursionError) as error:
                    shown = "" if _is_delicate(name, key) else _shown(value)
                    problems.append(problem(file, full, v.words(error), shown))
    return settings_class(**valid)


def _with_secrets(settings: Settings, folder: Path) -> tuple[Settings, frozenset[str]]:
    """Name the files of the secrets that were entered on the page where the configuration names no other."""
    kept = set()
    for full, name in SECRET_FILES.items():
        section, _, key = full.partition(".")
        file = config_overlay.secret_file(folder, name)
        try:
            usable = getattr(getattr(settings, section), key) is None and file.is_file()
        except OSError:
            continue
        if usable:
            part = dataclasses.replace(getattr(settings, section), **{key: file})
            settings = dataclasses.replace(settings, **{section: part})
            kept.add(full)
    return settings, frozenset(kept)


def _address(path: Path, table: Mapping[str, object], problems: list[str]) -> CivicAddress | None:
    unknown = [key for key in table if key not in CIVIC_FIELDS]
    problems += [problem(path, f"address.{key}", no_such_key(key, CIVIC_FIELDS)) for key in unknown]
    civic, wrong = civic_from(table)
    problems += [problem(path, f"address.{key}", what) for key, what in wrong.items()]
    return civic


def _missing(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield (key, what must be) of what no valid value can make up for."""
    if not settings.sip.registrar:
        yield "sip.registrar", say("must name the registrar; without it no call can be placed, 911 neither")
    if not settings.sip.username:
        yield "sip.username", say("must be the SIP account's user name")
    if settings.token.source == "command" and not settings.token.command:
        yield "token.command", say("must name the program that prints a token")
    if settings.token.source == "endpoint" and not settings.token.endpoint:
        yield "token.endpoint", say("must be the URL that answers as POST /v1/user_sessions does")
    if not settings.platform.presentation:
        yield "platform.presentation", say("must name at least one of 'signalling', 'sip'")
    if (settings.page.certificate is None) != (settings.page.key is None):
        yield "page.certificate", say("needs page.key, and the other way round; or leave both empty")
    if settings.device.mobility == "fixed" and settings.address is None:
        yield "address", say("a fixed device needs its address in section [address]; or set device.mobility")


_DELICATE = frozenset({"command", "endpoint", "api", "signalling", "url", "escalation_url", "run", "escalation_run"})


def _is_delicate(section: str, key: str) -> bool:
    """Tell whether somebody may have put a secret where its file belongs (S10)."""
    return key.endswith("file") or key in _DELICATE or section == "token"


def _shown(value: object) -> str:
    limit = 60
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of 100,000 digits, tables in tables in tables
        return ""
    return text if len(text) <= limit else text[:limit] + "..."


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

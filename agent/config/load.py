"""`agent.toml` to frozen settings: every error at once, with file, section.key, what must be, and did-you-mean.

Two layers: the packaged file, and over it what was set on the page (`overlay.py`, in `paths.state`). What is
wrong in a side matter (`side.py`) costs that matter alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agent.config import overlay as config_overlay
from agent.config import side, vault
from agent.config import values as v
from agent.config.document import NO_FILE, Document, read
from agent.config.overlay import Overlay
from agent.config.problem import Mistake, nearest, no_such_key, no_such_section, parts, problem
from agent.config.schema import INLINE_SECRETS, SCHEMA, SECRET_FILES, SIDE
from agent.config.secrets import read_secret
from agent.config.settings import Settings, SipSettings
from agent.dialstack.civic import FIELDS as CIVIC_FIELDS
from agent.dialstack.civic import civic_from
from agent.errors import NeedsHuman
from agent.model import CivicAddress
from agent.say import said, say

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


class ConfigError(NeedsHuman):
    """The configuration is invalid; `problems` has one line each."""

    def __init__(self, path: Path, layers: Layers) -> None:
        problems = list(layers.problems)
        reach = "no address is bound." if layers.grave else "the address is not touched by it, what is named above is."
        if not layers.grave and any(one.section == "address" for one in layers.mistakes):
            reach = "at a place that nobody has confirmed, no address is bound."
        super().__init__(
            f"{path} has {len(problems)} error{'s' if len(problems) != 1 else ''}:\n" + "\n".join(problems),
            emergency=f"\n911 and 933 still go out where registrar and account are readable; {reach}",
            todo="Correct the lines above and check them with `dialstack-agent check-config`.",
            code="config_invalid",
        )
        self.problems = problems


@dataclasses.dataclass(frozen=True, slots=True)
class Layers:
    """The settings in force and where each comes from."""

    settings: Settings
    mistakes: tuple[Mistake, ...]
    packaged: dict[str, dict[str, Any]]
    """Section -> key -> value as the packaged file has it, valid or not."""
    overlay: Overlay
    kept: frozenset[str] = frozenset()
    """Keys of SECRET_FILES whose secret was entered on the page and is in force."""

    @property
    def problems(self) -> tuple[str, ...]:
        """Return everything that is wrong, in lines of `config_problem.problem`."""
        return tuple(one.line for one in self.mistakes)

    def strangers(self) -> dict[str, Mistake]:
        """Return the keys that were set on the page of another version and this one does not know, by key."""
        found = {}
        for one in self.mistakes:
            name = parts(one.line).key
            for key in self.overlay.values:
                if one.aside and not one.section and name in {key, f"[{key.partition('.')[0]}]"}:
                    found[key] = one
        return found

    @property
    def grave(self) -> tuple[str, ...]:
        """Return what keeps an address from being bound: all but mistakes in side matters."""
        return tuple(one.line for one in self.mistakes if not one.aside)


# ------------------------------------------------------------------ reading


def load(path: Path) -> Settings:
    """Return the settings in force; raises ConfigError with every problem, missing values included."""
    layers = load_layers(path)
    if layers.mistakes:
        raise ConfigError(path, layers)
    return layers.settings


def load_lenient(path: Path) -> tuple[Settings, list[str]]:
    """Return what is valid in both layers, defaults for the rest, and the problems; never raises (S1)."""
    layers = load_layers(path)
    return layers.settings, list(layers.problems)


def load_layers(path: Path) -> Layers:
    """Return both layers and what they make together; never raises (S1)."""
    document, mistakes = read(path)
    folder = state_folder(document)
    overlay, damage = config_overlay.read(folder)
    return _merge(path, document, [*mistakes, *([Mistake(damage)] if damage else [])], folder, overlay)


def layers_with(path: Path, overlay: Overlay, folder: Path) -> Layers:
    """Return what the packaged file and this overlay make together, before anything is written."""
    return _merge(path, *read(path), folder, overlay)


def _merge(path: Path, document: Document, mistakes: list[Mistake], folder: Path, overlay: Overlay) -> Layers:
    here, ours = folder / config_overlay.NAME, overlay.tables()
    if overlay.values:
        mistakes = [one for one in mistakes if not one.line.endswith(NO_FILE)]
    found: dict[str, Any] = {}
    for name in dict.fromkeys((*document, *ours)):
        file, table = (path, document[name]) if name in document else (here, ours[name])
        if name not in SCHEMA:
            aside = file == here or nearest(name, SCHEMA) in SIDE
            mistakes.append(Mistake(problem(file, f"[{name}]", no_such_section(name, SCHEMA)), aside=aside))
        elif not isinstance(table, dict):
            line = problem(file, name, say("must be a section written as [{name}]", name=name))
            mistakes.append(Mistake(line, name, aside=name in SIDE))
        elif name == "address":
            found[name] = _address(here if name in ours else file, ours.get(name, table), mistakes)
        else:
            layers = ((here, ours.get(name, {})), (path, table if file == path else {}))
            found[name] = _section(name, layers, mistakes, older=here)
    settings, kept = _with_secrets(Settings(**found), folder)
    for full, what in _missing(settings):
        section, _, key = full.partition(".")
        # without a configured address the engine asks for one, and an answer is presented as anywhere (S3 a)
        aside = section in SIDE or full == "address"
        mistakes.append(Mistake(problem(path, full, what), section, key, aside=aside))
    packaged = {name: table for name, table in document.items() if isinstance(table, dict)}
    return Layers(side.careful(settings, mistakes), tuple(mistakes), packaged, overlay, kept)


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


def _section(
    name: str, tables: tuple[tuple[Path, Mapping[str, object]], ...], mistakes: list[Mistake], *, older: Path
) -> object:
    """Return a section out of its layers, the strongest first; what is wrong in one is taken from the next.

    A key that nobody knows in the file `older` was known to the version that wrote it, and is kept there.
    """
    settings_class, validators = SCHEMA[name]
    valid: dict[str, Any] = {}
    for file, table in tables:
        for key, value in table.items():
            if key in valid:
                continue
            full, aside = f"{name}.{key}", name in SIDE
            if full in INLINE_SECRETS:
                what = say(
                    "a secret must not stand here; put it into a file of its own and name it in {key}",
                    key=INLINE_SECRETS[full],
                )
                mistakes.append(Mistake(problem(file, full, what), name, key, aside=aside))
            elif key not in validators:
                line = problem(file, full, no_such_key(key, validators))
                of_old = file == older and name != "device"  # what decides where help goes is never passed over (S3)
                mistakes.append(Mistake(line, aside=True) if of_old else Mistake(line, name, key, aside=aside))
            else:
                try:
                    valid[key] = validators[key](value)
                except (ValueError, RecursionError) as error:
                    if isinstance(error, v.PartlyWrong) and aside:
                        valid[key] = error.good
                    shown = "" if _is_delicate(name, key) else _shown(value)
                    mistakes.append(Mistake(problem(file, full, said(error), shown), name, key, aside=aside))
    return settings_class(**valid)


def _with_secrets(settings: Settings, folder: Path) -> tuple[Settings, frozenset[str]]:
    """Name the files of the secrets that were entered on the page where the configuration names no other."""
    kept = set()
    for full, name in SECRET_FILES.items():
        section, _, key = full.partition(".")
        file = vault.secret_file(folder, name)
        try:
            usable = getattr(getattr(settings, section), key) is None and file.is_file()
        except OSError:
            continue
        if usable:
            part = dataclasses.replace(getattr(settings, section), **{key: file})
            settings = dataclasses.replace(settings, **{section: part})
            kept.add(full)
    return settings, frozenset(kept)


def _address(path: Path, table: Mapping[str, object], mistakes: list[Mistake]) -> CivicAddress | None:
    civic, wrong = civic_from(table)
    unknown = {key: no_such_key(key, CIVIC_FIELDS) for key in table if key not in CIVIC_FIELDS}
    for key, what in {**unknown, **wrong}.items():
        mistakes.append(Mistake(problem(path, f"address.{key}", what), "address", key))
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
    if settings.page.listen not in side.LOOPBACKS and settings.page.port == settings.page.https_port != 0:
        yield "page.https_port", say("must be another port than page.port")
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

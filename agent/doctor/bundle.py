"""The bundle for support: what a technician elsewhere needs, as text files, with every known secret taken out (S10)."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import io
import json
import platform
import shutil
import tarfile
import time
from collections.abc import Iterable, Mapping

from agent.config import vault
from agent.config.load import Layers, describe
from agent.config.schema import SECRET_FILES
from agent.config.secrets import read_secret
from agent.config.settings import Settings
from agent.doctor.result import Report
from agent.doctor.world import World
from agent.errors import AgentError

JOURNAL_LINES = 500
JOURNAL_WAIT = 5.0
"""Seconds for journalctl: a large journal on a slow card."""
HIDDEN = "[secret]"
SHORTEST = 4
"""Characters: a shorter secret would blot out ordinary words, and is none."""


async def files(
    report: Report, layers: Layers, world: World, *, more: Mapping[str, object] | None = None, log: Iterable[str] = ()
) -> dict[str, str]:
    """Return name -> text of everything in the bundle; `more` is name -> value, written as JSON."""
    plain: dict[str, object] = {
        "report.json": report.plain(),
        "settings.json": describe(layers.settings),
        "settings-changed.json": _changed(layers),
        "problems.json": list(layers.problems),
        "network.json": _network(world),
        **(more or {}),
    }
    texts = {name: json.dumps(value, indent=2, default=_default) + "\n" for name, value in plain.items()}
    texts["report.txt"] = as_text(report)
    texts["log.txt"] = "\n".join(log) + "\n"
    texts["journal.txt"] = await _journal()
    texts["versions.txt"] = f"{platform.platform()}\nPython {platform.python_version()}\nagent {report.version}\n"
    known = await asyncio.to_thread(secrets_of, layers.settings)
    return {name: hide(text, known) for name, text in sorted(texts.items())}


def pack(texts: Mapping[str, str], name: str) -> bytes:
    """Return a `.tar.gz` with the files in one folder of that name."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for file, text in texts.items():
            data = text.encode()
            entry = tarfile.TarInfo(f"{name}/{file}")
            entry.size, entry.mode, entry.mtime = len(data), 0o600, int(time.time())
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def name_at(at: float) -> str:
    """Return the name of a bundle made at that time, without suffix."""
    return f"dialstack-agent-{time.strftime('%Y%m%d-%H%M%S', time.localtime(at))}"


def hide(text: str, known: Iterable[str]) -> str:
    """Return a text without any of the secrets, as they are and as JSON writes them."""
    for secret in known:
        for form in {secret, json.dumps(secret)[1:-1]}:
            text = text.replace(form, HIDDEN)
    return text


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """Return every secret that can be read here, those that wait or were replaced too, longest first."""
    found = set(vault.texts(settings.paths.state))
    for key, credential in SECRET_FILES.items():
        section, _, name = key.partition(".")
        with contextlib.suppress(AgentError, OSError, ValueError):
            found.add(read_secret(getattr(getattr(settings, section), name), credential))
    parts = {line.strip() for secret in found for line in secret.splitlines()}
    return tuple(sorted((one for one in found | parts if len(one) >= SHORTEST), key=len, reverse=True))


def as_text(report: Report) -> str:
    """Return the report for people, English."""
    lines = []
    for one in report.results:
        lines.append(f"{one.finding.upper():5} {one.title}: {one.found}")
        lines += [f"      {text}" for text in (one.emergency, one.todo) if text]
    return "\n".join(lines) + "\n"


def _changed(layers: Layers) -> dict[str, object]:
    overlay = layers.overlay
    return {
        "changed": {key: dataclasses.asdict(one) for key, one in overlay.changed.items()},
        "values": dict(overlay.values),
        "history": [{"at": one.at, "who": one.who, "keys": list(one.names)} for one in overlay.history],
        "entered_secrets": sorted(layers.kept),
    }


def _network(world: World) -> dict[str, object]:
    snapshot = world.snapshot
    return {
        "links": [dataclasses.asdict(one) for one in snapshot.links],
        "addresses": [dataclasses.asdict(one) for one in snapshot.addresses],
        "sip": snapshot.sip and dataclasses.asdict(snapshot.sip),
        "api": snapshot.api and dataclasses.asdict(snapshot.api),
        "neighbors": [dataclasses.asdict(one) for one in snapshot.neighbors.values()],
        "names": world.names,
    }


async def _journal() -> str:
    """Return the newest lines of both units' journal; what stands in the way where there is none."""
    program = shutil.which("journalctl")
    if program is None:
        return "There is no journalctl on this device.\n"
    units = ("-u", "dialstack-agent", "-u", "dialstack-voice")
    process = await asyncio.create_subprocess_exec(
        program, "--no-pager", "-q", "-n", str(JOURNAL_LINES), "-o", "short-iso", *units,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(JOURNAL_WAIT):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return f"journalctl did not answer within {JOURNAL_WAIT:g} s.\n"
    return output.decode(errors="replace") or "The journal has nothing of the two units.\n"


def _default(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return list(value) if isinstance(value, set | frozenset) else str(value)

"""Secrets that were entered on the page: one file each under `<paths.state>/secrets/`, never shown again (S10).

`NAME` is in force, `NAME.next` waits to be (empty: to be forgotten), `NAME.before-ID` is what the change named ID
replaced, so that it can be taken back: one of each name at most, for the agent alone to read, and not for long
(`Configuration.tidy`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from agent.config.files import rename, replace, sync_folder

FOLDER: Final = "secrets"
FOLDER_MODE: Final = 0o750
"""Of the folder; the state folder itself must let the same group in (`StateDirectoryMode=0750`)."""
BEFORE_MODE: Final = 0o600
"""Of secrets that were replaced: the voice process has no use for them."""
NEXT: Final = ".next"
BEFORE: Final = ".before-"


def secret_file(folder: Path, name: str) -> Path:
    """Return where the secret in force is kept."""
    return folder / FOLDER / name


def write_secret(folder: Path, name: str, text: str, *, waiting: bool = False) -> None:
    """Keep a secret, durable when this returns; raises OSError. `waiting`: it comes into force with `promote`."""
    path = secret_file(folder, name)
    path.parent.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
    path.parent.chmod(FOLDER_MODE)
    replace(path.with_name(f"{name}{NEXT}") if waiting else path, text.strip().encode())


def forget_secret(folder: Path, name: str) -> None:
    """Remove a secret and what waits to replace it; raises OSError."""
    for path in (secret_file(folder, name), secret_file(folder, f"{name}{NEXT}")):
        path.unlink(missing_ok=True)


def promote(folder: Path) -> None:
    """Put the secrets that wait into force; may be repeated after a power cut. Raises OSError."""
    for path in _waiting(folder):
        if path.stat().st_size:
            rename(path, path.with_suffix(""))
        else:
            path.with_suffix("").unlink(missing_ok=True)
            path.unlink()
            sync_folder(path.parent)


def discard(folder: Path) -> None:
    """Forget the secrets that wait: the change that they belong to was never made. Raises OSError."""
    for path in _waiting(folder):
        path.unlink(missing_ok=True)


def _waiting(folder: Path) -> Iterator[Path]:
    return iter(sorted((folder / FOLDER).glob(f"*{NEXT}")))


# ------------------------------------------------------------------ what was before


def newest(folder: Path, name: str) -> str:
    """Return the secret that waits or, where none does, the one in force; empty: there is none. Raises OSError."""
    for path in (secret_file(folder, f"{name}{NEXT}"), secret_file(folder, name)):
        with contextlib.suppress(FileNotFoundError):
            return path.read_text()
    return ""


def keep_before(folder: Path, name: str, change: str) -> None:
    """Keep the newest secret for the undo of a change, before that is made; raises OSError."""
    replace(before_file(folder, name, change), newest(folder, name).encode(), BEFORE_MODE)


def before_file(folder: Path, name: str, change: str) -> Path:
    """Return where the secret is that a change replaced."""
    return secret_file(folder, f"{name}{BEFORE}{change}")


def tidy(folder: Path, kept: Iterable[Path]) -> None:
    """Remove the secrets that were replaced, all but these, and what a power cut left half written; raises OSError."""
    kept = set(kept)
    for path in (folder / FOLDER).glob(f"*{BEFORE}*"):
        if path not in kept:
            path.unlink(missing_ok=True)


def texts(folder: Path) -> Iterator[str]:
    """Yield every secret here, whatever it is for: none of them may get out."""
    with contextlib.suppress(OSError):
        for path in (folder / FOLDER).iterdir():
            with contextlib.suppress(OSError, ValueError):
                yield path.read_text()

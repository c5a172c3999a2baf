"""`python -m agent.manual FOLDER`: writes the man pages and completions; used where the package is built.

Only the standard library and the parsers are imported. The date is that of SOURCE_DATE_EPOCH, so that the same source
gives the same bytes.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from agent import __version__
from agent.cli.main import build_parser
from agent.manual import completion, keys, pages
from agent.manual.walk import walk
from agent.voice.__main__ import build_parser as build_voice_parser

ROOT = Path(__file__).parent.parent.parent
PROGRAM = "dialstack-agent"


def files(root: Path = ROOT) -> dict[str, str]:
    """Return name -> text of everything that is generated; needs `config/` and `systemd/` of the source."""
    date = time.strftime("%Y-%m-%d", time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())))
    os.environ["COLUMNS"] = "100"
    command, voice = walk(build_parser()), walk(build_voice_parser())
    sections = keys.read((root / "config" / "agent.toml").read_text())
    service = pages.service_page((root / "systemd" / "dialstack-agent.catalog").read_text(), date, __version__)
    return {
        "dialstack-agent.1": pages.command_page(command, date, __version__),
        "dialstack-voice.8": pages.voice_page(voice, date, __version__),
        "dialstack-agent.toml.5": pages.configuration_page(sections, date, __version__),
        "dialstack-agent.service.8": service,
        "dialstack-agent.bash-completion": completion.bash(PROGRAM, command),
        "_dialstack-agent": completion.zsh(PROGRAM, command),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files into a folder."""
    parser = argparse.ArgumentParser(prog="python -m agent.manual", description="Writes man pages and completions.")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    folder: Path = parser.parse_args(arguments).folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files().items():
        (folder / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

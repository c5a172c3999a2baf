"""Man pages and completions are made from the parsers and the packaged configuration, so that they cannot rot."""

from __future__ import annotations

import argparse
import os
import pty
import re
import select
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import __version__
from agent.cli.client import EXIT_CODES
from agent.cli.main import build_parser
from agent.config.schema import SCHEMA
from agent.dialstack.civic import FIELDS
from agent.manual import keys
from agent.manual.__main__ import files, main
from agent.manual.pages import CREDENTIALS
from agent.manual.roff import Page
from agent.manual.walk import walk
from agent.runtime.messages import MESSAGES
from tests.admin.journald import ROOT

TEXTS = files()
PAGES = sorted(name for name in TEXTS if name[-1].isdigit())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with everything that is generated."""
    found = tmp_path_factory.mktemp("manual")
    assert main([str(found)]) == 0
    return found


def shown(folder: Path, name: str) -> str:
    """Return a page as a reader sees it, without line breaks."""
    done = subprocess.run(
        ["man", "-l", "-E", "UTF-8", str(folder / name)],
        env={"PATH": os.environ["PATH"], "MANWIDTH": "500", "LC_ALL": "C.UTF-8", "MANPAGER": "cat"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return re.sub(".\b", "", done.stdout)


# ------------------------------------------------------------------ man pages


@pytest.mark.parametrize("name", PAGES)
def test_linters_have_nothing_to_say(folder: Path, name: str) -> None:
    path = str(folder / name)
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    for command in (["man", "--warnings", "-l", "-E", "UTF-8", "-Tutf8", "-Z", path], ["mandoc", "-T", "lint", path]):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        said = done.stdout if command[0] == "mandoc" else done.stderr
        assert (done.returncode, said) == (0, "")


def parsers(parser: argparse.ArgumentParser, words: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    yield words, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield from parsers(inner, f"{words} {name}".strip())


def test_every_command_and_option_is_in_the_manual(folder: Path) -> None:
    text = shown(folder, "dialstack-agent.1")
    for words, parser in parsers(build_parser()):
        part = text
        if words:
            found = re.search(rf"^ +{words}\n(.*?)(?=^   \w|^\w)", text, re.DOTALL | re.MULTILINE)
            assert found, words
            part = found[1] + text.partition("COMMANDS")[0]
        for action in parser._actions:
            for flag in action.option_strings:
                assert flag in part, f"{words}: {flag}"
    for code, meaning in EXIT_CODES.items():
        assert re.search(rf"{code} +.{re.escape(meaning[1:])}", text.replace("\n", " ")), code


def test_every_configuration_key_is_in_the_manual_with_its_meaning(folder: Path) -> None:
    text = shown(folder, "dialstack-agent.toml.5")
    for section, (_, validators) in SCHEMA.items():
        found = re.search(rf"^\[{section}\]\n(.*?)(?=^\S)", text, re.DOTALL | re.MULTILINE)
        assert found, section
        for key in validators or FIELDS:
            assert re.search(rf"^ +{key} = .+", found[1], re.MULTILINE), f"{section}.{key}"


def test_the_packaged_configuration_explains_every_key_that_needs_it() -> None:
    sections = {section.name: section for section in keys.read((ROOT / "config" / "agent.toml").read_text())}
    plain = {"address_number", "street", "city", "postal_code", "country"}
    silent = [f"{name}.{key.name}" for name, part in sections.items() for key in part.keys if not key.meaning]
    assert [name for name in silent if name.partition(".")[2] not in plain] == []


def test_a_line_of_the_configuration_that_would_be_lost_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"line 2 is neither section, key nor comment: \?\?\?"):
        keys.read("[sip]\n???")


def test_the_credentials_of_the_manual_are_those_that_are_read() -> None:
    code = "".join(path.read_text() for path in (ROOT / "agent").rglob("*.py"))
    used = set(re.findall(r'read_secret\W[^"\n]*"([\w-]+)"\)', code))
    assert used == {name for name, _ in CREDENTIALS}


def test_every_message_id_is_in_the_manual() -> None:
    assert all(identifier in TEXTS["dialstack-agent.service.8"] for identifier, _ in MESSAGES.values())


def test_the_same_source_gives_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    once = files()
    monkeypatch.setenv("COLUMNS", "40")
    assert files() == once
    assert '"2023-11-14"' in once["dialstack-agent.1"]


def test_text_that_troff_would_obey_is_only_shown(tmp_path: Path) -> None:
    page = Page("x", 1, "2026-01-01", "1", "y")
    page.section("A")
    page.add(".so /etc/passwd \\n(yr\n\n  'literal\n  .pp")
    page.entry("--flag", ".B \\fBfat")
    (tmp_path / "x.1").write_text(page.text())
    text = shown(tmp_path, "x.1")
    for words in (".so /etc/passwd \\n(yr", "'literal", ".pp", "--flag", ".B \\fBfat"):
        assert words in text


def test_every_example_of_the_help_can_be_typed() -> None:
    examples = [line for one in walk(build_parser()).all() for line in one.epilog.splitlines() if "  dialst" in line]
    assert len(examples) >= 5
    for example in examples:
        words = shlex.split(example, comments=True)
        assert words[0] == "dialstack-agent"
        assert build_parser().parse_args(words[1:]).command, example


def test_every_command_line_of_the_readme_can_be_typed() -> None:
    lines = re.findall(r"^dialstack-agent .*$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(lines) >= 8
    for line in lines:
        words = shlex.split(line, comments=True)
        assert build_parser().parse_args(words[1:]).command, line


def test_every_file_that_the_readme_links_to_exists() -> None:
    links = re.findall(r"\]\(([\w./-]+)\)", (ROOT / "README.md").read_text())
    assert len(links) >= 6
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_version_is_an_option_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        build_parser().parse_args(["--version"])
    assert (ended.value.code, capsys.readouterr().out) == (0, f"dialstack-agent {__version__}\n")


# ------------------------------------------------------------------ completions

BASH = """
source "$1"
shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_dialstack_agent
printf '%s\\n' "${COMPREPLY[@]}"
"""


def completed(folder: Path, *words: str) -> set[str]:
    """Return what bash offers for the last word."""
    script = str(folder / "dialstack-agent.bash-completion")
    argv = ["bash", "--norc", "-uc", BASH, "bash", script, "dialstack-agent", *words]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return set(done.stdout.split())


def test_bash_offers_every_command_and_option_at_its_place(folder: Path) -> None:
    for command in walk(build_parser()).all():
        offered = completed(folder, *command.words, "")
        assert {one.words[-1] for one in command.inner} <= offered, command.words
        flags = {flag for argument in command.arguments for flag in argument.flags}
        assert completed(folder, *command.words, "-") == flags, command.words


def test_bash_completes_a_beginning_and_files_where_files_are_wanted(folder: Path) -> None:
    assert completed(folder, "addr") == {"addresses"}
    assert completed(folder, "--json", "--socket", "status", "addresses", "de") == {"delete", "decisions"} - {
        "decisions"
    }
    assert completed(folder, "--config", "dialstack-v") == {"dialstack-voice.8"}
    assert completed(folder, "check-config", "dialstack-agent.t") == {"dialstack-agent.toml.5"}
    assert completed(folder, "status", "--w") == {"--watch"}


def zsh(folder: Path, typed: str, expected: str) -> str:
    """Type into an interactive zsh until the expected word is on the screen."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update({"HOME": str(folder), "PS1": "> ", "TERM": "dumb"})
        os.execvp("zsh", ["zsh", "-f", "-i"])  # noqa: S606 - on a terminal of its own
    start = (
        f"unsetopt zle_bracketed_paste; fpath=({folder} $fpath); autoload -Uz compinit; compinit -u -D; echo rea''dy\n"
    )
    screen, sent = "", False
    deadline = time.monotonic() + 30
    os.write(terminal, start.encode())
    try:
        while time.monotonic() < deadline and expected not in screen.partition("ready")[2]:
            if select.select([terminal], [], [], 0.2)[0]:
                screen += os.read(terminal, 4096).decode(errors="replace")
            if "ready" in screen and not sent:
                os.write(terminal, typed.encode())
                sent = True
    finally:
        os.close(terminal)
        os.waitpid(child, 0)
    return screen.partition("ready")[2]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("dialstack-agent addr\t", "dialstack-agent addresses"),
        ("dialstack-agent addresses de\t", "addresses delete"),
        ("dialstack-agent status --wa\t", "status --watch"),
        ("dialstack-agent --json chec\t", "--json check-config"),
    ],
)
def test_zsh_completes_commands_and_options(folder: Path, typed: str, expected: str) -> None:
    assert expected in zsh(folder, typed, expected)

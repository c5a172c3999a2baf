"""The command line as data, read from argparse: what man pages and completions are made of."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Argument:
    """An option, or what stands without one."""

    flags: tuple[str, ...]
    """Empty: a positional argument."""
    metavar: str
    """What follows; empty: nothing."""
    meaning: str
    choices: tuple[str, ...]
    required: bool

    @property
    def is_file(self) -> bool:
        """Tell whether a file name is wanted."""
        return self.metavar in {"FILE", "PATH", "FOLDER"}

    def tag(self) -> str:
        """Return it as help shows it."""
        shown = ", ".join(self.flags)
        return " ".join(part for part in (shown, self.metavar) if part)


@dataclass(frozen=True, slots=True)
class Command:
    """A command with its arguments and the commands below it."""

    words: tuple[str, ...]
    """`("addresses", "add")`; empty: the program itself."""
    meaning: str
    usage: str
    arguments: tuple[Argument, ...]
    epilog: str
    inner: tuple[Command, ...] = field(default=())

    def all(self) -> Iterator[Command]:
        """Yield this command and every one below it."""
        yield self
        for command in self.inner:
            yield from command.all()


def walk(parser: argparse.ArgumentParser, words: tuple[str, ...] = (), meaning: str = "") -> Command:
    """Return what a parser takes."""
    arguments: list[Argument] = []
    inner: list[Command] = []
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to ask
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - as above
            told = {choice.dest: choice.help or "" for choice in action._choices_actions}  # noqa: SLF001 - as above
            inner += [walk(one, (*words, name), told.get(name, "")) for name, one in action.choices.items()]
        elif action.help != argparse.SUPPRESS:
            arguments.append(_argument(parser, action))
    usage = " ".join(parser.format_usage().removeprefix("usage: ").split())
    return Command(
        words, meaning or parser.description or "", usage, tuple(arguments), parser.epilog or "", tuple(inner)
    )


def _argument(parser: argparse.ArgumentParser, action: argparse.Action) -> Argument:
    takes = action.nargs != 0
    choices = tuple(str(choice) for choice in action.choices or ())
    metavar = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    if choices and not action.metavar:
        metavar = "{" + ",".join(choices) + "}"
    meaning = (action.help or "") % {"prog": parser.prog, "default": action.default}
    required = action.required if action.option_strings else action.nargs not in {"?", "*"}
    return Argument(tuple(action.option_strings), metavar if takes else "", meaning, choices, required)

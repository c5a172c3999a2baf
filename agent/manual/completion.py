"""Completions for bash and zsh, made from the command line's parsers."""

from __future__ import annotations

from collections.abc import Iterator

from agent.manual.walk import Argument, Command


def bash(program: str, command: Command) -> str:
    """Return a bash completion: commands, options, choices, and file names where a file is wanted."""
    name = "_" + program.replace("-", "_")
    cases = "\n".join(_bash_case(one) for one in command.all())
    values = " | ".join(sorted(_valued(command))) or "-"
    return f"""\
# bash completion of {program}
{name}() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}} path="" word skip="" words
    COMPREPLY=()
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        if [[ -n $skip ]]; then skip=""; continue; fi
        case $word in
            {values}) skip=yes ;;
            -*) ;;
            *) case "$path $word" in
{_bash_paths(command)}
               esac ;;
        esac
    done
    case "$path" in
{cases}
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}}
complete -F {name} {program}
"""


def _valued(command: Command) -> set[str]:
    """Return every option that takes a value."""
    return {flag for one in command.all() for argument in one.arguments if argument.metavar for flag in argument.flags}


def _bash_paths(command: Command) -> str:
    paths = [one.words for one in command.all() if one.words]
    return "\n".join(f'{"":19}"{_key(words[:-1])} {words[-1]}") path="{_key(words)}" ;;' for words in paths)


def _key(words: tuple[str, ...]) -> str:
    return "/".join(words)


def _bash_case(command: Command) -> str:
    words = [one.words[-1] for one in command.inner]
    lines = [f'        "{_key(command.words)}")']
    for argument in command.arguments:
        words += argument.flags
        if argument.flags and (argument.is_file or argument.choices):
            flags = "|".join(argument.flags)
            lines.append(f"            case $previous in {flags}) {_bash_value(argument)}; return ;; esac")
        elif not argument.flags and argument.is_file:
            lines.append(f"            if [[ $current != -* ]]; then {_bash_value(argument)}; return; fi")
    lines += [f'            words="{" ".join(words)}" ;;']
    return "\n".join(lines)


def _bash_value(argument: Argument) -> str:
    kind = f'-W "{" ".join(argument.choices)}"' if argument.choices else "-f"
    return f'compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen {kind} -- "$current")'


def zsh(program: str, command: Command) -> str:
    """Return a zsh completion for `_arguments`."""
    name = "_" + program.replace("-", "_")
    functions = "\n".join("\n".join(_zsh_function(name, one)) for one in command.all())
    return f'#compdef {program}\n# zsh completion of {program}\n{functions}\n{name} "$@"\n'


def _zsh_function(name: str, command: Command) -> Iterator[str]:
    yield f"{_zsh_name(name, command.words)}() {{"
    yield "  local context state state_descr line"
    yield "  typeset -A opt_args"
    specs = [spec for argument in command.arguments for spec in _zsh_specs(argument)]
    if command.inner:
        specs += ["'1:command:->command'", "'*::argument:->argument'"]
    yield "  _arguments -C \\"
    yield " \\\n".join(f"    {spec}" for spec in specs)
    if command.inner:
        yield "  case $state in"
        yield "    command) _values command \\"
        yield " \\\n".join(f"      '{_zsh_text(one.words[-1])}[{_zsh_text(one.meaning)}]'" for one in command.inner)
        yield "      ;;"
        yield "    argument) case $line[1] in"
        for one in command.inner:
            yield f"      {one.words[-1]}) {_zsh_name(name, one.words)} ;;"
        yield "    esac ;;"
        yield "  esac"
    yield "}"


def _zsh_name(name: str, words: tuple[str, ...]) -> str:
    return "_".join([name, *(word.replace("-", "_") for word in words)])


def _zsh_specs(argument: Argument) -> Iterator[str]:
    meaning = _zsh_text(argument.meaning)
    action = f"({' '.join(argument.choices)})" if argument.choices else "_files" if argument.is_file else " "
    value = f":{_zsh_text(argument.metavar)}:{action}" if argument.metavar else ""
    if not argument.flags:
        yield f"'::{_zsh_text(argument.metavar)}:{action}'"
    for flag in argument.flags:
        yield f"'{flag}[{meaning}]{value}'"


def _zsh_text(text: str) -> str:
    for letter in "\\[]:":
        text = text.replace(letter, "\\" + letter)
    return text.replace("'", "'\\''")

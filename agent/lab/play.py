"""The lab after the story: keys carry the phone about while the page shows what it makes of it."""

from __future__ import annotations

import contextlib
import sys
import termios
import tty
from collections.abc import Callable, Iterator

from agent.lab import noise
from agent.lab.namespaces import LabError
from agent.lab.stage import Stage

HELP = """
The lab stays up. The phone's page: http://127.0.0.1:{port}/
  o  plug in at the office      h  plug in at home       u  unplug
  w  change the office's public address                  n  noise (containers, DHCP, VPN)
  b  second uplink on or off    k  kill the agent        a  start it again
  ?  these keys                 q  end
"""


def play(stage: Stage, port: int) -> None:
    """Read keys until `q` or the end of input."""
    print(HELP.format(port=port), flush=True)
    keys = _Keys(stage)
    with _single_keys():
        while key := sys.stdin.read(1):
            if key == "q":
                return
            if key == "?":
                print(HELP.format(port=port), flush=True)
            elif key in keys.actions:
                try:
                    print(keys.actions[key](), flush=True)
                except LabError as error:
                    print(f"That did not work: {error}", flush=True)


class _Keys:
    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._backup = False
        self._wan = 100
        self.actions: dict[str, Callable[[], str]] = {
            "o": lambda: self._plug("office"), "h": lambda: self._plug("home"), "u": self._unplug, "w": self._change,
            "n": self._noise, "b": self._second, "k": self._kill, "a": self._start,
        }  # fmt: skip

    def _plug(self, site: str) -> str:
        self._stage.lab.unplug(release=True)
        self._stage.lab.plug(site)
        return f"Plugged in at the {site}."

    def _unplug(self) -> str:
        self._stage.lab.unplug(release=True)
        return "Unplugged."

    def _change(self) -> str:
        self._wan += 1
        self._stage.lab.change_wan("office", f"203.0.113.{self._wan}")
        return f"The office is 203.0.113.{self._wan} now."

    def _noise(self) -> str:
        noise.everything(self._stage.lab)
        return "Noise made: nothing should have happened."

    def _second(self) -> str:
        self._backup = not self._backup
        self._stage.lab.backup(up=self._backup)
        return f"Second uplink {'on' if self._backup else 'off'}."

    def _kill(self) -> str:
        self._stage.process("agent").kill()
        self._stage.process("agent").wait()
        return "The agent is dead; the phone still calls: dialstack-agent call 933."

    def _start(self) -> str:
        if self._stage.process("agent").poll() is None:
            return "The agent runs."
        self._stage.start_agent()
        return "The agent runs again."


@contextlib.contextmanager
def _single_keys() -> Iterator[None]:
    """Read keys without Enter where input is a terminal."""
    if not sys.stdin.isatty():
        yield
        return
    saved = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, saved)

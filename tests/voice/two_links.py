"""A phone with two links to one server, in network namespaces of its own: the ground of the tests of paths and ways."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

from .harness import ip, namespaces
from .wire import Line


@dataclass(frozen=True)
class TwoLinks:
    """Links 1 and 2 are `eth1` and `eth2` at the phone, `net1` and `net2` at the other end."""

    subnet: int
    """Second byte of every address; tells the namespaces of two modules apart as well."""
    both: bool = False
    """Both links are up, the first has the better metric; else the first alone."""
    six: bool = False
    """IPv6 and nothing else."""

    @property
    def phone(self) -> str:
        """The namespace of the phone."""
        return f"v{self.subnet}-p{os.getpid()}"

    @property
    def net(self) -> str:
        """The namespace of the network and the server."""
        return f"v{self.subnet}-n{os.getpid()}"

    @property
    def server(self) -> str:
        """The address of the server, behind both links."""
        return self._address(9, 1)

    def source(self, number: int) -> str:
        """Return the phone's address on a link."""
        return self._address(number, 2)

    def _address(self, link: int, host: int) -> str:
        return f"fd00:{self.subnet}:{link}::{host}" if self.six else f"10.{self.subnet}.{link}.{host}"

    def _give(self, namespace: str, device: str, address: str, length: int) -> None:
        """Give an address; IPv6 looks for its double for a second otherwise."""
        ip("-n", namespace, "addr", "replace", f"{address}/{length}", "dev", device, *(["nodad"] if self.six else []))

    @contextlib.contextmanager
    def built(self) -> Iterator[None]:
        """Have all of it for a while."""
        with namespaces(self.phone, self.net):
            self._give(self.net, "lo", self.server, 128 if self.six else 32)
            for number in (1, 2):
                peer = ("peer", f"net{number}", "netns", self.net)
                ip("-n", self.phone, "link", "add", f"eth{number}", "type", "veth", *peer)
                ip("-n", self.net, "link", "set", f"net{number}", "up")
                self._give(self.net, f"net{number}", self._address(number, 1), 64 if self.six else 24)
            self.plug(1, metric=100)
            if self.both:
                self.plug(2, metric=200)
            yield

    def plug(self, number: int, metric: int = 100) -> None:
        """Bring a link up with its address and a default route."""
        ip("-n", self.phone, "link", "set", f"eth{number}", "up")
        self._give(self.phone, f"eth{number}", self.source(number), 64 if self.six else 24)
        self._route(self.phone, "replace", "default", "via", self._address(number, 1), "metric", str(metric))

    def pull(self, number: int) -> None:
        """Take a link away."""
        ip("-n", self.phone, "link", "set", f"eth{number}", "down")

    def cut(self, number: int, *, on: bool = True) -> None:
        """Take the carrier of a link away at the other end, or give it back."""
        ip("-n", self.net, "link", "set", f"net{number}", "down" if on else "up")

    def silence(self, number: int, *, on: bool = True) -> None:
        """Let nothing that comes over a link be answered; carrier, address and route stay as they are."""
        self._route(self.net, "add" if on else "del", "blackhole", self.source(number))

    def _route(self, namespace: str, *arguments: str) -> None:
        ip("-6" if self.six else "-4", "-n", namespace, "route", *arguments)

    def instruct(self, agent: Line, number: int, present_id: str | None, generation: int = 1) -> None:
        """Speak as the agent does about a link."""
        where = {"interface": f"eth{number}", "source": self.source(number), "destination": self.server}
        agent.path(present_id, generation=generation, where=where)

"""The real lldpd as the network switch of a lab's site, and whoever sends frames that no switch would send."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from agent.lab.lab import Lab
from agent.lab.namespaces import LabError
from agent.network.lldp.frame import ETHERTYPE, GROUP

PATIENCE = 15.0
LOOK = 0.05
CIVIC = {
    "country": "US", "country-subdivision": "CA", "city": "San Francisco", "street": "Main St", "number": "123",
    "zip": "94105", "floor": "4",
}  # fmt: skip


class Switch:
    """A managed switch with LLDP-MED in the office, or wherever its router is; a context manager."""

    def __init__(self, lab: Lab, role: str = "office", *, chassis: str = "sw-2", port: str = "ge1") -> None:
        self._lab, self._role = lab, role
        self._chassis, self._port = chassis, port
        self._folder = tempfile.TemporaryDirectory()
        Path(self._folder.name).chmod(0o755)  # lldpcli gives up its rights before it looks for the socket
        self._socket = f"{self._folder.name}/socket"
        self._process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        # It would pause and resume itself through an lldpcli of its own (-L), which overtakes ours on a busy machine.
        argv = ["lldpd", "-d", "-u", self._socket, "-M", "4", "-L", "", "-I", "port*"]
        self._process = self._lab.exec(self._role, argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + PATIENCE
        while True:
            try:
                self.cli("configure", "system", "chassisid", self._chassis)
                break
            except LabError:
                if time.monotonic() > until:
                    self.__exit__(None, None, None)
                    raise
                time.sleep(LOOK)
        self.cli("configure", "system", "hostname", "access-2")
        self.cli("configure", "lldp", "tx-interval", "2")
        self.port(self._port)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait()
        self._folder.cleanup()

    def cli(self, *words: str) -> str:
        """Run lldpcli."""
        return self._lab.run(self._role, ["lldpcli", "-u", self._socket, *words])

    def port(self, name: str) -> None:
        """Let the cable end in another port from now on; change it while nothing is plugged in."""
        self.cli("configure", "lldp", "portidsubtype", "local", name)
        self.cli("update")

    def civic(self, **changed: str) -> None:
        """Say where the port is."""
        values = CIVIC | changed
        self.cli("configure", "med", "location", "address", *(word for pair in values.items() for word in pair))

    def neighbors(self) -> list[dict[str, Any]]:
        """Return who was heard by the switch."""
        found = json.loads(self.cli("-f", "json0", "show", "neighbors", "details"))["lldp"]
        return [one for each in found for one in each.get("interface", [])]


def send(lab: Lab, frames: Iterable[bytes], *, role: str = "office", ethertype: int = ETHERTYPE) -> int:
    """Send frames to the device from the other end of its cable; return how many the kernel took."""
    sent = 0
    with lab.in_namespace(role):
        sender = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
    with sender:
        for data in frames:
            with contextlib.suppress(OSError):  # the queue is full
                sender.sendto(data, ("port0", ethertype, 0, 0, GROUP))
                sent += 1
    return sent

"""A desk phone's world in network namespaces: plug it in, move it, pull the cable, change the provider's address."""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from agent.lab import namespaces, topology
from agent.lab.events import KernelEvents
from agent.lab.namespaces import LabError, ip
from agent.lab.topology import PREFIX6, ROUTERS, SITES

PREFIX = "dsl"
BACKUP_METRIC = 600
WIRED_METRIC = 100
HOST = 50
"""Last octet of the device on every LAN: the DHCP servers agree, as the same model at two sites does."""

_numbers = itertools.count()


def remove_stale() -> list[str]:
    """Delete the namespaces of labs whose process is gone; return their names."""
    stale = []
    for name in namespaces.existing():
        if not name.startswith(PREFIX) or "-" not in name:
            continue
        pid = name.removeprefix(PREFIX).split("x", 1)[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            namespaces.delete(name)
            stale.append(name)
    return stale


class Lab:
    """Namespaces `device`, `office`, `home`, `platform` and, with `backup`, a second router in the office.

    With `laptop` there is another computer on the office LAN.

    A context manager; several may run at once, in one process or in many. Needs root, or the small world that
    `agent.lab.unprivileged` makes. Every operation returns when the kernel has done it; failures raise `LabError`.
    Nothing is plugged in at the start.
    """

    def __init__(self, *, backup: bool = False, ipv6: bool = False, laptop: bool = False) -> None:
        roles = ["device", *SITES, "platform"] + (["backup"] if backup else []) + (["laptop"] if laptop else [])
        stem = f"{PREFIX}{os.getpid()}x{next(_numbers)}"
        self._names = {role: f"{stem}-{role}" for role in roles}
        self.ipv6 = ipv6
        self._socket_at: str = "office"
        self._lans = {role: ROUTERS[role].lan for role in roles if role in ROUTERS}
        self._wans = {role: ROUTERS[role].wan for role in self._lans}
        self.plugged: str | None = None
        """Where the cable is: `office`, `home` or None."""

    def __enter__(self) -> Self:
        remove_stale()
        try:
            topology.build(self._names, ipv6=self.ipv6)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take everything down; end your processes first, they would keep their namespace alive."""
        for name in self._names.values():
            namespaces.delete(name)

    # ------------------------------------------------------------------ processes and sockets

    def namespace(self, role: str) -> str:
        """Return the name under which `ip netns` knows a role."""
        return self._names[role]

    def exec(self, role: str, argv: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        """Start a program in a namespace; `options` go to Popen."""
        return namespaces.popen(self._names[role], argv, **options)

    def run(self, role: str, argv: Sequence[str]) -> str:
        """Run a program in a namespace to its end and return its output; raise `LabError` if it fails."""
        return namespaces.run(["ip", "netns", "exec", self._names[role], *argv])

    def in_namespace(self, role: str) -> AbstractContextManager[None]:
        """Let the calling thread stand in a namespace; sockets made here stay in it afterwards."""
        return namespaces.in_namespace(self._names[role])

    def events(self) -> KernelEvents:
        """Start recording what the device's kernel says; close it, or use it as a context manager."""
        return KernelEvents(self._names["device"])

    # ------------------------------------------------------------------ the cable

    def plug(self, site: str, *, dhcp_after: float = 0.0) -> None:
        """Pull the cable if it is in, plug it in at a site and configure as a DHCP client does.

        Both sites lease the same address, 192.168.1.50/24. `dhcp_after` seconds pass between carrier and lease; in
        them the device still has what it had before.
        """
        if site not in SITES:
            raise LabError(f"no site {site!r}, there are {', '.join(SITES)}")
        self.unplug()
        if self._socket_at != site:
            ip(self._names[self._socket_at], f"link set port0 netns {self._names[site]}")
            self._socket_at = site
        self.wired_up()
        if dhcp_after:
            time.sleep(dhcp_after)
        self.lease("eth0", self._lans[site], WIRED_METRIC)

    def unplug(self, *, release: bool = False) -> None:
        """Pull the cable: eth0 loses carrier and keeps its addresses, as the kernel leaves it.

        With `release` the addresses are flushed right after, as NetworkManager and dhcpcd do; only then can the
        kernel use the backup uplink, for a route on a link without carrier is still a route (failure 3).
        """
        ip(self._names[self._socket_at], "link set port0 down")
        self.plugged = None
        self._wait_carrier("eth0", up=False)
        if release:
            self.release("eth0")

    def wired_up(self) -> None:
        """Give eth0 carrier where its cable was last; no lease is asked for."""
        ip(self._names[self._socket_at], "link set port0 master lan up")
        self.plugged = self._socket_at
        with contextlib.suppress(TimeoutError):  # no carrier while admin_down: nothing to wait for
            self._wait_carrier("eth0", up=True)

    def wired_down(self) -> None:
        """Lose the wired uplink for good: carrier goes, the DHCP client flushes; a backup takes over."""
        self.unplug(release=True)

    def admin_down(self, interface: str = "eth0") -> None:
        """Set a link down by hand; the kernel drops the default route without a route message (failure 2)."""
        ip(self._names["device"], f"link set {interface} down")

    def admin_up(self, interface: str = "eth0", *, lease: bool = True) -> None:
        """Set a link up by hand and, unless told otherwise, lease again."""
        ip(self._names["device"], f"link set {interface} up")
        if lease and interface == "eth0" and self.plugged:
            self.lease("eth0", self._lans[self.plugged], WIRED_METRIC)

    def lease(self, interface: str, router: str, metric: int) -> None:
        """Configure address and default route as a DHCP client does: flush, then set."""
        network = ipaddress.ip_network(f"{router}/24", strict=False)
        commands = [
            f"address flush dev {interface}",
            f"address add {network[HOST]}/24 dev {interface}",
            f"route add default via {router} dev {interface} metric {metric}",
        ]
        if self.ipv6 and interface == "eth0":
            commands += [
                # The flush took the link-local address along; without one nobody answers neighbor discovery.
                f"address add fe80::{HOST}/64 dev {interface} nodad",
                f"address add {PREFIX6}{HOST}/64 dev {interface} nodad",
                f"route replace default via {PREFIX6}1 dev {interface} metric {metric}",
            ]
        ip(self._names["device"], *commands)

    def release(self, interface: str) -> None:
        """Take addresses and routes off an interface, as a DHCP client does at the end of a lease."""
        name = self._names["device"]
        ip(name, f"address flush dev {interface}")
        if self.ipv6:
            namespaces.run(["ip", "-6", "-n", name, "route", "flush", "dev", interface])

    # ------------------------------------------------------------------ routers and uplinks

    def change_wan(self, site: str, address: str) -> None:
        """Give a site another public address (a /24 of its provider); nothing changes on the device (failure 21)."""
        name = self._names[site]
        ip(
            name,
            f"address delete {self._wans[site]}/24 dev wan",
            f"address add {address}/24 dev wan",
            f"route add default via {ROUTERS[site].isp}",
        )
        self._wans[site] = address
        # The kernel forgets masqueraded flows of a lost address by itself, but only a moment later.
        self.run(site, ["conntrack", "-F"])

    def backup(self, *, up: bool) -> None:
        """Switch the backup uplink's carrier and lease on or off."""
        if "backup" not in self._names:
            raise LabError("this lab was made without backup=True")
        if up:
            ip(self._names["backup"], "link set port1 up")
            self._wait_carrier("eth1", up=True)
            self.lease("eth1", self._lans["backup"], BACKUP_METRIC)
        else:
            ip(self._names["backup"], "link set port1 down")
            self._wait_carrier("eth1", up=False)
            self.release("eth1")

    def renumber(self, router: str = "192.168.7.1") -> None:
        """Move the LAN that the device is on to another subnet: same router, same hardware address, new lease."""
        if not self.plugged:
            raise LabError("plug the device in first")
        old = self._lans[self.plugged]
        ip(self._names[self.plugged], f"address delete {old}/24 dev lan", f"address add {router}/24 dev lan")
        self._lans[self.plugged] = router
        self.lease("eth0", router, WIRED_METRIC)

    # ------------------------------------------------------------------ asking

    def lan_network(self) -> ipaddress.IPv4Network:
        """Return the subnet of the site that the cable is, or was last, plugged into."""
        return ipaddress.IPv4Network(f"{self._lans[self._socket_at]}/24", strict=False)

    def link(self, interface: str) -> dict[str, Any]:
        """Return what `ip -j link` says about a link of the device."""
        found: list[dict[str, Any]] = json.loads(
            namespaces.run(["ip", "-n", self._names["device"], "-j", "link", "show", interface])
        )
        return found[0]

    def has_carrier(self, interface: str = "eth0") -> bool:
        """Tell whether a link of the device is UP and LOWER_UP."""
        return {"UP", "LOWER_UP"} <= set(self.link(interface)["flags"])

    def _wait_carrier(self, interface: str, *, up: bool, timeout: float = 2.0) -> None:
        for _ in _polls(timeout):
            if self.has_carrier(interface) == up:
                return
        raise TimeoutError(f"{interface} did not {'get' if up else 'lose'} carrier within {timeout} s")


def _polls(timeout: float) -> Iterator[None]:
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        yield
        time.sleep(0.002)
